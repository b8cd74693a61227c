"""One-off charge: a mixin for nouns that are one amount owed by one customer, such as a fine or a fee."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.kernel.access import Linked
from app.kernel.db import session, spaced
from app.kernel.errors import Refused
from app.kernel.workflow import move
from app.messages.message import tell
from app.money.bills.bill import Bill, ByHand
from app.money.bills.payment import Payment
from app.money.sums.price import Price


class OneOffCharge(Linked):
    """Needs `person`, `price` and the states `open` and `paid`.

    Call `request_payment` on a new record, and `waive_payment` when it no longer has to be paid.
    """

    if TYPE_CHECKING:
        __tablename__: str
        id: Any
        person: Any
        price: Any
        state: Any
        state_label: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        cls.link_kind = spaced(cls.__name__)
        super().__init_subclass__(**kwargs)

    @property
    def said_on_paper(self) -> str:
        return str(self)

    @property
    def spoken(self) -> str:
        return self.said_on_paper

    @property
    def bill(self) -> Bill:
        return Bill.all_for(self)[0]  # type: ignore[arg-type]  # the mixin's class is a noun

    def request_payment(self) -> None:
        """Create the bill, and email the link to pay it."""
        session.add(self)
        session.flush()
        bill = Bill.issue(self, self.person, Price.untaxed(self.said_on_paper, self.price))  # type: ignore[arg-type]
        tell(self.person, "money/pay_link", bill=bill)

    def waive_payment(self) -> None:
        """Cancel the bill, if it is unpaid."""
        if self.bill.wants_money:
            self.bill.cancel()

    def awaits(self, bill: Bill) -> bool:
        return bool(self.state == "open" or (self.state == "paid" and bill.state == "unpaid"))

    @property
    def is_delivered(self) -> bool:
        """Delivered when paid: there is nothing else to deliver."""
        return bool(self.state == "paid")

    def accept_payment(self, payment: Payment) -> str | None:
        if not self.awaits(payment.bill):
            return f"{self.said_on_paper} was already {self.state_label(self.state).lower()} when the payment arrived."
        if self.state == "open":
            self.settle(payment.method_label)
        return None

    def payment_failed(self, payment: Payment) -> None: ...

    def payment_waits(self, payment: Payment) -> None: ...

    def payment_lost(self, payment: Payment) -> None:
        tell(self.person, "money/pay_link", key=f"unpaid again:{payment.id}", bill=payment.bill)

    def give_up(self) -> None:
        """Do nothing: removing it from a cart doesn't waive it, which only staff can do."""

    @move("open", to="paid")  # type: ignore[type-var]  # the mixin's class is a noun
    def settle(self, paid_with: str) -> None:
        """The payment has arrived."""

    @move("open", by="Desk Accountant", label="Mark as paid", asks=ByHand)  # type: ignore[type-var]
    def mark_paid(self, asked: ByHand) -> None:
        """Record a payment made in cash, by cheque or by bank transfer."""
        if not self.bill.wants_money:
            raise Refused("There is nothing to pay here.")
        self.bill.take_by_hand(asked)

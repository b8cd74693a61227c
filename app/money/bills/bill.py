"""Bill (payment request): one request for money, with its payments, refunds, revenue and due date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, cast

from sqlalchemy import ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.access import Linked, actor
from app.kernel.db import Noun, noun_of_table, session, transaction
from app.kernel.numbering import next_number
from app.kernel.people import Person
from app.kernel.translation import say
from app.kernel.workflow import asked, move
from app.messages.message import Message, remind, tell, tell_staff
from app.money.bills.invoice import Invoice
from app.money.bills.ledger import Side, is_posted, post
from app.money.bills.order import GatewayOrder
from app.money.bills.payment import Payment
from app.money.bills.refund import Refund
from app.money.gateways import gateway
from app.money.gateways.gateway import Charge, GatewayRefund, OrderRequest
from app.money.sums.amount import Money, money_column
from app.money.sums.approval_limits import needs_four_eyes
from app.money.sums.price import Price

if TYPE_CHECKING:  # for types only: at runtime baskets import bills
    from app.money.bills.basket import InBasket

PARTS = {"whole": "Full amount", "deposit": "Deposit", "rest": "Balance"}
_BEFORE = timedelta(days=3)  # a reminder is sent this long before the due date


class Payable(Protocol):
    """What a bill is for, such as a booking: it accepts or refuses the payment."""

    id: Mapped[int]
    __tablename__: str

    def lock(self) -> Any:
        """Lock every row that a payment could change, in the fixed order of locks."""

    def accept_payment(self, payment: Payment) -> str | None:
        """Accept the payment, or return why it must be refunded, before changing anything."""

    def payment_failed(self, payment: Payment) -> None: ...

    def payment_waits(self, payment: Payment) -> None:
        """The payment is authorised or awaits approval, and is not received yet."""

    def payment_lost(self, payment: Payment) -> None:
        """A received payment was lost again, because the cheque bounced."""

    def give_up(self) -> None:
        """The customer removed it from the cart, unpaid."""

    def awaits(self, bill: Bill) -> bool:
        """Tell whether a payment of this bill is still wanted."""

    @property
    def is_delivered(self) -> bool:
        """Tell whether it was delivered already, so that a payment is revenue at once."""

    @property
    def said_on_paper(self) -> str:
        """What the bill is for, in one line of a document."""


@dataclass(frozen=True)
class ByHand:
    """Money over the counter, or seen on the bank's statement."""

    how: str = asked("Payment method", among=lambda: {"cash": "Cash", "cheque": "Cheque", "bank": "Bank transfer"})
    reference: str = asked("Reference", help="Receipt number, cheque number or bank reference", longest=80)


@dataclass(frozen=True)
class Why:
    """Why, for the history."""

    why: str = asked("Reason", longest=300)


@dataclass(frozen=True)
class Terms:
    """Terms of a bill other than the full amount, due now."""

    part: str = "whole"
    buyer: Mapping[str, str] = field(default_factory=dict)
    due: datetime | None = None


def _cannot_send_link(bill: Bill) -> str | None:
    return _awaits_approval(bill) or (
        None if bill.thing.awaits(bill) else "This payment request no longer needs to be paid."
    )


def _awaits_approval(bill: Bill) -> str | None:
    return "This payment has been recorded and is awaiting a second approval." if bill.is_promised else None


class Bill(Noun, Linked, GatewayOrder):
    """One request for money, and the gateway's order that collects it."""

    link_kind = "bill"
    states = "open", "paid", "void", "unpaid"
    state_labels: ClassVar[dict[str, str]] = {"unpaid": "Payment returned"}
    __table_args__ = (UniqueConstraint("noun", "row_id", "part"), UniqueConstraint("gateway", "order_id"))
    refusals: ClassVar[dict[str, str]] = {"bill_noun_row_id_part_key": "A payment request for this already exists."}

    number: Mapped[str] = mapped_column(unique=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)
    noun: Mapped[str] = mapped_column(info={"label": "For"})
    row_id: Mapped[int] = mapped_column(info={"label": "Record ID"})
    part: Mapped[str] = mapped_column(info={"label": "Type", "choices": PARTS})
    price: Mapped[Money] = money_column("price", info={"label": "Amount"})
    lines: Mapped[list[Any]] = mapped_column(info={"label": "Line items"})  # never changed
    left: Mapped[list[Any]] = mapped_column(info={"label": "Line items after refunds"})
    # On the invoice: tax number, state, address.
    buyer: Mapped[dict[str, Any]] = mapped_column(default=dict, info={"label": "Billed to", "personal": True})
    due_at: Mapped[datetime | None] = mapped_column(info={"label": "Due"})
    earned: Mapped[Money] = money_column("earned", info={"label": "Revenue recognised"})  # of the net
    delivered_at: Mapped[datetime | None] = mapped_column(info={"label": "Delivered"})  # when everything was

    payments: Mapped[list[Payment]] = relationship(back_populates="bill", order_by="Payment.id")
    in_baskets: Mapped[list[InBasket]] = relationship("InBasket", back_populates="bill")
    invoices: Mapped[list[Invoice]] = relationship(back_populates="bill", order_by="Invoice.id")

    @classmethod
    def issue(cls, thing: Noun, person: Person, price: Price, terms: Terms | None = None) -> Bill:
        """Create a bill in the transaction of what it is for; the gateway order follows later."""
        session.flush()
        terms, lines = terms or Terms(), price.as_json()
        bill = cls(
            number=next_number("B"),
            person=person,
            noun=thing.__tablename__,
            row_id=thing.id,
            part=terms.part,
            price=price.total,
            lines=lines,
            left=lines,
            earned=Money(0, price.currency),
            buyer=dict(terms.buyer),
            due_at=terms.due,
            gateway=gateway.default_for(price.currency).name,
            look_at=clock.ahead(minutes=2),
        )
        session.add(bill)
        if terms.due:
            remind(person, "money/pay_link", at=terms.due - _BEFORE, bill=bill)
        return bill

    @classmethod
    def all_for(cls, thing: Noun) -> Sequence[Bill]:
        return session.scalars(
            select(cls).where(cls.noun == thing.__tablename__, cls.row_id == thing.id).order_by(cls.id)
        ).all()

    @classmethod
    def next_for(cls, thing: Noun) -> Bill | None:
        """Return the bill to be paid next; when all are paid, the first."""
        bills = cls.all_for(thing)
        return next((each for each in bills if each.state in ("open", "unpaid")), next(iter(bills), None))

    @property
    def thing(self) -> Payable:
        return cast(Payable, noun_of_table(self.noun).get(self.row_id))

    @property
    def wants_money(self) -> bool:
        return self.state in ("open", "unpaid")

    @property
    def is_awaited(self) -> bool:
        return self.thing.awaits(self)

    @property
    def can_be_paid(self) -> bool:
        return self.wants_money and not self.is_promised and self.is_awaited

    def close_order(self) -> None:
        super().close_order()
        for each in self.in_baskets:
            if each.basket.wants_money:
                each.basket.close_order()

    @property
    def is_settled(self) -> bool:
        return self.state == "paid"

    @property
    def is_promised(self) -> bool:
        """Tell whether staff recorded a payment that awaits a second approval."""
        return any(each.state == "authorized" and gateway.by_name(each.gateway).by_hand for each in self.payments)

    @property
    def whole_price(self) -> Price:
        return Price.from_json(self.lines, self.price.currency)

    @property
    def standing(self) -> Price:
        return Price.from_json(self.left, self.price.currency)

    @property
    def paying(self) -> Payment | None:
        """The payment that settles this bill."""
        return next((each for each in self.payments if each.pays), None)

    def still_needs(self) -> str:
        """Return why the customer's data can't be deleted yet."""
        return (
            say("%(number)s for %(amount)s has not been paid yet.", number=self.number, amount=self.price)
            if self.wants_money and (self.is_promised or self.thing.awaits(self))
            else ""
        )

    def lock(self) -> Self:
        self.thing.lock()
        return super().lock()

    # --- asking for the money ---

    @property
    def order_request(self) -> OrderRequest:
        payer = {"name": self.person.name, "email": self.person.email, "contact": self.person.phone}
        until = getattr(self.thing, "hold_expires_at", None) if self.part != "rest" else None
        back, away = (gateway.public_url(f"/pay/{self.token}/{way}") for way in ("back", "away"))
        return OrderRequest(
            self.price, self.receipt, back, away, f"{self.number}: {self.thing.said_on_paper}"[:250], payer, until
        )

    @move(
        "open",
        "unpaid",
        by="Desk Accountant",
        label="Send payment link",
        when=_cannot_send_link,
        confirm=lambda it: f"{it.person.name} will get an email at {it.person.email} with a link to pay {it.price}.",
    )
    def send_link(self) -> None:
        """Email the customer a link to pay. It leads to the same gateway order, so the amount can’t be paid twice."""
        tell(self.person, "money/pay_link", bill=self)

    # --- applying what the gateway reports ---

    def apply_charges(
        self, charges: Iterable[Charge], returned: Mapping[str, Sequence[GatewayRefund]] | None = None
    ) -> None:
        with transaction():
            self.lock()
            thing = self.thing
            for charge in sorted(charges, key=lambda each: each.id):
                payment = Payment.for_charge(self, charge).lock()
                payment.apply_charge(charge, thing, (returned or {}).get(charge.id, ()))

    @move("open", "void", "unpaid", to="paid", label="Mark as paid")
    def settle(self, payment: Payment) -> None:
        """The payment has arrived. It is posted to the ledger, and the invoice is emailed to the customer."""
        self.look_at = None
        price = self.standing
        sides: list[Side] = [("received", price.total), ("deposits", -price.net)]
        sides += [(f"tax {name}", -tax) for name, tax in price.taxes.items()]
        post(f"for {payment.id}", f"Payment {payment} applied to {self.number}", *sides, about=self, person=self.person)
        invoice = Invoice.issue(self, price, payment)
        Invoice.issue_receipt(self, payment)
        tell(self.person, "money/invoice", invoice=invoice)
        if self.thing.is_delivered:
            self.deliver()

    @move("open", "unpaid", by="Desk Accountant", label="Record payment", asks=ByHand, when=_awaits_approval)
    def take_by_hand(self, asked: ByHand) -> Payment:
        """Record a payment made in cash, by cheque or by bank transfer. Large amounts need a second approval."""
        charge = Charge(f"{self.number}/{len(self.payments) + 1}", "captured", self.price, asked.reference)
        payment = Payment.for_charge(self, charge, through=asked.how)
        payment.taken_by, payment.method = actor().user_id, asked.reference
        if needs_four_eyes(self.price):
            payment.authorize(charge, self.thing)
        else:
            payment.capture(charge, self.thing)
        return payment

    @move("open", "unpaid", to="void")
    def cancel(self) -> None:
        """The payment is no longer needed. It may still arrive, because not every gateway can cancel an order."""
        self.close_order()

    def move_due_date(self, when: datetime) -> None:
        """Move the due date and the reminder, because what the bill is for was rescheduled."""
        if self.due_at and self.wants_money:
            self.due_at = when
            remind(self.person, "money/pay_link", at=when - _BEFORE, bill=self)

    # --- revenue and refunds ---

    def deliver(self, part: Money | None = None, of: str = "") -> None:
        """Recognise revenue: what was paid for was delivered, or is no longer refundable.

        A bill for several things recognises `part` of its net, once for each `of`; without a part, all that is left.
        """
        with transaction():
            self.lock()
            # Once for each payment: a cheque may bounce after its revenue was recognised.
            key = f"earn {self.id}/{self.paying.id if self.paying else 0}"
            key += f" {of}" if of else ""
            if self.state == "paid" and self.delivered_at is None and not is_posted(key):
                net = self.unearned if part is None else min(part, self.unearned)
                self.earned += net
                self.delivered_at = clock.now() if part is None or not self.unearned else None
                post(
                    key,
                    f"Revenue recognised for {self.number}",
                    ("deposits", net),
                    ("income", -net),
                    about=self,
                    person=self.person,
                )

    @property
    def unearned(self) -> Money:
        """What is left of the net after refunds, and not recognised as revenue yet."""
        return self.standing.net - self.earned

    def give_back(self, money: Money, why: str, *, sure: bool = False) -> Refund | None:
        """Refund this much of the settling payment, at most what is left of it."""
        payment = self.paying
        most = min(money, payment.left) if payment else Money(0, self.price.currency)
        return Refund.owe(payment, most, why, sure=sure) if payment and most else None

    def book_refund(self, refund: Refund, money: Money) -> None:
        """Post a confirmed refund: the amount, with its share of tax and revenue, is owed to the payer."""
        payment = refund.payment
        if not money:
            return
        sides: list[Side] = [("received", money)]
        if payment.pays:
            sides = self._reverse_revenue(money, f"{refund.number}: {refund.why}", payment, refund)
        post(
            f"owe {refund.id}",
            f"Refund {refund.number} owed",
            *sides,
            ("to-give-back", -money),
            about=self,
            person=self.person,
        )

    def _reverse_revenue(self, money: Money, why: str, payment: Payment, refund: Refund | None = None) -> list[Side]:
        """Reduce the bill, issue a credit note, and return the ledger sides: advances first, then revenue."""
        off, left = self.standing.cut(money)
        waits = min(off.net, self.unearned)
        self.earned -= off.net - waits
        self.left = left.as_json()
        Invoice.issue_credit_note(self, off, why, payment, refund)
        return [
            ("deposits", waits),
            ("income", off.net - waits),
            *((f"tax {name}", tax) for name, tax in off.taxes.items()),
        ]

    def handle_bounce(self, payment: Payment, why: str) -> None:
        """Undo a payment whose cheque bounced: pending refunds lapse, and the bill is unpaid again or void."""
        promised = [each.reduce_by(each.money) for each in payment.refunds if each.state in ("owed", "to_approve")]
        owed = Money.total(promised, payment.money.currency)
        rest = payment.money - owed
        sides: list[Side] = self._reverse_revenue(rest, why, payment) if payment.pays else [("received", rest)]
        post(
            f"bounce {payment.id}",
            f"Cheque {payment} bounced",
            *sides,
            ("to-give-back", owed),
            (payment.account, -payment.money),
            about=self,
            person=self.person,
        )
        if payment.pays:
            payment.pays, payment.owed_back = False, ""
            self.become_unpaid()
            if self.thing.awaits(self):
                self.thing.payment_lost(payment)
            else:
                self.cancel()
            tell_staff("money/bounced", payment=payment)

    @move("paid", to="unpaid", label="Mark payment as returned")
    def become_unpaid(self) -> None:
        """The payment was returned. The full amount is due again."""
        self.left, self.earned, self.delivered_at = self.lines, self.earned - self.earned, None

    def wants(self, message: Message) -> bool:
        """Tell whether a reminder still applies: the bill is payable, and was not moved to another date."""
        if message.template != "money/pay_link":
            return True
        is_current = not message.kind or (self.due_at is not None and message.due_at == self.due_at - _BEFORE)
        return is_current and self.can_be_paid


def give_back(thing: Noun, money: Money, why: str) -> list[Refund]:
    """Refund an amount of what was paid for this, the latest payment first, and at most what is left."""
    made: list[Refund] = []
    for bill in reversed(Bill.all_for(thing)):
        if money.amount > 0 and (refund := bill.give_back(money, why)):
            money -= refund.money
            made.append(refund)
    return made


def paid_for(thing: Noun, currency: str) -> tuple[Money, Money]:
    """Return how much was paid for this, and how much of it is neither refunded nor to be refunded."""
    payments = [each for each in (bill.paying for bill in Bill.all_for(thing)) if each]
    return Money.total((each.money for each in payments), currency), Money.total(
        (each.left for each in payments), currency
    )


def refunds_of(thing: Noun) -> list[Refund]:
    """Return the refunds of what was paid for this, except declined ones."""
    return [
        refund
        for bill in Bill.all_for(thing)
        for payment in bill.payments
        for refund in payment.refunds
        if refund.state != "declined"
    ]

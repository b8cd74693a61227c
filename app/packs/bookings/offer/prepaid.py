"""Prepaid package that a customer bought: its code, the sessions left, expiry, refund and recognized revenue."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, func, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.access import Linked
from app.kernel.db import Noun, noun_of_table, session, transaction
from app.kernel.errors import Invalid
from app.kernel.jobs import job, later
from app.kernel.numbering import next_number
from app.kernel.people import Person
from app.kernel.translation import ENGLISH, counted, format_moment, say, speaking
from app.kernel.workflow import asked, move
from app.messages.message import Message, remind, tell
from app.money.bills import bill as money
from app.money.bills.bill import Bill, ByHand, Terms, paid_for
from app.money.bills.payment import Payment
from app.money.bills.refund import Refund
from app.money.sums.amount import Money, money_column
from app.money.sums.quote import Quote

if TYPE_CHECKING:  # for the relations below; at run time these files import this one
    from app.packs.bookings.booking.booking import Booking
    from app.packs.bookings.booking.prepaid_use import PassUse
    from app.packs.bookings.offer.package import Package
    from app.packs.bookings.offer.service import Service

LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # without those that look like another
WAITS_FOR_MONEY = timedelta(days=14)
REMINDS = timedelta(days=14)
BACK = {"unused": "Refund unused sessions", "nothing": "No refund"}


@dataclass(frozen=True)
class CallOff:
    """Reason, and what is refunded."""

    why: str = asked("Reason", help="Shown to the customer and kept in the history.", longest=300)
    back: str = asked("Refund", default="unused", among=lambda: BACK)


def _unusable(words: str) -> Invalid:
    return Invalid(say("This package can’t be used for this booking."), fields={"coupon": words})


def _refund_preview(bought: Pass) -> str:
    """State the refund, with its amount, before the package is cancelled."""
    paid, _ = paid_for(bought, bought.price.currency)
    if not paid:
        return "This package can no longer be paid for or used. Nothing has been paid, so there is nothing to refund."
    return (
        f"This package can no longer be used. {bought.uses_left} of {bought.uses} sessions are unused: "
        f"{bought.unused} of {paid} can be refunded to the original payment method."
    )


def _refuse_while_reserved(bought: Pass) -> str | None:
    waits = next((each.booking for each in bought.used if each.state == "taken"), None)
    return (
        f"Booking {waits.number} still uses this package. Cancel that booking first, or wait until it has taken place."
        if waits
        else None
    )


class Pass(Noun, Linked):
    """A number of sessions of one service, usable by anyone who has the code."""

    link_kind = "pass"
    states = "open", "active", "used_up", "expired", "cancelled"
    state_labels: ClassVar[dict[str, str]] = {"open": "Awaiting payment"}
    __table_args__ = (CheckConstraint("uses_left between 0 and uses", name="left"),)
    refusals: ClassVar[dict[str, str]] = {"pass_left": "All sessions in this package have been used."}

    number: Mapped[str] = mapped_column(unique=True)
    code: Mapped[str] = mapped_column(unique=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)
    package_id: Mapped[int] = mapped_column(ForeignKey("package.id"), index=True)
    package: Mapped[Package] = relationship("Package", lazy="joined", innerjoin=True)
    uses: Mapped[int] = mapped_column(info={"label": "Sessions"})  # copied when promised, like the price and the days
    uses_left: Mapped[int] = mapped_column(info={"label": "Sessions left"})
    price: Mapped[Money] = money_column("price")
    valid_days: Mapped[int] = mapped_column(info={"label": "Valid for (days)"})
    quote_id: Mapped[int] = mapped_column(ForeignKey("quote.id"))
    quote: Mapped[Quote] = relationship()
    expires_at: Mapped[datetime | None] = mapped_column(info={"label": "Valid until"})  # counted from the payment
    paid_with: Mapped[str] = mapped_column(default="")
    request_key: Mapped[str | None] = mapped_column(unique=True)

    used: Mapped[list[PassUse]] = relationship("PassUse", back_populates="bought", order_by="PassUse.id")

    # --- buying it ---

    @classmethod
    def sell(
        cls, package: Package, quote: Quote, person: Person, buyer: Mapping[str, str] | None = None, key: str = ""
    ) -> Pass:
        """Sell a package at a quoted price; its code is sent once it is paid. The same `key` returns the same sale."""
        with transaction():
            known: Pass | None = session.scalar(select(cls).where(cls.request_key == key)) if key else None
            if known:
                return known
            quote.take()
            bought = cls(
                number=next_number("PS"),
                code=_code(),
                person=person,
                package=package,
                uses=package.uses,
                uses_left=package.uses,
                price=quote.total,
                valid_days=package.valid_days,
                quote=quote,
                request_key=key or None,
            )
            session.add(bought)
            session.flush()
            Bill.issue(bought, person, quote.price, Terms(buyer=buyer or {}))
            tell(person, "bookings/pass_received", bought=bought)
            later(forget, bought, at=clock.now() + WAITS_FOR_MONEY)
        return bought

    @property
    def service(self) -> Service:
        return self.package.service

    @property
    def bill(self) -> Bill | None:
        return Bill.next_for(self)

    @property
    def bills(self) -> Sequence[Bill]:
        return Bill.all_for(self)

    @property
    def going_back(self) -> list[Refund]:
        return money.refunds_of(self)

    def awaits(self, bill: Bill) -> bool:
        return self.state in ("active", "used_up", "expired") if bill.state == "unpaid" else self.state == "open"

    @property
    def spoken(self) -> str:
        """Description in the language of the current reader."""
        return say(
            "Package %(number)s, %(n)s × %(service)s", number=self.number, n=self.uses, service=self.service.name
        )

    @property
    def said_on_paper(self) -> str:
        with speaking(ENGLISH):
            return self.spoken

    def accept_payment(self, payment: Payment) -> str | None:
        if not self.awaits(payment.bill):
            return f"The package was already {self.state_label(self.state).lower()} when the payment arrived."
        if self.state == "open":
            self.begin(payment.method_label)
        else:
            later(earn, self)  # sessions used before the payment returned count as earned again
        return None

    def give_up(self) -> None:
        if self.state == "open":
            self.lapse()

    def payment_failed(self, payment: Payment) -> None: ...

    def payment_waits(self, payment: Payment) -> None: ...

    def payment_lost(self, payment: Payment) -> None:
        """Ask for the money again; the package cannot be used until then."""
        tell(self.person, "money/pay_link", key=f"unpaid again:{payment.id}", bill=payment.bill)

    @move("open", to="active", label="Activated")
    def begin(self, paid_with: str) -> None:
        """The package is paid for and can be used from now on."""
        self.paid_with, self.expires_at = paid_with, clock.ahead(days=self.valid_days)
        tell(self.person, "bookings/pass_bought", bought=self)
        remind(self.person, "bookings/pass_ends", at=self.expires_at - REMINDS, bought=self)
        later(expire, self, at=self.expires_at)

    @move("open", by="Desk", label="Record payment", asks=ByHand)
    def mark_paid(self, asked: ByHand) -> None:
        """Records a payment in cash, by cheque or by bank transfer."""
        bill = self.bill
        assert bill is not None
        bill.take_by_hand(asked)

    # --- using it ---

    @classmethod
    def by_code(cls, typed: str) -> Pass | None:
        """Find the package of a code typed into the coupon field, in any case and spacing."""
        letters = re.sub(r"[\s-]", "", typed[:40]).upper()
        return (
            session.scalar(select(cls).where(cls.code == f"{letters[:4]}-{letters[4:]}", cls.state != "open"))
            if letters
            else None
        )

    @classmethod
    def valid_for(cls, typed: str, service: Service) -> Pass | None:
        """Find the package of a code, or None; refuse one that cannot pay for this service now."""
        found = cls.by_code(typed)
        if found is not None:
            found.check_valid_for(service)
        return found

    def check_valid_for(self, service: Service) -> None:
        """Refuse, with the reason, unless this package can pay for a booking of the service now."""
        bill = self.bill
        if self.service.id != service.id:
            raise _unusable(say("This package is only valid for %(service)s.", service=self.service.name))
        if self.state == "cancelled":
            raise _unusable(say("This package has been cancelled."))
        if self.is_over:
            assert self.expires_at is not None
            raise _unusable(
                say("This package expired on %(when)s.", when=format_moment(self.expires_at, self.person.timezone))
            )
        if not self.uses_left:
            raise _unusable(say("All sessions in this package have been used."))
        if bill is None or bill.state != "paid":
            raise _unusable(say("This package hasn’t been paid for. Pay for it first, or email us."))

    @property
    def is_over(self) -> bool:
        return self.state == "expired" or (self.expires_at is not None and self.expires_at <= clock.now())

    def take_session(self) -> None:
        self.uses_left -= 1
        session.flush()
        if not self.uses_left:
            self.run_out()

    def return_session(self) -> None:
        """Add a session back. If the package has ended by now, the session counts as earned instead."""
        self.uses_left += 1
        session.flush()
        if self.state == "used_up":
            self.begin_again()
        if self.state == "active" and self.is_over:
            self.end()
        elif self.state != "active":
            self.earn()

    @move("active", to="used_up", label="Used up")
    def run_out(self) -> None:
        """All sessions have been used."""

    @move("used_up", to="active", label="Reactivated")
    def begin_again(self) -> None:
        """A session was returned to the package."""

    @move("active", to="expired", label="Expired")
    def end(self) -> None:
        """The package has expired. Unused sessions are not refunded."""
        self.earn()

    @move("open", to="cancelled", label="Cancelled without payment")
    def lapse(self) -> None:
        """The package was not paid for in time."""
        self._close()

    @move(
        "open",
        "active",
        "used_up",
        to="cancelled",
        by="Desk",
        label="Cancel package",
        asks=CallOff,
        when=_refuse_while_reserved,
        careful=True,
        confirm=_refund_preview,
    )
    def call_off(self, asked: CallOff) -> None:
        """Cancels the package. It can no longer be used, and the chosen refund is made."""
        if asked.back == "unused":
            money.give_back(self, self.unused, f"{self.number} was cancelled: {asked.why}")
        self._close()
        self.earn()
        tell(self.person, "bookings/pass_cancelled", bought=self)

    def _close(self) -> None:
        for bill in self.bills:
            if bill.wants_money:
                bill.cancel()

    # --- its value ---

    @property
    def unused(self) -> Money:
        """Amount paid for the sessions left, less what was refunded already."""
        _, here = paid_for(self, self.price.currency)
        return min(
            here, Money.total(self.price.split([1] * self.uses)[self.uses - self.uses_left :], self.price.currency)
        )

    @property
    def over(self) -> int:
        """Number of sessions earned for good: spent, or left over when the package ended."""
        uses: Any = noun_of_table("pass_use")  # declared with bookings, which build on this file
        spent = session.scalar(select(func.count()).where(uses.pass_id == self.id, uses.state == "spent")) or 0
        return spent + (self.uses_left if self.state in ("expired", "cancelled") else 0)

    @property
    def is_delivered(self) -> bool:
        return self.over == self.uses

    def earn(self) -> None:
        """Recognize revenue: one share of the net price per session that is over, and the remainder with the last."""
        with transaction():
            self.lock()
            bill, over = self.bill, self.over
            if bill is None or not over:
                return
            if over == self.uses:
                bill.deliver()
                return
            shares = bill.whole_price.net.split([1] * self.uses)[:over]
            bill.deliver(Money.total(shares, self.price.currency) - bill.earned, f"{over} of {self.uses}")

    # --- for the privacy page and the messages ---

    @property
    def bookings(self) -> list[Booking]:
        return [each.booking for each in self.used if each.state != "given_back"]

    def still_needs(self) -> str:
        """Reason why the customer's personal data cannot be erased yet, or nothing."""
        if self.state != "active" or self.is_over:
            return ""
        return counted(
            "Package %(number)s has %(n)s session left.",
            "Package %(number)s has %(n)s sessions left.",
            self.uses_left,
            number=self.number,
        )

    def wants(self, message: Message) -> bool:
        """Decide whether a queued message should still be sent."""
        match message.template:
            case "bookings/pass_received":
                return self.state == "open" and not any(each.is_promised for each in self.bills)
            case "bookings/pass_ends":
                return self.state == "active" and not self.is_over
        return True


def _code() -> str:
    letters = "".join(secrets.choice(LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


@job("Expire package", was="packs.bookings.pass_.expire")
def expire(bought: Pass) -> None:
    if bought.state == "active" and bought.is_over:
        bought.end()


@job("Expire unpaid package", was="packs.bookings.pass_.forget")
def forget(bought: Pass) -> None:
    if bought.state == "open" and not any(each.is_promised for each in bought.bills):
        bought.lapse()


@job("Recognize package revenue", was="packs.bookings.pass_.earn")
def earn(bought: Pass) -> None:
    bought.earn()

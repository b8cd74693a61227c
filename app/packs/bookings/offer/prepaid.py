"""Pass: a package that somebody bought, and each use of it; the code on it pays for a booking."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Self

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.access import Linked
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid
from app.kernel.jobs import job, later
from app.kernel.numbering import number
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

if TYPE_CHECKING:  # a booking uses a pass, and a package is sold as one; for the type checker alone, a pass knows them
    from app.packs.bookings.booking.booking import Booking
    from app.packs.bookings.offer.package import Package
    from app.packs.bookings.offer.service import Service

LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # without those that look like another
WAITS_FOR_MONEY = timedelta(days=14)
REMINDS = timedelta(days=14)
BACK = {"unused": "Refund unused sessions", "nothing": "No refund"}


@dataclass(frozen=True)
class CallOff:
    """Why, and what goes back."""

    why: str = asked("Reason", help="Shown to the customer and kept in the history.", longest=300)
    back: str = asked("Refund", default="unused", among=lambda: BACK)


def _no(words: str) -> Invalid:
    return Invalid(say("This package can’t be used for this booking."), fields={"coupon": words})


def _what_goes_back(bought: Pass) -> str:
    """Said before it is pressed, with the sums."""
    paid, _ = paid_for(bought, bought.price.currency)
    if not paid:
        return "This package can no longer be paid for or used. Nothing has been paid, so there is nothing to refund."
    return (
        f"This package can no longer be used. {bought.uses_left} of {bought.uses} sessions are unused: "
        f"{bought.unused} of {paid} can be refunded to the original payment method."
    )


def _nothing_to_come(bought: Pass) -> str | None:
    waits = next((each.booking for each in bought.used if each.state == "taken"), None)
    return (
        f"Booking {waits.number} still uses this package. Cancel that booking first, or wait until it has taken place."
        if waits
        else None
    )


class Pass(Noun, Linked):
    """So many uses of one service, for whoever has its code."""

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

    used: Mapped[list[PassUse]] = relationship(back_populates="bought", order_by="PassUse.id")

    # --- buying it ---

    @classmethod
    def sell(
        cls, package: Package, quote: Quote, person: Person, buyer: Mapping[str, str] | None = None, key: str = ""
    ) -> Pass:
        """At the price that was named; sent twice with one key it is one pass. Its code comes with the money."""
        with transaction():
            known: Pass | None = session.scalar(select(cls).where(cls.request_key == key)) if key else None
            if known:
                return known
            quote.take()
            bought = cls(
                number=number("PS"),
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
            Bill.ask(bought, person, quote.price, Terms(buyer=buyer or {}))
            tell(person, "bookings/pass_received", bought=bought)
            later(forget, bought, at=clock.now() + WAITS_FOR_MONEY)
        return bought

    @property
    def service(self) -> Service:
        return self.package.service

    @property
    def bill(self) -> Bill | None:
        return Bill.of(self)

    @property
    def bills(self) -> Sequence[Bill]:
        return Bill.all_of(self)

    @property
    def going_back(self) -> list[Refund]:
        return money.refunds_of(self)

    def awaits(self, bill: Bill) -> bool:
        return self.state in ("active", "used_up", "expired") if bill.state == "unpaid" else self.state == "open"

    @property
    def spoken(self) -> str:
        """To whoever reads it now."""
        return say(
            "Package %(number)s, %(n)s × %(service)s", number=self.number, n=self.uses, service=self.service.name
        )

    @property
    def said_on_paper(self) -> str:
        with speaking(ENGLISH):
            return self.spoken

    def paid(self, payment: Payment) -> str | None:
        if not self.awaits(payment.bill):
            return f"The package was already {self.state_label(self.state).lower()} when the payment arrived."
        if self.state == "open":
            self.begin(payment.said)
        else:
            later(earn, self)  # what was used before the money came back is ours again
        return None

    def give_up(self) -> None:
        if self.state == "open":
            self.lapse()

    def payment_failed(self, payment: Payment) -> None: ...

    def payment_waits(self, payment: Payment) -> None: ...

    def payment_lost(self, payment: Payment) -> None:
        """It cannot be used until it is paid again."""
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
    def called(cls, typed: str) -> Pass | None:
        """What somebody typed into the field for a coupon; None when that is no code of ours."""
        letters = re.sub(r"[\s-]", "", typed[:40]).upper()
        return (
            session.scalar(select(cls).where(cls.code == f"{letters[:4]}-{letters[4:]}", cls.state != "open"))
            if letters
            else None
        )

    @classmethod
    def for_this(cls, typed: str, service: Service) -> Pass | None:
        """The pass of this code, if it can pay for this service now; None when it is no pass at all."""
        found = cls.called(typed)
        if found is not None:
            found.is_for(service)
        return found

    def is_for(self, service: Service) -> None:
        """Or say why not."""
        bill = self.bill
        if self.service.id != service.id:
            raise _no(say("This package is only valid for %(service)s.", service=self.service.name))
        if self.state == "cancelled":
            raise _no(say("This package has been cancelled."))
        if self.is_over:
            assert self.expires_at is not None
            raise _no(
                say("This package expired on %(when)s.", when=format_moment(self.expires_at, self.person.timezone))
            )
        if not self.uses_left:
            raise _no(say("All sessions in this package have been used."))
        if bill is None or bill.state != "paid":
            raise _no(say("This package hasn’t been paid for. Pay for it first, or email us."))

    @property
    def is_over(self) -> bool:
        return self.state == "expired" or (self.expires_at is not None and self.expires_at <= clock.now())

    def use(self, booking: Booking) -> None:
        """One use, for one booking. Whoever comes at the same moment waits at this lock, and then hears what is left."""
        self.lock()
        self.is_for(booking.slot.service)
        session.add(PassUse(bought=self, booking=booking))
        self.take_one()

    def take_one(self) -> None:
        self.uses_left -= 1
        session.flush()
        if not self.uses_left:
            self.run_out()

    def one_more(self) -> None:
        """A use comes back; to one that is over by then, it comes too late, and is earned."""
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
        when=_nothing_to_come,
        careful=True,
        confirm=_what_goes_back,
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

    # --- what it is worth ---

    @property
    def unused(self) -> Money:
        """What was paid for the uses that are left, as far as it is still here."""
        _, here = paid_for(self, self.price.currency)
        return min(
            here, Money.total(self.price.split([1] * self.uses)[self.uses - self.uses_left :], self.price.currency)
        )

    @property
    def over(self) -> int:
        """How many uses are ours for good: those that have happened, and those that nobody can use any more."""
        spent = session.scalar(select(func.count()).where(PassUse.pass_id == self.id, PassUse.state == "spent")) or 0
        return spent + (self.uses_left if self.state in ("expired", "cancelled") else 0)

    @property
    def is_delivered(self) -> bool:
        return self.over == self.uses

    def earn(self) -> None:
        """As many shares of its net as uses are over; the last one takes what is left."""
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

    # --- what others ask of it ---

    @property
    def bookings(self) -> list[Booking]:
        return [each.booking for each in self.used if each.state != "given_back"]

    def still_needs(self) -> str:
        """Why nobody can forget yet whose it is."""
        if self.state != "active" or self.is_over:
            return ""
        return counted(
            "Package %(number)s has %(n)s session left.",
            "Package %(number)s has %(n)s sessions left.",
            self.uses_left,
            number=self.number,
        )

    def wants(self, message: Message) -> bool:
        """Is this still worth saying?"""
        match message.template:
            case "bookings/pass_received":
                return self.state == "open" and not any(each.is_promised for each in self.bills)
            case "bookings/pass_ends":
                return self.state == "active" and not self.is_over
        return True


class PassUse(Noun):
    """One use of a pass. It comes back once, when the booking that it was for does not come to be."""

    known_as = "package use"
    states = "taken", "given_back", "spent"
    state_labels: ClassVar[dict[str, str]] = {"taken": "Reserved", "given_back": "Returned", "spent": "Used"}
    __table_args__ = (UniqueConstraint("pass_id", "booking_id"),)
    whose = "bought.person"

    pass_id: Mapped[int] = mapped_column(ForeignKey("pass.id"), index=True)
    bought: Mapped[Pass] = relationship("Pass", back_populates="used", lazy="joined", innerjoin=True)
    booking_id: Mapped[int] = mapped_column(ForeignKey("booking.id"), index=True)
    booking: Mapped[Booking] = relationship("Booking", lazy="joined", innerjoin=True)

    @classmethod
    def of(cls, booking: Noun) -> PassUse | None:
        return session.scalar(select(cls).where(cls.booking_id == booking.id))

    def lock(self) -> Self:
        self.bought.lock()
        return super().lock()

    @move("taken", to="given_back", label="Returned")
    def give_back(self) -> None:
        """The session can be used again."""
        self.bought.one_more()

    @move("given_back", to="taken", label="Reserved again")
    def take_again(self) -> None:
        """The booking was confirmed after all, so the session is reserved again."""
        self.bought.take_one()

    @move("taken", to="spent", label="Used")
    def spend(self) -> None:
        """The session was used, or will not be returned. Its share of the price is earned."""

    def __str__(self) -> str:
        return f"Session of {self.bought}"


def give_back(booking: Booking) -> None:
    """The use that paid for this can be used again."""
    use = PassUse.of(booking)
    if use is not None and use.lock().state == "taken":
        use.give_back()


def take_again(booking: Booking) -> str | None:
    """It comes to be after all, at the price that was promised with a package: take the use once more, or say why not."""
    use = PassUse.of(booking)
    if use is not None and use.lock().state == "given_back":
        try:
            use.bought.is_for(booking.slot.service)
        except Invalid as no:
            return f"The package {use.bought.code} can no longer be used: {no.fields['coupon']}"
        use.take_again()
    return None


def spend(booking: Booking) -> None:
    """What this used of a package does not come back."""
    use = PassUse.of(booking)
    if use is not None and use.lock().state == "taken":
        use.spend()
        use.bought.earn()


def _code() -> str:
    letters = "".join(secrets.choice(LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


@job("Expire package")
def expire(bought: Pass) -> None:
    if bought.state == "active" and bought.is_over:
        bought.end()


@job("Expire unpaid package")
def forget(bought: Pass) -> None:
    if bought.state == "open" and not any(each.is_promised for each in bought.bills):
        bought.lapse()


@job("Recognize package revenue")
def earn(bought: Pass) -> None:
    bought.earn()

"""Booking: one person's claim on one seat of one slot, from the hold to the end of the hour."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from sqlalchemy import ForeignKey, Index, Select, func, select, text, true
from sqlalchemy.dialects.postgresql import TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.access import Linked
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid, Refused
from app.kernel.jobs import job, later
from app.kernel.numbering import number
from app.kernel.people import Person
from app.kernel.workflow import asked, move
from app.messages.message import Message, remind, tell
from app.money import coupon
from app.money.amount import Money, money_column
from app.money.bill import Bill, ByHand, Terms, give_back, paid_for, refunds_of
from app.money.invoice import read_buyer
from app.money.payment import Payment
from app.money.policy import percent
from app.money.price import Price
from app.money.quote import Quote
from app.money.refund import Refund
from app.packs.bookings.practitioner import Practitioner
from app.packs.bookings.service import Service
from app.packs.bookings.slot import Slot

TAKING = ("held", "confirmed", "completed", "no_show")
GONE = "This time has just been taken. Please choose another one."
_TAKING = text(f"state in {TAKING}")


BACK = {"all": "All of it", "policy": "What the policy says", "nothing": "Nothing"}


@dataclass(frozen=True)
class Choices:
    """What a customer may choose beside the time; none of it says what anything costs."""

    extras: Sequence[int] = ()
    coupon: str = ""
    buyer: Mapping[str, str] = field(default_factory=dict)  # for the invoice: tax number, state, address
    quote: str = ""  # a price that was named before, by its link


@dataclass(frozen=True)
class CallOff:
    """Why, and what goes back."""

    why: str = asked("Why?", help="The customer reads it, and it stays in the history.", longest=300)
    back: str = asked("What goes back?", default="all", among=lambda: BACK)


def _what_goes_back(booking: Booking) -> str:
    """Said before it is pressed, with the sums."""
    paid, left = paid_for(booking, booking.price.currency)
    if not left:
        return "The seat is freed. Nothing was paid, so nothing goes back." if not paid else "The seat is freed. All that was paid has gone back already."
    policy = f"By the policy ({booking.policy or 'all of it, at any time'}) it would be {booking.back_by_policy()}."
    return f"The seat is freed. {left} of {paid} is here and can go back, the way it came. {policy}"


def _has_begun(booking: Booking) -> str | None:
    return None if booking.slot.starts_at <= clock.now() else "It has not begun yet."


class Booking(Noun, Linked):
    """One person's claim on one seat. The row is the hold, and the same constraint guards it before and after the money."""

    link_kind = "booking"
    states = "held", "confirmed", "completed", "no_show", "cancelled", "expired"
    __table_args__ = (
        Index("booking_one_per_seat", "slot_id", "seat", unique=True, postgresql_where=_TAKING),
        # Nobody is in two places: two claims on one practitioner overlap only when they share the slot.
        ExcludeConstraint(("practitioner_id", "="), ("slot_id", "<>"), ("during", "&&"), name="booking_one_place_at_a_time", using="gist", where=_TAKING),
    )
    refusals: ClassVar[dict[str, str]] = {"booking_one_per_seat": GONE, "booking_one_place_at_a_time": GONE}

    number: Mapped[str] = mapped_column(unique=True)
    slot_id: Mapped[int] = mapped_column(ForeignKey("slot.id"), index=True)
    slot: Mapped[Slot] = relationship(lazy="joined", innerjoin=True)
    seat: Mapped[int]
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioner.id"))
    practitioner: Mapped[Practitioner] = relationship()
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)
    timezone: Mapped[str]
    price: Mapped[Money] = money_column("price")  # copied when promised; tomorrow's price list cannot rewrite it
    quote_id: Mapped[int | None] = mapped_column(ForeignKey("quote.id"))
    quote: Mapped[Quote | None] = relationship()
    deposit: Mapped[Money] = money_column("deposit")  # what is paid at once; all of it, when nothing is left for later
    policy: Mapped[str] = mapped_column(default="")  # what goes back when it is called off, as it was promised
    buyer: Mapped[dict[str, Any]] = mapped_column(default=dict)
    answers: Mapped[dict[str, Any]] = mapped_column(default=dict, info={"secret": True})
    hold_expires_at: Mapped[datetime]
    paid_with: Mapped[str] = mapped_column(default="")
    request_key: Mapped[str | None] = mapped_column(unique=True)
    request_hash: Mapped[str | None]

    # --- from the hold to the money ---

    @classmethod
    def hold(
        cls, slot: Slot, person: Mapping[str, str], answers: dict[str, Any], choices: Choices | None = None, *, request: tuple[str, str] | None = None
    ) -> Booking:
        """Take a seat for as long as paying takes, and ask for the money: one transaction, and the customer hears of it."""
        with transaction():
            seat = cls.take_seat(slot)
            service, zone, wanted = slot.service, person["timezone"], choices or Choices()
            quote = cls._priced(service, wanted)
            if quote.coupon:
                quote.coupon.lock()  # before any number is counted, as in every other place
            booking = cls(
                number=number("BK"), slot=slot, seat=seat, practitioner=slot.practitioner, during=Range(slot.starts_at, slot.ends_at),
                person=Person.meet(**person), timezone=zone, price=quote.total, quote=quote, deposit=service.deposit_of(quote.total),
                policy=service.policy.tiers if service.policy else "", buyer=read_buyer(wanted.buyer), answers=service.read_answers(answers),
                hold_expires_at=clock.ahead(minutes=service.hold_minutes), request_key=request and request[0], request_hash=request and request[1],
            )  # fmt: skip
            session.add(booking)
            session.flush()
            if quote.coupon:
                quote.coupon.take(booking.person, booking)
            booking._ask_for_money()
        return booking

    @classmethod
    def _priced(cls, service: Service, wanted: Choices) -> Quote:
        """At the price that was named to them for just this, if it still holds; at today's, when they were named none."""
        choices = wanted.extras, wanted.coupon, read_buyer(wanted.buyer).get("region", "")
        quote = Quote.by_token(wanted.quote) if wanted.quote else service.quote(*choices)
        if not service.is_price(quote, *choices):
            raise Invalid.fields_said({"quote": "This price was named for something else. Please ask for the price of what you want now."})
        quote.take()
        return quote

    def _ask_for_money(self) -> None:
        if not self.price:
            self.confirm("free of charge")
            return
        now, _ = self._parts()
        Bill.ask(self, self.person, now, Terms("whole" if self.deposit == self.price else "deposit", self.buyer))
        tell(self.person, "bookings/received", booking=self)
        later(lapse, self, at=self.hold_expires_at)

    def _parts(self) -> tuple[Price, Price]:
        """What is paid at once, and what is left for later."""
        assert self.quote is not None
        return self.quote.price.cut(self.deposit)

    @property
    def bill(self) -> Bill | None:
        return Bill.of(self)

    @property
    def bills(self) -> Sequence[Bill]:
        return Bill.all_of(self)

    @property
    def going_back(self) -> list[Refund]:
        return refunds_of(self)

    @property
    def is_payable(self) -> bool:
        return self.state == "held" and self.hold_expires_at > clock.now()

    def awaits(self, bill: Bill) -> bool:
        """The rest of a deposit, and what bounced, can be paid for as long as the booking stands."""
        return self.state in TAKING[1:] if bill.part == "rest" or bill.state == "unpaid" else self.is_payable

    @property
    def is_delivered(self) -> bool:
        return self.state in ("completed", "no_show")

    @property
    def said_on_paper(self) -> str:
        return f"Booking {self.number}, {self.slot.service.name}, {clock.said(self.slot.starts_at, self.timezone)}"

    def lock(self) -> Self:
        """The order that everybody keeps: slot, booking, coupon, bill, payment, refund."""
        self.slot.lock()
        return super().lock()

    def paid(self, payment: Payment) -> str | None:
        """The money is here. In time, or late with the seat still free: confirmed. Otherwise it goes back."""
        match self.state:
            case "confirmed" | "completed" | "no_show" if self.awaits(payment.bill):
                return None
            case "held":
                self.confirm(payment.said)
            case "expired":
                try:
                    seat = self.free_seat(self.slot)
                except Refused:
                    return "The hold was over when the money came, and somebody else has the time now."
                if self.slot.starts_at <= clock.now():
                    return "The money came after the time that was booked."
                if no := coupon.take_again(self, self.person):
                    return no
                self.confirm_late(payment.said, seat)
            case _:
                return f"The booking was {self.state.replace('_', ' ')} when the money came."
        return None

    def payment_failed(self, payment: Payment) -> None:
        if self.is_payable:
            tell(self.person, "bookings/payment_failed", key=f"payment failed:{payment.id}", booking=self)

    def payment_waits(self, payment: Payment) -> None:
        """Somebody has promised the money: the seat waits for it, a day at most, and never into the hour itself."""
        if self.state == "held":
            self.hold_expires_at = max(self.hold_expires_at, min(clock.ahead(days=1), self.slot.starts_at))
            later(lapse, self, at=self.hold_expires_at)

    def payment_lost(self, payment: Payment) -> None:
        """The booking stands until staff decide; they were told, and the bill can be paid again."""
        tell(self.person, "bookings/unpaid_again", key=f"unpaid again:{payment.id}", booking=self)

    @move("held", to="confirmed")
    def confirm(self, paid_with: str) -> None:
        """Paid: the time is theirs."""
        self._confirmed(paid_with)

    @move("held", by="Desk", label="Mark as paid", asks=ByHand)
    def mark_paid(self, asked: ByHand) -> None:
        """Paid at the counter: cash, cheque or transfer. A large sum confirms it when somebody else has seen the money too."""
        bill = self.bill
        if bill is None:
            raise Refused("There is nothing to pay here.")
        bill.take_by_hand(asked)

    @move("expired", to="confirmed")
    def confirm_late(self, paid_with: str, seat: int) -> None:
        """The money came late, and the seat was still free."""
        self.seat = seat
        self._confirmed(paid_with)

    @move("held", to="expired")
    def lapse(self) -> None:
        """The hold is over, and the seat is free again. The bill stays open: late money is still money."""
        coupon.give_back(self)
        for bill in self.bills:
            bill.close()

    @move("held", "confirmed", to="cancelled", by="Desk", label="Cancel", asks=CallOff, careful=True, confirm=_what_goes_back)
    def cancel(self, asked: CallOff) -> None:
        """Called off: the seat is free, and the money goes back, or as much of it as was decided."""
        paid, left = paid_for(self, self.price.currency)
        back = {"all": left, "policy": self.back_by_policy(), "nothing": left - left}[asked.back]
        if not paid:
            coupon.give_back(self)
        give_back(self, back, f"{self.number} was cancelled: {asked.why}")
        for bill in self.bills:
            if bill.wants_money:
                bill.cancel()
            bill.deliver()  # what is kept is earned
        tell(self.person, "bookings/cancelled", booking=self)

    def back_by_policy(self) -> Money:
        """What goes back when it is called off now, by what was promised when it was booked."""
        paid, left = paid_for(self, self.price.currency)
        share = percent(self.policy, self.slot.starts_at - clock.now()) if self.policy else 100
        owed, gone = paid.percent(share * 100), paid - left
        return owed - gone if owed > gone else paid - paid

    # --- the hour itself ---

    @move("confirmed", to="completed", by="Desk Practitioner", label="Complete", when=_has_begun)
    def complete(self) -> None:
        """They came."""
        self._earned()

    @move("confirmed", to="no_show", by="Desk Practitioner", label="No-show", when=_has_begun)
    def miss(self) -> None:
        """They did not come."""
        self._earned()

    def _earned(self) -> None:
        for bill in self.bills:
            bill.deliver()

    # --- seats ---

    @classmethod
    def take_seat(cls, slot: Slot) -> int:
        """Whoever comes at the same moment waits at this lock, and then hears that the time is gone."""
        slot.lock()
        if no := slot.refuses():
            raise Refused(no)
        return cls.free_seat(slot)

    @classmethod
    def free_seat(cls, slot: Slot) -> int:
        """The lowest free seat; refuses when there is none, or when the practitioner is elsewhere at that time."""
        near: list[Booking] = []
        for booking in session.scalars(cls._near(slot)).all():
            if booking.state == "held" and booking.hold_expires_at <= clock.now():
                booking.lapse()  # a hold that is over frees its seat for the next one at once, not when the clock comes by
            else:
                near.append(booking)
        free = set(range(1, slot.seats + 1)) - {each.seat for each in near}
        if not free or any(each.slot_id != slot.id for each in near):
            raise Refused(GONE)
        session.flush()
        return min(free)

    @classmethod
    def _near(cls, slot: Slot) -> Select[Any]:
        """Bookings that need this practitioner during this time, for this slot or for another."""
        during = Range(slot.starts_at, slot.ends_at)
        return select(cls).where(cls.practitioner_id == slot.practitioner_id, cls.during.overlaps(during), cls.state.in_(TAKING))

    @classmethod
    def free_slots(cls, service: Service, since: datetime, until: datetime) -> Sequence[tuple[Slot, int]]:
        """The slots of a stretch of time that have a seat left, and how many: one query, however long the stretch."""
        alive = cls.state.in_(TAKING[1:]) | ((cls.state == "held") & (cls.hold_expires_at > clock.now()))
        overlaps = cls.during.op("&&")(func.tstzrange(Slot.starts_at, Slot.ends_at))
        here, elsewhere = func.count().filter(cls.slot_id == Slot.id), func.count().filter(cls.slot_id != Slot.id)
        counted = (
            select(here.label("here"), elsewhere.label("elsewhere")).where(cls.practitioner_id == Slot.practitioner_id, overlaps, alive).lateral("counted")
        )
        first, last = max(since, clock.ahead(minutes=service.notice_minutes)), min(until, clock.ahead(days=service.days_ahead))
        found = (
            select(Slot, Slot.seats - counted.c.here)
            .join(Slot.practitioner)
            .join(counted, true())
            .where(Slot.service_id == service.id, Slot.state == "open", Slot.starts_at >= first, Slot.starts_at < last)
            .where(Practitioner.state == "active", counted.c.elsewhere == 0, counted.c.here < Slot.seats)
            .order_by(Slot.starts_at, Slot.id)
        )
        return [(slot, left) for slot, left in session.execute(found)]

    # --- what others ask of it ---

    def wants(self, message: Message) -> bool:
        """Is this still worth saying? A reminder is for a confirmed booking that has not begun."""
        match message.template:
            case "bookings/reminder":
                return self.state == "confirmed" and self.slot.starts_at > clock.now()
            case "bookings/confirmed":
                return self.state in TAKING[1:]
            case "bookings/received" | "bookings/payment_failed":
                return self.is_payable
        return True

    def _confirmed(self, paid_with: str) -> None:
        self.paid_with = paid_with
        if self.deposit != self.price:
            _, rest = self._parts()
            Bill.ask(self, self.person, rest, Terms("rest", self.buyer, self.slot.starts_at))
        tell(self.person, "bookings/confirmed", booking=self)
        remind(self.person, "bookings/reminder", at=self.slot.starts_at - timedelta(hours=24), booking=self)

    # --- the same request twice ---

    @classmethod
    def hold_once(
        cls, key: str, slot: Slot, person: Mapping[str, str], answers: dict[str, Any], choices: Choices | None = None, *, corrects: bool = False
    ) -> Booking:
        """A double click or a retry is the same booking. Another request under the same key is refused, or `corrects` the first."""
        wanted = choices or Choices()
        mark = fingerprint([slot.id, dict(person), answers, [*wanted.extras], wanted.coupon, dict(wanted.buyer)])
        known = cls.asked_before(key)
        if known and known.request_hash == mark:
            return known
        if known and not corrects:
            raise Refused("This Idempotency-Key was used for another request.")
        try:
            with transaction():
                if known:
                    known.let_go()
                return cls.hold(slot, person, answers, wanted, request=(key, mark) if key else None)
        except Refused:
            made = cls.asked_before(key)  # the same request, a moment earlier, in another process
            if made and made.request_hash == mark:
                return made
            raise

    @classmethod
    def asked_before(cls, key: str) -> Booking | None:
        return session.scalar(select(cls).where(cls.request_key == key)) if key else None

    def let_go(self) -> None:
        """The customer went back to correct something: their own hold must not stand in their way."""
        if self.state == "held":
            self.lapse()
        self.request_key = None
        session.flush()


def fingerprint(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@job
def lapse(booking: Booking) -> None:
    if booking.state == "held" and booking.hold_expires_at <= clock.now():
        booking.lapse()

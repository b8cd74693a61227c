"""Booking: one person's claim on one seat of one slot, from the hold to the end of the hour."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, ClassVar, Self

from sqlalchemy import ForeignKey, Index, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.access import Linked, signature
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid, Refused
from app.kernel.forms import Answered
from app.kernel.jobs import job, later
from app.kernel.numbering import number
from app.kernel.people import Person
from app.kernel.translation import ENGLISH, counted, format_moment, say, speaking, unsaid
from app.kernel.workflow import asked, move
from app.messages.channel import Attachment
from app.messages.message import Message, remind, tell, tell_the_house
from app.money.bills.bill import Bill, ByHand, Terms, Why, give_back, paid_for, refunds_of
from app.money.bills.invoice import read_buyer
from app.money.bills.payment import Payment
from app.money.bills.refund import Refund
from app.money.sums import coupon
from app.money.sums.amount import Money, money_column
from app.money.sums.price import Price
from app.money.sums.quote import Quote
from app.money.sums.refund_policy import at_most, percent
from app.packs.bookings.booking.invitation import attached
from app.packs.bookings.booking.meeting import Meeting
from app.packs.bookings.booking.seats import STANDING, TAKING, Seated
from app.packs.bookings.hours.presence import Presence
from app.packs.bookings.offer import prepaid
from app.packs.bookings.offer.prepaid import Pass, PassUse
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import GONE, Slot

_TAKING = text(f"state in {TAKING}")
_LAST_CALL = timedelta(minutes=5)
REMINDS = {"bookings/reminder": timedelta(hours=24), "bookings/soon": timedelta(hours=1)}


OVER = {
    "completed": unsaid("This booking has already taken place."),
    "no_show": unsaid("This booking was marked as a no-show."),
    "cancelled": unsaid("This booking has been cancelled."),
    "expired": unsaid("This booking has expired."),
}
FREED = "The time becomes available again."
BACK = {"policy": "According to the cancellation policy", "all": "Full refund", "nothing": "No refund"}


@dataclass(frozen=True)
class Choices:
    """What a customer may choose beside the time; none of it says what anything costs."""

    extras: Sequence[int] = ()
    coupon: str = ""
    buyer: Mapping[str, str] = field(default_factory=dict)  # for the invoice: tax number, state, address
    quote: str = ""  # a price that was named before, by its link


def _something_is_here(booking: Booking) -> bool:
    return bool(paid_for(booking, booking.price.currency)[1] or booking.package)


@dataclass(frozen=True)
class CallOff:
    """Why, and what goes back."""

    why: str = asked("Reason", help="Shown to the customer and kept in the history.", longest=300)
    back: str = asked("Refund", default="policy", among=lambda: BACK, when=_something_is_here)


@dataclass(frozen=True)
class NewTime:
    """Another time of the same service."""

    slot: int = asked("New time", of=lambda booking: booking.other_times)
    why: str = asked("Reason", default="", help="Shown to the customer and kept in the history.", longest=300)


def _what_goes_back(booking: Booking) -> str:
    """Said before it is pressed, with the sums."""
    paid, left = paid_for(booking, booking.price.currency)
    if booking.package and not paid:
        policy = "also returned" if booking.use_comes_back else "not returned"
        return f"{FREED} It was booked with package {booking.package.code}. A full refund returns the session; by the cancellation policy it is {policy}."
    if not left:
        return (
            f"{FREED} Nothing has been paid, so there is nothing to refund."
            if not paid
            else f"{FREED} Everything that was paid has already been refunded."
        )
    policy = f"By the cancellation policy ({booking.policy or 'full refund at any time'}), the refund is {booking.back_by_policy()}."
    return f"{FREED} {left} of {paid} can be refunded to the original payment method. {policy}"


def _has_begun(booking: Booking) -> str | None:
    return None if booking.slot.starts_at <= clock.now() else "This appointment has not started yet."


def _may_come(booking: Booking) -> str | None:
    if booking.came_at:
        return "The customer is already checked in."
    return (
        None
        if booking.slot.starts_at <= clock.ahead(hours=3)
        else "You can check in the customer from three hours before the start."
    )


def _is_to_come(booking: Booking) -> str | None:
    return "This appointment has already started." if booking.slot.starts_at <= clock.now() else None


class Booking(Noun, Seated, Linked, Answered):
    """One person's claim on one seat. The row is the hold, and the same constraint guards it before and after the money."""

    link_kind = "booking"
    states = "held", "requested", "confirmed", "completed", "no_show", "cancelled", "expired"
    state_labels: ClassVar[dict[str, str]] = {"no_show": "No-show"}
    __table_args__ = (Index("booking_one_per_seat", "slot_id", "seat", unique=True, postgresql_where=_TAKING),)
    refusals: ClassVar[dict[str, str]] = {"booking_one_per_seat": GONE}

    number: Mapped[str] = mapped_column(unique=True)
    slot_id: Mapped[int] = mapped_column(ForeignKey("slot.id"), index=True)
    slot: Mapped[Slot] = relationship(lazy="joined", innerjoin=True)
    seat: Mapped[int]
    presences: Mapped[list[Presence]] = relationship(cascade="all, delete-orphan")
    edition: Mapped[int] = mapped_column(
        default=0
    )  # how often it was moved: what is said of an earlier time is not said any more
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)
    timezone: Mapped[str]
    price: Mapped[Money] = money_column("price")  # copied when promised; tomorrow's price list cannot rewrite it
    quote_id: Mapped[int | None] = mapped_column(ForeignKey("quote.id"))
    quote: Mapped[Quote | None] = relationship()
    deposit: Mapped[Money] = money_column("deposit")  # what is paid at once; all of it, when nothing is left for later
    policy: Mapped[str] = mapped_column(
        default="", info={"label": "Cancellation policy"}
    )  # as promised at booking: later changes of the policy don’t apply
    buyer: Mapped[dict[str, Any]] = mapped_column(default=dict, info={"label": "Bill to", "personal": True})
    hold_expires_at: Mapped[datetime] = mapped_column(
        info={"label": "Held until", "only": ("state", ["held", "requested"])}
    )
    paid_with: Mapped[str] = mapped_column(default="")
    came_at: Mapped[datetime | None] = mapped_column(
        info={"label": "Checked in at"}
    )  # they are in the waiting room, or on the line
    request_key: Mapped[str | None] = mapped_column(unique=True)
    request_hash: Mapped[str | None] = mapped_column(info={"personal": True})

    # --- from the hold to the money ---

    @classmethod
    def hold(
        cls,
        slot: Slot,
        person: Mapping[str, str],
        answers: dict[str, Any],
        choices: Choices | None = None,
        *,
        request: tuple[str, str] | None = None,
        instead_of: Booking | None = None,
    ) -> Booking:
        """Take a seat for as long as paying takes, and ask for the money: one transaction, and the customer hears of it.

        `instead_of` is what was kept for them until now: it gives way to this.
        """
        with transaction():
            if instead_of and instead_of.lock().state == "held":
                instead_of.lapse()
            seat = cls.take_seat(slot)
            service, zone, wanted = slot.service, person["timezone"], choices or Choices()
            quote = cls._priced(service, wanted)
            bought = Pass.called(wanted.coupon)
            for each in (quote.coupon, bought):
                if each:
                    each.lock()  # before any number is counted, as in every other place
            booking = cls(
                number=number("BK"),
                slot=slot,
                seat=seat,
                presences=cls._present(slot),
                person=Person.meet(**person),
                timezone=zone,
                price=quote.total,
                quote=quote,
                deposit=service.deposit_of(quote.total),
                policy=service.policy.tiers if service.policy else "",
                buyer=read_buyer(wanted.buyer),
                hold_expires_at=clock.ahead(minutes=service.hold_minutes),
                request_key=request and request[0],
                request_hash=request and request[1],
                **service.read_answers(answers).kept,
            )
            session.add(booking)
            session.flush()
            booking.take_files()
            if quote.coupon:
                quote.coupon.take(booking.person, booking)
            if bought:
                bought.use(booking)
            if service.by_approval:
                booking.ask()
            else:
                booking._ask_for_money()
        return booking

    @classmethod
    def keep_for(cls, person: Person, timezone: str, slot: Slot, until: datetime) -> Booking:
        """A seat that is offered to somebody who waited: nothing is asked and nothing costs until they take it."""
        with transaction():
            seat, nothing = cls.take_seat(slot), slot.service.price - slot.service.price
            kept = cls(
                number=number("BK"),
                slot=slot,
                seat=seat,
                presences=cls._present(slot),
                person=person,
                timezone=timezone,
                price=nothing,
                deposit=nothing,
                hold_expires_at=until,
            )
            session.add(kept)
            session.flush()
            later(lapse, kept, at=until)
        return kept

    @classmethod
    def _priced(cls, service: Service, wanted: Choices) -> Quote:
        """At the price that was named to them for just this, if it still holds; at today's, when they were named none."""
        choices = wanted.extras, wanted.coupon, read_buyer(wanted.buyer).get("region", "")
        quote = Quote.by_token(wanted.quote) if wanted.quote else service.quote(*choices)
        if not service.is_price(quote, *choices):
            raise Invalid.fields_said(
                {
                    "quote": say(
                        "This price quote is for a different selection. Get a new quote for what you want to book."
                    )
                }
            )
        quote.take()
        return quote

    def _ask_for_money(self) -> None:
        if not self.price:
            self.confirm(f"package {self.package.code}" if self.package else "free of charge")
            return
        now, _ = self._parts()
        Bill.ask(self, self.person, now, Terms("whole" if self.deposit == self.price else "deposit", self.buyer))
        tell(self.person, "bookings/received", booking=self)
        if self.hold_expires_at - clock.now() > 3 * _LAST_CALL:
            remind(self.person, "bookings/hold_ends", at=self.hold_expires_at - _LAST_CALL, booking=self)
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
        return self.state in STANDING if bill.part == "rest" or bill.state == "unpaid" else self.is_payable

    @property
    def is_delivered(self) -> bool:
        return self.state in ("completed", "no_show")

    @property
    def spoken(self) -> str:
        """To whoever reads it now."""
        return say(
            "Booking %(number)s, %(service)s, %(when)s",
            number=self.number,
            service=self.slot.service.name,
            when=format_moment(self.slot.starts_at, self.timezone),
        )

    @property
    def said_on_paper(self) -> str:
        with speaking(ENGLISH):
            return self.spoken

    def lock(self) -> Self:
        """The order that everybody keeps: slot, booking, coupon, pass, bill, payment, refund."""
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
                return self._paid_late(payment)
            case _:
                return f"The booking was already {self.state_label(self.state).lower()} when the payment arrived."
        return None

    def _paid_late(self, payment: Payment) -> str | None:
        tell_the_house("bookings/late", key=f"late:{payment.id}", booking=self)
        if self.slot.state != "open":
            return unsaid("The payment arrived after the reservation had expired, and this time is no longer offered.")
        try:
            seat = self.free_seat(self.slot)
        except Refused:
            return unsaid(
                "The payment arrived after the reservation had expired, and someone else has booked this time."
            )
        if self.slot.starts_at <= clock.now():
            return unsaid("The payment arrived after the appointment had started.")
        if no := coupon.take_again(self, self.person):
            return no
        if no := prepaid.take_again(self):
            return no
        self.confirm_late(payment.said, seat)
        return None

    def payment_failed(self, payment: Payment) -> None:
        if self.is_payable:
            tell(self.person, "bookings/payment_failed", key=f"payment failed:{payment.id}", booking=self)

    def payment_waits(self, payment: Payment) -> None:
        """Somebody has promised the money: the seat waits for it, a day at most, and never into the hour itself."""
        if self.state == "held":
            self.hold_expires_at = max(self.hold_expires_at, min(clock.ahead(days=1), self.slot.starts_at))
            later(lapse, self, at=self.hold_expires_at)

    def give_up(self) -> None:
        if self.state == "held":
            self.lapse()

    def stay(self, until: datetime) -> None:
        """Its customer chooses another time to be paid with it: it is kept as long as that one, an hour at most after it was taken."""
        with transaction():
            self.lock()
            if (
                self.is_payable
                and (later_on := min(until, self.created_at + timedelta(hours=1), self.slot.starts_at))
                > self.hold_expires_at
            ):
                self.hold_expires_at = later_on
                later(lapse, self, at=later_on)

    def payment_lost(self, payment: Payment) -> None:
        """The booking stands until staff decide; they were told, and the bill can be paid again."""
        tell(self.person, "bookings/unpaid_again", key=f"unpaid again:{payment.id}", booking=self)

    @move("held", to="confirmed", label="Confirmed")
    def confirm(self, paid_with: str) -> None:
        """Confirms the booking, because it is paid or free of charge."""
        self._confirmed(paid_with)

    @move("held", by="Desk", label="Record payment", asks=ByHand)
    def mark_paid(self, asked: ByHand) -> None:
        """Records a payment in cash, by cheque or by bank transfer. A large amount confirms the booking only after a second approval."""
        bill = self.bill
        if bill is None:
            raise Refused("There is nothing to pay for this booking.")
        bill.take_by_hand(asked)

    @move("expired", to="confirmed", label="Confirmed after late payment")
    def confirm_late(self, paid_with: str, seat: int) -> None:
        """Confirms an expired booking: the payment arrived late, and the time was still available."""
        self.seat, self.presences = seat, self._present(self.slot)
        self._confirmed(paid_with)

    @move("held", to="expired", label="Expired")
    def lapse(self) -> None:
        """The payment hold has ended, and the time becomes available again. A late payment is still accepted if the time is free."""
        self._leave_seat()
        self._let_go_of_what_paid()
        for bill in self.bills:
            bill.close()

    # --- where somebody looks at each request ---

    @move("held", to="requested", label="Approval requested", done="Approval requested")
    def ask(self) -> None:
        """Reserves the time for up to three days, until your team approves or declines the request."""
        self.hold_expires_at = min(clock.ahead(days=3), self.slot.starts_at)
        tell(self.person, "bookings/requested", booking=self)
        tell_the_house("bookings/to_approve", booking=self)
        later(lapse, self, at=self.hold_expires_at)

    @move("requested", to="held", by="Desk Practitioner", label="Approve request", when=_is_to_come)
    def approve(self) -> None:
        """Approves the request. The customer has up to one day to pay; a free booking is confirmed immediately."""
        self.hold_expires_at = min(clock.ahead(days=1), self.slot.starts_at)
        self._ask_for_money()

    @move("requested", to="cancelled", by="Desk Practitioner", label="Decline request", asks=Why, careful=True)
    def decline(self, asked: Why) -> None:
        """Declines the request. The time becomes available again, and the customer is not charged."""
        self._leave_seat()
        self._let_go_of_what_paid()
        tell(self.person, "bookings/declined", booking=self)

    @move("requested", to="expired", label="Request expired", done="Request expired")
    def go_unanswered(self) -> None:
        """The request was not answered in time."""
        self._leave_seat()
        self._let_go_of_what_paid()
        tell(self.person, "bookings/declined", booking=self)

    # --- another time, or none ---

    @property
    def other_times(self) -> dict[str, str]:
        """The next free times of the same service, as staff choose among them."""
        slots = (
            slot
            for slot, _ in self.free_slots(self.slot.service, clock.now(), clock.ahead(days=400))
            if slot.id != self.slot_id
        )
        return {str(slot.id): str(slot) for slot in islice(slots, 200)}

    def keeps(self) -> str | None:
        """Why its customer cannot move it or call it off any more; None while they can."""
        hours = self.slot.service.change_hours
        if self.state not in ("requested", "held", "confirmed"):
            return say(OVER[self.state])
        if self.slot.starts_at <= clock.now():
            return say("This appointment has already started.")
        if hours is None:
            return say("This booking can’t be changed online.")
        if self.state == "confirmed" and self.slot.starts_at < clock.ahead(hours=hours):
            return counted(
                "Online changes are possible up to %(n)s hour before the start.",
                "Online changes are possible up to %(n)s hours before the start.",
                hours,
            )
        return None

    @move("requested", "held", "confirmed", by="Desk Practitioner", label="Reschedule", asks=NewTime, when=_is_to_come)
    def reschedule(self, asked: NewTime) -> None:
        """Moves the booking and its reminders to another time of the same service, and tells the customer."""
        new = session.get(Slot, asked.slot)
        if new is None or new.service_id != self.slot.service_id:
            raise Invalid.fields_said({"slot": say("Choose one of the available times for this service.")})
        if new.id == self.slot_id:
            raise Invalid.fields_said({"slot": say("The booking is already at this time. Choose another one.")})
        seat = self.take_seat(new, besides=self)
        self._leave_seat()
        self.slot, self.seat, self.presences, self.edition = new, seat, self._present(new), self.edition + 1
        self.hold_expires_at = min(self.hold_expires_at, new.starts_at)
        for bill in self.bills:
            bill.fall_due(new.starts_at)
        tell(self.person, "bookings/rescheduled", booking=self)
        if self.state == "confirmed":
            self._remind()
            Meeting.follow(self)

    def move_to(self, slot: Slot) -> None:
        """By the customer, for as long as that was promised."""
        with transaction():
            self.lock()
            if no := self.keeps():
                raise Refused(no)
            share = percent(self.policy, self.slot.starts_at - clock.now()) if self.policy else 100
            self.reschedule(NewTime(slot.id))
            if self.state == "confirmed":
                self.policy = at_most(
                    self.policy, share
                )  # moving far away first does not bring back what was gone already

    @move("requested", "held", "confirmed", to="cancelled", label="Cancelled by customer", when=keeps)
    def call_off(self, why: str = "") -> None:
        """The customer cancels online. The refund follows the cancellation policy that applied when they booked."""
        self._called_off(self.back_by_policy(), why or "At the customer’s request.", again=self.use_comes_back)

    @move(
        "held",
        "confirmed",
        to="cancelled",
        by="Desk",
        label="Cancel booking",
        asks=CallOff,
        careful=True,
        confirm=_what_goes_back,
    )
    def cancel(self, asked: CallOff) -> None:
        """Cancels the booking. The time becomes available again, and the chosen refund is made."""
        _, left = paid_for(self, self.price.currency)
        back = {"all": left, "policy": self.back_by_policy(), "nothing": left - left}[asked.back]
        self._called_off(
            back, asked.why, again={"all": True, "policy": self.use_comes_back, "nothing": False}[asked.back]
        )

    def _called_off(self, back: Money, why: str, *, again: bool) -> None:
        self._leave_seat()
        if not paid_for(self, self.price.currency)[0]:
            coupon.give_back(self)
        (prepaid.give_back if again or not self.paid_with else prepaid.spend)(self)
        give_back(self, back, f"{self.number} was cancelled: {why}")
        for bill in self.bills:
            if bill.wants_money:
                bill.cancel()
            bill.deliver()  # what is kept is earned
        tell(self.person, "bookings/cancelled", booking=self)
        Meeting.call_off(self)

    def _let_go_of_what_paid(self) -> None:
        coupon.give_back(self)
        prepaid.give_back(self)

    @property
    def use(self) -> PassUse | None:
        """Of a package, when that is what pays for the hour itself."""
        return PassUse.of(self)

    @property
    def package(self) -> Pass | None:
        return self.use.bought if self.use else None

    @property
    def use_comes_back(self) -> bool:
        """Of a package, when it is called off now: before it is confirmed, and then while anything would go back of money."""
        return not self.paid_with or not self.policy or percent(self.policy, self.slot.starts_at - clock.now()) > 0

    def preview(self) -> tuple[Money, Money]:
        """What is here of what was paid, and what of it would go back when it is called off now."""
        return paid_for(self, self.price.currency)[1], self.back_by_policy()

    def back_by_policy(self) -> Money:
        """What goes back when it is called off now, by what was promised when it was booked."""
        paid, left = paid_for(self, self.price.currency)
        share = percent(self.policy, self.slot.starts_at - clock.now()) if self.policy else 100
        owed, gone = paid.percent(share * 100), paid - left
        return owed - gone if owed > gone else paid - paid

    # --- the hour itself ---

    @move("confirmed", by="Desk Practitioner", label="Check in", when=_may_come)
    def arrive(self) -> None:
        """Records that the customer has arrived."""
        self.came_at = clock.now()

    @move("confirmed", to="completed", by="Desk Practitioner", label="Mark as completed", when=_has_begun)
    def complete(self) -> None:
        """The appointment took place."""
        self._earned()

    @move("confirmed", to="no_show", by="Desk Practitioner", label="Mark as no-show", when=_has_begun)
    def miss(self) -> None:
        """The customer did not come. Nothing is refunded automatically."""
        self._earned()

    def _earned(self) -> None:
        for bill in self.bills:
            bill.deliver()
        prepaid.spend(self)

    # --- what others ask of it ---

    def still_needs(self) -> str:
        """Why nobody can forget yet whose it is."""
        return (
            say("Booking %(number)s is still open.", number=self.number)
            if self.state in ("requested", "confirmed") or self.is_payable
            else ""
        )

    def news(self) -> dict[str, Any]:
        """What a hook hears of it: nothing that is the customer's own."""
        slot = self.slot
        return {
            "number": self.number,
            "state": self.state,
            "person": self.person_id,
            "service": slot.service.slug,
            "practitioner": slot.practitioner_id,
            "slot": slot.id,
            "starts_at": slot.starts_at.isoformat(),
            "ends_at": slot.ends_at.isoformat(),
            "timezone": self.timezone,
            "price": self.price.as_json(),
        }

    def wants(self, message: Message) -> bool:
        """Is this still worth saying? A reminder is for a confirmed booking that has not begun."""
        match message.template:
            case "bookings/reminder" | "bookings/soon":
                meant = (
                    message.due_at + REMINDS[message.template]
                )  # for this time, and not for one that it has moved away from
                return self.state == "confirmed" and self.slot.starts_at > clock.now() and self.slot.starts_at == meant
            case "bookings/confirmed":
                return self.state in STANDING
            case "bookings/received" | "bookings/payment_failed" | "bookings/hold_ends":
                return self.is_payable and not (self.bill and self.bill.is_promised)
        return True

    def _confirmed(self, paid_with: str) -> None:
        self.paid_with = paid_with
        if self.deposit != self.price:
            _, rest = self._parts()
            Bill.ask(self, self.person, rest, Terms("rest", self.buyer, self.slot.starts_at))
        tell(self.person, "bookings/confirmed", booking=self)
        tell_the_house("bookings/new", booking=self)
        self._remind()
        Meeting.request(self)

    def attached(self, template: str) -> list[Attachment]:
        return attached(self, template)

    @property
    def meeting(self) -> Meeting | None:
        return Meeting.of(self)

    def _remind(self) -> None:
        for template, span in REMINDS.items():
            if template == "bookings/reminder" or self.slot.service.reminds_again:
                remind(self.person, template, at=self.slot.starts_at - span, booking=self)

    # --- the same request twice ---

    @classmethod
    def hold_once(
        cls,
        key: str,
        slot: Slot,
        person: Mapping[str, str],
        answers: dict[str, Any],
        choices: Choices | None = None,
        *,
        corrects: bool = False,
        anybody: bool = False,
        instead_of: Booking | None = None,
    ) -> Booking:
        """A double click or a retry is the same booking. Another request under the same key is refused, or `corrects` the first.

        Whoever takes `anybody` gets the same time with another practitioner, when somebody was quicker with this one.
        """
        wanted = choices or Choices()
        mark = fingerprint([slot.id, dict(person), answers, [*wanted.extras], wanted.coupon, dict(wanted.buyer)])
        known = cls.asked_before(key)
        if known and known.request_hash == mark:
            return known
        if known and not corrects:
            raise Refused("This Idempotency-Key was already used for a different request.")
        try:
            with transaction():
                if known:
                    known.let_go()
                return cls.hold(
                    slot, person, answers, wanted, request=(key, mark) if key else None, instead_of=instead_of
                )
        except Refused as no:
            if session.info.get(
                "open"
            ):  # inside another change nothing is undone yet: what is found now would be this one's own half
                raise
            made = cls.asked_before(key)  # the same request, a moment earlier, in another process
            if made and made.request_hash == mark:
                return made
            for other in cls.same_time(slot) if anybody and no.words == say(GONE) else ():
                return cls.hold_once(key, other, person, answers, wanted, corrects=corrects, anybody=True)
            raise

    @classmethod
    def asked_before(cls, key: str) -> Booking | None:
        return session.scalar(select(cls).where(cls.request_key == key)) if key else None

    def let_go(self) -> None:
        """The customer went back to correct something: their own hold must not stand in their way."""
        if self.state == "held":
            self.lapse()
        elif self.state == "requested":
            self.go_unanswered()
        self.hand_files_back()
        self.request_key = None
        session.flush()


def fingerprint(body: Any) -> str:
    """Signed, not only summed: what was answered is not to be found by trying every day there was."""
    return signature(f"request:{json.dumps(body, sort_keys=True)}")


@job("Expire unpaid booking")
def lapse(booking: Booking) -> None:
    if booking.hold_expires_at > clock.now():
        return
    if booking.state == "held":
        booking.lapse()
    elif booking.state == "requested":
        booking.go_unanswered()

"""Booking: one customer's reservation of a seat in a slot, with all its states and moves from hold to completion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.access import Linked
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid, Refused
from app.kernel.forms import Answered
from app.kernel.jobs import job, later
from app.kernel.numbering import next_number
from app.kernel.people import Person
from app.kernel.translation import ENGLISH, format_moment, say, speaking, unsaid
from app.kernel.workflow import move
from app.messages.channel import Attachment
from app.messages.message import Message, remind, tell, tell_staff
from app.money.bills.bill import Bill, ByHand, Terms, Why, paid_for, refunds_of
from app.money.bills.invoice import parse_buyer
from app.money.bills.payment import Payment
from app.money.bills.refund import Refund
from app.money.sums import coupon
from app.money.sums.amount import Money, money_column
from app.money.sums.price import Price
from app.money.sums.quote import Quote
from app.packs.bookings.booking import prepaid_use
from app.packs.bookings.booking.changes import CallOff, Changeable, NewTime, refund_preview
from app.packs.bookings.booking.choices import Choices
from app.packs.bookings.booking.invitation import attachments_of
from app.packs.bookings.booking.meeting import Meeting
from app.packs.bookings.booking.once import HeldOnce
from app.packs.bookings.booking.prepaid_use import PassUse
from app.packs.bookings.booking.seats import STANDING, TAKING
from app.packs.bookings.hours.presence import Presence
from app.packs.bookings.offer.prepaid import Pass
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import GONE, Slot

_TAKING = text(f"state in {TAKING}")
_LAST_CALL = timedelta(minutes=5)
REMINDS = {"bookings/reminder": timedelta(hours=24), "bookings/soon": timedelta(hours=1)}


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


class Booking(Noun, Changeable, HeldOnce, Linked, Answered):
    """One person's claim on one seat of a slot. A unique index lets no second booking take the seat, paid or not."""

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
    edition: Mapped[int] = mapped_column(default=0)  # times it was rescheduled; calendars and the meeting follow it
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)
    timezone: Mapped[str]
    price: Mapped[Money] = money_column("price")  # copied at booking: later price changes don’t apply
    quote_id: Mapped[int | None] = mapped_column(ForeignKey("quote.id"))
    quote: Mapped[Quote | None] = relationship()
    deposit: Mapped[Money] = money_column("deposit")  # due at booking; equal to the price if there is no balance
    policy: Mapped[str] = mapped_column(
        default="",  # copied at booking: later changes of the policy don’t apply
        info={"label": "Cancellation policy"},
    )
    buyer: Mapped[dict[str, Any]] = mapped_column(default=dict, info={"label": "Bill to", "personal": True})
    hold_expires_at: Mapped[datetime] = mapped_column(
        info={"label": "Held until", "only": ("state", ["held", "requested"])}
    )
    paid_with: Mapped[str] = mapped_column(default="")
    came_at: Mapped[datetime | None] = mapped_column(info={"label": "Checked in at"})
    request_key: Mapped[str | None] = mapped_column(unique=True)
    request_hash: Mapped[str | None] = mapped_column(info={"personal": True})

    # --- from the hold to the payment ---

    @classmethod
    def hold(
        cls,
        slot: Slot,
        person: Mapping[str, str],
        answers: dict[str, Any],
        choices: Choices | None = None,
        *,
        request: tuple[str, str] | None = None,
        replaces: Booking | None = None,
    ) -> Booking:
        """Reserve a seat until the payment hold ends, request the payment and email the customer, in one transaction.

        `replaces` is a hold kept for the same customer until now, such as an offer to the waiting list. It expires.
        """
        with transaction():
            if replaces and replaces.lock().state == "held":
                replaces.lapse()
            seat = cls.take_seat(slot)
            service, zone, wanted = slot.service, person["timezone"], choices or Choices()
            quote = cls._accept_quote(service, wanted)
            bought = Pass.by_code(wanted.coupon)
            for code in (quote.coupon, bought):
                if code:
                    code.lock()  # before number() locks its series: the order of locks everywhere
            booking = cls(
                number=next_number("BK"),
                slot=slot,
                seat=seat,
                presences=cls._presences_in(slot),
                person=Person.find_or_create(**person),
                timezone=zone,
                price=quote.total,
                quote=quote,
                deposit=service.deposit_of(quote.total),
                policy=service.policy.tiers if service.policy else "",
                buyer=parse_buyer(wanted.buyer),
                hold_expires_at=clock.ahead(minutes=service.hold_minutes),
                request_key=request and request[0],
                request_hash=request and request[1],
                **service.read_answers(answers).columns,
            )
            session.add(booking)
            session.flush()
            booking.take_files()
            if quote.coupon:
                quote.coupon.redeem(booking.person, booking)
            if bought:
                PassUse.reserve(bought, booking)
            if service.by_approval:
                booking.ask()
            else:
                booking._request_payment()
        return booking

    @classmethod
    def hold_for_offer(cls, person: Person, timezone: str, slot: Slot, until: datetime) -> Booking:
        """Reserve a seat for a customer on the waiting list, without a price: their own booking replaces it."""
        with transaction():
            seat, free = cls.take_seat(slot), slot.service.price - slot.service.price
            offered = cls(
                number=next_number("BK"),
                slot=slot,
                seat=seat,
                presences=cls._presences_in(slot),
                person=person,
                timezone=timezone,
                price=free,
                deposit=free,
                hold_expires_at=until,
            )
            session.add(offered)
            session.flush()
            later(lapse, offered, at=until)
        return offered

    @classmethod
    def _accept_quote(cls, service: Service, wanted: Choices) -> Quote:
        """Accept the quote that was shown, if it is valid for these choices; without one, quote today's price."""
        quote = Quote.by_token(wanted.quote) if wanted.quote else wanted.new_quote(service)
        if not wanted.matches(quote, service):
            raise Invalid.for_fields(
                {
                    "quote": say(
                        "This price quote is for a different selection. Get a new quote for what you want to book."
                    )
                }
            )
        quote.take()
        return quote

    def _request_payment(self) -> None:
        if not self.price:
            self.confirm(f"package {self.package.code}" if self.package else "free of charge")
            return
        now, _ = self._split_price()
        Bill.issue(self, self.person, now, Terms("whole" if self.deposit == self.price else "deposit", self.buyer))
        tell(self.person, "bookings/received", booking=self)
        if self.hold_expires_at - clock.now() > 3 * _LAST_CALL:
            remind(self.person, "bookings/hold_ends", at=self.hold_expires_at - _LAST_CALL, booking=self)
        later(lapse, self, at=self.hold_expires_at)

    def _split_price(self) -> tuple[Price, Price]:
        """The price of the deposit and of the balance."""
        assert self.quote is not None
        return self.quote.price.cut(self.deposit)

    @property
    def bill(self) -> Bill | None:
        return Bill.next_for(self)

    @property
    def bills(self) -> Sequence[Bill]:
        return Bill.all_for(self)

    @property
    def going_back(self) -> list[Refund]:
        return refunds_of(self)

    @property
    def is_payable(self) -> bool:
        return self.state == "held" and self.hold_expires_at > clock.now()

    def awaits(self, bill: Bill) -> bool:
        """Decide whether a bill can be paid now: a balance or a returned payment as long as the booking is active."""
        return self.state in STANDING if bill.part == "rest" or bill.state == "unpaid" else self.is_payable

    @property
    def is_delivered(self) -> bool:
        return self.state in ("completed", "no_show")

    @property
    def spoken(self) -> str:
        """Description in the language of the current reader."""
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
        """Lock in the common order: slot, booking, coupon, pass, bill, payment, refund."""
        self.slot.lock()
        return super().lock()

    def accept_payment(self, payment: Payment) -> str | None:
        """Confirm the booking, even late if the seat is still free; otherwise answer why to refund the payment."""
        match self.state:
            case "confirmed" | "completed" | "no_show" if self.awaits(payment.bill):
                return None
            case "held":
                self.confirm(payment.method_label)
            case "expired":
                return self._paid_late(payment)
            case _:
                return f"The booking was already {self.state_label(self.state).lower()} when the payment arrived."
        return None

    def _paid_late(self, payment: Payment) -> str | None:
        tell_staff("bookings/late", key=f"late:{payment.id}", booking=self)
        if self.slot.state != "open":
            return unsaid("The payment arrived after the reservation had expired, and this time is no longer offered.")
        try:
            seat = self.find_free_seat(self.slot)
        except Refused:
            return unsaid(
                "The payment arrived after the reservation had expired, and someone else has booked this time."
            )
        if self.slot.starts_at <= clock.now():
            return unsaid("The payment arrived after the appointment had started.")
        if no := coupon.redeem_again(self, self.person):
            return no
        if no := prepaid_use.take_again(self):
            return no
        self.confirm_late(payment.method_label, seat)
        return None

    def payment_failed(self, payment: Payment) -> None:
        if self.is_payable:
            tell(self.person, "bookings/payment_failed", key=f"payment failed:{payment.id}", booking=self)

    def payment_waits(self, payment: Payment) -> None:
        """Extend the hold while a payment is pending, by at most a day and not beyond the start."""
        if self.state == "held":
            self.hold_expires_at = max(self.hold_expires_at, min(clock.ahead(days=1), self.slot.starts_at))
            later(lapse, self, at=self.hold_expires_at)

    def give_up(self) -> None:
        if self.state == "held":
            self.lapse()

    def extend_hold(self, until: datetime) -> None:
        """Extend the hold while the customer adds more to the cart: at most to one hour after it was made."""
        with transaction():
            self.lock()
            latest = min(until, self.created_at + timedelta(hours=1), self.slot.starts_at)
            if self.is_payable and latest > self.hold_expires_at:
                self.hold_expires_at = latest
                later(lapse, self, at=latest)

    def payment_lost(self, payment: Payment) -> None:
        """Ask the customer to pay again. The booking stays until staff decide otherwise."""
        tell(self.person, "bookings/unpaid_again", key=f"unpaid again:{payment.id}", booking=self)

    @move("held", to="confirmed", label="Confirmed")
    def confirm(self, paid_with: str) -> None:
        """Confirms the booking, because it is paid or free of charge."""
        self._complete_confirmation(paid_with)

    @move("held", by="Desk", label="Record payment", asks=ByHand)
    def mark_paid(self, asked: ByHand) -> None:
        """Records a payment in cash, by cheque or by bank transfer.
        A large amount confirms the booking only after a second approval."""
        bill = self.bill
        if bill is None:
            raise Refused("There is nothing to pay for this booking.")
        bill.take_by_hand(asked)

    @move("expired", to="confirmed", label="Confirmed after late payment")
    def confirm_late(self, paid_with: str, seat: int) -> None:
        """Confirms an expired booking: the payment arrived late, and the time was still available."""
        self.seat, self.presences = seat, self._presences_in(self.slot)
        self._complete_confirmation(paid_with)

    @move("held", to="expired", label="Expired")
    def lapse(self) -> None:
        """The payment hold has ended, and the time becomes available again.
        A late payment is still accepted if the time is free."""
        self._release_seat()
        self._return_codes()
        for bill in self.bills:
            bill.close_order()

    # --- services that require approval ---

    @move("held", to="requested", label="Approval requested", done="Approval requested")
    def ask(self) -> None:
        """Reserves the time for up to three days, until your team approves or declines the request."""
        self.hold_expires_at = min(clock.ahead(days=3), self.slot.starts_at)
        tell(self.person, "bookings/requested", booking=self)
        tell_staff("bookings/to_approve", booking=self)
        later(lapse, self, at=self.hold_expires_at)

    @move("requested", to="held", by="Desk Practitioner", label="Approve request", when=_is_to_come)
    def approve(self) -> None:
        """Approves the request. The customer has up to one day to pay; a free booking is confirmed immediately."""
        self.hold_expires_at = min(clock.ahead(days=1), self.slot.starts_at)
        self._request_payment()

    @move("requested", to="cancelled", by="Desk Practitioner", label="Decline request", asks=Why, careful=True)
    def decline(self, asked: Why) -> None:
        """Declines the request. The time becomes available again, and the customer is not charged."""
        self._release_seat()
        self._return_codes()
        tell(self.person, "bookings/declined", booking=self)

    @move("requested", to="expired", label="Request expired", done="Request expired")
    def go_unanswered(self) -> None:
        """The request was not answered in time."""
        self._release_seat()
        self._return_codes()
        tell(self.person, "bookings/declined", booking=self)

    # --- rescheduling and cancelling: `changes.py` does the work ---

    @move("requested", "held", "confirmed", by="Desk Practitioner", label="Reschedule", asks=NewTime, when=_is_to_come)
    def reschedule(self, asked: NewTime) -> None:
        """Moves the booking and its reminders to another time of the same service, and tells the customer."""
        self._swap_slot(asked.slot)

    @move(
        "requested", "held", "confirmed", to="cancelled", label="Cancelled by customer", when=Changeable.refuses_change
    )
    def call_off(self, why: str = "") -> None:
        """The customer cancels online. The refund follows the cancellation policy that applied when they booked."""
        self._cancel_and_refund(
            self.refund_by_policy(), why or "At the customer’s request.", return_session=self.use_comes_back
        )

    @move(
        "held",
        "confirmed",
        to="cancelled",
        by="Desk",
        label="Cancel booking",
        asks=CallOff,
        careful=True,
        confirm=refund_preview,
    )
    def cancel(self, asked: CallOff) -> None:
        """Cancels the booking. The time becomes available again, and the chosen refund is made."""
        _, left = paid_for(self, self.price.currency)
        back = {"all": left, "policy": self.refund_by_policy(), "nothing": left - left}[asked.back]
        returned = {"all": True, "policy": self.use_comes_back, "nothing": False}[asked.back]
        self._cancel_and_refund(back, asked.why, return_session=returned)

    def _return_codes(self) -> None:
        coupon.release_coupon(self)
        prepaid_use.give_back(self)

    @property
    def use(self) -> PassUse | None:
        """The session of a package that pays for this booking, if any."""
        return PassUse.for_booking(self)

    @property
    def package(self) -> Pass | None:
        return self.use.bought if self.use else None

    # --- the appointment ---

    @move("confirmed", by="Desk Practitioner", label="Check in", when=_may_come)
    def arrive(self) -> None:
        """Records that the customer has arrived."""
        self.came_at = clock.now()

    @move("confirmed", to="completed", by="Desk Practitioner", label="Mark as completed", when=_has_begun)
    def complete(self) -> None:
        """The appointment took place."""
        self._earn()

    @move("confirmed", to="no_show", by="Desk Practitioner", label="Mark as no-show", when=_has_begun)
    def miss(self) -> None:
        """The customer did not come. Nothing is refunded automatically."""
        self._earn()

    def _earn(self) -> None:
        for bill in self.bills:
            bill.deliver()
        prepaid_use.spend(self)

    # --- for the privacy page, webhooks and messages ---

    def still_needs(self) -> str:
        """Reason why the customer's personal data cannot be erased yet, or nothing."""
        return (
            say("Booking %(number)s is still open.", number=self.number)
            if self.state in ("requested", "confirmed") or self.is_payable
            else ""
        )

    def news(self) -> dict[str, Any]:
        """Payload of a webhook, without personal data."""
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
        """Decide whether a queued message should still be sent, for example not a reminder of an earlier time."""
        match message.template:
            case "bookings/reminder" | "bookings/soon":
                starts = self.slot.starts_at
                is_current = starts == message.due_at + REMINDS[message.template]
                return self.state == "confirmed" and starts > clock.now() and is_current
            case "bookings/confirmed":
                return self.state in STANDING
            case "bookings/received" | "bookings/payment_failed" | "bookings/hold_ends":
                return self.is_payable and not (self.bill and self.bill.is_promised)
        return True

    def _complete_confirmation(self, paid_with: str) -> None:
        self.paid_with = paid_with
        if self.deposit != self.price:
            _, rest = self._split_price()
            Bill.issue(self, self.person, rest, Terms("rest", self.buyer, self.slot.starts_at))
        tell(self.person, "bookings/confirmed", booking=self)
        tell_staff("bookings/new", booking=self)
        self._schedule_reminders()
        Meeting.request_for(self)

    def attachments_for(self, template: str) -> list[Attachment]:
        return attachments_of(self, template)

    @property
    def meeting(self) -> Meeting | None:
        return Meeting.for_booking(self)

    def _schedule_reminders(self) -> None:
        for template, span in REMINDS.items():
            if template == "bookings/reminder" or self.slot.service.reminds_again:
                remind(self.person, template, at=self.slot.starts_at - span, booking=self)


@job("Expire unpaid booking")
def lapse(booking: Booking) -> None:
    if booking.hold_expires_at > clock.now():
        return
    if booking.state == "held":
        booking.lapse()
    elif booking.state == "requested":
        booking.go_unanswered()

"""Reschedule and cancel a booking: until when its customer may, what is refunded, and what follows from either.

The moves themselves, `reschedule`, `call_off` and `cancel`, are declared with the others in `booking.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.orm import Mapped

from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid, Refused
from app.kernel.translation import counted, say, unsaid
from app.kernel.workflow import asked
from app.messages.message import tell
from app.money.bills.bill import Bill, give_back, paid_for
from app.money.sums import coupon
from app.money.sums.amount import Money
from app.money.sums.refund_policy import capped_steps, refund_percent
from app.packs.bookings.booking import prepaid_use
from app.packs.bookings.booking.meeting import Meeting
from app.packs.bookings.booking.seats import Seated
from app.packs.bookings.offer.slot import Slot

if TYPE_CHECKING:  # the noun that this is a part of
    from app.packs.bookings.booking.booking import Booking

OVER = {
    "completed": unsaid("This booking has already taken place."),
    "no_show": unsaid("This booking was marked as a no-show."),
    "cancelled": unsaid("This booking has been cancelled."),
    "expired": unsaid("This booking has expired."),
}
FREED = "The time becomes available again."
BACK = {"policy": "According to the cancellation policy", "all": "Full refund", "nothing": "No refund"}


def _is_refundable(booking: Booking) -> bool:
    return bool(paid_for(booking, booking.price.currency)[1] or booking.package)


@dataclass(frozen=True)
class CallOff:
    """Why, and what goes back."""

    why: str = asked("Reason", help="Shown to the customer and kept in the history.", longest=300)
    back: str = asked("Refund", default="policy", among=lambda: BACK, when=_is_refundable)


@dataclass(frozen=True)
class NewTime:
    """Another time of the same service."""

    slot: int = asked("New time", of=lambda booking: booking.other_times)
    why: str = asked("Reason", default="", help="Shown to the customer and kept in the history.", longest=300)


def refund_preview(booking: Booking) -> str:
    """State the possible refunds, with their amounts, before staff cancel a booking."""
    paid, left = paid_for(booking, booking.price.currency)
    if booking.package and not paid:
        policy = "also returned" if booking.use_comes_back else "not returned"
        return (
            f"{FREED} It was booked with package {booking.package.code}. "
            f"A full refund returns the session; by the cancellation policy it is {policy}."
        )
    if not paid:
        return f"{FREED} Nothing has been paid, so there is nothing to refund."
    if not left:
        return f"{FREED} Everything that was paid has already been refunded."
    policy = booking.policy or "full refund at any time"
    return (
        f"{FREED} {left} of {paid} can be refunded to the original payment method. "
        f"By the cancellation policy ({policy}), the refund is {booking.refund_by_policy()}."
    )


class Changeable(Seated):
    """A booking that can be moved to another slot, or cancelled with a refund."""

    if TYPE_CHECKING:  # of the noun
        number: Mapped[str]
        person: Any
        seat: Mapped[int]
        price: Any
        policy: Mapped[str]
        edition: Mapped[int]
        paid_with: Mapped[str]

        @property
        def bills(self) -> Sequence[Bill]: ...

        def lock(self) -> Any: ...

        def reschedule(self, asked: NewTime) -> None: ...

        def _schedule_reminders(self) -> None: ...

    # --- until when ---

    def refuses_change(self) -> str | None:
        """Reason why the customer can no longer reschedule or cancel online; None while they can."""
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

    # --- another time ---

    @property
    def other_times(self) -> dict[str, str]:
        """The next free slots of the same service, for the field in which staff choose one."""
        slots = (
            slot
            for slot, _ in self.free_slots(self.slot.service, clock.now(), clock.ahead(days=400))
            if slot.id != self.slot_id
        )
        return {str(slot.id): str(slot) for slot in islice(slots, 200)}

    def move_to(self, slot: Slot) -> None:
        """Reschedule on behalf of the customer, within the limits of the service."""
        with transaction():
            self.lock()
            if no := self.refuses_change():
                raise Refused(no)
            share = self._refundable_percent()
            self.reschedule(NewTime(slot.id))
            if self.state == "confirmed":  # a later appointment must not bring back a refund that had already expired
                self.policy = capped_steps(self.policy, share)

    def _swap_slot(self, slot_id: int) -> None:
        """Exchange the seat for one in another slot of the same service; bills, reminders and the meeting follow."""
        new = session.get(Slot, slot_id)
        if new is None or new.service_id != self.slot.service_id:
            raise Invalid.for_fields({"slot": say("Choose one of the available times for this service.")})
        if new.id == self.slot_id:
            raise Invalid.for_fields({"slot": say("The booking is already at this time. Choose another one.")})
        booking: Booking = cast(Any, self)
        seat = self.take_seat(new, besides=booking)
        self._release_seat()
        self.slot, self.seat, self.presences, self.edition = new, seat, self._presences_in(new), self.edition + 1
        self.hold_expires_at = min(self.hold_expires_at, new.starts_at)
        for bill in self.bills:
            bill.move_due_date(new.starts_at)
        tell(self.person, "bookings/rescheduled", booking=booking)
        if self.state == "confirmed":
            self._schedule_reminders()
            Meeting.follow_booking(booking)

    # --- no time at all ---

    def _cancel_and_refund(self, back: Money, why: str, *, return_session: bool) -> None:
        """Free the seat, refund an amount, close unpaid bills, earn what is kept, and tell the customer."""
        booking: Booking = cast(Any, self)
        self._release_seat()
        if not paid_for(booking, self.price.currency)[0]:
            coupon.release_coupon(booking)
        (prepaid_use.give_back if return_session or not self.paid_with else prepaid_use.spend)(booking)
        give_back(booking, back, f"{self.number} was cancelled: {why}")
        for bill in self.bills:
            if bill.wants_money:
                bill.cancel()
            bill.deliver()  # what is not refunded is earned
        tell(self.person, "bookings/cancelled", booking=booking)
        Meeting.cancel_for(booking)

    @property
    def use_comes_back(self) -> bool:
        """Whether cancelling now returns the session of a package: before confirmation, or while any refund is due."""
        return not self.paid_with or self._refundable_percent() > 0

    def refundable(self) -> tuple[Money, Money]:
        """The amount paid and not yet refunded, and how much of it cancelling now would refund."""
        return paid_for(cast(Any, self), self.price.currency)[1], self.refund_by_policy()

    def refund_by_policy(self) -> Money:
        """The refund if cancelled now, by the policy that applied at booking, less what was refunded before."""
        paid, left = paid_for(cast(Any, self), self.price.currency)
        owed, gone = paid.percent(self._refundable_percent() * 100), paid - left
        return owed - gone if owed > gone else paid - paid

    def _refundable_percent(self) -> int:
        return refund_percent(self.policy, self.slot.starts_at - clock.now()) if self.policy else 100

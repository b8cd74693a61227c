"""Prepaid use: one session of a sold package, reserved for a booking, then spent or returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from sqlalchemy import ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel.db import Noun, session
from app.kernel.errors import Invalid
from app.kernel.workflow import move
from app.packs.bookings.offer.prepaid import Pass

if TYPE_CHECKING:  # for the relation below; at run time a booking imports this file
    from app.packs.bookings.booking.booking import Booking


class PassUse(Noun):
    """One session of a package. It can be returned once, if its booking does not take place."""

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
    def for_booking(cls, booking: Noun) -> PassUse | None:
        return session.scalar(select(cls).where(cls.booking_id == booking.id))

    @classmethod
    def reserve(cls, bought: Pass, booking: Booking) -> None:
        """Take one session for a booking. Concurrent bookings wait at the lock and then see how many are left."""
        bought.lock()
        bought.check_valid_for(booking.slot.service)
        session.add(cls(bought=bought, booking=booking))
        bought.take_session()

    def lock(self) -> Self:
        self.bought.lock()
        return super().lock()

    @move("taken", to="given_back", label="Returned")
    def give_back(self) -> None:
        """The session can be used again."""
        self.bought.return_session()

    @move("given_back", to="taken", label="Reserved again")
    def take_again(self) -> None:
        """The booking was confirmed after all, so the session is reserved again."""
        self.bought.take_session()

    @move("taken", to="spent", label="Used")
    def spend(self) -> None:
        """The session was used, or will not be returned. Its share of the price is earned."""

    def __str__(self) -> str:
        return f"Session of {self.bought}"


def give_back(booking: Booking) -> None:
    """Return the session that paid for a booking to its package."""
    use = PassUse.for_booking(booking)
    if use is not None and use.lock().state == "taken":
        use.give_back()


def take_again(booking: Booking) -> str | None:
    """Reserve a returned session again for a booking that is confirmed late; answers why not, or None."""
    use = PassUse.for_booking(booking)
    if use is not None and use.lock().state == "given_back":
        try:
            use.bought.check_valid_for(booking.slot.service)
        except Invalid as no:
            return f"The package {use.bought.code} can no longer be used: {no.fields['coupon']}"
        use.take_again()
    return None


def spend(booking: Booking) -> None:
    """Use up the session that paid for a booking, and recognize its share of the price."""
    use = PassUse.for_booking(booking)
    if use is not None and use.lock().state == "taken":
        use.spend()
        use.bought.earn()

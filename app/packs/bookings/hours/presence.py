"""Presence: the time of a practitioner that a booking takes. An exclusion constraint prevents double booking."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import ForeignKey
from sqlalchemy.dialects.postgresql import TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel.db import Noun
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.slot import GONE, Slot


class Presence(Noun):
    """A practitioner's time for one booking, including buffers. Deleted when the booking releases its seat."""

    audited = False  # the history of the booking records it
    __table_args__ = (
        # Bookings of one practitioner may overlap only if they share the slot.
        ExcludeConstraint(
            ("practitioner_id", "="),
            ("slot_id", "<>"),
            ("during", "&&"),
            name="presence_one_place_at_a_time",
            using="gist",
        ),
    )
    refusals: ClassVar[dict[str, str]] = {"presence_one_place_at_a_time": GONE}

    booking_id: Mapped[int] = mapped_column(ForeignKey("booking.id", ondelete="CASCADE"), index=True)
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioner.id"))
    practitioner: Mapped[Practitioner] = relationship()
    slot_id: Mapped[int] = mapped_column(ForeignKey("slot.id"), index=True)
    slot: Mapped[Slot] = relationship()
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)

"""Presence: who has to be where and when; the one table that the database lets nobody overlap in."""

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
    """One practitioner's time for one booking, the quiet before and after it included. It is there for as long as the booking takes the time."""

    audited = False  # the booking's own history tells it
    __table_args__ = (
        # Nobody is in two places: two claims on one person overlap only when they share the slot.
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

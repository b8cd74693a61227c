"""Closure: time off of a practitioner or of the whole practice, in which nothing can be booked."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.db import Noun
from app.packs.bookings.offer.availability import Span
from app.packs.bookings.offer.practitioner import Practitioner


class Closure(Noun):
    """A period without bookable times, such as leave. Existing bookings in it stay until staff change them."""

    __table_args__ = (CheckConstraint("ends_at > starts_at", name="order"),)
    refusals: ClassVar[dict[str, str]] = {"closure_order": "The end must be after the start."}

    practitioner_id: Mapped[int | None] = mapped_column(
        ForeignKey("practitioner.id"), index=True, info={"help": "Leave empty to close for everyone."}
    )
    practitioner: Mapped[Practitioner | None] = relationship(lazy="joined")
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime] = mapped_column(index=True)
    reason: Mapped[str] = mapped_column(default="")

    @property
    def span(self) -> Span:
        return self.starts_at, self.ends_at

    def __str__(self) -> str:
        day = clock.day_of(self.starts_at)
        return " · ".join(
            each for each in (f"{day.day} {day:%b %Y}", str(self.practitioner or "everyone"), self.reason) if each
        )

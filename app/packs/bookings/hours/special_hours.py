"""Special hours: a date on which a practitioner is closed, or open in addition to the weekly hours."""

from __future__ import annotations

from datetime import date, time
from typing import ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel.db import Noun
from app.packs.bookings.offer.availability import Day
from app.packs.bookings.offer.practitioner import Practitioner


class SpecialHours(Noun, table="other_hours"):
    """Closed replaces the opening hours of a date; extra hours add to them, on holidays too."""

    __table_args__ = (
        CheckConstraint("(how = 'closed') = (opens is null) and (opens is null) = (closes is null)", name="times"),
        CheckConstraint("closes > opens or closes = '00:00'", name="order"),
        Index("other_hours_practitioner_id_day", "practitioner_id", "day"),
    )
    refusals: ClassVar[dict[str, str]] = {
        "other_hours_times": "Enter an opening and a closing time for extra hours, and none for a closed day.",
        "other_hours_order": "The closing time must be after the opening time. Use 00:00 for the end of the day.",
    }

    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioner.id"))
    practitioner: Mapped[Practitioner] = relationship(lazy="joined", innerjoin=True)
    day: Mapped[date] = mapped_column(info={"label": "Date"})
    how: Mapped[str] = mapped_column(
        info={
            "label": "Type",
            "choices": {"closed": "Closed", "extra": "Extra hours"},
            "help": "Closed replaces the opening hours of that date. Extra hours add to them, on holidays too.",
        }
    )
    opens: Mapped[time | None] = mapped_column(info={"label": "Opening time"})
    closes: Mapped[time | None] = mapped_column(info={"label": "Closing time"})
    note: Mapped[str] = mapped_column(default="")

    @property
    def special(self) -> Day:
        return Day(self.day, self.opens, self.closes)

    def __str__(self) -> str:
        times = f"{self.opens:%H:%M}–{self.closes:%H:%M}" if self.opens and self.closes else "closed"
        return f"{self.day.day} {self.day:%b %Y}, {times} · {self.practitioner}"

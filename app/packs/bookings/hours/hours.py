"""Opening hours of a practitioner on a weekday, for one service or all, in the practitioner's time zone."""

from __future__ import annotations

from datetime import date, time
from typing import ClassVar

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel.db import Noun
from app.packs.bookings.offer.availability import Rule
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service

WEEKDAYS = "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"


class Hours(Noun):
    """Opening hours on one weekday. A day may have several; overlapping ones are merged."""

    __table_args__ = (
        CheckConstraint("closes > opens or closes = '00:00'", name="order"),
        CheckConstraint("last_day >= first_day", name="days"),
    )
    refusals: ClassVar[dict[str, str]] = {
        "hours_order": (
            "The closing time must be after the opening time. Use 00:00 for the end of the day. "
            "For hours past midnight, add two entries: one until 00:00, and one from 00:00 on the next day."
        ),
        "hours_days": "The last day must be on or after the first day.",
    }

    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioner.id"), index=True)
    practitioner: Mapped[Practitioner] = relationship(lazy="joined", innerjoin=True)
    service_id: Mapped[int | None] = mapped_column(
        ForeignKey("service.id"), index=True, info={"help": "Leave empty for all services."}
    )
    service: Mapped[Service | None] = relationship(lazy="joined")
    weekday: Mapped[str] = mapped_column(info={"choices": WEEKDAYS})
    opens: Mapped[time] = mapped_column(info={"label": "Opening time"})
    closes: Mapped[time] = mapped_column(info={"label": "Closing time"})
    first_day: Mapped[date | None] = mapped_column(info={"help": "Leave empty to start immediately."})
    last_day: Mapped[date | None] = mapped_column(info={"help": "Leave empty for no end date."})
    note: Mapped[str] = mapped_column(default="")

    @property
    def rule(self) -> Rule:
        return Rule(WEEKDAYS.index(self.weekday), self.opens, self.closes, self.first_day, self.last_day)

    def __str__(self) -> str:
        return f"{self.weekday} {self.opens:%H:%M}–{self.closes:%H:%M} · {self.practitioner}"

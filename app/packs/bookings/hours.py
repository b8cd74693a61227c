"""Hours: when somebody gives what they give, week by week, in their own zone."""

from __future__ import annotations

from datetime import date, time
from typing import ClassVar

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel.db import Noun
from app.packs.bookings.opening import Rule
from app.packs.bookings.practitioner import Practitioner
from app.packs.bookings.service import Service

WEEKDAYS = "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"


class Hours(Noun):
    """One stretch of one day of the week; a day may have several, and those that overlap are one."""

    __table_args__ = (
        CheckConstraint("closes > opens or closes = '00:00'", name="order"),
        CheckConstraint("last_day >= first_day", name="days"),
    )
    refusals: ClassVar[dict[str, str]] = {
        "hours_order": "It closes after it opens. Write 00:00 for the end of the day; hours over midnight are two: until 00:00, and from 00:00 on the next day.",
        "hours_days": "The last day comes after the first.",
    }

    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioner.id"), index=True)
    practitioner: Mapped[Practitioner] = relationship(lazy="joined", innerjoin=True)
    service_id: Mapped[int | None] = mapped_column(
        ForeignKey("service.id"), index=True, info={"label": "For one service only", "help": "Empty: for everything they give."}
    )
    service: Mapped[Service | None] = relationship(lazy="joined")
    weekday: Mapped[str] = mapped_column(info={"choices": WEEKDAYS})
    opens: Mapped[time]
    closes: Mapped[time]
    first_day: Mapped[date | None] = mapped_column(info={"help": "Empty: from now on."})
    last_day: Mapped[date | None] = mapped_column(info={"help": "Empty: until somebody changes it."})
    note: Mapped[str] = mapped_column(default="")

    @property
    def rule(self) -> Rule:
        return Rule(WEEKDAYS.index(self.weekday), self.opens, self.closes, self.first_day, self.last_day)

    def __str__(self) -> str:
        return f"{self.weekday} {self.opens:%H:%M}–{self.closes:%H:%M} · {self.practitioner}"

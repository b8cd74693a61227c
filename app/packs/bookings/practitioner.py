"""Practitioner: who gives the service, and in which zone their day runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from app.kernel import clock
from app.kernel.db import Noun, session
from app.kernel.errors import Invalid, Refused
from app.kernel.files import Picture
from app.kernel.workflow import asked, move
from app.packs.bookings.service import Service
from app.packs.bookings.slot import Slot


@dataclass(frozen=True)
class Hours:
    """A stretch of days with the same hours, in the practitioner's own zone."""

    service: str = asked("Service", among=lambda: {each.slug: each.name for each in Service.offered()})
    first_day: date = asked("First day")
    last_day: date = asked("Last day")
    opens: time = asked("From")
    closes: time = asked("Until")
    weekends: bool = asked("Saturdays and Sundays too", default=False)


class Practitioner(Noun):
    """A person customers can meet."""

    states = "active", "away"

    name: Mapped[str]
    title: Mapped[str] = mapped_column(default="")
    about: Mapped[str] = mapped_column(default="", info={"long": True})
    timezone: Mapped[str] = mapped_column(default="Asia/Kolkata")
    user_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id", ondelete="SET NULL"), index=True)
    user: Mapped[Any] = relationship("User")
    photo_id: Mapped[int | None] = mapped_column(ForeignKey("picture.id"))
    photo: Mapped[Picture | None] = relationship(lazy="joined")

    @validates("timezone")
    def _zone(self, key: str, value: str) -> str:
        if not clock.is_zone(value):
            raise Invalid.fields_said({"timezone": "This is not a time zone. Write it like Asia/Kolkata."})
        return value

    @move("active", to="active", by="Desk", label="Open hours", asks=Hours)
    def open_hours(self, hours: Hours) -> None:
        """Make the slots of these days. What is there already stays as it is."""
        service = Service.called(hours.service)
        starts = list(self._starts(service, hours))
        if not starts:
            raise Refused("There is no slot in these hours: look at the days, the times and how long the service takes.")
        taken = set(session.scalars(select(Slot.starts_at).where(Slot.practitioner_id == self.id, Slot.starts_at.in_(starts))))
        session.add_all(Slot.at(self, service, start) for start in starts if start not in taken)

    @move("active", to="away", by="Desk", confirm="Customers will not see this practitioner any more. Bookings stay.")
    def go_away(self) -> None:
        """On leave, or gone."""

    @move("away", to="active", by="Desk", label="Come back")
    def come_back(self) -> None:
        """Bookable again."""

    def _starts(self, service: Service, hours: Hours) -> list[datetime]:
        if not 0 <= (hours.last_day - hours.first_day).days <= 366:
            raise Invalid.fields_said({"last_day": "Choose a stretch of one day to one year."})
        days = [hours.first_day + timedelta(n) for n in range((hours.last_day - hours.first_day).days + 1)]
        return [start for day in days if hours.weekends or day.weekday() < 5 for start in self._on(day, service, hours)]

    def _on(self, day: date, service: Service, hours: Hours) -> list[datetime]:
        """Counted in instants, so that a day with a missing or a doubled hour has as many slots as it really holds."""
        zone, step = ZoneInfo(self.timezone), timedelta(minutes=service.minutes)
        start, end = (datetime.combine(day, each, zone).astimezone(ZoneInfo("UTC")) for each in (hours.opens, hours.closes))
        found = []
        while start + step <= end:
            if start > clock.now():
                found.append(start)
            start += step
        return found

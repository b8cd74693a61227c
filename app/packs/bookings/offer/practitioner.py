"""Practitioner: a person who provides services: time zone, meeting type, holiday calendar, photo and calendar feed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from secrets import token_urlsafe
from typing import Any

from sqlalchemy import ForeignKey, inspect, select
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from app.calendars import place
from app.calendars.place import PermanentFailure, RetryLater
from app.calendars.static_places import is_link
from app.kernel import clock
from app.kernel.access import Linked
from app.kernel.db import Noun, noun_of_table, session, transaction
from app.kernel.errors import Invalid, Refused
from app.kernel.files import Picture
from app.kernel.jobs import job, later
from app.kernel.workflow import asked, move
from app.money.sums import working_hours
from app.packs.bookings.offer.availability import Rule, Timetable
from app.packs.bookings.offer.holiday import check_region
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot


@dataclass(frozen=True)
class Stretch:
    """A stretch of days with the same hours, in the practitioner's own zone."""

    service: str = asked("Service", among=lambda: {each.slug: each.name for each in Service.all_offered()})
    first_day: date = asked("First day")
    last_day: date = asked("Last day")
    opens: time = asked("Opening time")
    closes: time = asked("Closing time")
    weekends: bool = asked("Include weekends", default=False)


PLACES = {"in_person": "In person", "google": "Google Meet", "jitsi": "Jitsi", "room": "Fixed link"}


class Practitioner(Noun, Linked):
    """A person whom customers can book. Their secret link is the address of their calendar feed."""

    link_kind = "calendar"
    states = "active", "away"

    name: Mapped[str]
    title: Mapped[str] = mapped_column(default="", info={"label": "Job title"})
    about: Mapped[str] = mapped_column(default="", info={"long": True})
    timezone: Mapped[str] = mapped_column(default="Asia/Kolkata")
    holidays: Mapped[str] = mapped_column(
        default="",
        info={
            "label": "Public holiday calendar",
            "help": "A country or region code, such as IN-KA, IT or US-NY. Leave empty for none.",
        },
    )
    user_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id", ondelete="SET NULL"), index=True)
    user: Mapped[Any] = relationship("User")
    photo_id: Mapped[int | None] = mapped_column(ForeignKey("picture.id"))
    photo: Mapped[Picture | None] = relationship(lazy="joined")

    meets_by: Mapped[str] = mapped_column(default="in_person", info={"label": "Meeting type", "choices": PLACES})
    room: Mapped[str] = mapped_column(
        default="",
        info={
            "label": "Location or link",
            "help": "In person: the address. Fixed link: the link. "
            "Google Meet: the Google calendar. Jitsi: leave empty.",
        },
    )
    link_says: Mapped[str] = mapped_column(default="", info={"label": "Last meeting link test"})

    @validates("timezone")
    def _zone(self, key: str, value: str) -> str:
        if not clock.is_zone(value):
            raise Invalid.for_fields({"timezone": "Enter a valid time zone, such as Asia/Kolkata."})
        return value

    @validates("holidays")
    def _holidays(self, key: str, value: str) -> str:
        return check_region(value or "")

    @move("active", to="active", by="Desk", label="Add slots", asks=Stretch)
    def open_hours(self, hours: Stretch) -> None:
        """Adds bookable slots on these dates. Existing slots stay as they are."""
        service = Service.by_slug(hours.service)
        starts = list(self._starts(service, hours))
        if not starts:
            raise Refused("No slot fits into these hours. Check the dates, the times and the duration of the service.")
        taken = set(
            session.scalars(
                select(Slot.starts_at).where(
                    Slot.practitioner_id == self.id, Slot.service_id == service.id, Slot.starts_at.in_(starts)
                )
            )
        )
        session.add_all(Slot.starting_at(self, service, start) for start in starts if start not in taken)

    @move(
        "active",
        to="away",
        by="Desk",
        label="Mark as away",
        confirm="Customers will no longer see this practitioner. Existing bookings stay.",
    )
    def go_away(self) -> None:
        """Stops new bookings with this practitioner. Existing bookings stay."""

    @move("away", to="active", by="Desk", label="Mark as back")
    def come_back(self) -> None:
        """Makes the practitioner bookable again."""

    # --- opening hours and meetings ---

    def tidy(self) -> None:
        if self.meets_by == "room" and not is_link(self.room):
            raise Invalid.for_fields({"room": "Enter the full link, starting with https://."})
        here: Any = inspect(self)
        if not here.persistent:
            self._copy_business_hours()

    def _copy_business_hours(self) -> None:
        """Give a new practitioner the opening hours of the business, to be changed later."""
        hours: Any = noun_of_table("hours")  # declared in a file that imports this one
        note = "Business opening hours"
        session.add_all(
            hours(practitioner=self, weekday=each.day, opens=each.opens, closes=each.closes, note=note)
            for each in working_hours.configured_hours()
        )

    @move("active", "away", by="Desk Practitioner", label="Test meeting link")
    def try_link(self) -> None:
        """Checks whether a meeting link can be created, without a booking."""
        self.link_says = "Test running. Reload this page in a moment."
        later(try_out, self)

    def run_link_test(self) -> None:
        """Check that a meeting could be created, and store the result for staff."""
        try:
            says = (
                place.get_place(self.meets_by).try_out(self.room)
                if place.is_configured(self.meets_by)
                else f"{PLACES[self.meets_by]} is not set up here."
            )
        except (RetryLater, PermanentFailure) as no:
            says = no.words
        with transaction():
            self.lock().link_says = f"{clock.format_moment(clock.now(), self.timezone)}: {says}"

    @move(
        "active",
        "away",
        by="Desk Practitioner",
        label="Replace calendar link",
        careful=True,
        confirm="Calendars that use the old link will stop updating.",
    )
    def renew_link(self) -> None:
        """Creates a new secret address for the calendar feed. The old one stops working immediately."""
        self.handle = token_urlsafe(16)

    def _starts(self, service: Service, hours: Stretch) -> list[datetime]:
        if not 0 <= (hours.last_day - hours.first_day).days <= 366:
            raise Invalid.for_fields({"last_day": "Choose a period of one day to one year."})
        days = [hours.first_day + timedelta(n) for n in range((hours.last_day - hours.first_day).days + 1)]
        return [
            start
            for day in days
            if hours.weekends or day.weekday() < 5
            for start in self._starts_on(day, service, hours)
        ]

    def _starts_on(self, day: date, service: Service, hours: Stretch) -> list[datetime]:
        timetable = Timetable(self.timezone, [Rule(day.weekday(), hours.opens, hours.closes)])
        return [start for start in timetable.start_times(service.lasting, day, day) if start > clock.now()]


@job("Test meeting link")
def try_out(practitioner: Practitioner) -> None:
    practitioner.run_link_test()

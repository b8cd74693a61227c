"""Calendar sync: busy times of a practitioner, read from an iCal address or Google Calendar every ten minutes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.dialects.postgresql import TSTZRANGE, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.calendars import ics, place
from app.calendars.place import PermanentFailure, RetryLater
from app.calendars.static_places import is_link
from app.kernel import clock
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid
from app.kernel.jobs import every, job, later
from app.kernel.secrets import sealed
from app.kernel.workflow import asked, move
from app.messages import safe_http
from app.packs.bookings.hours.presence import Presence
from app.packs.bookings.offer.practitioner import Practitioner

Span = tuple[datetime, datetime]

AHEAD = timedelta(days=120)
LARGEST = 1_000_000  # bytes
MOST = 5000  # times in one calendar
REREAD_AFTER = timedelta(hours=20)  # although unchanged: more repetitions of recurring events are within AHEAD by then


@dataclass(frozen=True)
class Address:
    """Where a calendar can be read."""

    address: str = asked(
        "Calendar address",
        help="The secret address in iCal format (https://…), or a Google calendar such as asha@gmail.com.",
        longest=1000,
    )


@dataclass(frozen=True)
class CalendarContent:
    """Busy times of a calendar, or None if it has not changed since it was last read."""

    spans: Sequence[ics.BusyTime] | None
    tag: str = ""


class BusyCalendar(Noun):
    """A practitioner's calendar elsewhere. Its address gives access to it, so it is encrypted and never shown again."""

    states = "new", "read", "stopped"
    state_labels: ClassVar[dict[str, str]] = {"new": "Not connected", "read": "Connected", "stopped": "Disconnected"}

    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioner.id"), index=True)
    practitioner: Mapped[Practitioner] = relationship(lazy="joined", innerjoin=True)
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(
        default="ics", info={"label": "Type", "choices": {"ics": "iCal address", "google": "Google Calendar"}}
    )
    address: Mapped[Any] = sealed("busy_calendar.address")
    edition: Mapped[int] = mapped_column(default=0)  # of its address
    tag: Mapped[str] = mapped_column(default="")
    checked_at: Mapped[datetime | None] = mapped_column(info={"label": "Last checked"})
    refreshed_at: Mapped[datetime | None] = mapped_column(info={"label": "Last updated"})
    trouble: Mapped[str] = mapped_column(default="", info={"label": "Error"})
    times: Mapped[list[Busy]] = relationship(cascade="all, delete-orphan", back_populates="calendar")

    @move("new", "read", "stopped", to="read", by="Desk Practitioner", label="Connect calendar", asks=Address)
    def connect(self, asked: Address) -> None:
        """Blocks this calendar’s busy times, so that they can’t be booked."""
        address = asked.address.strip().replace("webcal://", "https://", 1)
        if is_link(address) or safe_http.is_sandbox_calendar(address):
            self.kind = "ics"
        elif place.busy_source() and "@" in address and not set(address) & set("/ <>"):
            self.kind = "google"
        else:
            raise Invalid.for_fields({"address": "Enter the full address, starting with https://."})
        self.address, self.edition, self.tag, self.trouble = address, self.edition + 1, "", ""
        later(sync_calendar, self)

    @move("read", by="Desk Practitioner", label="Sync now")
    def read_now(self) -> None:
        """Reads the calendar immediately. Otherwise it is read every ten minutes."""
        self.tag = ""
        later(sync_calendar, self)

    @move("read", to="stopped", by="Desk Practitioner", label="Disconnect calendar")
    def stop(self) -> None:
        """Makes its busy times bookable again and deletes the stored address."""
        self.times, self.address, self.trouble = [], None, ""

    # --- reading it ---

    def sync_times(self) -> None:
        """Read the calendar and replace its busy times. After an error the known times stay: they may still be true."""
        if self.state != "read":
            return
        edition, since = self.edition, clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            found = self._fetch_times(since, since + AHEAD)
        except (RetryLater, PermanentFailure) as no:
            self._store_result(edition, trouble=no.words)
            return
        if found.spans is None:
            self._store_result(edition)
        else:
            self._store_result(edition, found.tag, found.spans)

    def _fetch_times(self, since: datetime, until: datetime) -> CalendarContent:
        if self.kind == "google":
            return CalendarContent([ics.BusyTime(*span) for span in self._fetch_google(since, until)])
        fresh = self.refreshed_at is not None and clock.now() - self.refreshed_at < REREAD_AFTER
        response = safe_http.fetch(self.address, {"If-None-Match": self.tag} if self.tag and fresh else {}, LARGEST)
        if response.trouble:
            raise RetryLater(f"The calendar can’t be read. {response.trouble}")
        if response.status == 304:
            return CalendarContent(None)
        spans = ics.busy_times(response.content, self.practitioner.timezone, since, until)
        if len(spans) > MOST:
            raise PermanentFailure(f"This calendar has more than {MOST:,} events in the next four months.")
        return CalendarContent(spans, response.tag)

    def _fetch_google(self, since: datetime, until: datetime) -> Sequence[Span]:
        google = place.busy_source()
        if google is None:
            raise PermanentFailure("Google Calendar is no longer set up here.")
        return google.busy(self.address, since, until)

    def _store_result(
        self, edition: int, tag: str = "", spans: Sequence[ics.BusyTime] | None = None, *, trouble: str = ""
    ) -> None:
        with transaction():
            self.lock()
            if self.state != "read" or self.edition != edition:
                return
            self.checked_at, self.trouble = clock.now(), trouble
            if spans is not None:
                self.refreshed_at, self.tag = clock.now(), tag
                self._replace_times({*self._without_our_bookings(spans)})

    def _without_our_bookings(self, spans: Sequence[ics.BusyTime]) -> Iterator[tuple[str, Span]]:
        """Leave out the times that our own bookings put into that calendar."""
        to_come = (Presence.practitioner_id == self.practitioner_id) & Presence.during.overlaps(
            Range(clock.ahead(days=-2), None)
        )
        ours = [
            (each.lower, each.upper)
            for each in session.scalars(select(Presence.during).where(to_come))
            if each.lower and each.upper
        ]
        for taken in spans:
            for span in subtract_spans((taken.starts_at, taken.ends_at), ours):
                yield taken.uid, span

    def _replace_times(self, wanted: set[tuple[str, Span]]) -> None:
        """Write only what has changed, so that slots are not generated again without a reason."""
        for each in [*self.times]:
            known = each.uid, each.span
            if known in wanted:
                wanted.discard(known)
            else:
                self.times.remove(each)
        self.times += [Busy(uid=uid, during=Range(*span)) for uid, span in sorted(wanted)]


class Busy(Noun):
    """A busy time in another calendar. Its title is private and not stored."""

    known_as = "busy time"

    audited = False  # the calendar that it was read from is the record
    __table_args__ = (Index("busy_during", "during", postgresql_using="gist"),)

    calendar_id: Mapped[int] = mapped_column(ForeignKey("busy_calendar.id", ondelete="CASCADE"), index=True)
    calendar: Mapped[BusyCalendar] = relationship(back_populates="times")
    uid: Mapped[str]
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)

    @property
    def span(self) -> Span:
        assert self.during.lower is not None
        assert self.during.upper is not None
        return self.during.lower, self.during.upper


def busy_times(whose: Iterable[int], since: datetime) -> Iterator[tuple[int, Span]]:
    """Upcoming busy times of these practitioners, each with the practitioner's ID."""
    theirs = select(BusyCalendar.practitioner_id, Busy).join(BusyCalendar, Busy.calendar_id == BusyCalendar.id)
    ahead = BusyCalendar.practitioner_id.in_([*whose]), Busy.during.overlaps(Range(since, None))
    for id, busy in session.execute(theirs.where(*ahead)):
        yield id, busy.span


def subtract_spans(span: Span, holes: Iterable[Span]) -> Iterator[Span]:
    """Parts of a period that lie outside all the holes."""
    start, end = span
    for begins, ends in sorted(holes):
        if begins < end and start < ends:
            if start < begins:
                yield start, begins
            start = ends
    if start < end:
        yield start, end


@job("Sync calendar", was="packs.bookings.busy.read")
def sync_calendar(calendar: BusyCalendar) -> None:
    calendar.sync_times()


@every("Sync all calendars", was="packs.bookings.busy.read_them_all", minutes=10)
def sync_all_calendars() -> None:
    with transaction():
        for each in session.scalars(select(BusyCalendar).where(BusyCalendar.state == "read")):
            later(sync_calendar, each)

"""Busy: when a practitioner has something else to do, as a calendar of their own says it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.dialects.postgresql import TSTZRANGE, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.calendars import ics, place
from app.calendars.place import Again, Never
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
ANEW = timedelta(
    hours=20
)  # after which a calendar that has not changed is read again: more of what repeats has come into reach


@dataclass(frozen=True)
class Address:
    """Where a calendar can be read."""

    address: str = asked(
        "Calendar address",
        help="The secret address in iCal format (https://…), or a Google calendar such as asha@gmail.com.",
        longest=1000,
    )


@dataclass(frozen=True)
class Read:
    """What was found in a calendar; nothing at all when it is as it was."""

    spans: Sequence[ics.Taken] | None
    tag: str = ""


class BusyCalendar(Noun):
    """A calendar that somebody keeps elsewhere. Whoever has its address can read it, so that is sealed, and never shown again."""

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
        if is_link(address) or safe_http.is_beside(address):
            self.kind = "ics"
        elif place.that_shows_busy() and "@" in address and not set(address) & set("/ <>"):
            self.kind = "google"
        else:
            raise Invalid.fields_said({"address": "Enter the full address, starting with https://."})
        self.address, self.edition, self.tag, self.trouble = address, self.edition + 1, "", ""
        later(read, self)

    @move("read", by="Desk Practitioner", label="Sync now")
    def read_now(self) -> None:
        """Reads the calendar immediately. Otherwise it is read every ten minutes."""
        self.tag = ""
        later(read, self)

    @move("read", to="stopped", by="Desk Practitioner", label="Disconnect calendar")
    def stop(self) -> None:
        """Makes its busy times bookable again and deletes the stored address."""
        self.times, self.address, self.trouble = [], None, ""

    # --- reading it ---

    def read(self) -> None:
        """What cannot be read keeps the times that are known: better a free hour that is not offered than two people in one."""
        if self.state != "read":
            return
        edition, since = self.edition, clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            found = self._look(since, since + AHEAD)
        except (Again, Never) as no:
            self._kept(edition, trouble=no.words)
            return
        if found.spans is None:
            self._kept(edition)
        else:
            self._kept(edition, found.tag, found.spans)

    def _look(self, since: datetime, until: datetime) -> Read:
        if self.kind == "google":
            return Read([ics.Taken(*span) for span in self._at_google(since, until)])
        fresh = self.refreshed_at is not None and clock.now() - self.refreshed_at < ANEW
        told = safe_http.fetch(self.address, {"If-None-Match": self.tag} if self.tag and fresh else {}, LARGEST)
        if told.trouble:
            raise Again(f"The calendar can’t be read. {told.trouble}")
        if told.status == 304:
            return Read(None)
        spans = ics.taken(told.content, self.practitioner.timezone, since, until)
        if len(spans) > MOST:
            raise Never(f"This calendar has more than {MOST:,} events in the next four months.")
        return Read(spans, told.tag)

    def _at_google(self, since: datetime, until: datetime) -> Sequence[Span]:
        google = place.that_shows_busy()
        if google is None:
            raise Never("Google Calendar is no longer set up here.")
        return google.busy(self.address, since, until)

    def _kept(
        self, edition: int, tag: str = "", spans: Sequence[ics.Taken] | None = None, *, trouble: str = ""
    ) -> None:
        with transaction():
            self.lock()
            if self.state != "read" or self.edition != edition:
                return
            self.checked_at, self.trouble = clock.now(), trouble
            if spans is not None:
                self.refreshed_at, self.tag = clock.now(), tag
                self._replace({*self._foreign(spans)})

    def _foreign(self, spans: Sequence[ics.Taken]) -> Iterator[tuple[str, Span]]:
        """What our own bookings put into that calendar is no news."""
        to_come = (Presence.practitioner_id == self.practitioner_id) & Presence.during.overlaps(
            Range(clock.ahead(days=-2), None)
        )
        ours = [
            (each.lower, each.upper)
            for each in session.scalars(select(Presence.during).where(to_come))
            if each.lower and each.upper
        ]
        for taken in spans:
            for span in without((taken.starts_at, taken.ends_at), ours):
                yield taken.uid, span

    def _replace(self, wanted: set[tuple[str, Span]]) -> None:
        """Only what has changed is written, so that nothing is arranged anew when nothing is new."""
        for each in [*self.times]:
            known = each.uid, each.span
            if known in wanted:
                wanted.discard(known)
            else:
                self.times.remove(each)
        self.times += [Busy(uid=uid, during=Range(*span)) for uid, span in sorted(wanted)]


class Busy(Noun):
    """One time that is taken elsewhere. What it is for is nobody's business here, so that is not kept."""

    known_as = "busy time"

    audited = False  # the calendar it was read from is the record of it
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
    """When these practitioners have something else to do: each with the number of whose it is."""
    theirs = select(BusyCalendar.practitioner_id, Busy).join(BusyCalendar, Busy.calendar_id == BusyCalendar.id)
    ahead = BusyCalendar.practitioner_id.in_([*whose]), Busy.during.overlaps(Range(since, None))
    for id, busy in session.execute(theirs.where(*ahead)):
        yield id, busy.span


def without(span: Span, holes: Iterable[Span]) -> Iterator[Span]:
    """What is left of a stretch of time."""
    start, end = span
    for begins, ends in sorted(holes):
        if begins < end and start < ends:
            if start < begins:
                yield start, begins
            start = ends
    if start < end:
        yield start, end


@job("Sync calendar", was="packs.bookings.busy.read")
def read(calendar: BusyCalendar) -> None:
    calendar.read()


@every("Sync all calendars", was="packs.bookings.busy.read_them_all", minutes=10)
def read_them_all() -> None:
    with transaction():
        for each in session.scalars(select(BusyCalendar).where(BusyCalendar.state == "read")):
            later(read, each)

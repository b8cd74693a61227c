"""Meeting: the place or video link of a booking, created at Google Meet or Jitsi, with retries and a fallback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Self

from sqlalchemy import ForeignKey, Index, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.calendars import place
from app.calendars.place import CreatedMeeting, MeetingRequest, PermanentFailure, Place, RetryLater
from app.calendars.static_places import is_link
from app.kernel import clock
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid
from app.kernel.jobs import job, later
from app.kernel.workflow import asked, move
from app.messages.message import tell_staff
from app.packs.bookings.offer.practitioner import PLACES, Practitioner

if TYPE_CHECKING:  # for the relation below; at run time a booking imports this file
    from app.packs.bookings.booking.booking import Booking

EARLY, LATE = (
    timedelta(minutes=15),
    timedelta(minutes=30),
)  # the link is shown from before the start until after the end
RETRY_AFTER = (5, 20, 60)  # seconds; after the last attempt, a fallback is used
FALLBACKS = ("jitsi", "room")


@dataclass(frozen=True)
class Link:
    """A room that staff have made themselves."""

    link: str = asked("Meeting link", help="Starts with https://.")


def _is_to_come(meeting: Meeting) -> str | None:
    return "This meeting has ended." if meeting.booking.slot.ends_at <= clock.now() else None


class Meeting(Noun):
    """The place or link of one booking. It is requested with the confirmation, which never waits for it."""

    whose = "booking.person"
    states = "requested", "ready", "cancelled", "failed"
    __table_args__ = (
        Index("meeting_one_each", "booking_id", unique=True, postgresql_where=text("state != 'cancelled'")),
    )
    refusals: ClassVar[dict[str, str]] = {"meeting_one_each": "This booking already has a meeting."}

    booking_id: Mapped[int] = mapped_column(ForeignKey("booking.id"), index=True)
    booking: Mapped[Booking] = relationship("Booking", lazy="joined", innerjoin=True)
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioner.id"))
    practitioner: Mapped[Practitioner] = relationship()
    key: Mapped[str] = mapped_column(index=True, info={"secret": True})  # our ID at the provider, shared by a group
    driver: Mapped[str] = mapped_column(
        info={"choices": {**PLACES, "by_hand": "Entered manually"}, "label": "Meeting type"}
    )
    external_id: Mapped[str] = mapped_column(default="", info={"label": "External ID"})
    join_url: Mapped[str] = mapped_column(default="", info={"label": "Meeting link", "secret": True})
    host_url: Mapped[str] = mapped_column(default="", info={"label": "Host link", "secret": True})
    recording_requested: Mapped[bool] = mapped_column(default=False)
    edition: Mapped[int]  # of the booking, for which it was last requested
    tries: Mapped[int] = mapped_column(default=0, info={"label": "Attempts"})
    trouble: Mapped[str] = mapped_column(default="", info={"label": "Error"})

    # --- called by the booking ---

    @classmethod
    def for_booking(cls, booking: Booking) -> Self | None:
        return session.scalar(select(cls).where(cls.booking_id == booking.id, cls.state != "cancelled"))

    @classmethod
    def request_for(cls, booking: Booking) -> None:
        """Create the row with the confirmation, and queue a job if an external provider has to be called."""
        giver = booking.slot.practitioner
        meeting = cls(
            booking=booking,
            practitioner=giver,
            key=_meeting_key(booking),
            driver=giver.meets_by,
            edition=booking.edition,
        )
        session.add(meeting)
        session.flush()
        meeting._start()

    @classmethod
    def follow_booking(cls, booking: Booking) -> None:
        """Move the meeting with a rescheduled booking, or replace it if the practitioner has changed."""
        meeting = cls.for_booking(booking)
        if meeting and meeting.key == _meeting_key(booking):
            meeting.move_along()
        elif meeting:
            meeting.cancel()
            session.flush()
            cls.request_for(booking)

    @classmethod
    def cancel_for(cls, booking: Booking) -> None:
        if meeting := cls.for_booking(booking):
            meeting.cancel()

    # --- what customers see ---

    @property
    def address(self) -> str:
        """Address of an appointment in person."""
        return self.practitioner.room if self.driver == "in_person" else ""

    @property
    def is_open(self) -> bool:
        """Whether to show the link: only around the appointment, because anyone who has it can join."""
        slot = self.booking.slot
        return bool(self.join_url) and slot.starts_at - EARLY <= clock.now() <= slot.ends_at + LATE

    # --- creating it ---

    @property
    def wanted(self) -> MeetingRequest:
        """What the provider is asked for. The customer is no guest: their calendar would show the link days before."""
        slot, user = self.booking.slot, self.practitioner.user
        about = "Group session" if slot.seats > 1 else f"Booking {self.booking.number}"
        return MeetingRequest(
            key=self.key,
            title=f"{slot.service.name} with {self.practitioner.name}",
            about=f"{about}. Recording requested." if self.recording_requested else f"{about}.",
            starts_at=slot.starts_at,
            ends_at=slot.ends_at,
            timezone=self.practitioner.timezone,
            guests=[user.email] if user and user.email else [],
            room=self.practitioner.room,
        )

    def _start(self) -> None:
        """Create the meeting at once, or in a job if its provider is an external service."""
        if place.is_configured(self.driver) and self._place.is_remote:
            later(settle, self)
            return
        try:
            self.be_ready(self._create_or_move(self.wanted))
        except PermanentFailure as no:
            self._fall_back(no.words)

    @property
    def _place(self) -> Place:
        if not place.is_configured(self.driver):
            raise PermanentFailure(f"{PLACES.get(self.driver, self.driver)} is not set up here.")
        return place.get_place(self.driver)

    def _create_or_move(self, wanted: MeetingRequest) -> CreatedMeeting:
        if self.driver == "by_hand":
            return CreatedMeeting(join_url=self.join_url)
        return self._place.move(self.external_id, wanted) if self.external_id else self._place.make(wanted)

    def settle(self) -> None:
        """Make the provider match this row. Safe to repeat and to run concurrently: the later run checks again."""
        if self.state == "requested":
            self._update_provider()
        elif self.state == "cancelled" and self.external_id and not self._is_shared():
            self._remove_at_provider()

    def _remove_at_provider(self) -> None:
        try:
            self._place.cancel(self.external_id)
        except PermanentFailure as no:
            with transaction():
                self.lock().trouble = no.words

    def _update_provider(self) -> None:
        edition = self.edition
        try:
            made = self._create_or_move(self.wanted)
        except (RetryLater, PermanentFailure) as no:
            self._record_failure(edition, no)
            return
        with transaction():
            self.lock()
            self.external_id = made.external_id
            if self.state == "requested" and self.edition == edition:
                self.be_ready(made)
            elif self.state in ("requested", "cancelled"):  # changed while the provider was called
                later(settle, self)

    def _record_failure(self, edition: int, no: RetryLater | PermanentFailure) -> None:
        with transaction():
            self.lock()
            if self.state != "requested" or self.edition != edition:
                return
            self.tries, self.trouble = self.tries + 1, no.words
            if isinstance(no, RetryLater) and self.tries <= len(RETRY_AFTER):
                later(settle, self, at=clock.ahead(seconds=RETRY_AFTER[self.tries - 1]))
            else:
                self._fall_back(no.words)

    def _fall_back(self, why: str) -> None:
        """Use another kind of link, or tell staff to enter one. The booking stays confirmed either way."""
        made, name = next(self._fallbacks(), (None, ""))
        if made:
            self.driver, self.external_id = name, ""
            self.be_ready(made)
        else:
            self.give_up()
        self.trouble = why
        tell_staff("bookings/meeting_failed", key=f"meeting failed:{self.id}", meeting=self)

    def _fallbacks(self) -> Iterator[tuple[CreatedMeeting, str]]:
        for name in FALLBACKS:
            if name != self.driver and place.is_configured(name):
                try:
                    yield place.get_place(name).make(self.wanted), name
                except PermanentFailure:
                    continue

    def _is_shared(self) -> bool:
        """Whether another booking of a group session still uses this meeting."""
        others = select(Meeting.id).where(Meeting.key == self.key, Meeting.state != "cancelled", Meeting.id != self.id)
        return session.scalar(others.limit(1)) is not None

    # --- moves ---

    @move("requested", to="ready", label="Link created", done="Link created")
    def be_ready(self, made: CreatedMeeting) -> None:
        self.external_id, self.host_url = made.external_id, made.host_url
        self.join_url, self.tries, self.trouble = made.join_url, 0, ""

    @move("requested", to="failed", label="Link failed", done="Link failed")
    def give_up(self) -> None:
        """No link could be created. Staff enter one."""

    @move("requested", "ready", "failed", to="requested", label="Rescheduled")
    def move_along(self) -> None:
        """Moves the meeting to the new time. The link stays the same."""
        self.edition, self.tries, self.trouble = self.booking.edition, 0, ""
        self._start()

    @move("requested", "ready", "failed", to="cancelled", label="Cancelled")
    def cancel(self) -> None:
        """Removes the meeting and its link."""
        if place.is_configured(self.driver) and self._place.is_remote:
            later(settle, self)

    @move("requested", "ready", "failed", by="Desk Practitioner", label="Recreate link", when=_is_to_come)
    def try_again(self) -> None:
        """Creates the link again, using the practitioner’s meeting type."""
        if self.driver != self.practitioner.meets_by:
            self.driver, self.external_id = self.practitioner.meets_by, ""
        self.move_along()

    @move("requested", "failed", to="ready", by="Desk Practitioner", label="Enter link", asks=Link, when=_is_to_come)
    def enter(self, asked: Link) -> None:
        """Saves a meeting link that you created yourself."""
        if not is_link(asked.link):
            raise Invalid.for_fields({"link": "Enter the full link, starting with https://."})
        self.driver, self.join_url, self.trouble = "by_hand", asked.link, ""

    @move(
        "requested",
        "ready",
        "failed",
        by="Desk Practitioner",
        label="Request recording",
        when=lambda it: "A recording has already been requested." if it.recording_requested else None,
    )
    def want_recording(self) -> None:
        """Shows the practitioner that a recording is wanted: here, and in the calendar after the next change."""
        self.recording_requested = True

    def __str__(self) -> str:
        return f"Meeting for {self.booking.number}"


def _meeting_key(booking: Booking) -> str:
    """One key per slot for group sessions, so that they share a room; otherwise one per booking and practitioner."""
    slot = booking.slot
    return (
        f"slot {slot.id} {slot.starts_at.isoformat()}"
        if slot.seats > 1
        else f"booking {booking.handle} {slot.practitioner_id}"
    )


@job("Update meeting")
def settle(meeting: Meeting) -> None:
    meeting.settle()

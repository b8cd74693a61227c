"""Meeting: where a booked time takes place, and what had to be asked of whom for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Self

from sqlalchemy import ForeignKey, Index, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.calendars import place
from app.calendars.place import Again, Made, Never, Place, Wanted
from app.calendars.static_places import is_link
from app.kernel import clock
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid
from app.kernel.jobs import job, later
from app.kernel.workflow import asked, move
from app.messages.message import tell_the_house
from app.packs.bookings.offer.practitioner import PLACES, Practitioner

if TYPE_CHECKING:  # a booking asks for its meeting; for the type checker alone, a meeting knows its booking
    from app.packs.bookings.booking.booking import Booking

EARLY, LATE = timedelta(minutes=15), timedelta(minutes=30)  # before it begins and after it ends, the link is shown
GAPS = (5, 20, 60)  # seconds until the same is asked again; after the last one, something else is found
INSTEAD = ("jitsi", "room")


@dataclass(frozen=True)
class Link:
    """A room that staff have made themselves."""

    link: str = asked("Meeting link", help="Starts with https://.")


def _is_to_come(meeting: Meeting) -> str | None:
    return "This meeting has ended." if meeting.booking.slot.ends_at <= clock.now() else None


class Meeting(Noun):
    """Where one booking takes place. It is asked for with the confirmation, which never waits for it."""

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
    key: Mapped[str] = mapped_column(
        index=True, info={"secret": True}
    )  # what the place knows it by; of a group, all have the same
    driver: Mapped[str] = mapped_column(
        info={"choices": {**PLACES, "by_hand": "Entered manually"}, "label": "Meeting type"}
    )
    external_id: Mapped[str] = mapped_column(default="", info={"label": "External ID"})
    join_url: Mapped[str] = mapped_column(default="", info={"label": "Meeting link", "secret": True})
    host_url: Mapped[str] = mapped_column(default="", info={"label": "Host link", "secret": True})
    recording_requested: Mapped[bool] = mapped_column(default=False)
    edition: Mapped[int]  # of the booking, that it was last asked for
    tries: Mapped[int] = mapped_column(default=0, info={"label": "Attempts"})
    trouble: Mapped[str] = mapped_column(default="", info={"label": "Error"})

    # --- what a booking does with it ---

    @classmethod
    def for_booking(cls, booking: Booking) -> Self | None:
        return session.scalar(select(cls).where(cls.booking_id == booking.id, cls.state != "cancelled"))

    @classmethod
    def request_for(cls, booking: Booking) -> None:
        """Written with the confirmation: a row, and a job where a stranger has to be asked."""
        giver = booking.slot.practitioner
        meeting = cls(
            booking=booking, practitioner=giver, key=_key(booking), driver=giver.meets_by, edition=booking.edition
        )
        session.add(meeting)
        session.flush()
        meeting._ask()

    @classmethod
    def follow_booking(cls, booking: Booking) -> None:
        """The booking has moved: the same meeting moves along, unless somebody else gives it now."""
        meeting = cls.for_booking(booking)
        if meeting and meeting.key == _key(booking):
            meeting.move_along()
        elif meeting:
            meeting.cancel()
            session.flush()
            cls.request_for(booking)

    @classmethod
    def cancel_for(cls, booking: Booking) -> None:
        if meeting := cls.for_booking(booking):
            meeting.cancel()

    # --- what is shown of it ---

    @property
    def address(self) -> str:
        """Where to go, when people meet in person."""
        return self.practitioner.room if self.driver == "in_person" else ""

    @property
    def is_open(self) -> bool:
        """The link is nobody's before it is needed: whoever has it can walk in."""
        slot = self.booking.slot
        return bool(self.join_url) and slot.starts_at - EARLY <= clock.now() <= slot.ends_at + LATE

    # --- making it ---

    @property
    def wanted(self) -> Wanted:
        """The customer is not a guest in the calendar there: it would show them the link days before."""
        slot, user = self.booking.slot, self.practitioner.user
        about = "Group session" if slot.seats > 1 else f"Booking {self.booking.number}"
        return Wanted(
            key=self.key,
            title=f"{slot.service.name} with {self.practitioner.name}",
            about=f"{about}. Recording requested." if self.recording_requested else f"{about}.",
            starts_at=slot.starts_at,
            ends_at=slot.ends_at,
            timezone=self.practitioner.timezone,
            guests=[user.email] if user and user.email else [],
            room=self.practitioner.room,
        )

    def _ask(self) -> None:
        """A place that nobody has to be asked for is there at once."""
        if place.is_here(self.driver) and self._place.far:
            later(settle, self)
            return
        try:
            self.be_ready(self._made(self.wanted))
        except Never as no:
            self._find_another(no.words)

    @property
    def _place(self) -> Place:
        if not place.is_here(self.driver):
            raise Never(f"{PLACES.get(self.driver, self.driver)} is not set up here.")
        return place.named(self.driver)

    def _made(self, wanted: Wanted) -> Made:
        if self.driver == "by_hand":
            return Made(join_url=self.join_url)
        return self._place.move(self.external_id, wanted) if self.external_id else self._place.make(wanted)

    def settle(self) -> None:
        """Bring the place to where the meeting is. Safe to do twice, and by two at a time: whoever ends later looks again."""
        if self.state == "requested":
            self._make()
        elif self.state == "cancelled" and self.external_id and not self._is_shared():
            self._take_away()

    def _take_away(self) -> None:
        try:
            self._place.cancel(self.external_id)
        except Never as no:
            with transaction():
                self.lock().trouble = no.words

    def _make(self) -> None:
        edition = self.edition
        try:
            made = self._made(self.wanted)
        except (Again, Never) as no:
            self._refused(edition, no)
            return
        with transaction():
            self.lock()
            self.external_id = made.external_id
            if self.state == "requested" and self.edition == edition:
                self.be_ready(made)
            elif self.state in ("requested", "cancelled"):  # while the place was asked; what it knows is out of date
                later(settle, self)

    def _refused(self, edition: int, no: Again | Never) -> None:
        with transaction():
            self.lock()
            if self.state != "requested" or self.edition != edition:
                return
            self.tries, self.trouble = self.tries + 1, no.words
            if isinstance(no, Again) and self.tries <= len(GAPS):
                later(settle, self, at=clock.ahead(seconds=GAPS[self.tries - 1]))
            else:
                self._find_another(no.words)

    def _find_another(self, why: str) -> None:
        """A booking is never blocked by its link: there is another one, or somebody of the house sends one."""
        made, name = next(self._others(), (None, ""))
        if made:
            self.driver, self.external_id = name, ""
            self.be_ready(made)
        else:
            self.give_up()
        self.trouble = why
        tell_the_house("bookings/meeting_failed", key=f"meeting failed:{self.id}", meeting=self)

    def _others(self) -> Iterator[tuple[Made, str]]:
        for name in INSTEAD:
            if name != self.driver and place.is_here(name):
                try:
                    yield place.named(name).make(self.wanted), name
                except Never:
                    continue

    def _is_shared(self) -> bool:
        """Of a group, somebody else is still to come."""
        others = select(Meeting.id).where(Meeting.key == self.key, Meeting.state != "cancelled", Meeting.id != self.id)
        return session.scalar(others.limit(1)) is not None

    # --- its moves ---

    @move("requested", to="ready", label="Link created", done="Link created")
    def be_ready(self, made: Made) -> None:
        self.external_id, self.host_url = made.external_id, made.host_url
        self.join_url, self.tries, self.trouble = made.join_url, 0, ""

    @move("requested", to="failed", label="Link failed", done="Link failed")
    def give_up(self) -> None:
        """No link could be created. Staff enter one."""

    @move("requested", "ready", "failed", to="requested", label="Rescheduled")
    def move_along(self) -> None:
        """Moves the meeting to the new time. The link stays the same."""
        self.edition, self.tries, self.trouble = self.booking.edition, 0, ""
        self._ask()

    @move("requested", "ready", "failed", to="cancelled", label="Cancelled")
    def cancel(self) -> None:
        """Removes the meeting and its link."""
        if place.is_here(self.driver) and self._place.far:
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
            raise Invalid.fields_said({"link": "Enter the full link, starting with https://."})
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


def _key(booking: Booking) -> str:
    """Those who share a time share the room."""
    slot = booking.slot
    return (
        f"slot {slot.id} {slot.starts_at.isoformat()}"
        if slot.seats > 1
        else f"booking {booking.handle} {slot.practitioner_id}"
    )


@job("Update meeting")
def settle(meeting: Meeting) -> None:
    meeting.settle()

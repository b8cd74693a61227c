"""Place: the contract of a meeting location (Google Meet, Jitsi, a fixed link, in person), and the configured ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from app.kernel.errors import Missing, Refused


@dataclass(frozen=True)
class MeetingRequest:
    """A meeting to be created or moved."""

    key: str  # idempotency key: a meeting requested twice is created once
    title: str
    about: str
    starts_at: datetime
    ends_at: datetime
    timezone: str
    guests: Sequence[str]  # email addresses
    room: str  # the host's own link or address, or the calendar for the event


@dataclass(frozen=True)
class CreatedMeeting:
    """A created meeting; without a link, people meet in person."""

    external_id: str = ""
    join_url: str = ""
    host_url: str = ""


class RetryLater(Refused):
    """No response, or a temporary error: the same request may be repeated."""

    status = 503
    code = "again"


class PermanentFailure(Refused):
    """The request was rejected for good; repeating it will not help."""

    status = 502
    code = "never"


class Place(Protocol):
    name: str
    label: str
    is_remote: bool  # an external service is called, which may be slow or unavailable

    def make(self, wanted: MeetingRequest) -> CreatedMeeting:
        """Create a meeting, or find the one created for its key. Raises RetryLater or PermanentFailure."""

    def move(self, external_id: str, wanted: MeetingRequest) -> CreatedMeeting:
        """Change time or guests; the link stays. Raises RetryLater or PermanentFailure."""

    def cancel(self, external_id: str) -> None:
        """Delete the meeting; safe to repeat. Raises RetryLater or PermanentFailure."""

    def try_out(self, room: str) -> str:
        """Test whether a meeting can be created, and say so in a sentence. Raises RetryLater or PermanentFailure."""


@runtime_checkable
class ShowsBusy(Protocol):
    """A place that also knows when a calendar is busy."""

    def busy(self, calendar: str, since: datetime, until: datetime) -> Sequence[tuple[datetime, datetime]]: ...


_places: dict[str, Place] = {}


def configure(*places: Place) -> None:
    """Set the places of this installation."""
    _places.clear()
    _places.update({each.name: each for each in places})


def get_place(name: str) -> Place:
    if name not in _places:
        raise Missing
    return _places[name]


def is_configured(name: str) -> bool:
    return name in _places


def busy_source() -> ShowsBusy | None:
    each: object
    for each in _places.values():
        if isinstance(each, ShowsBusy):
            return each
    return None

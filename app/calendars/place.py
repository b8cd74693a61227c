"""The contract of a place: what we ask of wherever people meet, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from app.kernel.errors import Missing, Refused


@dataclass(frozen=True)
class MeetingRequest:
    """One meeting, as a place has to know it."""

    key: str  # the same for as long as it is the same meeting: whoever is asked twice makes it once
    title: str
    about: str
    starts_at: datetime
    ends_at: datetime
    timezone: str
    guests: Sequence[str]  # mailboxes
    room: str  # of the one who is met: a link or an address of their own, or the calendar it stands in


@dataclass(frozen=True)
class CreatedMeeting:
    """It is there. Without a link, people meet in person."""

    external_id: str = ""
    join_url: str = ""
    host_url: str = ""


class RetryLater(Refused):
    """No answer, or not now: the same may be asked again."""

    status = 503
    code = "again"


class PermanentFailure(Refused):
    """They understood, and will not do it however often they are asked."""

    status = 502
    code = "never"


class Place(Protocol):
    name: str
    label: str
    far: bool  # a stranger is called, who may be slow or away

    def make(self, wanted: MeetingRequest) -> CreatedMeeting:
        """Make it, or find what was made when the same was asked before. Raises Again or Never."""

    def move(self, external_id: str, wanted: MeetingRequest) -> CreatedMeeting:
        """The same meeting at another time, or with other guests: the link stays. Raises Again or Never."""

    def cancel(self, external_id: str) -> None:
        """It is not needed any more; safe to say twice. Raises Again or Never."""

    def try_out(self, room: str) -> str:
        """Whether a meeting could be made for this one, in a sentence. Raises Again or Never, which say what is wrong."""


@runtime_checkable
class ShowsBusy(Protocol):
    """A place that also knows when a calendar of its own is busy."""

    def busy(self, calendar: str, since: datetime, until: datetime) -> Sequence[tuple[datetime, datetime]]: ...


_places: dict[str, Place] = {}


def configure(*places: Place) -> None:
    """The places of this installation."""
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

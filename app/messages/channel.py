"""The contract of a channel: what we ask of whoever carries our words, and what they tell us back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.kernel.errors import Missing, Refused
from app.kernel.people import Person
from app.messages.template import RenderedMessage


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a message."""

    name: str
    kind: str
    content: bytes


@dataclass(frozen=True)
class OutgoingMessage:
    """One message, ready to go."""

    id: int
    to: str
    content: RenderedMessage
    attachments: Sequence[Attachment] = ()


@dataclass(frozen=True)
class DeliveryReport:
    """What became of one message, as its carrier tells it."""

    state: str  # sent, delivered, read, failed
    message_id: int | None  # ours, if they brought it back
    provider_id: str
    trouble: str = ""


@dataclass(frozen=True)
class Reply:
    """What somebody wrote back."""

    phone: str
    words: str


@dataclass(frozen=True)
class WebhookNews:
    """One call of a webhook."""

    reports: Sequence[DeliveryReport] = field(default_factory=list)
    replies: Sequence[Reply] = field(default_factory=list)


class NotTaken(Refused):
    """They took nothing, for now: the same message may be brought again."""

    status = 503
    code = "not_taken"


class Declined(Refused):
    """They understood, and will never carry this."""

    status = 502
    code = "declined"


class Unconfirmed(Refused):
    """No answer, or none that can be read: it may be on its way, so it is not brought again without knowing more."""

    status = 503
    code = "unheard"


class Channel(Protocol):
    name: str
    label: str
    deduplicates: bool  # the same message brought twice arrives once, or at least says so
    confirms: bool  # it soon says by itself what it took, so when it says nothing it took nothing

    def address(self, person: Person) -> str:
        """Where this person is reached; empty when they are not."""

    def send(self, letter: OutgoingMessage) -> str:
        """Hand it over; answers the carrier's own id. Raises NotTaken, Declined or Unheard."""

    def parse_webhook(self, raw: bytes, headers: Mapping[str, str], path: str) -> WebhookNews:
        """Check a webhook's signature over what was really sent, and read it. Refuses what is not genuine."""

    def answer_challenge(self, asked: Mapping[str, str]) -> str:
        """The answer to whoever asks whether this address is ours."""


_channels: dict[str, Channel] = {}


def configure(*channels: Channel) -> None:
    """The channels of this installation; email is always one of them."""
    _channels.clear()
    _channels.update({each.name: each for each in channels})


def all_channels() -> list[Channel]:
    return [*_channels.values()]


def get_channel(name: str) -> Channel:
    if name not in _channels:
        raise Missing
    return _channels[name]

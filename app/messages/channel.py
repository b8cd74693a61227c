"""Channel: the contract of a message provider (email, SMS, WhatsApp), and the configured ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.kernel.errors import Missing, Refused
from app.kernel.people import Person
from app.messages.template import RenderedMessage


@dataclass(frozen=True)
class Attachment:
    """An email attachment."""

    name: str
    kind: str
    content: bytes


@dataclass(frozen=True)
class OutgoingMessage:
    """A rendered message, ready to be sent."""

    id: int
    to: str
    content: RenderedMessage
    attachments: Sequence[Attachment] = ()


@dataclass(frozen=True)
class DeliveryReport:
    """The delivery status of one message, as the provider reports it."""

    state: str  # sent, delivered, read, failed
    message_id: int | None  # our ID, if the provider returns it
    provider_id: str
    trouble: str = ""


@dataclass(frozen=True)
class Reply:
    """A text message from a customer."""

    phone: str
    words: str


@dataclass(frozen=True)
class WebhookNews:
    """The content of one webhook call."""

    reports: Sequence[DeliveryReport] = field(default_factory=list)
    replies: Sequence[Reply] = field(default_factory=list)


class NotTaken(Refused):
    """Not accepted for now: the same message may be sent again."""

    status = 503
    code = "not_taken"


class Declined(Refused):
    """Rejected for good."""

    status = 502
    code = "declined"


class Unconfirmed(Refused):
    """No readable response: the message may have been accepted, so it is not sent again without a report."""

    status = 503
    code = "unheard"


class Channel(Protocol):
    name: str
    label: str
    deduplicates: bool  # a message sent twice arrives once, or is recognised as the same
    confirms: bool  # it reports accepted messages soon, so silence means not accepted

    def address(self, person: Person) -> str:
        """The email address or phone number of a person; empty if there is none."""

    def send(self, letter: OutgoingMessage) -> str:
        """Send it; return the provider's ID. Raises NotTaken, Declined or Unconfirmed."""

    def parse_webhook(self, raw: bytes, headers: Mapping[str, str], path: str) -> WebhookNews:
        """Verify the signature over the raw body, and parse it. Refuses a call that is not genuine."""

    def answer_challenge(self, asked: Mapping[str, str]) -> str:
        """Answer the provider's request to verify the webhook address."""


_channels: dict[str, Channel] = {}


def configure(*channels: Channel) -> None:
    """Set the channels of this installation; email is always one of them."""
    _channels.clear()
    _channels.update({each.name: each for each in channels})


def all_channels() -> list[Channel]:
    return [*_channels.values()]


def get_channel(name: str) -> Channel:
    if name not in _channels:
        raise Missing
    return _channels[name]

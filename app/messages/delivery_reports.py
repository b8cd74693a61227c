"""What carriers tell by their webhooks: checked, read, and taken to the message that it is about."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from sqlalchemy import select

from app.kernel.db import session
from app.messages import channel
from app.messages.channel import DeliveryReport
from app.messages.message import Message
from app.messages.opt_in import STOP, OptIn

log = logging.getLogger(__name__)


def apply_webhook(name: str, raw: bytes, headers: Mapping[str, str], path: str) -> tuple[int, int]:
    """How much of it was about messages of ours, and how much about nothing that we know."""
    news = channel.get_channel(name).parse_webhook(raw, headers, path)
    unknown = 0
    for told in news.reports:
        message = _message(name, told)
        if message is None:
            unknown += 1
        else:
            message.apply_report(told)
    for reply in news.replies:
        if " ".join(reply.words.upper().split()).rstrip(".!") in STOP:
            OptIn.stop(reply.phone, name)
    if unknown:
        log.info("%s tells of %s messages that are not ours.", name, unknown)
    return len(news.reports) - unknown, unknown


def _message(name: str, told: DeliveryReport) -> Message | None:
    found = session.get(Message, told.message_id) if told.message_id is not None else None
    if found is None and told.message_id is None:
        found = session.scalar(select(Message).where(Message.provider_id == told.provider_id, Message.channel == name))
    return found if found is not None and found.channel == name else None

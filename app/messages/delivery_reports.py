"""Delivery reports: webhooks of SMS and WhatsApp providers, applied to the messages they are about."""

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
    """Apply a webhook; return how many reports were about our messages, and how many about unknown ones."""
    news = channel.get_channel(name).parse_webhook(raw, headers, path)
    unknown = 0
    for report in news.reports:
        message = _find_message(name, report)
        if message is None:
            unknown += 1
        else:
            message.apply_report(report)
    for reply in news.replies:
        if " ".join(reply.words.upper().split()).rstrip(".!") in STOP:
            OptIn.stop(reply.phone, name)
    if unknown:
        log.info("%s reported %s unknown messages.", name, unknown)
    return len(news.reports) - unknown, unknown


def _find_message(name: str, report: DeliveryReport) -> Message | None:
    found = session.get(Message, report.message_id) if report.message_id is not None else None
    if found is None and report.message_id is None:
        found = session.scalar(
            select(Message).where(Message.provider_id == report.provider_id, Message.channel == name)
        )
    return found if found is not None and found.channel == name else None

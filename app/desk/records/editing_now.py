"""Presence: who has a record open for editing. A hint in Redis that expires; without Redis there is none."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import redis

from app.kernel import clock
from app.kernel.access import actor
from app.kernel.db import Noun

log = logging.getLogger(__name__)

FORGOTTEN_AFTER = timedelta(minutes=15)
_redis: redis.Redis | None = None


def configure(url: str) -> None:
    global _redis
    _redis = redis.Redis.from_url(url, socket_timeout=0.2, socket_connect_timeout=0.2, decode_responses=True)


def begin_editing(row: Noun) -> None:
    """Note that the current user has the record open, from now on."""
    who = actor()
    if _redis is not None and who.user_id is not None:
        try:
            _redis.hset(_key(row), str(who.user_id), f"{clock.now().isoformat()} {who.name}")
            _redis.expire(_key(row), FORGOTTEN_AFTER)
        except redis.RedisError as error:
            log.warning("could not record that %s is open: %s", row, error)


def end_editing(row: Noun) -> None:
    if _redis is not None:
        try:
            _redis.hdel(_key(row), str(actor().user_id))
        except redis.RedisError as error:
            log.warning("could not record that %s is closed: %s", row, error)


def other_editors(row: Noun) -> list[tuple[str, datetime]]:
    """Return the other users who have it open, and since when. An entry expires after fifteen minutes."""
    if _redis is None:
        return []
    try:
        found = {str(id): str(each) for id, each in _redis.hgetall(_key(row)).items()}
    except redis.RedisError as error:
        log.warning("could not read who has %s open: %s", row, error)
        return []
    told = [
        (name, datetime.fromisoformat(since))
        for id, each in found.items()
        if id != str(actor().user_id)
        for since, _, name in [each.partition(" ")]
    ]
    return sorted((name, since) for name, since in told if clock.now() - since < FORGOTTEN_AFTER)


def _key(row: Noun) -> str:
    return f"frontdesk:open:{row.__tablename__}:{row.id}"

"""Throttle (rate limit) for sign-in attempts at the desk: after several wrong ones, the waiting time grows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from math import ceil
from typing import Any

from flask import current_app
from flask_limiter.util import get_remote_address
from limits import RateLimitItem, parse_many

from app.kernel.errors import Refused

LIMITS_PER_NAME = parse_many("5 per minute; 10 per 15 minutes; 20 per 2 hours; 50 per day")
LIMITS_PER_ADDRESS = parse_many("30 per minute; 100 per hour; 300 per day")


class TooOften(Refused):
    """The attempt is throttled; `wait` is the number of seconds until the next one."""

    status = 429
    code = "too_often"

    def __init__(self, wait: int) -> None:
        super().__init__(f"Too many attempts. Please wait {_wait_in_words(wait)} and try again.")
        self.wait = wait


@contextmanager
def throttle_attempts(what: str, whose: str) -> Iterator[None]:
    """Count the attempt before it is checked, so that parallel attempts count too; clear the count after a right one.

    While throttled, even a correct password is refused, and unknown names are throttled like known ones.
    """
    hashed = sha256(whose.strip().lower().encode()).hexdigest()
    _count_attempt(LIMITS_PER_ADDRESS, what, "from", get_remote_address())
    _count_attempt(LIMITS_PER_NAME, what, hashed)
    yield
    for each in LIMITS_PER_NAME:
        _strategy().clear(each, what, hashed)


def _count_attempt(limits: Sequence[RateLimitItem], *key: str) -> None:
    within = [_strategy().hit(each, *key) for each in limits]  # every limit counts, also after one that is exceeded
    if not all(within):
        until = max(
            _strategy().get_window_stats(each, *key).reset_time
            for each, is_within in zip(limits, within, strict=True)
            if not is_within
        )
        raise TooOften(max(1, ceil(until - time.time())))


def _wait_in_words(seconds: int) -> str:
    minutes = ceil(seconds / 60)
    if minutes < 2:
        return "a minute"
    return f"{minutes} minutes" if minutes < 120 else f"{ceil(minutes / 60)} hours"


def _strategy() -> Any:
    (limiter,) = current_app.extensions["limiter"]
    return limiter.limiter

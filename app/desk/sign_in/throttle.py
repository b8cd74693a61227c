"""Guesses at the doors of the desk: after some wrong ones whoever tries has to wait, and longer each time."""

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

FOR_ONE_NAME = parse_many("5 per minute; 10 per 15 minutes; 20 per 2 hours; 50 per day")
FOR_ONE_ADDRESS = parse_many("30 per minute; 100 per hour; 300 per day")


class TooOften(Refused):
    """Not now; `wait` says for how many seconds."""

    status = 429
    code = "too_often"

    def __init__(self, wait: int) -> None:
        super().__init__(f"Too many attempts. Please wait {_span(wait)} and try again.")
        self.wait = wait


@contextmanager
def guessing(what: str, whose: str) -> Iterator[None]:
    """A try counts before it is looked at, so that many at once are as many; one that was right is forgotten.

    Whoever has to wait hears nothing of a right one either, and a name that nobody has waits like any other.
    """
    kept = sha256(whose.strip().lower().encode()).hexdigest()
    _count(FOR_ONE_ADDRESS, what, "from", get_remote_address())
    _count(FOR_ONE_NAME, what, kept)
    yield
    for each in FOR_ONE_NAME:
        _strategy().clear(each, what, kept)


def _count(limits: Sequence[RateLimitItem], *key: str) -> None:
    within = [_strategy().hit(each, *key) for each in limits]  # each of them counts, also after one that is full
    if not all(within):
        until = max(
            _strategy().get_window_stats(each, *key).reset_time
            for each, room in zip(limits, within, strict=True)
            if not room
        )
        raise TooOften(max(1, ceil(until - time.time())))


def _span(seconds: int) -> str:
    minutes = ceil(seconds / 60)
    if minutes < 2:
        return "a minute"
    return f"{minutes} minutes" if minutes < 120 else f"{ceil(minutes / 60)} hours"


def _strategy() -> Any:
    (limiter,) = current_app.extensions["limiter"]
    return limiter.limiter

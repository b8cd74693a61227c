"""Limits: how often a stranger may guess at something before they have to wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

from flask import current_app
from flask_limiter.util import get_remote_address
from limits import parse_many

from app.kernel.errors import Invalid, Refused
from app.kernel.translation import say

FILES = parse_many("30 per hour; 100 per day")  # from one address
WRONG_GUESSES = parse_many("10 per 10 minutes; 50 per day")  # for one address


CODES_FOR_ONE_MAILBOX = parse_many("3 per 15 minutes; 10 per day")
CODES_FOR_ONE_ADDRESS = parse_many("20 per hour")


class TooOften(Refused):
    status = 429
    code = "too_often"


@contextmanager
def guessing(field: str, typed: str) -> Iterator[None]:
    """Only a wrong one counts. Whoever has guessed wrong too often waits, and hears no more about any: a right one sounds like a wrong one."""
    if not typed.strip():
        yield
        return
    (limiter,) = current_app.extensions["limiter"]
    here = "guess", field, get_remote_address()
    if not all(limiter.limiter.test(each, *here) for each in WRONG_GUESSES):
        words = say("Too many wrong codes. Try again in ten minutes, or continue without one.")
        raise TooOften(words, fields={field: words})
    try:
        yield
    except Invalid as no:
        if field in no.fields:
            for each in WRONG_GUESSES:
                limiter.limiter.hit(each, *here)
        raise


def asking(mailbox: str) -> None:
    """A code is asked for. Whoever has asked too often waits; it counts in the same way for a mailbox that nobody here has."""
    (limiter,) = current_app.extensions["limiter"]
    whose = sha256(mailbox.lower().encode()).hexdigest()
    counted = [(each, ("code", whose)) for each in CODES_FOR_ONE_MAILBOX] + [
        (each, ("code from", get_remote_address())) for each in CODES_FOR_ONE_ADDRESS
    ]
    within = [
        limiter.limiter.hit(each, *key) for each, key in counted
    ]  # each of them counts, also after one that is full
    if not all(within):
        raise TooOften(say("You have requested too many codes. Please wait 15 minutes, or contact us."))


@contextmanager
def sending(field: str) -> Iterator[None]:
    """A file is sent. Whoever has sent too many waits; the rest of the form goes on without it."""
    (limiter,) = current_app.extensions["limiter"]
    within = [limiter.limiter.hit(each, "files from", get_remote_address()) for each in FILES]
    if not all(within):
        words = say("You have uploaded too many files. Please try again in an hour.")
        raise TooOften(words, fields={field: words})
    yield

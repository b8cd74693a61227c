"""Rate limits of the public site: wrong coupon codes, sign-in codes by email, and file uploads."""

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
WRONG_GUESSES = parse_many("10 per 10 minutes; 50 per day")  # from one address
CODES_FOR_ONE_MAILBOX = parse_many("3 per 15 minutes; 10 per day")
CODES_FOR_ONE_ADDRESS = parse_many("20 per hour")


class TooManyRequests(Refused):
    status = 429
    code = "too_often"


@contextmanager
def limit_wrong_guesses(field: str, typed: str) -> Iterator[None]:
    """Count wrong guesses only. When there were too many, a right guess is refused like a wrong one."""
    if not typed.strip():
        yield
        return
    (limiter,) = current_app.extensions["limiter"]
    here = "guess", field, get_remote_address()
    if not all(limiter.limiter.test(each, *here) for each in WRONG_GUESSES):
        words = say("Too many wrong codes. Try again in ten minutes, or continue without one.")
        raise TooManyRequests(words, fields={field: words})
    try:
        yield
    except Invalid as no:
        if field in no.fields:
            for each in WRONG_GUESSES:
                limiter.limiter.hit(each, *here)
        raise


def limit_code_requests(mailbox: str) -> None:
    """Limit requests for a code, per mailbox and per address; unknown mailboxes count like known ones."""
    (limiter,) = current_app.extensions["limiter"]
    whose = sha256(mailbox.lower().encode()).hexdigest()
    counted = [(each, ("code", whose)) for each in CODES_FOR_ONE_MAILBOX] + [
        (each, ("code from", get_remote_address())) for each in CODES_FOR_ONE_ADDRESS
    ]
    # A list, so that every limit is hit, even after one that is exhausted.
    within = [limiter.limiter.hit(each, *key) for each, key in counted]
    if not all(within):
        raise TooManyRequests(say("You have requested too many codes. Please wait 15 minutes, or contact us."))


@contextmanager
def limit_uploads(field: str) -> Iterator[None]:
    """Limit uploads per address; the form goes on without a file that is refused."""
    (limiter,) = current_app.extensions["limiter"]
    within = [limiter.limiter.hit(each, "files from", get_remote_address()) for each in FILES]
    if not all(within):
        words = say("You have uploaded too many files. Please try again in an hour.")
        raise TooManyRequests(words, fields={field: words})
    yield

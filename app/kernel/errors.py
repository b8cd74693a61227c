"""Errors that a user sees: Refused and its kinds, each with an HTTP status and one JSON shape."""

from __future__ import annotations

from collections.abc import Mapping

from app.kernel.translation import say


class Refused(Exception):
    """A refusal with its reason, as a user reads it. Nothing was changed; a form keeps what was typed."""

    status = 409
    code = "refused"

    def __init__(self, words: str, *, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.fields = dict(fields or {})

    def as_json(self) -> dict[str, object]:
        """The shape of every error in JSON."""
        return {"error": {"code": self.code, "message": self.words, "fields": self.fields}}


class Invalid(Refused):
    """Validation failed; `fields` maps each wrong field to its message."""

    status = 422
    code = "invalid"

    @classmethod
    def for_fields(cls, fields: Mapping[str, str]) -> Invalid:
        return cls(say("Please correct the highlighted fields."), fields=fields)


class Unreadable(Refused):
    """The request itself is malformed: not JSON, an unknown filter, a page number that is not a number."""

    status = 400
    code = "unreadable"


class NotSignedIn(Refused):
    status = 401
    code = "not_signed_in"


class Forbidden(Refused):
    status = 403
    code = "forbidden"


class Missing(Refused):
    """Missing or not visible to the user: both read the same, so that nothing is revealed."""

    status = 404
    code = "missing"

    def __init__(self, words: str = "") -> None:
        super().__init__(words or say("This page doesn’t exist, or you don’t have access to it."))


class Busy(Refused):
    """A lock was not free in time; the same request may succeed shortly after."""

    status = 503
    code = "busy"

"""Refused: the one exception whose words a user sees."""

from __future__ import annotations

from collections.abc import Mapping

from app.kernel.translation import say


class Refused(Exception):
    """No, and why, in the user's words. Nothing was changed; what was typed is kept by the door that asked."""

    status = 409
    code = "refused"

    def __init__(self, words: str, *, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.fields = dict(fields or {})

    def as_json(self) -> dict[str, object]:
        """The one shape of every error that leaves this house as JSON."""
        return {"error": {"code": self.code, "message": self.words, "fields": self.fields}}


class Invalid(Refused):
    """What was typed cannot be taken; `fields` says which and why."""

    status = 422
    code = "invalid"

    @classmethod
    def for_fields(cls, fields: Mapping[str, str]) -> Invalid:
        return cls(say("Please correct the highlighted fields."), fields=fields)


class Unreadable(Refused):
    """The request itself cannot be read: not JSON, a filter that does not exist, a page number that is none."""

    status = 400
    code = "unreadable"


class NotSignedIn(Refused):
    status = 401
    code = "not_signed_in"


class Forbidden(Refused):
    status = 403
    code = "forbidden"


class Missing(Refused):
    """Not there, or not for you: the two sound the same on purpose."""

    status = 404
    code = "missing"

    def __init__(self, words: str = "") -> None:
        super().__init__(words or say("This page doesn’t exist, or you don’t have access to it."))


class Busy(Refused):
    """Somebody holds what is needed right now; trying again shortly is right."""

    status = 503
    code = "busy"

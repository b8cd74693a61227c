"""Notification settings: which kinds of notification a user wants in the desk, by email too, or not at all."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel.db import Noun, session
from app.kernel.errors import Invalid

KINDS = {
    "mention": "Mentions",
    "task": "Tasks assigned to me",
    "due": "My tasks due",
    "waits": "Needs my action",
    "job": "Failed background jobs",
    "report": "Scheduled report paused",
    "automation": "Automation notifications and errors",
    "ways_in": "Sign-in methods changed",
}
DEFAULTS = {"ways_in": "email"}  # an intruder would see it in the desk first
WAYS = {"desk": "In app", "email": "In app and email", "off": "Off"}


class Preference(Noun):
    """The setting of one user for one kind. Without a row, `DEFAULTS` or "desk" applies."""

    known_as = "notification setting"

    __table_args__ = (UniqueConstraint("user_id", "kind"),)
    refusals: ClassVar[dict[str, str]] = {
        "preference_user_id_kind_key": "This was just changed in another window. Reload the page."
    }

    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(info={"choices": KINDS})
    way: Mapped[str] = mapped_column(default="desk", info={"choices": WAYS})

    @classmethod
    def ways_of(cls, user_id: int) -> dict[str, str]:
        chosen = {each.kind: each.way for each in session.scalars(select(cls).where(cls.user_id == user_id))}
        return {kind: chosen.get(kind, DEFAULTS.get(kind, "desk")) for kind in KINDS}

    @classmethod
    def save_ways(cls, user_id: int, wanted: dict[str, str]) -> None:
        if wanted.keys() - KINDS.keys() or set(wanted.values()) - WAYS.keys():
            raise Invalid.for_fields(dict.fromkeys(wanted, "Choose one from the list."))
        known = {each.kind: each for each in session.scalars(select(cls).where(cls.user_id == user_id))}
        for kind, way in wanted.items():
            if kind in known:
                known[kind].way = way
            elif way != DEFAULTS.get(kind, "desk"):
                session.add(cls(user_id=user_id, kind=kind, way=way))

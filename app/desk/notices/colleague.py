"""Colleagues: @mentions, and the active users who may read a record, for mentions, tasks and assignments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import func, or_, select

from app.desk.declare import about_a_record
from app.desk.lists.filters import like_pattern
from app.desk.sign_in import security
from app.desk.sign_in.user import User
from app.kernel import access
from app.kernel.db import Noun, session
from app.kernel.errors import Invalid, Missing

MAX_SUGGESTIONS = 8
_MENTION = re.compile(r"(?<![\w@.])@([\w.+-]*\w)")


def mentioned_names(words: str) -> set[str]:
    """Return the mentioned usernames: dina in "@dina, please look", none in dina@example.com."""
    return {name.lower() for name in _MENTION.findall(words)}


def readers_named(names: Iterable[str], row: Noun) -> list[User]:
    """Return the users with these usernames who may read the record."""
    wanted = [*names]
    users: Iterable[User] = (
        session.scalars(_active_users().where(func.lower(User.username).in_(wanted))) if wanted else []
    )
    return [each for each in users if may_read(each, row)]


def suggest_colleagues(words: str, row: Noun) -> list[User]:
    """Suggest a few users whose name matches and who may read the record, for a list below a field."""
    pattern = like_pattern(words.removeprefix("@").strip())
    names = or_(User.username.ilike(pattern), (User.first_name + " " + User.last_name).ilike(pattern))
    found: list[User] = []
    begins = User.username.ilike(pattern.removeprefix("%"))  # first, because a mention is a username
    for each in session.scalars(
        _active_users().where(names).order_by(begins.desc(), User.first_name, User.id).limit(MAX_SUGGESTIONS * 4)
    ):
        if len(found) < MAX_SUGGESTIONS and may_read(each, row):
            found.append(each)
    return found


def find_colleague(typed: str, row: Noun) -> User:
    """Find the user meant by "12 · Dina Rao", "@dina" or "dina"; without text, the current user."""
    head = typed.split("·", maxsplit=1)[0].strip().removeprefix("@")
    me = access.actor().user_id
    condition = (
        User.id == (int(head) if head else me)
        if (head.isdecimal() and len(head) < 10) or not head
        else func.lower(User.username) == head.lower()
    )
    user = session.scalar(_active_users().where(condition))
    if user is None or not may_read(user, row):
        raise Invalid.for_fields(
            {"who": "No team member with that name can see this record. Choose one from the list."}
        )
    return user


def may_read(user: User, row: Noun) -> bool:
    with access.acting(security.desk_actor(user)):
        try:
            about_a_record.record_about(row.__tablename__, row.id)
        except Missing:
            return False
    return True


def active_users() -> Iterator[User]:
    yield from session.scalars(_active_users().order_by(User.id)).all()


def name_of(user: User) -> str:
    return " ".join(filter(None, (user.first_name, user.last_name))) or str(user.username)


def _active_users() -> Any:
    return select(User).where(User.active.is_(True))

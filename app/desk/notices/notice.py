"""Notification for one user, in the desk and by email as they prefer; also the reminders of open items (`Waits`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, bindparam, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from app.desk.declare.column import staff_locale
from app.desk.declare.resource import Resource, Waits, registered_resources
from app.desk.notices.colleague import active_users, name_of
from app.desk.notices.preference import Preference
from app.desk.sign_in import security
from app.desk.sign_in.user import User
from app.kernel import access, clock
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Refused
from app.kernel.jobs import Job, every
from app.kernel.people import Person
from app.kernel.translation import ENGLISH, speaking
from app.messages.message import Message, tell

EMAIL_DELAY = 5  # minutes; what was read in the desk by then is not sent
MAX_IDS = 500


class Notice(Noun):
    """One line of a user's notifications: the text, the record it is about, and when it was read."""

    known_as = "notification"
    audited = False  # what it tells is in the history of other records
    __table_args__ = (
        Index("notice_mine", "user_id", "id"),
        Index("notice_new", "user_id", postgresql_where=text("read_at is null")),
        Index("notice_topic", "user_id", "topic"),
    )

    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"))
    kind: Mapped[str]
    noun: Mapped[str | None]
    row_id: Mapped[int | None]
    words: Mapped[str] = mapped_column(info={"personal": True})
    read_at: Mapped[datetime | None]
    topic: Mapped[str | None]  # of open items: one notice as long as it is unread
    ids: Mapped[list[Any]] = mapped_column(default=list)

    @classmethod
    def is_mine(cls) -> ColumnElement[bool]:
        return cls.user_id == access.actor().user_id

    @classmethod
    def count_unread(cls, user_id: int | None) -> int:
        return session.scalar(_UNREAD, {"user": user_id}) or 0

    def wants(self, message: Message) -> bool:
        """Send the email only if the notification is still unread."""
        return self.read_at is None

    def __str__(self) -> str:
        return self.words or "Notification"


# Built once, because every page runs it.
_UNREAD = select(func.count()).where(Notice.user_id == bindparam("user"), Notice.read_at.is_(None))


def notify_user(
    user: User, kind: str, words: str, *, row: Noun | None = None, topic: str | None = None, ids: Sequence[int] = ()
) -> None:
    """Notify a user in the way that they prefer. Part of the transaction, like `tell`."""
    way = Preference.ways_of(user.id)[kind]
    if way == "off":
        return
    about = {"noun": row.__tablename__, "row_id": row.id} if row is not None else {}
    notice = Notice(user_id=user.id, kind=kind, words=words, topic=topic, ids=[*ids], **about)
    session.add(notice)
    if way == "email":
        _send_by_email(notice, user)


def _send_by_email(notice: Notice, user: User) -> None:
    """Queue the email. An invalid address is no error, since the notification is in the desk."""
    try:
        with speaking(ENGLISH):
            person = Person.find_or_create(
                name=name_of(user), email=user.email or "", phone="", timezone=staff_locale.timezone
            )
    except Refused:
        return
    tell(person, "house/notice", at=clock.ahead(minutes=EMAIL_DELAY), notice=notice)


# --- what waits -------------------------------------------------------------------------------------------------------


def waiting_items() -> Iterator[tuple[Resource, Waits]]:
    """Yield the declared kinds of open items that are for the current user."""
    who = access.actor()
    for resource in registered_resources():
        if who.may(resource.noun, "read"):
            yield from ((resource, each) for each in resource.waits if each.is_for(who.roles))


@every("Send reminders of open items", minutes=2)
def say_what_waits() -> None:
    """Notify every user once of new open items, with one notification for each kind."""
    for user in active_users():
        with access.acting(security.desk_actor(user)), transaction():
            latest = _latest_by_topic(user)
            for resource, waits in waiting_items():
                _notify_of_waiting(user, resource, waits, latest)


def _latest_by_topic(user: User) -> dict[str | None, Notice]:
    """Return the latest notice of each topic."""
    latest = (
        select(func.max(Notice.id)).where(Notice.user_id == user.id, Notice.topic.is_not(None)).group_by(Notice.topic)
    )
    return {each.topic: each for each in session.scalars(select(Notice).where(Notice.id.in_(latest)))}


def _notify_of_waiting(user: User, resource: Resource, waits: Waits, latest: Mapping[str | None, Notice]) -> None:
    noun = resource.noun
    now = [
        *session.scalars(
            select(noun.id).where(access.scope_condition(noun), waits.where()).order_by(noun.id.desc()).limit(MAX_IDS)
        )
    ]
    topic = f"{resource.name}: {waits.label}"
    last = latest.get(topic)
    new = set(now) - set(last.ids if last else ())
    if last is not None and last.ids != now:
        last.ids = now  # an item that leaves and returns counts as new
    if not new:
        return
    words = f"{waits.label}: {len(now)}{' and more' if len(now) == MAX_IDS else ''}"
    if last is not None and last.read_at is None:
        last.words = words
        return
    row = session.get(noun, new.pop()) if len(now) == 1 else None
    notify_user(
        user,
        "job" if noun is Job else "waits",
        words if row is None else f"{waits.label}: {row}",
        row=row,
        topic=topic,
        ids=now,
    )


@every("Delete old notifications", days=1)
def forget_old_notices() -> None:
    """Delete notifications that were read more than three months ago."""
    with transaction():
        session.execute(Notice.__table__.delete().where(Notice.read_at < clock.ahead(days=-90)))

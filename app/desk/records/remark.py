"""Note (remark): a comment of a colleague on a record, visible to everyone who can read the record. Mentions notify."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.desk.notices.colleague import mentioned_names, readers_named
from app.desk.notices.notice import notify_user
from app.kernel import clock
from app.kernel.access import actor
from app.kernel.db import Noun, noun_of_table, session
from app.kernel.errors import Invalid, Refused

EDITABLE_FOR = timedelta(minutes=15)
LONGEST = 4000


class Remark(Noun):
    """A note. Its author can edit it for fifteen minutes."""

    known_as = "note"
    __table_args__ = (Index("remark_about", "noun", "row_id", "id"),)

    noun: Mapped[str]
    row_id: Mapped[int]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id", ondelete="SET NULL"), index=True)
    name: Mapped[str]
    words: Mapped[str] = mapped_column(info={"long": True, "personal": True})
    edited_at: Mapped[datetime | None]

    @classmethod
    def write(cls, row: Noun, words: str, names: set[str] | None = None) -> Self:
        """Add a note and notify the users mentioned in it.

        `names` are the users to notify if parts of the text were not written by the author.
        """
        who = actor()
        made = cls(
            noun=row.__tablename__, row_id=row.id, user_id=who.user_id, name=who.name, words=_checked_words(words)
        )
        session.add(made)
        made._notify_mentioned(row, mentioned_names(made.words) if names is None else names)
        return made

    def edit_words(self, words: str) -> None:
        self.lock()
        if not self.is_open:
            raise Refused("A note can only be edited by its author, within 15 minutes. Add another note instead.")
        before, self.words, self.edited_at = mentioned_names(self.words), _checked_words(words), clock.now()
        self._notify_mentioned(noun_of_table(self.noun).get(self.row_id), mentioned_names(self.words) - before)

    @property
    def is_open(self) -> bool:
        """Whether the current user can still edit it."""
        return (
            self.user_id is not None
            and self.user_id == actor().user_id
            and clock.now() - self.created_at < EDITABLE_FOR
        )

    def _notify_mentioned(self, row: Noun, names: set[str]) -> None:
        """Notify the mentioned users who may read the record. Others are skipped without a message."""
        for user in readers_named(names, row):
            if user.id != self.user_id:
                notify_user(user, "mention", f"{self.name} mentioned you on {row}.", row=row)


def _checked_words(words: str) -> str:
    said = words.replace("\r\n", "\n").strip()
    if not said:
        raise Invalid.for_fields({"words": "Enter a note."})
    if len(said) > LONGEST or "\x00" in said:
        raise Invalid.for_fields({"words": f"Use at most {LONGEST:,} characters."})
    return said

"""Task: a to-do about a record for a colleague, with a due date and a reminder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from sqlalchemy import ForeignKey, Index, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from app.desk.declare.about_a_record import about_readable
from app.desk.notices.colleague import find_colleague, may_read
from app.desk.notices.notice import notify_user
from app.kernel import clock
from app.kernel.access import actor
from app.kernel.db import Noun, noun_of_table, session, transaction
from app.kernel.errors import Invalid, Missing
from app.kernel.jobs import every
from app.kernel.workflow import asked, move

HANDS = "Desk Practitioner Accountant"
LONGEST = 200
SOON = 20


@dataclass(frozen=True)
class Assignee:
    who: str = asked("Assignee", help="A user name, such as dina.")


class Task(Noun):
    states = "open", "done"
    __table_args__ = (
        Index("task_about", "noun", "row_id", "id"),
        Index("task_due", "due_on", postgresql_where=text("state = 'open'")),
    )

    noun: Mapped[str]
    row_id: Mapped[int]
    about: Mapped[str] = mapped_column(default="", info={"personal": True})
    title: Mapped[str] = mapped_column(info={"personal": True, "label": "Task"})
    who_id: Mapped[int | None] = mapped_column(ForeignKey("ab_user.id", ondelete="SET NULL"), index=True)
    who: Mapped[Any] = relationship("User", lazy="joined")
    asked_by: Mapped[str] = mapped_column(info={"label": "Assigned by"})
    due_on: Mapped[date | None] = mapped_column(info={"label": "Due"})
    reminded_on: Mapped[date | None] = mapped_column(info={"label": "Reminder sent on"})

    @validates("title")
    def _valid_title(self, key: str, value: str) -> str:
        title = " ".join(str(value).split())
        if not title or len(title) > LONGEST:
            raise Invalid.for_fields({"title": f"Enter a task of 1 to {LONGEST} characters."})
        return title

    @classmethod
    def create(cls, row: Noun, title: str, who: str, due_on: date | None) -> Self:
        user = find_colleague(who, row)
        made = cls(
            noun=row.__tablename__,
            row_id=row.id,
            about=str(row),
            title=title,
            who=user,
            asked_by=actor().name,
            due_on=due_on,
        )
        session.add(made)
        made._notify(user)
        return made

    def tidy(self) -> None:
        """Remind again if the due date has moved into the future."""
        if self.due_on is not None and self.due_on > clock.today():
            self.reminded_on = None

    @classmethod
    def open_for_user(cls) -> list[Self]:
        """Return the open tasks of the current user, the most urgent first."""
        if not actor().may(cls, "read"):
            return []
        here = select(cls).where(cls.who_id == actor().user_id, cls.state == "open", about_readable(cls))
        return [*session.scalars(here.order_by(cls.due_on.asc().nulls_last(), cls.id).limit(SOON))]

    @property
    def is_late(self) -> bool:
        return self.state == "open" and self.due_on is not None and self.due_on < clock.today()

    @property
    def is_for_today(self) -> bool:
        return self.state == "open" and self.due_on == clock.today()

    @move("open", to="done", by=HANDS, label="Mark as done")
    def finish(self) -> None:
        """Marks the task as done."""

    @move("done", to="open", by=HANDS, label="Reopen")
    def open_again(self) -> None:
        """Opens the task again."""

    @move("open", by=HANDS, label="Reassign", asks=Assignee)
    def hand_over(self, asked: Assignee) -> None:
        """Gives the task to another team member, who is notified."""
        self.who = find_colleague(asked.who, self.record)
        self.reminded_on = None
        self._notify(self.who)

    def remind(self) -> None:
        """Notify the assignee once, on the due date, unless they can no longer read the record."""
        self.reminded_on = clock.today()
        if self.who is not None and self.who.active and may_read(self.who, self.record):
            notify_user(self.who, "due", f"{'Overdue' if self.is_late else 'Due today'}: {self.title}", row=self.record)

    def _notify(self, user: Any) -> None:
        if user.id != actor().user_id:
            notify_user(user, "task", f"{actor().name} assigned you a task: {self.title}", row=self.record)

    @property
    def record(self) -> Noun:
        return noun_of_table(self.noun).get(self.row_id)

    def __str__(self) -> str:
        return self.title or f"Task {self.id}"


@every("Send task reminders", minutes=10)
def remind_of_tasks() -> None:
    """Send each reminder in its own transaction, so that a missing record does not stop the others."""
    due = select(Task.id).where(
        Task.state == "open", Task.due_on <= clock.today(), Task.reminded_on.is_(None), Task.who_id.is_not(None)
    )
    for id in session.scalars(due.order_by(Task.id)).all():
        try:
            with transaction():
                Task.get(id).lock().remind()
        except Missing:
            continue

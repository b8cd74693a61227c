"""Automation run: one automation for one record after one change, queued with the change, run once, kept as a log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from secrets import token_hex
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, Index, UniqueConstraint, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.desk.automations import automation
from app.desk.automations.automation import Automation, name_with_article
from app.desk.lists.query import ids_matching
from app.desk.notices.notice import Notice, notify_user
from app.kernel import clock, events
from app.kernel.access import Actor, acting
from app.kernel.db import Noun, noun_of_table, session, transaction
from app.kernel.errors import Busy, Missing, Refused
from app.kernel.events import NounEvents
from app.kernel.jobs import at_automation_depth, automation_depth, every, job, later
from app.kernel.workflow import move

log = logging.getLogger(__name__)

MAX_CHAIN = 5  # automations that trigger one another
MAX_PER_HOUR = 20  # for one automation and one record
KEPT_DAYS = 180  # days


class AutomationRun(Noun, table="run"):
    """The steps of one automation for one row: all of them in one transaction, or none."""

    states = "waiting", "done", "failed", "stopped"
    state_labels: ClassVar[dict[str, str]] = {"waiting": "Queued", "done": "Completed"}
    audited = False  # a run is its own record; a line is only written when a person presses "Retry run"
    __table_args__ = (
        UniqueConstraint("automation_id", "row_id", "verb", "change"),
        Index("run_about", "noun", "row_id"),
    )
    refusals: ClassVar[dict[str, str]] = {"run_automation_id_row_id_verb_change_key": "This run is already queued."}

    automation_id: Mapped[int] = mapped_column(ForeignKey("automation.id"))
    automation: Mapped[Automation] = relationship(lazy="joined", innerjoin=True)
    noun: Mapped[str]
    row_id: Mapped[int]
    about: Mapped[str] = mapped_column(default="", info={"personal": True})
    verb: Mapped[str] = mapped_column(info={"label": "Trigger"})
    change: Mapped[str]  # identifies the transaction that triggered it
    chain: Mapped[int]  # the number of automations that led here, including this one
    did: Mapped[list[Any]] = mapped_column(default=list, info={"personal": True})
    trouble: Mapped[str] = mapped_column(default="", info={"long": True, "personal": True, "label": "Error"})
    finished_at: Mapped[datetime | None] = mapped_column(info={"label": "Finished"})

    @classmethod
    def queue(cls, automation: Automation, row: Noun, verb: str, change: str, wrong: str = "") -> None:
        """Queue a run in the transaction of the change. Loops of automations are stopped here and reported."""
        about = {"noun": row.__tablename__, "row_id": row.id, "about": str(row)}
        run = cls(automation=automation, verb=verb, change=change, chain=automation_depth() + 1, **about)
        session.add(run)
        session.flush()
        if run.chain > MAX_CHAIN:
            run.stop_and_notify(
                f"This automation was not started, because {MAX_CHAIN} automations have already triggered one another."
            )
        elif cls._count_recent(automation, row) > MAX_PER_HOUR:
            run.stop_and_notify(
                f"This automation ran for the same record {MAX_PER_HOUR} times within an hour, "
                "so it was not started again. Another system may be triggering it."
            )
        elif wrong:
            run.fail(wrong)
        else:
            later(run_automation, run)

    @classmethod
    def _count_recent(cls, automation: Automation, row: Noun) -> int:
        """Count the runs of the last hour. Loops through another system do not appear in `chain`."""
        same = (
            cls.automation_id == automation.id,
            cls.noun == row.__tablename__,
            cls.row_id == row.id,
            cls.state != "stopped",
        )
        return session.scalar(select(func.count()).where(*same, cls.created_at > clock.ahead(hours=-1))) or 0

    def execute(self) -> None:
        """Run all steps in one transaction, so that a killed worker leaves nothing half done."""
        try:
            with (
                acting(Actor(f"Automation “{self.automation.name}”", "worker")),
                at_automation_depth(self.chain),
                transaction(),
            ):
                self.lock()
                self._execute_steps()
        except (Busy, OperationalError):
            raise  # temporary: the job is retried
        except Exception as error:
            session.rollback()
            if not isinstance(error, Refused):
                log.exception("%s could not do what it should", self.automation)
            with transaction():
                self.lock()
                if self.state == "waiting":
                    self.fail(_error_text(error))

    def _execute_steps(self) -> None:
        if self.state != "waiting":
            return
        if self.automation.state != "on":
            self.stop("The automation was turned off before this run started.")
            return
        row = self._record()
        if row is None:
            self.stop("The record no longer exists.")
            return
        did = []
        for nth, each in enumerate(self.automation.parsed_steps, 1):
            what, left = each.execute(row, self, nth)
            session.flush()
            did.append({"what": what, "noun": left and left.__tablename__, "row_id": left and left.id})
        self.finish(did)

    def _record(self) -> Noun | None:
        try:
            return noun_of_table(self.noun).get(self.row_id)
        except (Missing, KeyError):
            return None

    @move("waiting", to="done")
    def finish(self, did: list[Any]) -> None:
        """All steps were completed."""
        self.did, self.trouble, self.finished_at = did, "", clock.now()

    @move("waiting", to="failed")
    def fail(self, why: str) -> None:
        """An error occurred, and no step was carried out."""
        self.trouble, self.finished_at = why, clock.now()
        self._notify_maker("failed for")

    def stop_and_notify(self, why: str) -> None:
        self.stop(why)
        self._notify_maker("was not started again for")

    @move("waiting", to="stopped")
    def stop(self, why: str) -> None:
        """The run was stopped before it started."""
        self.trouble, self.finished_at = why, clock.now()

    @move(
        "failed",
        to="waiting",
        by="Desk",
        label="Retry run",
        when=lambda it: None if it.automation.state == "on" else "The automation is turned off. Turn it on first.",
    )
    def try_again(self) -> None:
        """Run all steps again, with the automation’s current settings."""
        self.trouble, self.finished_at = "", None
        later(run_automation, self)

    def _notify_maker(self, what: str) -> None:
        """Notify the owner once until it is read, because many records may fail. The run has the details."""
        user, topic = self.automation.maker, f"automation:{self.automation_id}"
        if user is None or not user.is_active:
            return
        if (
            session.scalar(
                select(Notice.id)
                .where(Notice.user_id == user.id, Notice.topic == topic, Notice.read_at.is_(None))
                .limit(1)
            )
            is None
        ):
            notify_user(
                user,
                "automation",
                f"“{self.automation}” {what} {name_with_article(self.noun)}. See the run for details.",
                row=self,
                topic=topic,
            )

    def __str__(self) -> str:
        return f"{self.automation}: {self.about}"


def _error_text(error: Exception) -> str:
    if isinstance(error, Refused):
        return " ".join([*error.fields.values()] or [error.words])
    return f"Unexpected error: {type(error).__name__}. {error}"[:500]


# --- listening to events ----------------------------------------------------------------------------------------------


@events.subscribe(automation.is_awaited)
def _queue_runs(happened: NounEvents) -> None:
    """Queue the automations triggered by a change, for the rows that meet their conditions after it."""
    change = token_hex(8)
    together: dict[tuple[str, str], list[Noun]] = {}
    for row, verb in happened:
        together.setdefault((row.__tablename__, verb), []).append(row)
    for (noun, verb), rows in together.items():
        for id in automation.active_automations.value.get(noun, {}).get(verb, ()):
            automation_row = session.get(Automation, id)
            if automation_row is not None and automation_row.state == "on":
                _queue_runs_of(automation_row, rows, verb, change)


def _queue_runs_of(automation: Automation, rows: Sequence[Noun], verb: str, change: str) -> None:
    """Queue the runs of one automation. If its conditions are no longer valid, the run fails and the change goes on."""
    try:
        with session.connection().begin_nested():
            ids = ids_matching(automation.resource, automation.groups, [row.id for row in rows])
        why = ""
    except Exception as error:  # noqa: BLE001  # the automation is wrong, not the change
        ids, why = {row.id for row in rows}, _error_text(error)
    for row in rows:
        if row.id in ids:
            AutomationRun.queue(automation, row, verb, change, why)


@job("Run automation", was="desk.run.do")
def run_automation(run: AutomationRun) -> None:
    run.execute()


@every("Delete old automation runs", days=1)
def forget_old_runs() -> None:
    """Delete the log of runs that ended half a year ago."""
    with transaction():
        session.execute(
            AutomationRun.__table__.delete().where(
                AutomationRun.state.in_(("done", "stopped")), AutomationRun.finished_at < clock.ahead(days=-KEPT_DAYS)
            )
        )

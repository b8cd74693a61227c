"""Job queue in PostgreSQL: later() queues a job in the transaction of the change, every() makes one recurring.

Workers claim due rows by a lease, with retries. Redis (RQ) only wakes the workers, and holds notes for other processes.
"""

from __future__ import annotations

import logging
import secrets
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast

import redis
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import Index, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel import clock, db
from app.kernel.access import Actor, acting
from app.kernel.db import Noun, session, transaction
from app.kernel.workflow import move

log = logging.getLogger(__name__)

QUEUE = "frontdesk"
LEASE = timedelta(seconds=90)  # longer than the slowest external call: an email has seven steps of ten seconds
ATTEMPTS = 8
WORKER = Actor("System", "worker")

Work = Callable[..., None]
_work: dict[str, Work] = {}
_labels: dict[str, str] = {}
_clockwork: dict[str, timedelta] = {}
_queue: Queue | None = None
_before_work: list[Callable[[], None]] = []
_depth: ContextVar[int] = ContextVar("automation depth", default=0)


class Job(Noun):
    """A function to be called by a worker, until it succeeds or has failed too often; the row keeps the last error."""

    states = "waiting", "running", "done", "failed"
    state_labels: ClassVar[dict[str, str]] = {"waiting": "Queued"}
    publishes_added = False
    audited = False  # the row is its own record; only "Try again" by a person writes history
    __table_args__ = (Index("job_due", "due_at", postgresql_where=text("state in ('waiting', 'running')")),)

    name: Mapped[str] = mapped_column(index=True, info={"label": "Job", "says": lambda job: job.label})
    noun: Mapped[str | None] = mapped_column(info={"choices": db.table_labels})
    row_id: Mapped[int | None]
    due_at: Mapped[datetime] = mapped_column(info={"label": "Due"})
    key: Mapped[str | None] = mapped_column(unique=True)
    attempts: Mapped[int] = mapped_column(default=0)
    chain: Mapped[int] = mapped_column(default=0)  # how many automations led to it, each starting the next
    lease: Mapped[str | None]
    leased_until: Mapped[datetime | None] = mapped_column(info={"label": "Reserved until"})
    error: Mapped[str] = mapped_column(default="", info={"long": True, "personal": True})
    finished_at: Mapped[datetime | None] = mapped_column(info={"label": "Finished"})

    @move("failed", to="waiting", by="Desk", label="Try again")
    def try_again(self) -> None:
        """Run the job again now."""
        self.attempts, self.due_at, self.error = 0, clock.now(), ""
        db.after_commit(wake_workers)

    @property
    def label(self) -> str:
        return job_label(self.name)

    def __str__(self) -> str:
        return f"{self.label}: {db.label_of_table(self.noun)} {self.row_id}" if self.noun else self.label


class Tick(Noun):
    """The next time of a recurring job; a row, so that a restarted scheduler goes on where it was."""

    audited = False
    name: Mapped[str] = mapped_column(unique=True)
    next_at: Mapped[datetime]


_INSERT = insert(Job.__table__).on_conflict_do_nothing(index_elements=["key"])


def job(label: str, was: str = "") -> Callable[[Work], Work]:
    """Register a function that workers call, with its label in the list of jobs: @job("Send refund").

    `was` is the name under which an older release queued it, so that jobs queued then are still done.
    """

    def mark(work: Work) -> Work:
        for name in (job_name(work), was):
            if name:
                _work[name], _labels[name] = work, label
        return work

    return mark


def job_name(work: Work) -> str:
    """Name a job by pack, file and function, such as packs.bookings.booking.lapse: a file can move within its pack."""
    _, *folders, file = work.__module__.split(".")
    return ".".join([*folders[: 2 if folders[:1] == ["packs"] else 1], file, work.__name__])


def every(label: str, was: str = "", **span: float) -> Callable[[Work], Work]:
    """Register a recurring job that the scheduler queues: @every("Check pending refunds", minutes=1)."""

    def mark(work: Work) -> Work:
        _clockwork[job_name(work)] = timedelta(**span)
        return job(label, was)(work)

    return mark


def job_label(name: str) -> str:
    """The label of a job; its name, if no installed pack has it."""
    return _labels.get(name, name)


def known_names() -> list[str]:
    """The names that rows of the table may have: of this release, and of those before."""
    return sorted(_work)


def later(work: Work, row: Noun | None = None, *, at: datetime | None = None, key: str | None = None) -> None:
    """Queue a job in the open transaction: it exists if and only if the change commits.

    With a key it is queued once, however often it is asked for.
    """
    if job_name(work) not in _work:
        raise RuntimeError(f"{work.__name__} is not a @job.")
    if not session().info.get("open"):
        raise RuntimeError("later() is part of a change: call it inside the transaction.")
    if row is not None:
        session.flush()
    row_values = {
        "name": job_name(work),
        "noun": row and row.__tablename__,
        "row_id": row and row.id,
        "due_at": at or clock.now(),
        "key": key,
        "chain": automation_depth(),
    }
    defaults = {
        "state": "waiting",
        "attempts": 0,
        "error": "",
        "created_at": clock.now(),
        "changed_at": clock.now(),
        "version": 1,
    }
    session.execute(_INSERT, row_values | defaults)
    if at is None or at <= clock.now():
        db.after_commit(wake_workers)


def automation_depth() -> int:
    """How many automations led to the current change; a job counts on from the change that queued it."""
    return _depth.get()


@contextmanager
def at_automation_depth(depth: int) -> Iterator[None]:
    token = _depth.set(depth)
    try:
        yield
    finally:
        _depth.reset(token)


# --- the worker's side ------------------------------------------------------------------------------------------------


def before_work(call: Callable[[], None]) -> None:
    """Set what a worker does before its jobs: refresh what this process has cached."""
    _before_work[:] = [call]


def work_until_idle() -> None:
    """Do due jobs one by one, until none is left or half a minute is over. RQ calls this by its name."""
    for prepare in _before_work:
        prepare()
    began = time.monotonic()
    while time.monotonic() - began < 30:
        if not do_one():
            return
    wake_workers()


def do_one() -> bool:
    """Claim and do one due job; False if there is none."""
    claimed = _claim()
    if claimed is None:
        return False
    id, name, noun, row_id, attempts, depth, lease = claimed
    try:
        with acting(WORKER), at_automation_depth(depth):
            _call(name, noun, row_id)
    except Exception as error:  # noqa: BLE001  # every error is written to the row, where staff look
        log.warning("%s %s did not work, attempt %s of %s: %r", name, row_id, attempts, ATTEMPTS, error)
        session.rollback()
        _put_off(id, lease, attempts, error)
    else:
        _settle(id, lease, state="done", error="", finished_at=clock.now())
    finally:
        session.remove()
    return True


def _call(name: str, noun: str | None, row_id: int | None) -> None:
    work = _work.get(name)
    if work is None:
        raise LookupError(f"This version has no job called {name!r}.")
    if noun is None:
        work()
        return
    assert row_id is not None
    work(db.noun_of_table(noun).get(row_id))


# Two workers must never both read "waiting", so one statement reads and writes here instead of a @move.
_ONE_STATEMENT = {"without_a_move": "claimed and settled in one statement"}


def _claim() -> tuple[int, str, str | None, int | None, int, int, str] | None:
    lease = secrets.token_hex(8)
    due = or_(
        (Job.state == "waiting") & (Job.due_at <= clock.now()),
        (Job.state == "running")
        & (Job.leased_until < clock.now())
        & (Job.attempts < ATTEMPTS),  # the lease ran out: its worker was killed
    )
    first = (
        select(Job.id)
        .where(due)
        .order_by(Job.due_at, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    taken = (
        update(Job.__table__)
        .where(Job.id == first)
        .values(state="running", lease=lease, leased_until=clock.now() + LEASE, attempts=Job.attempts + 1)
        .returning(Job.id, Job.name, Job.noun, Job.row_id, Job.attempts, Job.chain)
    )
    with transaction():
        row = session.execute(taken, execution_options=_ONE_STATEMENT).one_or_none()
    return (*row, lease) if row else None


def _put_off(id: int, lease: str, attempts: int, error: Exception) -> None:
    trace = "".join(traceback.format_exception(error))[-4000:]
    if attempts >= ATTEMPTS:
        _settle(id, lease, state="failed", error=trace)
    else:
        _settle(
            id,
            lease,
            state="waiting",
            error=trace,
            due_at=clock.now() + timedelta(seconds=min(5 * 3 ** (attempts - 1), 3600)),
        )


def _settle(id: int, lease: str, **values: Any) -> None:
    """Write the result, unless another worker holds the lease by now."""
    with transaction():
        session.execute(
            update(Job.__table__)
            .where(Job.id == id, Job.lease == lease)
            .values(lease=None, leased_until=None, **values),
            execution_options=_ONE_STATEMENT,
        )


# --- the scheduler's side ---------------------------------------------------------------------------------------------


def tick() -> None:
    """Queue the recurring jobs that are due, and wake the workers while any job is due."""
    with transaction():
        _begin()
        due = select(Tick).where(Tick.name.in_(_clockwork), Tick.next_at <= clock.now()).order_by(Tick.id)
        for each in session.scalars(due.with_for_update(skip_locked=True)).all():
            later(_work[each.name], key=f"{each.name}:{each.next_at.isoformat()}")
            each.next_at = clock.now() + _clockwork[each.name]
        _give_up()
    if is_anything_due():
        wake_workers()
    session.remove()


def _give_up() -> None:
    """Fail a job that killed its worker too often, so that staff see it instead of an endless loop."""
    hopeless = (Job.state == "running") & (Job.leased_until < clock.now()) & (Job.attempts >= ATTEMPTS)
    ended = (
        update(Job.__table__)
        .where(hopeless)
        .values(
            state="failed",
            lease=None,
            leased_until=None,
            error=f"The worker that ran this job was stopped {ATTEMPTS} times.",
        )
    )
    session.execute(ended, execution_options=_ONE_STATEMENT)


def _begin() -> None:
    """Add a row for each new recurring job. It looks first: a conflicting insert would use up an ID each second."""
    known = {*session.scalars(select(Tick.name))}
    always = {"next_at": clock.now(), "created_at": clock.now(), "changed_at": clock.now(), "version": 1}
    if new := [{"name": name} | always for name in _clockwork if name not in known]:
        session.execute(insert(Tick.__table__).on_conflict_do_nothing(), new)


def is_anything_due() -> bool:
    waiting = (Job.state == "waiting") & (Job.due_at <= clock.now())
    abandoned = (Job.state == "running") & (Job.leased_until < clock.now()) & (Job.attempts < ATTEMPTS)
    return session.scalar(select(Job.id).where(or_(waiting, abandoned)).limit(1)) is not None


@every("Delete finished jobs", was="kernel.jobs.forget_what_is_done", days=1)
def delete_finished_jobs() -> None:
    """Delete jobs that finished more than a month ago; until then staff can see them."""
    with transaction():
        session.execute(Job.__table__.delete().where(Job.state == "done", Job.finished_at < clock.ahead(days=-30)))


def job_schedule() -> dict[str, timedelta]:
    return dict(_clockwork)


# --- Redis: wakes the workers, and holds notes for other processes ----------------------------------------------------


def connect(url: str) -> None:
    global _queue
    connection = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
    _queue = Queue(QUEUE, connection=connection, serializer=JSONSerializer)


def wake_workers() -> None:
    """Wake the workers, best effort: without Redis the scheduler tries again each second, and the row stays."""
    if _queue is None:
        return
    try:
        if _queue.count < 4:  # one wake-up empties the whole list; more would only queue up
            _queue.enqueue(work_until_idle, result_ttl=0, failure_ttl=60, job_timeout=600)
    except redis.RedisError as error:
        log.warning("workers could not be woken: %s", error)


def set_note(name: str, note: str) -> None:
    """Leave a note for other processes. Redis may lose it, so the database must hold the same facts."""
    if _queue is not None:
        with suppress(redis.RedisError):
            _queue.connection.set(f"{QUEUE}:{name}", note)


def get_notes(*names: str) -> list[str | None]:
    """The note of each name: "" if there is none, None if Redis cannot be read."""
    if _queue is None:
        return [None] * len(names)
    try:
        found = cast(list[bytes | None], _queue.connection.mget([f"{QUEUE}:{each}" for each in names]))
    except redis.RedisError:
        return [None] * len(names)
    return [each.decode() if each else "" for each in found]

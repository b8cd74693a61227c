"""later() and every(): a job is a row written with the change; Redis only carries the news that there is work."""

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
LEASE = timedelta(seconds=90)  # longer than the slowest stranger may take: a mail has seven steps of ten seconds
ATTEMPTS = 8
WORKER = Actor("System", "worker")

Work = Callable[..., None]
_work: dict[str, Work] = {}
_labels: dict[str, str] = {}
_clockwork: dict[str, timedelta] = {}
_queue: Queue | None = None
_before_work: list[Callable[[], None]] = []
_chain: ContextVar[int] = ContextVar("chain", default=0)


class Job(Noun):
    """Something owed. It is done once, or it stays here with the reason why not."""

    states = "waiting", "running", "done", "failed"
    state_labels: ClassVar[dict[str, str]] = {"waiting": "Queued"}
    publishes_added = False
    audited = False  # a job is its own record; a line is only written when a person presses "Try again"
    __table_args__ = (Index("job_due", "due_at", postgresql_where=text("state in ('waiting', 'running')")),)

    name: Mapped[str] = mapped_column(index=True, info={"label": "Job", "says": lambda job: job.label})
    noun: Mapped[str | None] = mapped_column(info={"choices": db.table_labels})
    row_id: Mapped[int | None]
    due_at: Mapped[datetime] = mapped_column(info={"label": "Due"})
    key: Mapped[str | None] = mapped_column(unique=True)
    attempts: Mapped[int] = mapped_column(default=0)
    chain: Mapped[int] = mapped_column(default=0)  # how many automations led to it, one starting the next
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
    """When the clock does something next. A row, so that a stopped clock goes on where it was."""

    audited = False
    name: Mapped[str] = mapped_column(unique=True)
    next_at: Mapped[datetime]


_OWE = insert(Job.__table__).on_conflict_do_nothing(index_elements=["key"])


def job(label: str, was: str = "") -> Callable[[Work], Work]:
    """Register a function that workers call, one line that calls a noun: @job("Send refund"), as the list of jobs has it.

    `was` is the name under which an older release queued it: what is still queued then is done by the newer one.
    """

    def mark(work: Work) -> Work:
        for name in (job_name(work), was):
            if name:
                _work[name], _labels[name] = work, label
        return work

    return mark


def job_name(work: Work) -> str:
    """packs.bookings.booking.lapse: the pack, the file and the function, without the folders between, so a file can move within its pack."""
    _, *folders, file = work.__module__.split(".")
    return ".".join([*folders[: 2 if folders[:1] == ["packs"] else 1], file, work.__name__])


def every(label: str, was: str = "", **span: float) -> Callable[[Work], Work]:
    """Register a job that the scheduler queues again and again: @every("Check pending refunds", minutes=1)."""

    def mark(work: Work) -> Work:
        _clockwork[job_name(work)] = timedelta(**span)
        return job(label, was)(work)

    return mark


def job_label(name: str) -> str:
    """What a job does; of a line of business that is no longer here, only its name is known."""
    return _labels.get(name, name)


def known_names() -> list[str]:
    """The names that rows of the table may have: of this release, and of those before."""
    return sorted(_work)


def later(work: Work, row: Noun | None = None, *, at: datetime | None = None, key: str | None = None) -> None:
    """Owe this. Written with the change that is being made: no commit, no job; commit, and it will be done.

    With a key it is owed once, however often it is asked for.
    """
    if job_name(work) not in _work:
        raise RuntimeError(f"{work.__name__} is not a @job.")
    if not session().info.get("open"):
        raise RuntimeError("later() is part of a change: call it inside the transaction.")
    if row is not None:
        session.flush()
    owed = {
        "name": job_name(work),
        "noun": row and row.__tablename__,
        "row_id": row and row.id,
        "due_at": at or clock.now(),
        "key": key,
        "chain": automation_depth(),
    }
    always = {
        "state": "waiting",
        "attempts": 0,
        "error": "",
        "created_at": clock.now(),
        "changed_at": clock.now(),
        "version": 1,
    }
    session.execute(_OWE, owed | always)
    if at is None or at <= clock.now():
        db.after_commit(wake_workers)


def automation_depth() -> int:
    """How many automations led to what is being done here. What comes of a job counts on from there, however late it is done."""
    return _chain.get()


@contextmanager
def at_automation_depth(links: int) -> Iterator[None]:
    token = _chain.set(links)
    try:
        yield
    finally:
        _chain.reset(token)


# --- the worker's side ------------------------------------------------------------------------------------------------


def before_work(call: Callable[[], None]) -> None:
    """Whoever answers the bell does this first: what was told to this process may be old by now."""
    _before_work[:] = [call]


def work_until_idle() -> None:
    """The bell rang: do what is due, one row after the other, until nothing is or half a minute is over."""
    for call in _before_work:
        call()
    began = time.monotonic()
    while time.monotonic() - began < 30:
        if not do_one():
            return
    wake_workers()


def do_one() -> bool:
    claimed = _claim()
    if claimed is None:
        return False
    id, name, noun, row_id, attempts, links, lease = claimed
    try:
        with acting(WORKER), at_automation_depth(links):
            _call(name, noun, row_id)
    except Exception as error:  # noqa: BLE001  # whatever it was, it must end in the row: that is where staff look
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


# Two workers must never both read "waiting", so here one statement reads and writes; everywhere else a @move does.
_ONE_STATEMENT = {"without_a_move": "claimed and settled in one statement"}


def _claim() -> tuple[int, str, str | None, int | None, int, int, str] | None:
    lease = secrets.token_hex(8)
    due = or_(
        (Job.state == "waiting") & (Job.due_at <= clock.now()),
        (Job.state == "running")
        & (Job.leased_until < clock.now())
        & (Job.attempts < ATTEMPTS),  # its worker was killed
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
    told = "".join(traceback.format_exception(error))[-4000:]
    if attempts >= ATTEMPTS:
        _settle(id, lease, state="failed", error=told)
    else:
        _settle(
            id,
            lease,
            state="waiting",
            error=told,
            due_at=clock.now() + timedelta(seconds=min(5 * 3 ** (attempts - 1), 3600)),
        )


def _settle(id: int, lease: str, **values: Any) -> None:
    """Only whoever holds the lease may say how it ended."""
    with transaction():
        session.execute(
            update(Job.__table__)
            .where(Job.id == id, Job.lease == lease)
            .values(lease=None, leased_until=None, **values),
            execution_options=_ONE_STATEMENT,
        )


# --- the clock's side -------------------------------------------------------------------------------------------------


def tick() -> None:
    """Write down what the clock owes by now, and ring while anything is due."""
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
    """A job that killed its worker again and again ends on the screen, not in a circle."""
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
    """What this build is the first to know begins at once; an insert that finds its row there would use up a number each second."""
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
    """A job that is done is kept for a month, so that staff can see what happened."""
    with transaction():
        session.execute(Job.__table__.delete().where(Job.state == "done", Job.finished_at < clock.ahead(days=-30)))


def job_schedule() -> dict[str, timedelta]:
    return dict(_clockwork)


# --- the doorbell, and a board for notes: the only things that Redis is used for here ---------------------------------


def connect(url: str) -> None:
    global _queue
    connection = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
    _queue = Queue(QUEUE, connection=connection, serializer=JSONSerializer)


def wake_workers() -> None:
    """Best effort: if Redis is away, the clock rings again in a second, and the row is still there."""
    if _queue is None:
        return
    try:
        if _queue.count < 4:  # one ring empties the whole list; more would only queue up
            _queue.enqueue(work_until_idle, result_ttl=0, failure_ttl=60, job_timeout=600)
    except redis.RedisError as error:
        log.warning("the doorbell is silent: %s", error)


def set_note(name: str, note: str) -> None:
    """A note for the other processes. Whatever it says stands in the database too: the board may be wiped."""
    if _queue is not None:
        with suppress(redis.RedisError):
            _queue.connection.set(f"{QUEUE}:{name}", note)


def get_notes(*names: str) -> list[str | None]:
    """The note of each name; "" where there is none, and None where nobody can read the board."""
    if _queue is None:
        return [None] * len(names)
    try:
        found = cast(list[bytes | None], _queue.connection.mget([f"{QUEUE}:{each}" for each in names]))
    except redis.RedisError:
        return [None] * len(names)
    return [each.decode() if each else "" for each in found]

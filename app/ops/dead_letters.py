"""What is owed: jobs by state and by name, and the letters that nobody could deliver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from flask import url_for
from sqlalchemy import Executable, Select, func, select

from app.desk.declare.resource import resource_of
from app.desk.records.history import door_to
from app.kernel import access, clock
from app.kernel.db import Noun, label_of_table, session
from app.kernel.errors import Missing, Refused
from app.kernel.jobs import Job, Tick, job_label, job_schedule
from app.kernel.workflow import Move, legal, moves, press
from app.messages.message import Message
from app.messages.webhook_delivery import WebhookDelivery
from app.money.reconcile.gateway_webhooks import Event
from app.ops.console_card import Card, Cell, Press, Tile, ago, at, number, told_span

SHOWN = 50
AT_ONCE = 500
LATE = timedelta(minutes=1)  # a worker that is awake takes what is due within seconds
ASLEEP = timedelta(seconds=20)  # the clock looks once a second

# What gave up, and what it says about why. Rows of a line of business that failed are its own affair.
LETTERS: dict[type[Noun], tuple[str, str]] = {
    Job: ("failed", "error"),
    Message: ("failed", "trouble"),
    Event: ("parked", "trouble"),
    WebhookDelivery: ("failed", "trouble"),
}


# --- jobs -------------------------------------------------------------------------------------------------------------


def jobs(state: str) -> Iterator[Card]:
    yield _by_name()
    found = session.scalars(select(Job).where(Job.state == state).order_by(*_order(state)).limit(SHOWN))
    heads, label = ("Job", "Record", "Due", "Attempts", "Result", ""), Job.state_label(state)
    yield Card(
        f"{label} jobs", "gear", heads=heads, rows=[_job(each) for each in found], empty=f"No {label.lower()} jobs."
    )


def _order(state: str) -> tuple[Any, ...]:
    return (Job.due_at, Job.id) if state in ("waiting", "running") else (Job.changed_at.desc(), Job.id.desc())


def _job(job: Job) -> list[Cell]:
    about = f"{label_of_table(job.noun)} {job.row_id}" if job.noun else ""
    trouble = job.error.strip().rpartition("\n")[2] or (f"Finished {ago(job.finished_at)}" if job.finished_at else "")
    again = [Press("Try again", _door(job, "try_again"))] if job.state == "failed" else []
    return [
        Cell(job.label, door_to(Job, job.id) or ""),
        Cell(about or "–", (door_to(job.noun, job.row_id) or "") if job.noun else ""),
        Cell(at(job.due_at)),
        number(job.attempts),
        Cell(trouble or "–", long=True, tone="bad" if job.error else ""),
        Cell("", presses=again),
    ]


def counted() -> dict[str, int]:
    found = dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all())
    return {state: found.get(state, 0) for state in Job.states}


def _by_name() -> Card:
    """How long each kind waits after it is due: half of them at most so long, and all but one in twenty."""
    waits = func.extract("epoch", Job.finished_at - Job.due_at)
    done = (Job.state == "done") & (Job.finished_at > clock.ahead(days=-1))
    columns = [func.count().filter(Job.state == state) for state in ("waiting", "running", "failed")]
    late = [func.percentile_cont(part).within_group(waits).filter(done) for part in (0.5, 0.95)]
    asked = (
        select(Job.name, *columns, func.count().filter(done), *late)
        .group_by(Job.name)
        .order_by(columns[2].desc(), Job.name)
    )
    rows = [
        [
            Cell(job_label(name)),
            *map(number, counts),
            Cell(told_span(half), figure=True),
            Cell(told_span(most), figure=True),
        ]
        for name, *counts, half, most in _rows(asked)
    ]
    states = (Job.state_label(state) for state in ("waiting", "running", "failed"))
    heads = ("Job", *states, "Finished (24 hours)", "Median delay", "95th percentile delay")
    return Card(
        "Jobs by type",
        "chart",
        heads=heads,
        rows=rows,
        empty="No jobs yet.",
        note="The delay is the time from when a job is due until it finishes.",
    )


def _rows(asked: Executable) -> Sequence[Any]:
    return session.execute(asked).all()


def clock_told() -> tuple[bool, str]:
    """Whether the clock is awake: what it should have asked for by now, it has."""
    first = session.scalar(select(func.min(Tick.next_at)).where(Tick.name.in_([*job_schedule()])))
    if first is None:
        return False, "It has not run yet. Start the clock process."
    if first + ASLEEP < clock.now():
        return False, f"Its last run was due {ago(first)}. Check the clock process."
    return True, f"Next run: {at(first)}"


def tiles() -> Iterator[Tile]:
    states = counted()
    late = session.scalar(select(func.count()).where(Job.state == "waiting", Job.due_at < clock.now() - LATE)) or 0
    yield Tile(
        "Overdue jobs",
        str(late),
        "ops_jobs",
        f"{states['waiting']:,} waiting, {states['running']:,} running",
        "warn" if late else "good",
    )
    dead = {noun: _count(noun) for noun in LETTERS}
    told = ", ".join(f"{count:,} {_label(noun, count).lower()}" for noun, count in dead.items() if count)
    yield Tile(
        "Failed deliveries",
        f"{sum(dead.values()):,}",
        "ops_letters",
        told or "Nothing has failed.",
        "bad" if told else "good",
    )
    awake, why = clock_told()
    yield Tile("Scheduler", "Running" if awake else "Stopped", "ops_redis", why, "good" if awake else "bad")


# --- dead letters -----------------------------------------------------------------------------------------------------


def letters() -> Iterator[Card]:
    who = access.actor()
    for noun in LETTERS:
        count = _count(noun)
        rows = [
            _letter(row, who)
            for row in session.scalars(
                _dead(noun).order_by(noun.changed_at.desc(), noun.id.desc()).limit(SHOWN)
            ).unique()
        ]
        all_ = [
            Press(
                f"{it.label} (all {count:,})",
                url_for("ops_letters.move_all", noun=noun.__tablename__, move=it.name),
                it.careful,
            )
            for it in _safe(noun)
            if count
        ]
        heads, label = ("Item", "Failed at", "Reason", ""), _label(noun)
        note = f"The latest {SHOWN} of {count:,}." if count > SHOWN else ""
        yield Card(label, "inbox", heads=heads, rows=rows, empty=f"No failed {label.lower()}.", presses=all_, note=note)


def _label(noun: type[Noun], count: int = 2) -> str:
    """What one or several of them are called on the desk."""
    resource = resource_of(noun)
    one = resource.one if resource else label_of_table(noun.__tablename__)
    return one if count == 1 else resource.label if resource else f"{one}s"


def _dead(noun: type[Noun]) -> Select[Any]:
    return select(noun).where(noun.state == LETTERS[noun][0])


def _count(noun: type[Noun]) -> int:
    return session.scalar(select(func.count()).select_from(_dead(noun).subquery())) or 0


def _safe(noun: type[Noun]) -> list[Move]:
    """The first move that tries it again, if it can be made without a question for each: a second email is not sent in bulk."""
    mine = [it for it in moves(noun).values() if it.by and LETTERS[noun][0] in it.sources and it.to == "waiting"]
    return [it for it in mine if not (it.asks or it.confirm)]


def _letter(row: Any, who: access.Actor) -> list[Cell]:
    why = str(getattr(row, LETTERS[type(row)][1])).strip().rpartition("\n")[2]
    presses = [
        Press(it.label, _door(row, it.name), it.careful) for it in legal(row, who) if not (it.asks or it.confirm)
    ]
    return [
        Cell(str(row), door_to(type(row), row.id) or ""),
        Cell(at(row.changed_at)),
        Cell(why or "–", long=True, tone="bad"),
        Cell("", presses=presses),
    ]


def _door(row: Noun, move: str) -> str:
    return url_for("ops_letters.move_one", noun=row.__tablename__, id=row.id, move=move)


def move_one(name: str, id: int, move: str) -> str:
    noun = _noun(name)
    row = access.find(noun, id)
    press(row, move, {})
    return f"{moves(noun)[move].happened(noun)}: {row}"


def move_all(name: str, move: str) -> str:
    """Each for itself, as on a list of the desk: one that refuses does not hold up the others."""
    noun, done, refused = _noun(name), 0, ""
    if move not in {it.name for it in _safe(noun)}:
        raise Missing
    for id in session.scalars(_dead(noun).with_only_columns(noun.id).order_by(noun.id).limit(AT_ONCE)).all():
        try:
            press(access.find(noun, id), move, {})
            done += 1
        except Refused as no:
            session.rollback()
            refused = no.words
    return f"{done:,} updated." + (f" The others were not changed: {refused}" if refused else "")


def _noun(name: str) -> type[Noun]:
    found = next((each for each in LETTERS if each.__tablename__ == name), None)
    if found is None:
        raise Missing
    return found


# --- what gateways told us, and what we told others --------------------------------------------------------------------


def events() -> Iterator[Card]:
    heads = ("Gateway", "State", "Events", "Last received")
    told = (
        select(Event.gateway, Event.state, func.count(), func.max(Event.created_at))
        .group_by(Event.gateway, Event.state)
        .order_by(Event.gateway, Event.state)
    )
    rows = [
        [Cell(name.capitalize()), _state(Event, state), number(count), Cell(ago(last))]
        for name, state, count, last in _rows(told)
    ]
    yield Card("Gateway events by state", "wallet", heads=heads, rows=rows, empty="No gateway events yet.")
    latest = session.scalars(select(Event).order_by(Event.id.desc()).limit(SHOWN // 2))
    yield Card(
        "Latest gateway events",
        "history",
        heads=("Event", "Gateway", "Received", "State", "Error"),
        rows=[
            [
                Cell(e.kind, door_to(Event, e.id) or ""),
                Cell(e.gateway.capitalize()),
                Cell(at(e.created_at)),
                _state(Event, e.state),
                Cell(e.trouble or "–", long=True),
            ]
            for e in latest
        ],
        empty="No gateway events yet.",
    )
    heads = ("State", "Deliveries", "Median time", "Last")
    took = func.percentile_cont(0.5).within_group(WebhookDelivery.took)
    calls = (
        select(WebhookDelivery.state, func.count(), took, func.max(WebhookDelivery.changed_at))
        .group_by(WebhookDelivery.state)
        .order_by(WebhookDelivery.state)
    )
    rows = [
        [
            _state(WebhookDelivery, state),
            number(count),
            Cell(f"{ms:.0f} ms" if ms is not None else "–", figure=True),
            Cell(ago(last)),
        ]
        for state, count, ms, last in _rows(calls)
    ]
    yield Card("Webhook deliveries by state", "external", heads=heads, rows=rows, empty="No webhook deliveries yet.")


_TONES = {"failed": "bad", "parked": "bad", "waiting": "info", "handled": "good", "delivered": "good"}


def _state(noun: type[Noun], state: str) -> Cell:
    return Cell(noun.state_label(state), tone=_TONES.get(state, "quiet"))

"""Background jobs and dead letters (failed deliveries) of the console: counts, delays, errors and retries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from flask import url_for
from sqlalchemy import Executable, Select, func, select

from app.desk.declare.resource import resource_of
from app.desk.records.history import record_url
from app.kernel import access, clock
from app.kernel.db import Noun, label_of_table, session
from app.kernel.errors import Missing, Refused
from app.kernel.jobs import Job, Tick, job_label, job_schedule
from app.kernel.workflow import Move, available_moves, moves, press_move
from app.messages.message import Message
from app.messages.webhook_delivery import WebhookDelivery
from app.money.reconcile.gateway_webhooks import Event
from app.ops.console_card import Button, Card, Cell, Tile, format_age, format_duration, format_time, number_cell

SHOWN = 50
AT_ONCE = 500
LATE = timedelta(minutes=1)  # a running worker starts due jobs within seconds
ASLEEP = timedelta(seconds=20)  # the scheduler runs once a second

# The state in which a noun has failed, and the column with the reason. Failures of a pack are its own affair.
LETTERS: dict[type[Noun], tuple[str, str]] = {
    Job: ("failed", "error"),
    Message: ("failed", "trouble"),
    Event: ("parked", "trouble"),
    WebhookDelivery: ("failed", "trouble"),
}


# --- jobs -------------------------------------------------------------------------------------------------------------


def job_cards(state: str) -> Iterator[Card]:
    yield _card_by_type()
    found = session.scalars(select(Job).where(Job.state == state).order_by(*_job_order(state)).limit(SHOWN))
    heads, label = ("Job", "Record", "Due", "Attempts", "Result", ""), Job.state_label(state)
    yield Card(
        f"{label} jobs", "gear", heads=heads, rows=[_job_row(each) for each in found], empty=f"No {label.lower()} jobs."
    )


def _job_order(state: str) -> tuple[Any, ...]:
    return (Job.due_at, Job.id) if state in ("waiting", "running") else (Job.changed_at.desc(), Job.id.desc())


def _job_row(job: Job) -> list[Cell]:
    about = f"{label_of_table(job.noun)} {job.row_id}" if job.noun else ""
    trouble = job.error.strip().rpartition("\n")[2] or (
        f"Finished {format_age(job.finished_at)}" if job.finished_at else ""
    )
    again = [Button("Try again", _move_url(job, "try_again"))] if job.state == "failed" else []
    return [
        Cell(job.label, record_url(Job, job.id) or ""),
        Cell(about or "–", (record_url(job.noun, job.row_id) or "") if job.noun else ""),
        Cell(format_time(job.due_at)),
        number_cell(job.attempts),
        Cell(trouble or "–", long=True, tone="bad" if job.error else ""),
        Cell("", buttons=again),
    ]


def count_by_state() -> dict[str, int]:
    found = dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all())
    return {state: found.get(state, 0) for state in Job.states}


def _card_by_type() -> Card:
    """Count jobs by type, with the median and the 95th percentile of the delay after they were due."""
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
            *map(number_cell, counts),
            Cell(format_duration(half), figure=True),
            Cell(format_duration(most), figure=True),
        ]
        for name, *counts, half, most in _all_rows(asked)
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


def _all_rows(asked: Executable) -> Sequence[Any]:
    return session.execute(asked).all()


def scheduler_status() -> tuple[bool, str]:
    """Tell whether the scheduler runs, which is when no tick is overdue, and why not."""
    first = session.scalar(select(func.min(Tick.next_at)).where(Tick.name.in_([*job_schedule()])))
    if first is None:
        return False, "It has not run yet. Start the clock process."
    if first + ASLEEP < clock.now():
        return False, f"Its last run was due {format_age(first)}. Check the clock process."
    return True, f"Next run: {format_time(first)}"


def tiles() -> Iterator[Tile]:
    states = count_by_state()
    late = session.scalar(select(func.count()).where(Job.state == "waiting", Job.due_at < clock.now() - LATE)) or 0
    yield Tile(
        "Overdue jobs",
        str(late),
        "ops_jobs",
        f"{states['waiting']:,} waiting, {states['running']:,} running",
        "warn" if late else "good",
    )
    dead = {noun: _count(noun) for noun in LETTERS}
    told = ", ".join(f"{count:,} {_label_of(noun, count).lower()}" for noun, count in dead.items() if count)
    yield Tile(
        "Failed deliveries",
        f"{sum(dead.values()):,}",
        "ops_letters",
        told or "Nothing has failed.",
        "bad" if told else "good",
    )
    awake, why = scheduler_status()
    yield Tile("Scheduler", "Running" if awake else "Stopped", "ops_redis", why, "good" if awake else "bad")


# --- dead letters -----------------------------------------------------------------------------------------------------


def letter_cards() -> Iterator[Card]:
    who = access.actor()
    for noun in LETTERS:
        count = _count(noun)
        rows = [
            _letter_row(row, who)
            for row in session.scalars(
                _failed_rows(noun).order_by(noun.changed_at.desc(), noun.id.desc()).limit(SHOWN)
            ).unique()
        ]
        all_ = [
            Button(
                f"{it.label} (all {count:,})",
                url_for("ops_letters.move_all", noun=noun.__tablename__, move=it.name),
                it.careful,
            )
            for it in _safe_retries(noun)
            if count
        ]
        heads, label = ("Item", "Failed at", "Reason", ""), _label_of(noun)
        note = f"The latest {SHOWN} of {count:,}." if count > SHOWN else ""
        yield Card(label, "inbox", heads=heads, rows=rows, empty=f"No failed {label.lower()}.", buttons=all_, note=note)


def _label_of(noun: type[Noun], count: int = 2) -> str:
    """Return the noun's name on the desk, in the singular or plural."""
    resource = resource_of(noun)
    one = resource.one if resource else label_of_table(noun.__tablename__)
    return one if count == 1 else resource.label if resource else f"{one}s"


def _failed_rows(noun: type[Noun]) -> Select[Any]:
    return select(noun).where(noun.state == LETTERS[noun][0])


def _count(noun: type[Noun]) -> int:
    return session.scalar(select(func.count()).select_from(_failed_rows(noun).subquery())) or 0


def _safe_retries(noun: type[Noun]) -> list[Move]:
    """Return the moves that retry without a question; what asks first, such as resending, is not done in bulk."""
    mine = [it for it in moves(noun).values() if it.by and LETTERS[noun][0] in it.sources and it.to == "waiting"]
    return [it for it in mine if not (it.asks or it.confirm)]


def _letter_row(row: Any, who: access.Actor) -> list[Cell]:
    why = str(getattr(row, LETTERS[type(row)][1])).strip().rpartition("\n")[2]
    buttons = [
        Button(it.label, _move_url(row, it.name), it.careful)
        for it in available_moves(row, who)
        if not (it.asks or it.confirm)
    ]
    return [
        Cell(str(row), record_url(type(row), row.id) or ""),
        Cell(format_time(row.changed_at)),
        Cell(why or "–", long=True, tone="bad"),
        Cell("", buttons=buttons),
    ]


def _move_url(row: Noun, move: str) -> str:
    return url_for("ops_letters.move_one", noun=row.__tablename__, id=row.id, move=move)


def move_one(name: str, id: int, move: str) -> str:
    noun = _letter_noun(name)
    row = access.find_visible(noun, id)
    press_move(row, move, {})
    return f"{moves(noun)[move].done_text(noun)}: {row}"


def move_all(name: str, move: str) -> str:
    """Apply the move to each row in its own transaction: a refusal does not stop the others."""
    noun, done, refused = _letter_noun(name), 0, ""
    if move not in {it.name for it in _safe_retries(noun)}:
        raise Missing
    for id in session.scalars(_failed_rows(noun).with_only_columns(noun.id).order_by(noun.id).limit(AT_ONCE)).all():
        try:
            press_move(access.find_visible(noun, id), move, {})
            done += 1
        except Refused as no:
            session.rollback()
            refused = no.words
    return f"{done:,} updated." + (f" The others were not changed: {refused}" if refused else "")


def _letter_noun(name: str) -> type[Noun]:
    found = next((each for each in LETTERS if each.__tablename__ == name), None)
    if found is None:
        raise Missing
    return found


# --- webhooks in and out ----------------------------------------------------------------------------------------------


def event_cards() -> Iterator[Card]:
    heads = ("Gateway", "State", "Events", "Last received")
    told = (
        select(Event.gateway, Event.state, func.count(), func.max(Event.created_at))
        .group_by(Event.gateway, Event.state)
        .order_by(Event.gateway, Event.state)
    )
    rows = [
        [Cell(name.capitalize()), _state_cell(Event, state), number_cell(count), Cell(format_age(last))]
        for name, state, count, last in _all_rows(told)
    ]
    yield Card("Gateway events by state", "wallet", heads=heads, rows=rows, empty="No gateway events yet.")
    latest = session.scalars(select(Event).order_by(Event.id.desc()).limit(SHOWN // 2))
    yield Card(
        "Latest gateway events",
        "history",
        heads=("Event", "Gateway", "Received", "State", "Error"),
        rows=[
            [
                Cell(e.kind, record_url(Event, e.id) or ""),
                Cell(e.gateway.capitalize()),
                Cell(format_time(e.created_at)),
                _state_cell(Event, e.state),
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
            _state_cell(WebhookDelivery, state),
            number_cell(count),
            Cell(f"{ms:.0f} ms" if ms is not None else "–", figure=True),
            Cell(format_age(last)),
        ]
        for state, count, ms, last in _all_rows(calls)
    ]
    yield Card("Webhook deliveries by state", "external", heads=heads, rows=rows, empty="No webhook deliveries yet.")


_TONES = {"failed": "bad", "parked": "bad", "waiting": "info", "handled": "good", "delivered": "good"}


def _state_cell(noun: type[Noun], state: str) -> Cell:
    return Cell(noun.state_label(state), tone=_TONES.get(state, "quiet"))

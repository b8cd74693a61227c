"""Redis as it is just now: its memory, its keys, how many rings wait, and who listens for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC
from itertools import islice
from typing import Any

import redis
from flask import current_app, url_for
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue, Worker
from rq.serializers import JSONSerializer

from app.kernel import clock, jobs
from app.ops import owed
from app.ops.card import Card, Cell, Press, Tile, ago, number, told_size, told_span

LOOKED_AT = 20_000  # keys, at most: a store that others share may hold millions
SILENT = 90  # seconds; a worker that lives says so more often


def connection() -> Any:
    """Asked once: somebody waits for the page, and a store that is away is what it has to tell."""
    address = current_app.extensions["settings"].redis_url
    return redis.Redis.from_url(address, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0))


def cards() -> Iterator[Card]:
    ring = Press("Ring the doorbell", url_for("ops_redis.ring"))
    let_in = Press("Let everybody try again", url_for("ops_redis.let_in"), careful=True)
    try:
        store = connection()
        yield from _cards(store, ring, let_in)
    except redis.RedisError as error:
        yield Card(
            "Redis is away",
            "warn",
            facts=[("It says", Cell(str(error), tone="bad"))],
            note="Everything still works, only later: jobs are rows of the database.",
        )


def _cards(store: Any, ring: Press, let_in: Press) -> Iterator[Card]:
    awake, why = owed.clock_told()
    told = [
        ("Rings that wait", number(_queue(store).count)),
        ("The clock", Cell("Awake" if awake else "Asleep", tone="good" if awake else "bad")),
        ("", Cell(why)),
    ]
    yield Card("The doorbell", "clock", facts=told, presses=[ring], note="A ring only says that there is work; what the work is stands in the database.")
    heads = ("Worker", "Since", "Last heard", "Does", "Rings answered")
    yield Card(
        "Workers", "users", heads=heads, rows=[_worker(each) for each in _workers(store)], empty="Nobody works. Jobs wait until somebody does: start a worker."
    )
    yield _memory(store.info())
    kinds = Counter(_prefix(key) for key in islice(store.scan_iter(count=1000), LOOKED_AT))
    rows = [[Cell(prefix), number(count)] for prefix, count in kinds.most_common()]
    yield Card(
        "Keys",
        "key",
        heads=("Keys that begin with", "How many"),
        rows=rows,
        empty="No keys.",
        presses=[let_in],
        note="“Let everybody try again” forgets who asked too often.",
    )


def _memory(info: dict[str, Any]) -> Card:
    most = info.get("maxmemory", 0)
    facts = {
        "Version": Cell(info.get("valkey_version") or info.get("redis_version")),
        "Up for": Cell(told_span(info.get("uptime_in_seconds"))),
        "Memory": Cell(f"{told_size(info.get('used_memory'))} of {told_size(most) if most else 'as much as there is'}"),
        "When it is full": Cell(info.get("maxmemory_policy", "–")),
        "Thrown out": number(info.get("evicted_keys")),
        "Connections": number(info.get("connected_clients")),
        "Commands a second": number(info.get("instantaneous_ops_per_sec")),
    }
    return Card("Redis", "box", facts=[*facts.items()])


def _prefix(key: bytes) -> str:
    """What a key is for, without whom it is about: an address may stand in it."""
    first, _, rest = key.decode("utf-8", "replace").partition(":")
    return f"{first}:{rest.partition(':')[0]}" if first == "rq" else first.partition("/")[0]


def _queue(store: Any) -> Queue:
    return Queue(jobs.DOORBELL, connection=store, serializer=JSONSerializer)


def _workers(store: Any) -> list[Worker]:
    return sorted(Worker.all(connection=store, queue=_queue(store), serializer=JSONSerializer), key=lambda each: str(each.name))


def _heard(worker: Worker) -> float | None:
    """Seconds since it last said that it lives."""
    last = worker.last_heartbeat
    return (clock.now() - (last if last.tzinfo else last.replace(tzinfo=UTC))).total_seconds() if last else None


def _worker(worker: Worker) -> list[Cell]:
    heard, born = _heard(worker), worker.birth_date
    lives = heard is not None and heard < SILENT
    since = ago(born if born.tzinfo else born.replace(tzinfo=UTC)) if born else "–"
    return [
        Cell(f"{worker.hostname or 'unknown'} {worker.pid or ''}".strip()),
        Cell(since),
        Cell(f"{told_span(heard)} ago" if heard is not None else "never", tone="good" if lives else "bad"),
        Cell(str(worker.get_state())),
        number(worker.successful_job_count),
    ]


def tiles() -> Iterator[Tile]:
    try:
        store = connection()
        alive = [each for each in _workers(store) if (_heard(each) or SILENT) < SILENT]
        yield Tile("Workers", str(len(alive)), "ops_redis", f"{_queue(store).count} rings wait", "good" if alive else "bad")
        yield Tile("Redis", told_size(store.info("memory")["used_memory"]), "ops_redis", f"up for {told_span(store.info('server')['uptime_in_seconds'])}")
    except redis.RedisError:
        yield Tile("Redis", "away", "ops_redis", "Everything works, only later.", "bad")


def ring() -> str:
    jobs.ring()
    return "The doorbell was rung."


def let_in() -> str:
    """Whoever was turned away for asking too often may ask again."""
    current_app.extensions["appbuilder"].sm.limiter.reset()
    return "Nobody is held to what they asked before."

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
from app.ops import dead_letters
from app.ops.console_card import Card, Cell, Press, Tile, ago, number, told_size, told_span

LOOKED_AT = 20_000  # keys, at most: a store that others share may hold millions
SILENT = 90  # seconds; a worker that lives says so more often


def connection() -> Any:
    """Asked once: somebody waits for the page, and a store that is away is what it has to tell."""
    address = current_app.extensions["settings"].redis_url
    return redis.Redis.from_url(address, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0))


def cards() -> Iterator[Card]:
    ring = Press("Wake workers", url_for("ops_redis.ring"))
    let_in = Press("Reset rate limits", url_for("ops_redis.let_in"), careful=True)
    try:
        store = connection()
        yield from _cards(store, ring, let_in)
    except redis.RedisError as error:
        yield Card(
            "Redis is unavailable",
            "warn",
            facts=[("Error", Cell(str(error), tone="bad"))],
            note="Frontdesk keeps working. Jobs are stored in the database and run when Redis is back.",
        )


def _cards(store: Any, ring: Press, let_in: Press) -> Iterator[Card]:
    awake, why = dead_letters.clock_told()
    told = [
        ("Queued", number(_queue(store).count)),
        ("Scheduler", Cell("Running" if awake else "Stopped", tone="good" if awake else "bad")),
        ("", Cell(why)),
    ]
    yield Card(
        "Queue and scheduler",
        "clock",
        facts=told,
        presses=[ring],
        note="Redis only wakes the workers. The jobs themselves are stored in the database.",
    )
    heads, none = (
        ("Worker", "Started", "Last seen", "State", "Runs completed"),
        "No worker is running. Jobs stay queued until you start one.",
    )
    yield Card("Workers", "users", heads=heads, rows=[_worker(each) for each in _workers(store)], empty=none)
    yield _memory(store.info())
    kinds = Counter(_prefix(key) for key in islice(store.scan_iter(count=1000), LOOKED_AT))
    rows = [[Cell(prefix), number(count)] for prefix, count in kinds.most_common()]
    yield Card(
        "Keys",
        "key",
        heads=("Key prefix", "Keys"),
        rows=rows,
        empty="No keys.",
        presses=[let_in],
        note="“Reset rate limits” clears every limit counter, so that blocked users can try again at once.",
    )


def _memory(info: dict[str, Any]) -> Card:
    most = info.get("maxmemory", 0)
    facts = {
        "Version": Cell(info.get("valkey_version") or info.get("redis_version")),
        "Uptime": Cell(told_span(info.get("uptime_in_seconds"))),
        "Memory": Cell(f"{told_size(info.get('used_memory'))}" + (f" of {told_size(most)}" if most else ", no limit")),
        "Eviction policy": Cell(info.get("maxmemory_policy", "–")),
        "Evicted keys": number(info.get("evicted_keys")),
        "Connections": number(info.get("connected_clients")),
        "Commands per second": number(info.get("instantaneous_ops_per_sec")),
    }
    return Card("Redis", "box", facts=[*facts.items()])


def _prefix(key: bytes) -> str:
    """What a key is for, without whom it is about: an address may stand in it."""
    first, _, rest = key.decode("utf-8", "replace").partition(":")
    return f"{first}:{rest.partition(':')[0]}" if first == "rq" else first.partition("/")[0]


def _queue(store: Any) -> Queue:
    return Queue(jobs.QUEUE, connection=store, serializer=JSONSerializer)


def _workers(store: Any) -> list[Worker]:
    return sorted(
        Worker.all(connection=store, queue=_queue(store), serializer=JSONSerializer), key=lambda each: str(each.name)
    )


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
        Cell(f"{told_span(heard)} ago" if heard is not None else "Never", tone="good" if lives else "bad"),
        Cell(str(worker.get_state()).capitalize()),
        number(worker.successful_job_count),
    ]


def tiles() -> Iterator[Tile]:
    try:
        store = connection()
        alive = [each for each in _workers(store) if (_heard(each) or SILENT) < SILENT]
        queued = _queue(store).count
        yield Tile(
            "Workers",
            str(len(alive)),
            "ops_redis",
            f"{queued:,} job{'' if queued == 1 else 's'} queued",
            "good" if alive else "bad",
        )
        yield Tile(
            "Redis",
            told_size(store.info("memory")["used_memory"]),
            "ops_redis",
            f"up for {told_span(store.info('server')['uptime_in_seconds'])}",
        )
    except redis.RedisError:
        yield Tile("Redis", "Unavailable", "ops_redis", "Jobs wait until it is back.", "bad")


def ring() -> str:
    jobs.wake_workers()
    return "Workers were woken."


def let_in() -> str:
    """Whoever was turned away for asking too often may ask again."""
    current_app.extensions["appbuilder"].sm.limiter.reset()
    return "Rate limits were reset."

"""Redis and worker status page: memory, keys, queue length, workers and scheduler; resets rate limits."""

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
from app.ops.console_card import Button, Card, Cell, Tile, format_age, format_duration, format_size, number_cell

LOOKED_AT = 20_000  # keys at most: a shared Redis may hold millions
SILENT = 90  # seconds; the heartbeat of a live worker is more frequent


def connection() -> Any:
    """Connect without retries: a person waits for the page, which reports a Redis that is away."""
    address = current_app.extensions["settings"].redis_url
    return redis.Redis.from_url(address, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0))


def cards() -> Iterator[Card]:
    ring = Button("Wake workers", url_for("ops_redis.ring"))
    let_in = Button("Reset rate limits", url_for("ops_redis.let_in"), careful=True)
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


def _cards(store: Any, ring: Button, let_in: Button) -> Iterator[Card]:
    awake, why = dead_letters.scheduler_status()
    told = [
        ("Queued", number_cell(_queue(store).count)),
        ("Scheduler", Cell("Running" if awake else "Stopped", tone="good" if awake else "bad")),
        ("", Cell(why)),
    ]
    yield Card(
        "Queue and scheduler",
        "clock",
        facts=told,
        buttons=[ring],
        note="Redis only wakes the workers. The jobs themselves are stored in the database.",
    )
    heads, none = (
        ("Worker", "Started", "Last seen", "State", "Runs completed"),
        "No worker is running. Jobs stay queued until you start one.",
    )
    yield Card("Workers", "users", heads=heads, rows=[_worker_row(each) for each in _workers(store)], empty=none)
    yield _memory_card(store.info())
    kinds = Counter(_key_prefix(key) for key in islice(store.scan_iter(count=1000), LOOKED_AT))
    rows = [[Cell(prefix), number_cell(count)] for prefix, count in kinds.most_common()]
    yield Card(
        "Keys",
        "key",
        heads=("Key prefix", "Keys"),
        rows=rows,
        empty="No keys.",
        buttons=[let_in],
        note="“Reset rate limits” clears every limit counter, so that blocked users can try again at once.",
    )


def _memory_card(info: dict[str, Any]) -> Card:
    most = info.get("maxmemory", 0)
    facts = {
        "Version": Cell(info.get("valkey_version") or info.get("redis_version")),
        "Uptime": Cell(format_duration(info.get("uptime_in_seconds"))),
        "Memory": Cell(
            f"{format_size(info.get('used_memory'))}" + (f" of {format_size(most)}" if most else ", no limit")
        ),
        "Eviction policy": Cell(info.get("maxmemory_policy", "–")),
        "Evicted keys": number_cell(info.get("evicted_keys")),
        "Connections": number_cell(info.get("connected_clients")),
        "Commands per second": number_cell(info.get("instantaneous_ops_per_sec")),
    }
    return Card("Redis", "box", facts=[*facts.items()])


def _key_prefix(key: bytes) -> str:
    """Return the part of a key that says its purpose; the rest may contain a person's address."""
    first, _, rest = key.decode("utf-8", "replace").partition(":")
    return f"{first}:{rest.partition(':')[0]}" if first == "rq" else first.partition("/")[0]


def _queue(store: Any) -> Queue:
    return Queue(jobs.QUEUE, connection=store, serializer=JSONSerializer)


def _workers(store: Any) -> list[Worker]:
    return sorted(
        Worker.all(connection=store, queue=_queue(store), serializer=JSONSerializer), key=lambda each: str(each.name)
    )


def _seconds_silent(worker: Worker) -> float | None:
    """Return the seconds since the worker's last heartbeat."""
    last = worker.last_heartbeat
    return (clock.now() - (last if last.tzinfo else last.replace(tzinfo=UTC))).total_seconds() if last else None


def _worker_row(worker: Worker) -> list[Cell]:
    heard, born = _seconds_silent(worker), worker.birth_date
    lives = heard is not None and heard < SILENT
    since = format_age(born if born.tzinfo else born.replace(tzinfo=UTC)) if born else "–"
    return [
        Cell(f"{worker.hostname or 'unknown'} {worker.pid or ''}".strip()),
        Cell(since),
        Cell(f"{format_duration(heard)} ago" if heard is not None else "Never", tone="good" if lives else "bad"),
        Cell(str(worker.get_state()).capitalize()),
        number_cell(worker.successful_job_count),
    ]


def tiles() -> Iterator[Tile]:
    try:
        store = connection()
        alive = [each for each in _workers(store) if (_seconds_silent(each) or SILENT) < SILENT]
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
            format_size(store.info("memory")["used_memory"]),
            "ops_redis",
            f"up for {format_duration(store.info('server')['uptime_in_seconds'])}",
        )
    except redis.RedisError:
        yield Tile("Redis", "Unavailable", "ops_redis", "Jobs wait until it is back.", "bad")


def wake_workers() -> str:
    jobs.wake_workers()
    return "Workers were woken."


def reset_rate_limits() -> str:
    """Clear every rate limit counter."""
    current_app.extensions["appbuilder"].sm.limiter.reset()
    return "Rate limits were reset."

"""Benchmark runs: requests to both sides in turn, so that other load on the machine affects them alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

ROOT = Path(__file__).resolve().parent.parent
SIDES = "ours", "stock"
PAGES = {
    "list": "List of 50 rows",
    "record": "Record page",
    "index": "Home",
    "api_list": "REST list of 50",
    "api_get": "REST get",
}


@dataclass
class Cost:
    """Cost of one page on one side."""

    cpu: list[float] = field(default_factory=list)
    queries: int = 0
    bytes: int = 0

    @property
    def median(self) -> float:
        """Median time: neither the cold first request nor an interrupted one."""
        return sorted(self.cpu)[len(self.cpu) // 2]


@dataclass
class Comparison:
    """Results of one comparison."""

    nouns: int
    pages: dict[str, dict[str, Cost]]
    starts: dict[str, dict[str, float]]


def compare(
    database: str, redis: str, *, nouns: int, times: int, rounds: int, say: Callable[[str], None] = lambda line: None
) -> Comparison:
    pages = {side: {page: Cost() for page in PAGES} for side in SIDES}
    with bench_databases(database) as urls:
        here = os.environ | _environment(urls, redis, nouns)
        for side in SIDES:
            say(f"{nouns} nouns: {side} begins")
            subprocess.run(
                [sys.executable, "-m", f"bench.{side}", "begin"], cwd=ROOT, env=here, check=True, capture_output=True
            )
        starts = {side: _quickest_start(side, here, max(1, rounds // 2)) for side in SIDES}
        with ExitStack() as stack:
            serving = {side: stack.enter_context(_serving(side, here)) for side in SIDES}
            for turn in range(rounds):
                say(f"{nouns} nouns: round {turn + 1} of {rounds}")
                for page in PAGES:
                    for side in SIDES:
                        _add(pages[side][page], _ask(serving[side], page, times))
    return Comparison(nouns, pages, starts)


def _environment(urls: dict[str, str], redis: str, nouns: int) -> dict[str, str]:
    return {
        "FRONTDESK_ENV": "test",
        "DATABASE_URL": urls["ours"],
        "STOCK_DATABASE_URL": urls["stock"],
        "REDIS_URL": redis,
        "SECRET_KEY": "only for the bench, and longer than it has to be",
        "BASE_URL": "http://localhost",
        "SANDBOX_URL": "http://127.0.0.1:9",
        "LOG_LEVEL": "WARNING",
        "BENCH_NOUNS": str(nouns),
        "PYTHONPATH": str(ROOT),
    }


@contextmanager
def bench_databases(server: str) -> Iterator[dict[str, str]]:
    """Create a database for each side and drop both at the end."""
    engine = create_engine(server.replace("postgresql://", "postgresql+psycopg://", 1), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for side in SIDES:
            connection.execute(text(f"drop database if exists bench_{side} with (force)"))
            connection.execute(text(f"create database bench_{side}"))
        try:
            plain = engine.url.set(drivername="postgresql+psycopg")
            yield {side: plain.set(database=f"bench_{side}").render_as_string(hide_password=False) for side in SIDES}
        finally:
            for side in SIDES:
                connection.execute(text(f"drop database if exists bench_{side} with (force)"))
    engine.dispose()


def _quickest_start(side: str, here: dict[str, str], often: int) -> dict[str, float]:
    """Return the quickest of several starts, so that caches are warm."""
    command = [sys.executable, "-m", f"bench.{side}", "start"]
    starts = [
        json.loads(subprocess.run(command, cwd=ROOT, env=here, check=True, capture_output=True, text=True).stdout)
        for _ in range(often)
    ]
    return min(starts, key=lambda start: float(start["cpu"]))


@contextmanager
def _serving(side: str, here: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", f"bench.{side}", "serve"]
    with subprocess.Popen(
        command, cwd=ROOT, env=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n", f"{side} did not start"
        yield process
        process.stdin.close()


def _ask(process: subprocess.Popen[str], page: str, times: int) -> dict[str, Any]:
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdin.write(json.dumps({"page": page, "times": times}) + "\n")
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    assert answer["status"].startswith("200"), f"{page}: {answer['status']}"
    return answer


def _add(cost: Cost, answer: dict[str, Any]) -> None:
    cost.cpu += answer["cpu"]
    cost.queries, cost.bytes = answer["queries"], answer["bytes"]

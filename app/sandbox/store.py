"""What a stranger remembers: a small file of its own, which outlives a restart and knows nothing of our database."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TABLES = """
create table if not exists thing (id text primary key, kind text not null, parent text, made real not null, body text not null);
create index if not exists thing_parent on thing (kind, parent);
create table if not exists event (id text primary key, made real not null, due real, tries integer not null default 0, answer text not null default '',
                                  secret text not null, body blob not null, stranger text not null default 'razorpay', tampered integer not null default 0);
create table if not exists attempt (event text not null, made real not null, answer text not null);
create index if not exists attempt_event on attempt (event);
create table if not exists repeat (event text not null, due real not null);
create table if not exists late (payment text primary key, due real not null, delivery text not null);
create table if not exists alarm (thing text not null, due real not null, what text not null);
create table if not exists fault (path text not null, fault text not null, times integer not null);
create table if not exists mail (id integer primary key, received real not null, sender text not null, recipients text not null, raw blob not null);
"""


class Store:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.one_at_a_time = threading.RLock()
        self._file: sqlite3.Connection | None = None
        with self.open() as file:
            file.executescript("pragma journal_mode = wal;" + _TABLES)
            if "stranger" not in {row["name"] for row in file.execute("pragma table_info(event)")}:  # a file from when Razorpay was the only one
                file.execute("drop table event")
                file.executescript(_TABLES)

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """Read and write in one transaction; the verbs of a gateway never overlap. Opened within another, it joins that one."""
        with self.one_at_a_time:
            if self._file is not None:
                yield self._file
                return
            self._file = sqlite3.connect(self.path, timeout=10, check_same_thread=False)
            self._file.row_factory = sqlite3.Row
            try:
                with self._file:
                    yield self._file
            finally:
                self._file.close()
                self._file = None

    # --- orders, payments and refunds ---

    def put(self, kind: str, body: dict[str, Any], parent: str | None = None) -> dict[str, Any]:
        keep = "insert into thing values (?, ?, ?, ?, ?) on conflict (id) do update set body = excluded.body"
        with self.open() as file:
            file.execute(keep, (body["id"], kind, parent, time.time(), json.dumps(body)))
        return body

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        with self.open() as file:
            row = file.execute("select body from thing where kind = ? and id = ?", (kind, id)).fetchone()
        return dict(json.loads(row["body"])) if row else None

    def all(self, kind: str, parent: str | None = None) -> list[dict[str, Any]]:
        """Oldest first; of one parent, or of all."""
        with self.open() as file:
            rows = file.execute("select body from thing where kind = ? and (? is null or parent = ?) order by made, rowid", (kind, parent, parent)).fetchall()
        return [json.loads(row["body"]) for row in rows]

    # --- faults on demand ---

    def expect_fault(self, path: str, fault: str, times: int) -> None:
        with self.open() as file:
            file.execute("insert into fault values (?, ?, ?)", (path, fault, times))

    def next_fault(self, path: str) -> str | None:
        """The oldest fault that was planned for this path; each call uses it up once."""
        with self.open() as file:
            row = file.execute("select rowid, fault from fault where instr(?, path) order by rowid limit 1", (path,)).fetchone()
            if row is None:
                return None
            file.execute("update fault set times = times - 1 where rowid = ?", (row["rowid"],))
            file.execute("delete from fault where times <= 0")
            return str(row["fault"])

"""What a stranger remembers: a small file of its own, which outlives a restart and knows nothing of our database."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
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
create table if not exists soon (what text not null, id text not null, due real not null, how text not null, primary key (what, id));
create table if not exists once (endpoint text not null, key text not null, asked text not null, answer text not null, primary key (endpoint, key));
create table if not exists plan (id integer primary key, kind text not null, how text not null, times integer not null);
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
            if "stranger" not in {
                row["name"] for row in file.execute("pragma table_info(event)")
            }:  # a file from when Razorpay was the only one
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
        one, of = ("and parent = ?", (kind, parent)) if parent is not None else ("", (kind,))
        with self.open() as file:
            rows = file.execute(f"select body from thing where kind = ? {one} order by made, rowid", of).fetchall()  # noqa: S608  # both halves stand above
        return [json.loads(row["body"]) for row in rows]

    # --- what happens in a moment, and what happens only once ---

    def soon(self, what: str, id: str, after: float, how: Mapping[str, Any]) -> None:
        with self.open() as file:
            file.execute(
                "insert or replace into soon values (?, ?, ?, ?)", (what, id, time.time() + after, json.dumps(how))
            )

    def due(self, what: str) -> list[tuple[str, dict[str, Any]]]:
        """What has come due; asked for once, it is the asker's to do."""
        with self.open() as file:
            rows = file.execute(
                "delete from soon where what = ? and due <= ? returning id, how", (what, time.time())
            ).fetchall()
        return [(row["id"], json.loads(row["how"])) for row in rows]

    def answered(self, endpoint: str, key: str) -> tuple[str, dict[str, Any]] | None:
        """What was asked under this key, and what was said to it."""
        with self.open() as file:
            row = file.execute(
                "select asked, answer from once where endpoint = ? and key = ?", (endpoint, key)
            ).fetchone()
        return (row["asked"], json.loads(row["answer"])) if row else None

    def keep_answer(self, endpoint: str, key: str, asked: str, answer: Mapping[str, Any]) -> None:
        with self.open() as file:
            file.execute("insert into once values (?, ?, ?, ?)", (endpoint, key, asked, json.dumps(answer)))

    # --- what is planned to go wrong ---

    def plan(self, kind: str, how: Mapping[str, Any], times: int) -> None:
        with self.open() as file:
            file.execute("insert into plan (kind, how, times) values (?, ?, ?)", (kind, json.dumps(how), times))

    def planned(self, kind: str, path: str = "") -> dict[str, Any] | None:
        """The oldest plan of this kind that fits the path; each call uses it up once."""
        with self.open() as file:
            what = "select id, how from plan where kind = ? and instr(?, coalesce(json_extract(how, '$.path'), '')) order by id limit 1"
            row = file.execute(what, (kind, path)).fetchone()
            if row is None:
                return None
            file.execute("update plan set times = times - 1 where id = ?", (row["id"],))
            file.execute("delete from plan where times <= 0")
        return dict(json.loads(row["how"]))

    def plans(self) -> list[dict[str, Any]]:
        with self.open() as file:
            return [
                json.loads(row["how"]) | {"times": row["times"]}
                for row in file.execute("select how, times from plan order by id").fetchall()
            ]

    def forget_plans(self) -> None:
        with self.open() as file:
            file.execute("delete from plan")

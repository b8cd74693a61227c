"""SQLite file of the sandbox: objects of the gateways, webhook events, idempotency keys, planned faults and mail."""

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
create table if not exists thing (
  id text primary key, kind text not null, parent text, made real not null, body text not null);
create index if not exists thing_parent on thing (kind, parent);
create table if not exists event (
  id text primary key, made real not null, due real, tries integer not null default 0, answer text not null default '',
  secret text not null, body blob not null, stranger text not null default 'razorpay',
  tampered integer not null default 0);
create table if not exists attempt (event text not null, made real not null, answer text not null);
create index if not exists attempt_event on attempt (event);
create table if not exists repeat (event text not null, due real not null);
create table if not exists soon (
  what text not null, id text not null, due real not null, how text not null, primary key (what, id));
create table if not exists once (
  endpoint text not null, key text not null, asked text not null, answer text not null, primary key (endpoint, key));
create table if not exists plan (id integer primary key, kind text not null, how text not null, times integer not null);
create table if not exists mail (
  id integer primary key, received real not null, sender text not null, recipients text not null, raw blob not null);
"""


class Store:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.lock = threading.RLock()
        self._file: sqlite3.Connection | None = None
        with self.open() as file:
            file.executescript("pragma journal_mode = wal;" + _TABLES)
            columns = {row["name"] for row in file.execute("pragma table_info(event)")}
            if "stranger" not in columns:  # a file from before there was a second gateway
                file.execute("drop table event")
                file.executescript(_TABLES)

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """Open the one transaction; calls never overlap, and a nested call joins the outer transaction."""
        with self.lock:
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

    # --- objects of the gateways ---

    def put(self, kind: str, body: dict[str, Any], parent: str | None = None) -> dict[str, Any]:
        upsert = "insert into thing values (?, ?, ?, ?, ?) on conflict (id) do update set body = excluded.body"
        with self.open() as file:
            file.execute(upsert, (body["id"], kind, parent, time.time(), json.dumps(body)))
        return body

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        with self.open() as file:
            row = file.execute("select body from thing where kind = ? and id = ?", (kind, id)).fetchone()
        return dict(json.loads(row["body"])) if row else None

    def all(self, kind: str, parent: str | None = None) -> list[dict[str, Any]]:
        """Return all objects of a kind, or those of one parent, oldest first."""
        clause, values = ("and parent = ?", (kind, parent)) if parent is not None else ("", (kind,))
        with self.open() as file:
            query = f"select body from thing where kind = ? {clause} order by made, rowid"  # noqa: S608  # clause is ours
            rows = file.execute(query, values).fetchall()
        return [json.loads(row["body"]) for row in rows]

    # --- scheduled tasks and idempotency keys ---

    def schedule(self, what: str, id: str, after: float, how: Mapping[str, Any]) -> None:
        with self.open() as file:
            file.execute(
                "insert or replace into soon values (?, ?, ?, ?)", (what, id, time.time() + after, json.dumps(how))
            )

    def take_due(self, what: str) -> list[tuple[str, dict[str, Any]]]:
        """Remove and return the tasks that are due."""
        with self.open() as file:
            rows = file.execute(
                "delete from soon where what = ? and due <= ? returning id, how", (what, time.time())
            ).fetchall()
        return [(row["id"], json.loads(row["how"])) for row in rows]

    def stored_answer(self, endpoint: str, key: str) -> tuple[str, dict[str, Any]] | None:
        """Return the request and the answer stored under an idempotency key."""
        with self.open() as file:
            row = file.execute(
                "select asked, answer from once where endpoint = ? and key = ?", (endpoint, key)
            ).fetchone()
        return (row["asked"], json.loads(row["answer"])) if row else None

    def store_answer(self, endpoint: str, key: str, asked: str, answer: Mapping[str, Any]) -> None:
        with self.open() as file:
            file.execute("insert into once values (?, ?, ?, ?)", (endpoint, key, asked, json.dumps(answer)))

    # --- planned faults ---

    def add_plan(self, kind: str, how: Mapping[str, Any], times: int) -> None:
        with self.open() as file:
            file.execute("insert into plan (kind, how, times) values (?, ?, ?)", (kind, json.dumps(how), times))

    def use_plan(self, kind: str, path: str = "") -> dict[str, Any] | None:
        """Return the oldest plan of this kind that fits the path, and count it as used once."""
        with self.open() as file:
            fits = "kind = ? and instr(?, coalesce(json_extract(how, '$.path'), ''))"
            query = f"select id, how from plan where {fits} order by id limit 1"  # noqa: S608  # no outside input
            row = file.execute(query, (kind, path)).fetchone()
            if row is None:
                return None
            file.execute("update plan set times = times - 1 where id = ?", (row["id"],))
            file.execute("delete from plan where times <= 0")
        return dict(json.loads(row["how"]))

    def list_plans(self) -> list[dict[str, Any]]:
        with self.open() as file:
            return [
                json.loads(row["how"]) | {"times": row["times"]}
                for row in file.execute("select how, times from plan order by id").fetchall()
            ]

    def clear_plans(self) -> None:
        with self.open() as file:
            file.execute("delete from plan")

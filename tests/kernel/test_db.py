"""One place that commits, and a broken constraint is a refusal in words."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg.pq import TransactionStatus
from sqlalchemy import select, text

from app.kernel import db
from app.kernel.db import session, transaction
from app.kernel.errors import Refused
from app.kernel.people import Person
from app.packs.bookings.offer.service import Service
from tests.conftest import MEERA, ROOT


def test_a_transaction_keeps_all_of_it_or_none(app: Flask) -> None:
    _breaks_off_and_keeps_nothing()


def test_a_transaction_inside_a_transaction_is_the_same_one(app: Flask) -> None:
    with pytest.raises(ZeroDivisionError), transaction():
        with transaction():
            Person.find_or_create(**MEERA)
        raise ZeroDivisionError
    assert session.scalar(select(Person.id)) is None


def test_whoever_only_looks_opens_no_transaction_and_what_is_changed_after_it_is_still_all_or_none(app: Flask) -> None:
    assert session.scalar(select(Person.id)) is None
    assert _driver().info.transaction_status == TransactionStatus.INTRANS
    session.remove()
    db.read_only()
    assert session.scalar(select(Person.id)) is None
    assert _driver().info.transaction_status == TransactionStatus.IDLE
    _breaks_off_and_keeps_nothing()


def test_whatever_is_written_by_another_library_while_somebody_looks_is_all_or_none(app: Flask) -> None:
    db.read_only()
    assert session.scalar(select(Person.id)) is None
    session.add(Person(name="Ravi", email="ravi@example.com"))
    session.flush()
    assert _driver().info.transaction_status == TransactionStatus.INTRANS
    session.rollback()
    assert session.scalar(select(Person.id)) is None


def test_a_connection_is_given_on_as_if_nobody_had_looked_with_it(app: Flask) -> None:
    db.engine().dispose()  # so that there is one
    db.read_only()
    ours = session.scalar(text("select pg_backend_pid()"))
    session.remove()
    assert session.scalar(text("select pg_backend_pid()")) == ours
    assert _driver().info.transaction_status == TransactionStatus.INTRANS


def _breaks_off_and_keeps_nothing() -> None:
    with pytest.raises(ZeroDivisionError), transaction():
        Person.find_or_create(**MEERA)
        session.flush()
        raise ZeroDivisionError
    assert session.scalar(select(Person.id)) is None


def _driver() -> Any:
    return session.connection().connection.dbapi_connection


def test_a_stranger_is_never_called_while_a_transaction_is_open(app: Flask) -> None:
    with pytest.raises(RuntimeError, match="stranger"), transaction():
        db.require_no_transaction()


def test_a_broken_constraint_is_a_sentence(app: Flask, service: Service) -> None:
    with pytest.raises(Refused, match="Another service already uses this page address"), transaction():
        session.add(Service(name="Copy", slug="first", price=service.price))
    with pytest.raises(Refused, match="5 to 480 minutes"), transaction():
        session.add(Service(name="Long", slug="long", price=service.price, minutes=481))


def test_two_who_change_the_same_row_do_not_overwrite_each_other(app: Flask, service: Service) -> None:
    with db.engine().begin() as elsewhere:
        elsewhere.execute(text("update service set version = version + 1"))
    with pytest.raises(Refused, match="Someone else changed this"), transaction():
        service.name = "Mine"


def test_a_connection_that_the_server_closed_is_not_given_out(app: Flask) -> None:
    ours = session.scalar(text("select pg_backend_pid()"))
    session.remove()
    with psycopg.connect(
        db.engine().url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
    ) as elsewhere:
        elsewhere.execute("select pg_terminate_backend(%s, 2000)", [ours])
    assert session.scalar(text("select pg_backend_pid()")) != ours


def test_a_connection_that_lay_for_long_is_asked_before_it_is_given_out(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.engine().dispose()  # one of them may be dead, by the test before
    asked: list[object] = []
    monkeypatch.setattr(db.engine().dialect, "do_ping", asked.append)
    for lay, times in ((0, 0), (db.TRUSTED + 1, 1)):
        session.scalar(select(1))
        session.remove()
        monkeypatch.setattr(time, "monotonic", lambda lay=lay, now=time.monotonic(): now + lay)
        session.scalar(select(1))
        assert len(asked) == times


def test_no_other_file_commits() -> None:
    commits = [
        str(file.relative_to(ROOT))
        for file in (ROOT / "app").rglob("*.py")
        if re.search(r"\.commit\(", file.read_text())
    ]
    assert commits == ["app/kernel/db.py"]


def test_every_file_opens_with_a_sentence() -> None:
    folders = ("app", "tests", "deploy", "migrations/versions")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")] + [
        ROOT / "config.py",
        ROOT / "worker.py",
    ]
    silent = [str(file.relative_to(ROOT)) for file in files if not _first(file).startswith('"""')]
    assert silent == []


def _first(file: Path) -> str:
    return file.read_text().lstrip()[:3]

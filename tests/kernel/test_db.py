"""Tests of transactions and locks, and of broken constraints as refusals."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import func, select, text

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


def _elsewhere(statement: str) -> None:
    with db.engine().begin() as other:
        other.execute(text(statement))


ADD = "insert into person (name, email, phone, timezone, locale, notes, created_at, changed_at, version) "


def test_what_a_page_reads_comes_from_one_snapshot(app: Flask) -> None:
    db.read_snapshot()
    assert session.scalar(select(func.count()).select_from(Person)) == 0
    _elsewhere(ADD + "values ('Ravi', 'ravi@example.com', '', 'UTC', 'en', '', now(), now(), 1)")
    assert session.scalar(select(func.count()).select_from(Person)) == 0
    session.remove()
    assert session.scalar(select(func.count()).select_from(Person)) == 1


def test_a_transaction_after_reading_sees_what_others_have_committed(app: Flask) -> None:
    with transaction():
        meera = Person.find_or_create(**MEERA)
    session.remove()
    db.read_snapshot()
    read = Person.get(meera.id)
    _elsewhere("update person set name = 'Meera Nair', version = version + 1")
    with transaction():
        assert read.lock().name == "Meera Nair"
        read.notes = "Called back."
    assert session.scalars(select(Person.notes)).all() == ["Called back."]
    session.remove()
    db.read_snapshot()
    assert session.scalar(select(Person.id))
    _breaks_off_and_keeps_nothing(but=[meera.id])


def test_a_connection_is_given_on_as_if_no_snapshot_had_been_read_with_it(app: Flask) -> None:
    db.engine().dispose()  # so that there is one
    db.read_snapshot()
    ours = session.scalar(text("select pg_backend_pid()"))
    assert session.scalar(text("show transaction_isolation")) == "repeatable read"
    session.remove()
    assert session.scalar(text("select pg_backend_pid()")) == ours
    assert session.scalar(text("show transaction_isolation")) == "read committed"


def _breaks_off_and_keeps_nothing(but: list[int] | None = None) -> None:
    with pytest.raises(ZeroDivisionError), transaction():
        Person.find_or_create(**MEERA | {"email": "another@example.com"})
        session.flush()
        raise ZeroDivisionError
    assert session.scalars(select(Person.id)).all() == (but or [])


def test_a_stranger_is_never_called_while_a_transaction_is_open(app: Flask) -> None:
    with pytest.raises(RuntimeError, match="external service"), transaction():
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

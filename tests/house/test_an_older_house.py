"""Tests of migrating an older database: the same schema as a new one, payments in the ledger, answers encrypted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import Engine, create_engine, text

from app.kernel import db
from app.kernel.secrets import unseal
from tests.conftest import ROOT

# A release of November 2026, when revisions were called 0027; pg_dump --schema-only wrote it.
OLDER = Path(__file__).with_name("older_schema.sql")

UPGRADE = """
from alembic import command
from app import create_app
from app.ops.commands import _alembic_config
app = create_app()
with app.app_context():
    command.upgrade(_alembic_config(), "head")
"""

SCHEMA = """
select 'column', table_name || '.' || column_name,
       concat_ws(' ', data_type, udt_name, is_nullable, column_default, generation_expression)
from information_schema.columns where table_schema = 'public'
union all select 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
from pg_constraint where connamespace = 'public'::regnamespace
union all select 'index', indexname, indexdef from pg_indexes where schemaname = 'public'
union all select 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid)
from pg_trigger where not tgisinternal
union all select 'function', proname, pg_get_functiondef(pg_proc.oid) from pg_proc
left join pg_depend on pg_depend.objid = pg_proc.oid and deptype = 'e'
where pronamespace = 'public'::regnamespace and prokind = 'f' and pg_depend.objid is null
union all select 'sequence', sequencename, data_type::text from pg_sequences where schemaname = 'public'
union all select 'extension', extname, '' from pg_extension
union all select 'revision', version_num, '' from alembic_version
"""

BRING_UP = """
import sys
from alembic import command
from sqlalchemy import text
from app import create_app
from app.kernel import db
from app.ops.commands import _alembic_config
app = create_app()
with app.app_context():
    command.upgrade(_alembic_config(), "0001_users_people_bookings")
    with db.engine().begin() as connection:
        connection.execute(text(sys.stdin.read()))
    command.upgrade(_alembic_config(), "head")
"""

BEFORE = """
insert into person (id, name, email, phone, timezone, locale, notes, created_at, changed_at, version)
values (1, 'Meera Iyer', 'meera@example.com', '', 'Asia/Kolkata', 'en', '', now(), now(), 1);
insert into service (id, name, slug, description, minutes, price_amount, price_currency, seats, hold_minutes,
                     notice_minutes, days_ahead, intake, state, created_at, changed_at, version)
values (1, 'First', 'first', '', 60, 99900, 'INR', 1, 15, 0, 60, 'birth', 'offered', now(), now(), 1);
insert into practitioner (id, name, title, about, timezone, state, created_at, changed_at, version)
values (1, 'Asha Rao', '', '', 'Asia/Kolkata', 'active', now(), now(), 1);
insert into slot (id, practitioner_id, service_id, starts_at, ends_at, seats, state, created_at, changed_at, version)
values (1, 1, 1, now() + interval '1 day', now() + interval '25 hours', 1, 'open', now(), now(), 1);
insert into booking (id, number, slot_id, seat, practitioner_id, during, person_id, timezone, price_amount,
                     price_currency, answers, hold_expires_at, paid_with, state, handle,
                     created_at, changed_at, version)
select 9, 'BK-9', 1, 1, 1, tstzrange(starts_at, ends_at), 1, 'Asia/Kolkata', 99900,
       'INR', '{"birth_place": "Mysuru", "birth_date": "1990-05-01"}', now(), '', 'confirmed', 'handle9',
       now(), now(), 1 from slot;
insert into bill (id, number, person_id, noun, row_id, price_amount, price_currency, gateway, order_id, looked,
                  handle, state, created_at, changed_at, version)
select n, 'B-2026-' || n, 1, 'booking', n, 99900, 'INR', 'razorpay', 'order_' || n, 0,
       'handle' || n, 'paid', now(), now(), 1 from generate_series(1, 2) n;
insert into payment (id, bill_id, gateway, gateway_id, money_amount, money_currency, method, error, captured_at,
                     owed_back, refund_id, state, created_at, changed_at, version)
values (1, 1, 'razorpay', 'pay_1', 99900, 'INR', 'card', '', now(), '', null, 'captured', now(), now(), 1),
       (2, 2, 'razorpay', 'pay_2', 99900, 'INR', 'card', '', now(),
        'Cancelled.', 'rfnd_2', 'refunded', now(), now(), 1);
"""

BIRTH = """
select answers, sealed_answers, questions, form.name from booking join edition on edition.id = form_edition_id
join service on service.form_id = edition.form_id join form on form.id = edition.form_id
"""


def _run(program: str, environment: dict[str, str], url: str, given: str = "") -> None:
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | environment | {"DATABASE_URL": url},
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr


def _plain(definition: str) -> str:
    """Drop casts, brackets and white space: a definition that was dumped and restored has others."""
    return "".join(re.sub(r"::(character varying|text)(\[\])?|[()]", "", definition).split())


@contextmanager
def _database(environment: dict[str, str], name: str) -> Iterator[tuple[str, Engine]]:
    """An empty database beside that of the tests, and how to reach it."""
    url = environment["DATABASE_URL"].rpartition("/")[0] + f"/{name}"
    with db.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name}"))
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        yield url, engine
    finally:
        engine.dispose()
        with db.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"drop database {name}"))


@pytest.mark.proof
def test_an_older_database_and_an_empty_one_arrive_at_the_same_schema(app: Flask, environment: dict[str, str]) -> None:
    schemas = []
    for name, before in (("older_schema", OLDER.read_text()), ("empty_schema", "")):
        with _database(environment, name) as (url, engine):
            if before:
                with psycopg.connect(url) as connection:
                    connection.execute(f"{before} insert into public.alembic_version values ('0027')")  # type: ignore[arg-type]
            _run(UPGRADE, environment, url)
            with engine.connect() as connection:
                schemas.append({(*name, _plain(what)) for *name, what in connection.execute(text(SCHEMA))})
    older, empty = schemas
    assert (sorted(older - empty), sorted(empty - older)) == ([], [])
    assert len(empty) > 1500


def test_migrations_are_in_one_order_and_named_by_what_they_change() -> None:
    there = [*ScriptDirectory(str(ROOT / "migrations")).walk_revisions()][::-1]
    assert [int(each.revision[:4]) for each in there] == [*range(1, len(there) + 1)]
    assert all(Path(each.path).stem == each.revision for each in there)


@pytest.mark.proof
def test_what_was_taken_before_there_were_books_stands_in_them(app: Flask, environment: dict[str, str]) -> None:
    with _database(environment, "older") as (url, older):
        _run(BRING_UP, environment, url, BEFORE)
        with older.connect() as connection:
            balances = (
                "select account.name, sum(money_amount) from line join account on account.id = account_id "
                "group by account.name order by 1"
            )
            assert connection.execute(text(balances)).all() == [("deposits", -99900), ("gateway razorpay", 99900)]
            kept = "select pays, back_amount from payment order by id"
            assert connection.execute(text(kept)).all() == [(True, 0), (False, 99900)]
            assert connection.execute(text("""select "left"->0->>'total' from bill order by id""")).scalars().all() == [
                "99900",
                "99900",
            ]
            ((answers, sealed, asked, of),) = connection.execute(text(BIRTH)).all()
            assert (answers, of) == ({}, "Birth details")
            assert b"Mysuru" not in bytes(sealed)
            assert unseal(bytes(sealed), "booking.sealed_answers") == {
                "birth_place": "Mysuru",
                "birth_date": "1990-05-01",
            }
            assert [each["name"] for each in asked if each["secret"]] == ["birth_date", "birth_time", "birth_place"]

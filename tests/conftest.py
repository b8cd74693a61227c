"""Fixtures of all tests: servers, app, sandbox, users and a small practice, apart from the data of `make run`."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.globals import _cv_app
from flask.testing import FlaskClient
from flask_jwt_extended import create_access_token
from flask_login import login_user
from sqlalchemy import create_engine, event, text

from app import create_app
from app.desk.sign_in import password, security
from app.desk.sign_in.session import StaffSession
from app.kernel import clock, db, jobs, process_cache
from app.kernel.access import acting
from app.kernel.db import session, transaction
from app.kernel.forms import Form
from app.money.bills.bill import ByHand
from app.money.sums.amount import Money
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from config import Settings
from deploy.servers import server_urls, start_child
from tests.programs import FILE, end_with_parent, instant_of, shared_clock

ROOT = Path(__file__).parent.parent
PASSWORD = "a long enough password"
PATIENCE = 60  # seconds to wait for an expected event, enough for a busy machine
ROUNDS = password.ROUNDS
CLOCK = shared_clock()
gc.set_threshold(100_000, 20, 20)  # the half million objects of the program are no garbage

# The cast: one who may, one of the team with less, one who must be refused, and two whose rows are not each other's.
CAST = {
    "ada": "Admin",
    "dina": "Desk",
    "asha": "Practitioner",
    "dev": "Practitioner",
    "anil": "Accountant",
    "omar": "Auditor",
    "nobody": "Public",
}


# The longest tests begin first, so that no core is idle at the end: whole programs, browsers, days by the hundred.
LONGEST = ("stories", "proof", "house", "deploy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rooms = {item: item.path.relative_to(ROOT / "tests").parts[0] for item in items}
    items.sort(key=lambda item: LONGEST.index(rooms[item]) if rooms[item] in LONGEST else len(LONGEST))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group_of(item)))


def _group_of(item: pytest.Item) -> str:
    """The group that one worker runs: a file, or the tests of one pack if they are parametrised by resource."""
    resource = getattr(item, "callspec", None) and item.callspec.params.get("resource")  # type: ignore[attr-defined]
    return f"{item.path.stem} {'.'.join(resource.noun.__module__.split('.')[:3])}" if resource else str(item.path)


if os.environ.get("PYTEST_XDIST_WORKER"):
    end_with_parent()


class Visitor(FlaskClient):
    """A test client with its own session and context per request, as when served."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        outside, kept = _cv_app.set(None), session()  # type: ignore[arg-type]
        session.registry.clear()
        try:
            return super().open(*args, **kwargs | {"buffered": True})
        finally:
            session.remove()
            session.registry.set(kept)
            _cv_app.reset(outside)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    for name in ("DATABASE_URL", "REDIS_URL", "RAZORPAY_KEY_ID", "STRIPE_SECRET_KEY", "SMTP_HOST"):
        os.environ.pop(name, None)  # do not use an installation on this machine
    home = tmp_path_factory.mktemp("house")
    with server_urls(home, durable=False) as (database, redis):
        yield {
            "FRONTDESK_ENV": "test",
            FILE: str(CLOCK.file),
            "DATABASE_URL": database,
            "REDIS_URL": redis,
            "SECRET_KEY": "only for the suite, and longer than it has to be",
            "BASE_URL": f"http://127.0.0.1:{free_port()}",
            "SANDBOX_URL": f"http://127.0.0.1:{free_port()}",
            "SANDBOX_SMTP_PORT": str(free_port()),
            "SANDBOX_DATA": str(home / "sandbox.db"),
            "FILES_DIR": str(home / "files"),
            "BUSINESS_NAME": "Asha & Dev",
            "EMBED_ON": f"http://localhost:{free_port()}",
        }


# Ports below those that the system gives to outgoing connections, a hundred for each process: they stay free.
_ports = count(10_000 + os.getpid() % 200 * 100)


def free_port() -> int:
    for port in _ports:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError


@pytest.fixture(scope="session")
def settings(environment: dict[str, str]) -> Settings:
    return Settings.from_environment(environment)


@pytest.fixture(scope="session")
def built(settings: Settings) -> Flask:
    """The app, migrated, with its roles and the test users."""
    app = create_app(settings)
    app.test_client_class = Visitor
    password.ROUNDS = 4  # the speed of bcrypt is not tested
    app.config["WTF_CSRF_ENABLED"] = False  # tests/desk/test_holes.py switches it on again, to see that it holds
    event.listen(db.engine(), "connect", _as_patient_as_the_suite)
    # The suite asks more different statements than a server.
    db.engine().update_execution_options(compiled_cache={})
    told = app.test_cli_runner().invoke(args=["migrate"])
    assert told.exit_code == 0, told.output
    with app.app_context():
        _keep_a_copy(settings.database_url)
        for name, role in CAST.items():
            security.add_user(
                app.extensions["appbuilder"].sm,
                name,
                name=name.title(),
                email=f"{name}@example.com",
                role=role,
                password=PASSWORD,
            )
    gc.collect()
    gc.freeze()
    return app


def _keep_a_copy(url: str) -> None:
    """Copy the empty database as a template; there must be no connection while it is copied."""
    session.remove()
    db.engine().dispose()
    elsewhere = create_engine(
        url.replace("postgresql://", "postgresql+psycopg://").rpartition("/")[0] + "/postgres",
        isolation_level="AUTOCOMMIT",
    )
    with elsewhere.connect() as connection:
        connection.execute(text(f"create database migrated template {url.rpartition('/')[2].partition('?')[0]}"))
    elsewhere.dispose()


def _as_patient_as_the_suite(connection: Any, record: Any) -> None:
    """Wait for locks as long as a busy machine needs, and keep prepared statements for all tests."""
    with connection.cursor() as cursor:
        cursor.execute(f"set lock_timeout = '{PATIENCE}s'; set plan_cache_mode = force_generic_plan")
    connection.commit()
    connection.prepare_threshold, connection.prepared_max = 1, 2000


@pytest.fixture(scope="session")
def copied(built: Flask, environment: dict[str, str]) -> Callable[[str], dict[str, str]]:
    """Migrate a database for a program that declares nouns which the suite must not know; return its environment."""

    def copied(name: str) -> dict[str, str]:
        with db.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"create database {name} template migrated"))
        return environment | {"DATABASE_URL": environment["DATABASE_URL"].rpartition("/")[0] + f"/{name}"}

    return copied


@pytest.fixture(scope="session")
def kept(built: Flask) -> list[str]:
    """All tables except those of users and migrations."""
    return [each.name for each in db.metadata.sorted_tables if not each.name.startswith("ab_")]


@pytest.fixture
def app(built: Flask, kept: list[str], settings: Settings, request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The app with an empty database."""
    _quiet_if_used(settings, request.fixturenames)
    sweep(kept)
    built.extensions["appbuilder"].sm.limiter.reset()
    with built.app_context():
        yield built
        session.remove()


REMEMBERED = {
    "business",
    "switch",
    "automation",
    "field",
}  # tables behind a ProcessCache


def sweep(kept: Sequence[str]) -> None:
    """Empty the database and count from one again. Only tables that were written to are emptied: ten times faster."""
    with db.engine().begin() as connection:
        # The trigger that protects the history is off for this transaction.
        connection.execute(text("set local session_replication_role = replica"))
        filled = " union all ".join(f"(select '{each}' where exists (select from {each}))" for each in kept)
        if touched := [*connection.scalars(text(filled))]:
            connection.execute(text(";".join(f"delete from {each}" for each in touched)))
        # Rolled back inserts have counted too. `alter sequence … restart` would write a new file for each.
        connection.execute(
            text(
                "select setval(format('%I', sequencename), 1, false) from pg_sequences where last_value is not null "
                "and sequencename not like 'ab@_%' escape '@'"
            )
        )
    if REMEMBERED & {*touched}:
        process_cache.clear_all()
    if "business" in touched:
        process_cache.refresh_all()


_used = {"sandbox": False, "hears": True}


def _quiet_if_used(settings: Settings, fixtures: Collection[str]) -> None:
    """Reset the sandbox only after a test that used it, or when a test needs the other setting."""
    uses, hears = "sandbox" in fixtures, "web" in fixtures
    if settings.sandbox_data.exists() and (_used["sandbox"] or (uses and hears != _used["hears"])):
        _quiet(settings, hears=hears)
        _used["hears"] = hears
    _used["sandbox"] = uses


# Tells the sandbox, in its own file, to send nothing by itself: no webhooks, no delivery reports.
_SILENT = [
    ("deliver", {"deliver": "dropped"}),
    ("stripe deliver", {"deliver": "dropped", "path": ""}),
    ("reports", {"fault": "silent", "path": ""}),
]


def _quiet(settings: Settings, *, hears: bool) -> None:
    """Drop webhooks of the last test; without a running web server the sandbox sends none unless a test asks."""
    with closing(sqlite3.connect(settings.sandbox_data, timeout=PATIENCE)) as file, file:
        file.executescript(
            "pragma synchronous = off; update event set due = null; delete from repeat; delete from soon where what = "
            "'report'; delete from plan"
        )
        silent = [(kind, json.dumps({"seconds": 10} | how), 10**6) for kind, how in _SILENT if not hears]
        file.executemany("insert into plan (kind, how, times) values (?, ?, ?)", silent)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client that is not signed in."""
    return app.test_client()


@pytest.fixture
def enter(app: Flask) -> Callable[[str], FlaskClient]:
    """Return a client signed in to the desk as a test user: enter("dina")."""

    def enter(name: str) -> FlaskClient:
        client = app.test_client()
        with client.session_transaction() as cookie:
            cookie["_user_id"] = str(user_id(app, name))
            cookie["_fresh"] = True
            cookie["sitting"] = StaffSession.begin(user_id(app, name), address="127.0.0.1", device="the suite")
        return client

    return enter


@pytest.fixture
def token(app: Flask) -> Callable[[str], dict[str, str]]:
    """Return API headers with an access token of a test user."""
    return lambda name: {"Authorization": f"Bearer {create_access_token(identity=str(user_id(app, name)), fresh=True)}"}


_ids: dict[str, int] = {}


def user_id(app: Flask, name: str) -> int:
    """The ID of a test user; users are never deleted between tests."""
    if name not in CAST:
        return int(app.extensions["appbuilder"].sm.find_user(username=name).id)
    if name not in _ids:
        _ids[name] = int(app.extensions["appbuilder"].sm.find_user(username=name).id)
    return _ids[name]


@pytest.fixture
def by(app: Flask) -> Callable[[str], Any]:
    """Act as a test user without a request: with by("dina"): ..."""

    def as_one(name: str) -> Any:
        with app.test_request_context("/desk/"):
            login_user(app.extensions["appbuilder"].sm.find_user(username=name))
            who = security.actor()
        return acting(replace(who, door="desk"))

    return as_one


# --- other days than today --------------------------------------------------------------------------------------------

# Where calendars are at their edge. Stories and tests about time live on each of them, whatever day it is.
EDGES = {
    "the end of a month": "2027-01-31T23:50",
    "29 February": "2028-02-29T22:30",
    "the last minutes of a year in UTC": "2027-12-31T23:50Z",
}
ORDINARY = "2027-06-16T10:00"
AS_ASKED = "the day that was asked for"


@pytest.fixture(params=[AS_ASKED] if os.environ.get("DAY") else [*EDGES])
def on_each_edge(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the test on each of these days; with `make test DAY=…`, on that day only."""
    if request.param == AS_ASKED:
        yield
        return
    with CLOCK.beginning_at(instant_of(EDGES[request.param])):
        yield


@pytest.fixture
def on_an_ordinary_day(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the test in the middle of a month, unless other days are asked for."""
    if os.environ.get("DAY") or "on_each_edge" in request.fixturenames:
        yield
        return
    with CLOCK.beginning_at(instant_of(ORDINARY)):
        yield


# --- a small practice -------------------------------------------------------------------------------------------------


@pytest.fixture
def service(birth: Form) -> Service:
    with transaction():
        made = Service(
            name="First consultation", slug="first", minutes=60, price=Money(99900, "INR"), form=birth, notice_minutes=0
        )
        session.add(made)
    return made


BIRTH: list[dict[str, Any]] = [
    {
        "name": "birth_date",
        "kind": "date",
        "label": {"en": "Date of birth"},
        "secret": True,
        "earliest": "1900-01-01",
        "latest": "today",
    },
    {"name": "birth_time", "kind": "time", "label": {"en": "Time of birth"}, "secret": True, "unknown": True},
    {"name": "birth_place", "kind": "place", "label": {"en": "Place of birth"}, "secret": True, "longest": 120},
]


@pytest.fixture
def birth(app: Flask) -> Form:
    """The published intake form of the practice."""
    with transaction():
        made = Form(name="Birth details", draft=BIRTH)
        session.add(made)
        session.flush()
        made.publish()
    return made


@pytest.fixture
def practitioners(app: Flask) -> tuple[Practitioner, Practitioner]:
    with transaction():
        pair = (
            Practitioner(name="Asha Rao", user_id=user_id(app, "asha")),
            Practitioner(name="Dev Mehta", user_id=user_id(app, "dev")),
        )
        session.add_all(pair)
    return pair


@pytest.fixture
def asha(practitioners: tuple[Practitioner, Practitioner]) -> Practitioner:
    return practitioners[0]


@pytest.fixture
def dev(practitioners: tuple[Practitioner, Practitioner]) -> Practitioner:
    return practitioners[1]


@pytest.fixture
def open_slot(service: Service, asha: Practitioner) -> Callable[..., Slot]:
    """Create a free slot: open_slot(), open_slot(hours=30), open_slot(of=dev)."""

    def open_slot(*, hours: float = 48, of: Practitioner | None = None, **more: Any) -> Slot:
        start = clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=hours)
        with transaction():
            slot = Slot.starting_at(of or asha, service, start)
            for name, value in more.items():
                setattr(slot, name, value)
            session.add(slot)
        return slot

    return open_slot


@pytest.fixture
def slot(open_slot: Callable[..., Slot]) -> Slot:
    return open_slot()


MEERA = {"name": "Meera Iyer", "email": "meera@example.com", "phone": "+919845012345", "timezone": "Asia/Kolkata"}


@pytest.fixture
def hold(app: Flask) -> Callable[..., Booking]:
    """Hold a booking: hold(slot), hold(slot, name="Kabir Shah")."""
    return lambda slot, **who: Booking.hold(slot, MEERA | who, {})


@pytest.fixture
def in_every_state(
    open_slot: Callable[..., Slot], hold: Callable[..., Booking], later: Callable[..., Any]
) -> dict[str, Booking]:
    """One booking in each state."""
    each = {state: hold(open_slot(hours=24 + 2 * nth)) for nth, state in enumerate(Booking.states)}
    for state in "confirmed", "cancelled", "completed", "no_show":
        each[state].mark_paid(ByHand("cash", "R-1"))
    each["requested"].ask()
    each["expired"].lapse()
    each["cancelled"].cancel(CallOff("-", "all"))
    with later(hours=72):
        each["completed"].complete()
        each["no_show"].miss()
    return each


@pytest.fixture
def work_off(app: Flask) -> Callable[[], int]:
    """Do all due jobs, as a worker would; return their count."""

    def work_off() -> int:
        done = 0
        while jobs.do_one():
            done += 1
        return done

    return work_off


@pytest.fixture
def later() -> Callable[..., Any]:
    """Set the clock ahead: with later(minutes=16): ..."""
    return lambda **span: clock.frozen_at(clock.now() + timedelta(**span))


@pytest.fixture
def count_queries(built: Flask) -> Callable[[Callable[[], Any]], int]:
    """Count the SQL statements during a call."""

    def count(done: Callable[[], Any]) -> int:
        process_cache.refresh_all()
        for each in process_cache._caches:
            assert each.value is not None  # fill the cache before counting
        asked: list[str] = []

        def note(*call: Any) -> None:
            asked.append(call[2])

        event.listen(db.engine(), "before_cursor_execute", note)
        try:
            done()
        finally:
            event.remove(db.engine(), "before_cursor_execute", note)
        return len(asked)

    return count


# --- programs beside the suite ----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def begin(environment: dict[str, str], settings: Settings) -> Iterator[Callable[[str], int]]:
    """Start a program in its own process: begin("worker") returns the PID. See TRADES in tests/hands.py."""
    served = {"HOST": "127.0.0.1", "PORT": settings.base_url.rpartition(":")[2]}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with start_child(
        [sys.executable, "-m", "tests.hands"], signal.SIGTERM, cwd=ROOT, env=os.environ | environment | served, **pipes
    ) as hands:
        assert hands.stdin
        assert hands.stdout

        def begin(trade: str) -> int:
            print(trade, file=hands.stdin, flush=True)
            return int(hands.stdout.readline())

        yield begin
        hands.stdin.close()


@pytest.fixture(scope="session")
def sandbox(begin: Callable[[str], int], settings: Settings) -> Iterator[str]:
    """The sandbox in its own process; returns its URL."""
    pid = begin("sandbox")
    _wait_for(f"{settings.sandbox_url}/sandbox/", pid)
    yield f"{settings.sandbox_url}/sandbox"
    _end(pid)


@pytest.fixture(scope="session")
def web(built: Flask, begin: Callable[[str], int], settings: Settings, sandbox: str) -> Iterator[str]:
    """The web server (gunicorn with two workers); returns its URL."""
    pid = begin("web")
    _wait_for(f"{settings.base_url}/health", pid)
    yield settings.base_url
    _end(pid)


@pytest.fixture
def working(app: Flask, begin: Callable[[str], int]) -> Iterator[None]:
    """A running worker and scheduler."""
    begun = [begin("worker"), begin("clock")]
    yield
    _end(*begun)


def _wait_for(address: str, pid: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with suppress(requests.ConnectionError):
            if requests.get(address, timeout=PATIENCE).ok:
                return
        assert _runs(pid), "the program ended before it was ready"
        time.sleep(0.05)


def _end(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    until, left = time.monotonic() + PATIENCE, [*pids]
    while left and time.monotonic() < until:
        time.sleep(0.05)
        left = [*filter(_runs, left)]
    for pid in left:
        os.killpg(pid, signal.SIGKILL)


def _runs(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False

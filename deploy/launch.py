"""Runs all of Frontdesk on one machine: `python deploy/launch.py run`, or `servers`, or `exec -- COMMAND`."""

from __future__ import annotations

import http.client
import os
import re
import secrets
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, Python looks into deploy/ only

from deploy.servers import Busy, Server, Trouble, child, is_free, kept, last_lines, plainly, port, servers, started

ROOT = Path(__file__).resolve().parent.parent
USAGE = "Usage: python deploy/launch.py run | servers | exec -- COMMAND"
PATIENCE = 120  # seconds for the web to answer for the first time
DEATHS = 5  # in a minute; one more and the process is beyond help


@dataclass(frozen=True)
class Program:
    """One process that belongs to Frontdesk."""

    name: str
    command: Sequence[str]
    colour: int = 37


FLASK = (sys.executable, "-m", "flask", "--app", "app")
MIGRATE = (*FLASK, "migrate")
SANDBOX = Program("sandbox", (sys.executable, "-m", "app.sandbox"), 35)
PROGRAMS = (
    # `python -m` and not the script: it puts this folder on Python's path before gunicorn reads its settings.
    Program("web", (sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.py", "app:create_app()"), 36),
    Program("worker", (sys.executable, "worker.py"), 33),
    Program("clock", (*FLASK, "clock"), 32),
)


def main(arguments: Sequence[str]) -> int:
    match list(arguments):
        case ["run"]:
            return run(ROOT)
        case ["servers"]:
            return only_servers(ROOT)
        case ["exec", "--", *command] if command:
            return execute(ROOT, command)
    raise Trouble(USAGE)


def run(
    root: Path, programs: Sequence[Program] = PROGRAMS, migrate: Sequence[str] = MIGRATE, sandbox: Program = SANDBOX
) -> int:
    """Servers, database, processes; until Ctrl-C, SIGTERM, or a process that cannot be kept alive."""
    ours = prepare(root)
    _refuse_taken_port()
    with interruptible(), started(root / "var") as both:
        announce(root, both)
        house = House(root, both)
        try:
            told = _migrated(root, migrate)
            for program in (*([sandbox] if ours else []), *programs):
                house.start(program)
            house.wait_for_web()
            print(_welcome(told), flush=True)
            house.watch()
        except KeyboardInterrupt:
            print("\nStopping…", flush=True)
        finally:
            _deaf()
            house.stop()
            _environment_file(root).unlink(missing_ok=True)
    return 0


def only_servers(root: Path) -> int:
    """For people who start the processes one by one."""
    prepare(root)
    with interruptible(), started(root / "var") as both:
        announce(root, both)
        try:
            print(f"export DATABASE_URL={shlex.quote(both[0].url)} REDIS_URL={shlex.quote(both[1].url)}", flush=True)
            print("Press Ctrl-C to stop them.", file=sys.stderr, flush=True)
            House(root, both).watch()
        except KeyboardInterrupt:
            pass
        finally:
            _deaf()
            _environment_file(root).unlink(missing_ok=True)
    return 0


def execute(root: Path, command: Sequence[str]) -> int:
    """One command with the servers up and the same settings; beside a running Frontdesk it shares that one's servers."""
    prepare(root)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    try:
        with interruptible(), servers(root / "var") as (database, store):
            os.environ |= {"DATABASE_URL": database, "REDIS_URL": store}
            return _through(command)
    except Busy:
        running = _environment_file(root)
        if not running.exists():
            raise
        os.environ |= read_settings(running)
        return _through(command)


# --- settings


def prepare(root: Path) -> bool:
    """Complete the environment; what is set wins, then `.env`, then what a first run needs. True when the sandbox is ours to start."""
    file = root / ".env"
    for name, value in (read_settings(file) if file.exists() else {}).items():
        os.environ.setdefault(name, value)
    _default("FRONTDESK_ENV", "demo")
    _default("HOST", "127.0.0.1")
    _default("PORT", "8000")
    _default("BASE_URL", f"http://localhost:{os.environ['PORT']}")
    _default("PYTHONUNBUFFERED", "1")
    home = root / "var"
    with plainly(f"save settings in {home}"):
        home.mkdir(exist_ok=True)
        if not os.environ.get("SECRET_KEY", "").strip():
            os.environ["SECRET_KEY"] = kept(home / "secret", lambda: secrets.token_urlsafe(48))
        return _stand_in(home)


def _stand_in(home: Path) -> bool:
    """Without keys the sandbox takes the payments and the mail; in production the settings would rightly refuse it."""
    keys = os.environ.get("RAZORPAY_KEY_ID") or os.environ.get("SANDBOX_URL")
    if keys or os.environ["FRONTDESK_ENV"] == "production":
        return False
    for name, value in _DEMO.items():
        _default(name, value)
    os.environ["SANDBOX_URL"] = f"http://127.0.0.1:{port(home / 'sandbox.port')}"
    os.environ["SANDBOX_SMTP_PORT"] = str(port(home / "sandbox-smtp.port"))
    return True


# Who the demo is on paper: invoices with GST, and a code to scan on what is still to be paid.
_DEMO = {
    "BUSINESS_ADDRESS": r"12 MG Road\nBengaluru 560001",
    "BUSINESS_TAX_NUMBER": "29AAGCK4512L1ZA",
    "BUSINESS_REGION": "29",
    "BUSINESS_UPI": "frontdesk@upi",
}


def _default(name: str, value: str) -> None:
    """An empty value means not set, as it does in config.py."""
    if not os.environ.get(name, "").strip():
        os.environ[name] = value


def read_settings(file: Path) -> dict[str, str]:
    """NAME=value lines, as a shell would read them."""
    settings = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = re.fullmatch(r"\s*(?:export\s+)?(\w+)\s*=(.*)", line)
        if not found:
            raise Trouble(f"{file}, line {number}, does not have the form NAME=value.")
        settings[found[1]] = _unquoted(found[2])
    return settings


def _unquoted(text: str) -> str:
    """Quotes are taken off; outside of them, what follows a space and `#` is a comment."""
    quoted = re.fullmatch(r"""\s*(["'])(.*?)\1\s*(?:#.*)?""", text)
    return quoted[2] if quoted else re.split(r"(?:^|\s)#", text)[0].strip()


def announce(root: Path, both: tuple[Server, Server]) -> None:
    """Put the addresses into our environment, and into a file for `exec` beside us."""
    os.environ |= {"DATABASE_URL": both[0].url, "REDIS_URL": both[1].url}
    names = (
        "DATABASE_URL",
        "REDIS_URL",
        "SECRET_KEY",
        "FRONTDESK_ENV",
        "BASE_URL",
        "SANDBOX_URL",
        "SANDBOX_SMTP_PORT",
        *_DEMO,
    )
    file = _environment_file(root)
    file.unlink(missing_ok=True)  # a launcher that was killed has left its own
    kept(file, lambda: "\n".join(f"{name}='{os.environ[name]}'" for name in names if os.environ.get(name)))


def _environment_file(root: Path) -> Path:
    return root / "var" / "running.env"


def _refuse_taken_port() -> None:
    host, number = os.environ["HOST"], os.environ["PORT"]
    if not (number.isdigit() and 0 < int(number) < 65536):
        raise Trouble(f"PORT is {number!r}. Set it to a port number from 1 to 65535.")
    try:
        free = is_free(host, int(number))
    except OSError as error:
        raise Trouble(
            f"Cannot listen on {host}:{number}: {error.strerror or error}. Choose another address: HOST=127.0.0.1 PORT=8080 make run"
        ) from None
    if not free:
        raise Trouble(
            f"Port {number} is in use by another program. Choose another: PORT={int(number) % 65000 + 80} make run"
        )


# --- processes


@dataclass
class Running:
    """A program's process, its last words, and when it died before."""

    program: Program
    process: subprocess.Popen[bytes]
    rest: bytes = b""
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    deaths: list[float] = field(default_factory=list)


class House:
    """Everything that runs; one thread, because forking beside threads can lock up the child."""

    def __init__(self, root: Path, both: Sequence[Server]) -> None:
        self.root = root
        self.servers = both
        self.running: list[Running] = []
        self.selector = selectors.DefaultSelector()
        self.coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def start(self, program: Program) -> None:
        one = Running(program, self._process(program))
        self.running.append(one)
        self._listen(one)

    def watch(self) -> NoReturn:
        while True:
            self.step()

    def wait_for_web(self) -> None:
        until = time.monotonic() + PATIENCE
        while not _healthy():
            if time.monotonic() > until:
                raise Trouble(
                    f"The web process did not become healthy within {PATIENCE} seconds. See its output above."
                )
            self.step()

    def step(self) -> None:
        """Pass on what was said, look who died."""
        self._pass_on(0.2)
        for server in self.servers:
            if server.process and server.process.poll() is not None:
                raise Trouble(
                    f"{server.name} stopped unexpectedly:\n{last_lines(server.log, 20)}\nEverything else was stopped too."
                )
        for one in self.running:
            if one.process.poll() is not None:
                self._again(one)

    def stop(self) -> None:
        """In reverse order: what takes orders stops after what gives them."""
        for one in reversed(self.running):
            with suppress(ProcessLookupError):
                one.process.terminate()  # the leader alone: gunicorn and the worker let their own children finish first
            until = time.monotonic() + 10
            while one.process.poll() is None and time.monotonic() < until:
                self._pass_on(0.1)
            _kill_session(one.process)
            self._pass_on(0)
        self.selector.close()

    def _process(self, program: Program) -> subprocess.Popen[bytes]:
        return child(
            program.command,
            signal.SIGTERM,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone; we stop them in order
        )

    def _listen(self, one: Running) -> None:
        assert one.process.stdout
        self.selector.register(one.process.stdout, selectors.EVENT_READ, one)

    def _pass_on(self, seconds: float) -> None:
        for key, _ in self.selector.select(seconds):
            data = os.read(key.fd, 65536)
            self._say(key.data, data)
            if not data:
                self.selector.unregister(key.fileobj)

    def _say(self, one: Running, data: bytes) -> None:
        """Whole lines only; at the end of the stream what is left is a line."""
        *lines, one.rest = (one.rest + data + (b"" if data or not one.rest else b"\n")).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            one.tail.append(text)
            print(f"{self._prefix(one.program)} {text}", flush=True)

    def _prefix(self, program: Program) -> str:
        label = f"{program.name:<8}|"
        return f"\x1b[{program.colour}m{label}\x1b[0m" if self.coloured else label

    def _again(self, one: Running) -> None:
        self._pass_on(0)
        _kill_session(one.process)
        one.deaths = [moment for moment in one.deaths if moment > time.monotonic() - 60] + [time.monotonic()]
        name, code = one.program.name, one.process.returncode
        if len(one.deaths) > DEATHS:
            said = "\n".join(one.tail) or "(no output)"
            raise Trouble(
                f"{name} stopped {len(one.deaths)} times within a minute, so everything was stopped. Its last output:\n{said}"
            )
        print(f"{self._prefix(one.program)} stopped unexpectedly ({_ending(code)}). Restarting.", flush=True)
        one.process = self._process(one.program)
        self._listen(one)


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _kill_session(leader: subprocess.Popen[bytes]) -> None:
    """Nothing outlives its leader: not its group, nor (a job that RQ put into a group of its own) the rest of its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, signal.SIGKILL)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            after_name = stat.read_text().rpartition(")")[2].split()  # state, parent, group, session
            if after_name[3] == str(leader.pid) and after_name[0] != "Z":
                os.kill(int(stat.parent.name), signal.SIGKILL)
    leader.wait()


def _migrated(root: Path, command: Sequence[str]) -> str:
    """What the migration tells the user, for the end, where it can be seen."""
    print("Preparing the database…", flush=True)
    process = child(
        command, signal.SIGTERM, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        told = process.communicate()[0].decode(errors="replace").strip()
    except BaseException:
        _kill_session(process)
        raise
    if process.returncode:
        raise Trouble(
            f"{told}\nThe database could not be prepared ({_ending(process.returncode)}). See the output above.".strip()
        )
    return told


def _healthy() -> bool:
    """Asked where it listens, under the name it is known by."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(os.environ["HOST"], os.environ["HOST"])
    line = http.client.HTTPConnection(host, int(os.environ["PORT"]), timeout=2)
    try:
        line.request("GET", "/health", headers={"Host": urlsplit(os.environ["BASE_URL"]).netloc})
        return line.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        line.close()


def _welcome(told: str) -> str:
    base = os.environ["BASE_URL"].rstrip("/")
    addresses = {"Public site": "/", "Desk": "/desk/", "API": "/swagger/v1"}
    if os.environ.get("SANDBOX_URL"):
        addresses |= {"Email": "/sandbox/mail", "Phones": "/sandbox/phones"}
    lines = [f"  {name:<12} {base}{path}" for name, path in addresses.items()]
    return "\n".join(
        [
            "",
            "Frontdesk is running.",
            "",
            *lines,
            "",
            *([told, ""] if told else []),
            "Press Ctrl-C to stop everything.",
            "",
        ]
    )


def _through(command: Sequence[str]) -> int:
    """The command has the terminal: Ctrl-C is its own affair, and a SIGTERM to us is handed on."""
    if not shutil.which(command[0]):
        print(f"{command[0]}: command not found.", file=sys.stderr)
        return 127
    process: subprocess.Popen[bytes] | None = None

    def hand_on(number: int, _: FrameType | None) -> None:
        if process and number != signal.SIGINT:
            process.send_signal(number)

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, hand_on)  # a handler, not SIG_IGN: the child would inherit that
    process = child(command, signal.SIGTERM)
    code = process.wait()
    return 128 - code if code < 0 else code


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and a closed terminal end us the way Ctrl-C does; what the caller chose to ignore (nohup, &) stays ignored."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    chosen = [
        each for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) != signal.SIG_IGN
    ]
    before = {each: signal.signal(each, interrupt) for each in chosen}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _deaf() -> None:
    """A second Ctrl-C must not leave half of it running."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("Stopped.")

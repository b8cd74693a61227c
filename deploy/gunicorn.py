"""Gunicorn settings of the web process, the same for `make run`, the container and Kubernetes."""

import os
from pathlib import Path

from app.kernel import db

_host = os.environ.get("HOST") or "127.0.0.1"
_port = os.environ.get("PORT") or "8000"
bind = f"[{_host}]:{_port}" if ":" in _host else f"{_host}:{_port}"

# Processes, not threads: Flask-AppBuilder keeps one filter object for each view and shares it between threads,
# so that two people searching at once could see each other's rows.
worker_class = "sync"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
preload_app = True  # the web writes no permissions at start-up (migrate does), so loading once is safe and quick

timeout = 30
graceful_timeout = 20
# A heartbeat file on a busy disk can make a worker look dead.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None

forwarded_allow_ips = ""  # the app trusts TRUSTED_PROXIES proxies; gunicorn trusts none
control_socket_disable = True  # a container has no home folder for it
accesslog = None  # the app logs each request
errorlog = "-"


def post_fork(server: object, worker: object) -> None:
    """Drop connections opened before the fork: parent and child would mix up their answers."""
    db.engine().dispose(close=False)

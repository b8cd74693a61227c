"""Health checks: /health answers without dependencies; /health/ready checks PostgreSQL and Redis."""

from __future__ import annotations

from typing import Any

import redis
from flask import Blueprint, current_app
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.kernel.db import session

health = Blueprint("health", __name__)


@health.get("/health")
def alive() -> dict[str, str]:
    return {"status": "ok"}


@health.get("/health/ready")
def ready() -> tuple[dict[str, Any], int]:
    found = {"database": _database(), "redis": _redis()}
    good = found["database"] == "ok"  # without Redis everything still works, with a delay
    return {"status": "ok" if good else "not ready", **found}, 200 if good else 503


def _database() -> str:
    try:
        session.execute(text("select 1"))
    except SQLAlchemyError:
        return "away"
    return "ok"


def _redis() -> str:
    try:
        redis.Redis.from_url(
            current_app.extensions["settings"].redis_url, socket_timeout=1, socket_connect_timeout=1
        ).ping()
    except redis.RedisError:
        return "away"
    return "ok"

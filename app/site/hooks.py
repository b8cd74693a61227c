"""Webhook event list: GET /api/hooks/events, for the authors of integrations."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, jsonify

from app.messages.webhook import webhook_events

api = Blueprint("hooks", __name__, url_prefix="/api/hooks")


@api.get("/events")
def events() -> Any:
    return jsonify(events=[asdict(each) for each in webhook_events()])

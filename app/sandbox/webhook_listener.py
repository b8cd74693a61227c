"""Webhook receiver: stores the webhooks sent by the product and answers as planned, late or with an error."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import uuid4

from flask import Blueprint, Response, jsonify, redirect, render_template, request

from app.sandbox.state_file import Store

SHOWN = 50
ANSWERS = (200, 500, 410)
SLOWEST = 20


def create_blueprint(store: Store) -> Blueprint:
    listener = Blueprint("listener", __name__, url_prefix="/sandbox/listener")

    @listener.post("")
    def hear() -> Response:
        plan = store.use_plan("listener") or {}
        status, answer = int(plan.get("status", 200)), str(plan.get("answer", "OK"))
        headers = {
            name: request.headers.get(name, "")
            for name in ("Frontdesk-Event", "Frontdesk-Signature", "User-Agent", "Content-Type")
        }
        webhook = {
            "id": f"heard_{uuid4().hex}",
            "at": time.time(),
            "headers": headers,
            "body": request.get_data(as_text=True),
            "answered": status,
        }
        store.put("heard", webhook)
        time.sleep(min(float(plan.get("seconds", 0)), SLOWEST))
        return Response(answer, status, mimetype="text/plain")

    @listener.get("")
    def page() -> str:
        return render_template(
            "sandbox/listener.html",
            heard=_received_webhooks(store),
            answers=ANSWERS,
            plans=[each for each in store.list_plans() if "status" in each],
        )

    @listener.get("/heard.json")
    def as_json() -> Response:
        return jsonify(_received_webhooks(store))

    @listener.post("/plan")
    def plan() -> Any:
        """Plan an answer, from a form or as JSON: {"status": 500, "times": 2, "seconds": 0, "answer": "no"}."""
        given = request.get_json(silent=True) or request.form
        how = {
            "status": int(given.get("status") or 200),
            "seconds": float(given.get("seconds") or 0),
            "answer": str(given.get("answer") or "Simulated response"),
        }
        store.add_plan("listener", how, int(given.get("times") or 1))
        return jsonify(planned=True) if request.is_json else redirect("/sandbox/listener", 303)

    return listener


def _received_webhooks(store: Store) -> list[dict[str, Any]]:
    """List the received webhooks, newest first, with their JSON."""
    return [each | {"told": _parse_json(each["body"])} for each in reversed(store.all("heard")[-SHOWN:])]


def _parse_json(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None

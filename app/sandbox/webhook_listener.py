"""A program that hears our webhooks, and answers as it is told to: late, with an error, or that it is gone."""

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


def pages(store: Store) -> Blueprint:
    listener = Blueprint("listener", __name__, url_prefix="/sandbox/listener")

    @listener.post("")
    def hear() -> Response:
        plan = store.planned("listener") or {}
        status, answer = int(plan.get("status", 200)), str(plan.get("answer", "OK"))
        headers = {
            name: request.headers.get(name, "")
            for name in ("Frontdesk-Event", "Frontdesk-Signature", "User-Agent", "Content-Type")
        }
        heard = {
            "id": f"heard_{uuid4().hex}",
            "at": time.time(),
            "headers": headers,
            "body": request.get_data(as_text=True),
            "answered": status,
        }
        store.put("heard", heard)
        time.sleep(min(float(plan.get("seconds", 0)), SLOWEST))
        return Response(answer, status, mimetype="text/plain")

    @listener.get("")
    def page() -> str:
        return render_template(
            "sandbox/listener.html",
            heard=_heard(store),
            answers=ANSWERS,
            plans=[each for each in store.plans() if "status" in each],
        )

    @listener.get("/heard.json")
    def as_json() -> Response:
        return jsonify(_heard(store))

    @listener.post("/plan")
    def plan() -> Any:
        """Of a page's form or as JSON: {"status": 500, "times": 2, "seconds": 0, "answer": "no"}."""
        given = request.get_json(silent=True) or request.form
        how = {
            "status": int(given.get("status") or 200),
            "seconds": float(given.get("seconds") or 0),
            "answer": str(given.get("answer") or "Simulated response"),
        }
        store.plan("listener", how, int(given.get("times") or 1))
        return jsonify(planned=True) if request.is_json else redirect("/sandbox/listener", 303)

    return listener


def _heard(store: Store) -> list[dict[str, Any]]:
    """Newest first, each body as what it says."""
    return [each | {"told": _read(each["body"])} for each in reversed(store.all("heard")[-SHOWN:])]


def _read(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None

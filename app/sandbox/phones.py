"""Telephones that are not real: what was sent to them, what they tell of it, what is written back, and what goes wrong on purpose."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from flask import Blueprint, Response, abort, g, jsonify, redirect, render_template, request

from app.sandbox.state_file import Store
from app.sandbox.webhooks import PATIENCE, Postman

HOME = "/sandbox/phones"
FAULTS = {
    "reply_lost": "Reply lost, message delivered",
    "swallowed": "Reply lost, message lost",
    "429": "Too many messages (429)",
    "500": "Internal server error (500)",
    "refused": "Number does not exist",
    "failed": "Accepted, then not delivered",
    "twice": "Status reports sent twice, out of order",
    "silent": "No status reports",
    "wrong_signature": "Status reports with a wrong signature",
}
PAUSES = {"sent": 0.05, "delivered": 0.2, "failed": 0.2}
TRIES = 6

Thing = dict[str, Any]


@dataclass(frozen=True)
class Report:
    """One call of a webhook, as its carrier makes it."""

    address: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Carrier:
    """How one carrier tells of a message, and of what somebody wrote back."""

    status: Callable[[Thing, str], Report]
    reply: Callable[[str, str], Report]


class Phones:
    def __init__(self, store: Store, postman: Postman) -> None:
        self.store = store
        self.carriers: dict[str, Carrier] = {}
        postman.rounds.append(self.report_due)

    # --- what carriers do ---

    def fault(self, carrier: str) -> str:
        """What was planned to go wrong with this call, once."""
        g.fault = (self.store.planned("phones", carrier) or {}).get("fault", "")
        return str(g.fault)

    def take(self, carrier: str, text: Thing) -> Thing:
        """It arrives on the telephone, and what becomes of it is told in a moment."""
        fault = g.get("fault", "")
        kept = self.store.put(
            "text",
            text
            | {
                "carrier": carrier,
                "status": "accepted",
                "at": time.time(),
                "wrong_signature": fault == "wrong_signature",
            },
        )
        if self.store.planned("reports", carrier) is None:
            steps = ["sent", "failed"] if fault == "failed" else ["sent", "delivered"]
            for step in steps:
                self.tell_soon(kept, step, PAUSES[step])
            if fault == "twice":
                self.tell_soon(kept, "delivered", 0.02, nth=2)
                self.tell_soon(kept, "sent", 0.4, nth=2)
        return kept

    def tell_soon(self, text: Thing, status: str, after: float, nth: int = 1) -> None:
        self.store.soon(
            "report", f"{text['id']} {status} {nth}", after, {"text": text["id"], "status": status, "tries": 0}
        )

    def lose_the_reply(self, response: Response) -> Response:
        if g.get("fault") in ("reply_lost", "swallowed"):
            response.data, response.status_code = b"", 502
            line: socket.socket | None = request.environ.get("werkzeug.socket")
            if line is not None:
                line.shutdown(socket.SHUT_RDWR)
        return response

    def report_due(self) -> None:
        for id, how in self.store.due("report"):
            text = self.store.get("text", how["text"])
            if text is None:
                continue
            if text["status"] not in ("read", "failed"):
                self.store.put("text", text | {"status": how["status"]})
            if not self._bring(self.carriers[text["carrier"]].status(text, how["status"])) and how["tries"] < TRIES:
                self.store.soon("report", id, 2 ** how["tries"], how | {"tries": how["tries"] + 1})

    def _bring(self, it: Report) -> bool:
        try:
            return requests.post(it.address, data=it.body, headers=dict(it.headers), timeout=PATIENCE).ok
        except requests.RequestException:
            return False

    # --- what people do, on pages ---

    def pages(self) -> Blueprint:
        pages = Blueprint("phones", __name__, url_prefix=HOME)
        pages.add_url_rule("", "inbox", self.inbox)
        pages.add_url_rule("/texts.json", "as_json", self.as_json)
        pages.add_url_rule("/<path:id>/read", "read", self.read, methods=["POST"])
        pages.add_url_rule("/reply", "reply", self.reply, methods=["POST"])
        pages.add_url_rule("/faults", "plan", self.plan, methods=["POST"])
        pages.add_url_rule("/faults", "forget", self.forget, methods=["DELETE"])
        return pages

    def texts(self, to: str = "") -> list[Thing]:
        """Newest first."""
        return [each for each in self.store.all("text")[::-1] if to in each["to"]]

    def inbox(self) -> str:
        plans = [each for each in self.store.plans() if each.get("fault") in FAULTS and "carrier" in each]
        return render_template(
            "sandbox/phones.html", texts=self.texts(), faults=FAULTS, plans=plans, carriers=[*self.carriers]
        )

    def as_json(self) -> Response:
        return jsonify(self.texts(request.args.get("to", "")))

    def read(self, id: str) -> Any:
        """Somebody has looked at it."""
        text = self.store.get("text", id) or abort(404)
        self.tell_soon(text, "read", 0)
        return redirect(HOME, 303)

    def reply(self) -> Any:
        """Somebody writes back; the answer of the house is shown at once."""
        given = request.get_json(silent=True) or request.form
        carrier = self.carriers.get(str(given.get("carrier"))) or abort(404)
        brought = self._bring(carrier.reply(str(given.get("phone", "")), str(given.get("words", ""))))
        return (jsonify(brought=brought), 200 if brought else 502) if request.is_json else redirect(HOME, 303)

    def plan(self) -> Any:
        given = request.get_json(silent=True) or request.form
        fault, times = str(given.get("fault")), str(given.get("times", 1))
        if fault not in FAULTS or not times.isdecimal() or not int(times):
            return render_template(
                "sandbox/refused.html", words="Choose a problem and enter a number of messages of 1 or more.", back=HOME
            ), 400
        path = str(given.get("carrier", ""))
        self.store.plan(
            "reports" if fault == "silent" else "phones",
            {"fault": fault, "path": path, "carrier": path or "both"},
            int(times),
        )
        return jsonify(planned=fault) if request.is_json else redirect(HOME, 303)

    def forget(self) -> Response:
        self.store.forget_plans()
        return jsonify(planned=[])

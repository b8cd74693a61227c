"""WhatsApp and SMS phones, simulated: messages received, delivery reports, replies, and faults on demand."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from flask import Blueprint, Response, abort, g, jsonify, redirect, render_template, request

from app.sandbox.state_file import Store
from app.sandbox.webhooks import ANSWER_SECONDS, WebhookSender

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
REPORT_DELAYS = {"sent": 0.05, "delivered": 0.2, "failed": 0.2}
MAX_TRIES = 6

Thing = dict[str, Any]


@dataclass(frozen=True)
class WebhookCall:
    """A signed webhook request, as the carrier sends it."""

    address: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Carrier:
    """How a carrier builds the webhook of a delivery report and of a reply."""

    status_call: Callable[[Thing, str], WebhookCall]
    reply_call: Callable[[str, str], WebhookCall]


class Phones:
    def __init__(self, store: Store, sender: WebhookSender) -> None:
        self.store = store
        self.carriers: dict[str, Carrier] = {}
        sender.periodic.append(self.send_due_reports)

    # --- carriers ---

    def use_fault(self, carrier: str) -> str:
        """Return the fault planned for this call and use it up."""
        g.fault = (self.store.use_plan("phones", carrier) or {}).get("fault", "")
        return str(g.fault)

    def receive_text(self, carrier: str, text: Thing) -> Thing:
        """Store a message and schedule its delivery reports."""
        fault = g.get("fault", "")
        stored = self.store.put(
            "text",
            text
            | {
                "carrier": carrier,
                "status": "accepted",
                "at": time.time(),
                "wrong_signature": fault == "wrong_signature",
            },
        )
        if self.store.use_plan("reports", carrier) is None:
            steps = ["sent", "failed"] if fault == "failed" else ["sent", "delivered"]
            for step in steps:
                self.schedule_report(stored, step, REPORT_DELAYS[step])
            if fault == "twice":
                self.schedule_report(stored, "delivered", 0.02, nth=2)
                self.schedule_report(stored, "sent", 0.4, nth=2)
        return stored

    def schedule_report(self, text: Thing, status: str, after: float, nth: int = 1) -> None:
        self.store.schedule(
            "report", f"{text['id']} {status} {nth}", after, {"text": text["id"], "status": status, "tries": 0}
        )

    def drop_reply(self, response: Response) -> Response:
        if g.get("fault") in ("reply_lost", "swallowed"):
            response.data, response.status_code = b"", 502
            connection: socket.socket | None = request.environ.get("werkzeug.socket")
            if connection is not None:
                connection.shutdown(socket.SHUT_RDWR)
        return response

    def send_due_reports(self) -> None:
        for id, how in self.store.take_due("report"):
            text = self.store.get("text", how["text"])
            if text is None:
                continue
            if text["status"] not in ("read", "failed"):
                self.store.put("text", text | {"status": how["status"]})
            if (
                not self._post(self.carriers[text["carrier"]].status_call(text, how["status"]))
                and how["tries"] < MAX_TRIES
            ):
                self.store.schedule("report", id, 2 ** how["tries"], how | {"tries": how["tries"] + 1})

    def _post(self, call: WebhookCall) -> bool:
        try:
            return requests.post(call.address, data=call.body, headers=dict(call.headers), timeout=ANSWER_SECONDS).ok
        except requests.RequestException:
            return False

    # --- pages ---

    def create_blueprint(self) -> Blueprint:
        pages = Blueprint("phones", __name__, url_prefix=HOME)
        pages.add_url_rule("", "inbox", self.inbox)
        pages.add_url_rule("/texts.json", "as_json", self.as_json)
        pages.add_url_rule("/<path:id>/read", "read", self.read, methods=["POST"])
        pages.add_url_rule("/reply", "reply", self.reply, methods=["POST"])
        pages.add_url_rule("/faults", "plan", self.plan_fault, methods=["POST"])
        pages.add_url_rule("/faults", "forget", self.clear_faults, methods=["DELETE"])
        return pages

    def list_texts(self, to: str = "") -> list[Thing]:
        """List the messages to a number, newest first."""
        return [each for each in self.store.all("text")[::-1] if to in each["to"]]

    def inbox(self) -> str:
        plans = [each for each in self.store.list_plans() if each.get("fault") in FAULTS and "carrier" in each]
        return render_template(
            "sandbox/phones.html", texts=self.list_texts(), faults=FAULTS, plans=plans, carriers=[*self.carriers]
        )

    def as_json(self) -> Response:
        return jsonify(self.list_texts(request.args.get("to", "")))

    def read(self, id: str) -> Any:
        """Report the message as read."""
        text = self.store.get("text", id) or abort(404)
        self.schedule_report(text, "read", 0)
        return redirect(HOME, 303)

    def reply(self) -> Any:
        """Send a customer's reply to our webhook at once."""
        given = request.get_json(silent=True) or request.form
        carrier = self.carriers.get(str(given.get("carrier"))) or abort(404)
        brought = self._post(carrier.reply_call(str(given.get("phone", "")), str(given.get("words", ""))))
        return (jsonify(brought=brought), 200 if brought else 502) if request.is_json else redirect(HOME, 303)

    def plan_fault(self) -> Any:
        given = request.get_json(silent=True) or request.form
        fault, times = str(given.get("fault")), str(given.get("times", 1))
        if fault not in FAULTS or not times.isdecimal() or not int(times):
            return render_template(
                "sandbox/refused.html", words="Choose a problem and enter a number of messages of 1 or more.", back=HOME
            ), 400
        path = str(given.get("carrier", ""))
        self.store.add_plan(
            "reports" if fault == "silent" else "phones",
            {"fault": fault, "path": path, "carrier": path or "both"},
            int(times),
        )
        return jsonify(planned=fault) if request.is_json else redirect(HOME, 303)

    def clear_faults(self) -> Response:
        self.store.clear_plans()
        return jsonify(planned=[])

"""WhatsApp Cloud API, simulated: sending a template message, its errors, and its webhooks."""

from __future__ import annotations

import base64
import json
import re
import secrets
from typing import Any, NoReturn

from flask import Blueprint, Response, jsonify, request

from app.kernel import clock
from app.sandbox.phones import Phones, Thing, WebhookCall
from app.sandbox.webhooks import sign
from config import Settings


class ApiError(Exception):
    """An error in Meta's format."""

    def __init__(self, code: int, title: str, details: str = "", status: int = 400) -> None:
        super().__init__(title)
        self.status = status
        self.error: Thing = {
            "message": f"(#{code}) {title}",
            "type": "OAuthException",
            "code": code,
            "fbtrace_id": secrets.token_urlsafe(12),
        }
        if details:
            self.error["error_data"] = {"messaging_product": "whatsapp", "details": details}


def refuse(code: int, title: str, details: str = "", status: int = 400) -> NoReturn:
    raise ApiError(code, title, details, status)


class WhatsApp:
    name = "whatsapp"

    def __init__(self, settings: Settings, phones: Phones) -> None:
        self.settings, self.phones = settings, phones
        self.hook = settings.base_url.rstrip("/") + "/api/messages/webhook/whatsapp"

    def create_blueprint(self) -> Blueprint:
        pages = Blueprint("whatsapp", __name__, url_prefix="/sandbox/whatsapp/v23.0")
        pages.register_error_handler(ApiError, lambda wrong: (jsonify(error=wrong.error), wrong.status))
        pages.add_url_rule("/<phone_id>/messages", "send", self.send, methods=["POST"])
        pages.after_request(self.phones.drop_reply)
        return pages

    def send(self, phone_id: str) -> Any:
        if request.headers.get("Authorization") != f"Bearer {self.settings.whatsapp_token}":
            refuse(190, "Authentication Error", status=401)
        if phone_id != self.settings.whatsapp_phone_id:
            refuse(100, f"Unsupported post request. Object with ID '{phone_id}' does not exist")
        given = request.get_json(silent=True) or {}
        to, text = _read_template(given)
        broken = self._simulate_fault()
        if broken is not None:
            return broken
        id = "wamid." + base64.b64encode(f"HB{secrets.token_hex(12)}".encode()).decode().rstrip("=")
        self.phones.receive_text(
            self.name, {"id": id, "to": f"+{to}", "ours": given.get("biz_opaque_callback_data"), **text}
        )
        return jsonify(
            messaging_product="whatsapp",
            contacts=[{"input": to, "wa_id": to}],
            messages=[{"id": id, "message_status": "accepted"}],
        )

    def _simulate_fault(self) -> Any:
        match self.phones.use_fault(self.name):
            case "429":
                refuse(130429, "Rate limit hit", "Cloud API message throughput has been reached.", 429)
            case "500":
                return Response("<html><body>Sorry, something went wrong.</body></html>", 500, mimetype="text/html")
            case "refused":
                refuse(131026, "Message undeliverable", "Message Undeliverable.")
            case "swallowed":
                return Response("", 502)
        return None

    # --- webhooks ---

    def status_call(self, text: Thing, status: str) -> WebhookCall:
        report: Thing = {
            "id": text["id"],
            "status": status,
            "timestamp": str(clock.timestamp()),
            "recipient_id": text["to"].removeprefix("+"),
        }
        if text.get("ours"):
            report["biz_opaque_callback_data"] = text["ours"]
        if status == "failed":
            report["errors"] = [
                {
                    "code": 131026,
                    "title": "Message undeliverable",
                    "message": "Message undeliverable",
                    "error_data": {"details": "Message Undeliverable."},
                }
            ]
        return self._signed_call({"statuses": [report]}, wrong=bool(text.get("wrong_signature")))

    def reply_call(self, phone: str, words: str) -> WebhookCall:
        wa_id = phone.removeprefix("+")
        message = {
            "from": wa_id,
            "id": f"wamid.{secrets.token_hex(12)}",
            "timestamp": str(clock.timestamp()),
            "type": "text",
            "text": {"body": words},
        }
        return self._signed_call(
            {"contacts": [{"profile": {"name": "Demo customer"}, "wa_id": wa_id}], "messages": [message]}
        )

    def _signed_call(self, value: Thing, *, wrong: bool = False) -> WebhookCall:
        metadata = {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550783881", "phone_number_id": self.settings.whatsapp_phone_id},
        }
        entry = {"id": "102290129340398", "changes": [{"field": "messages", "value": metadata | value}]}
        raw = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
        secret = "not the secret" if wrong else self.settings.whatsapp_app_secrets[0]
        return WebhookCall(
            self.hook, {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={sign(raw, secret)}"}, raw
        )


def _read_template(given: Thing) -> tuple[str, Thing]:
    """Read the recipient and the filled template of a message."""
    if given.get("messaging_product") != "whatsapp":
        refuse(100, "Invalid parameter", "The parameter messaging_product is required.")
    to = str(given.get("to", ""))
    if not re.fullmatch(r"[0-9]{7,15}", to):
        refuse(131009, "Parameter value is not valid", "The parameter to is not a valid phone number.")
    template = given.get("template")
    if given.get("type") != "template" or not isinstance(template, dict):
        refuse(
            131047,
            "Re-engagement message",
            "More than 24 hours have passed since the recipient last replied: only a template can be sent.",
        )
    name, language = str(template.get("name", "")), str((template.get("language") or {}).get("code", ""))
    if not re.fullmatch(r"[a-z0-9_]{1,512}", name) or not language:
        refuse(
            132001,
            "Template name does not exist in the translation",
            f"template name ({name}) does not exist in {language or 'no language'}",
        )
    places = [
        each.get("text", "")
        for part in template.get("components", [])
        if part.get("type") == "body"
        for each in part.get("parameters", [])
    ]
    if any(not place or re.search(r"[\n\t]| {5,}", place) for place in places):
        refuse(
            132018,
            "There's an issue with the parameters in your template",
            "Param text cannot have new-line/tab characters or more than 4 consecutive spaces",
        )
    return to, {"template": name, "language": language, "places": places, "body": "\n".join(places)}

"""WhatsApp by Meta's Cloud API: sends approved templates, and reads delivery reports and replies from its webhooks.

A business may only start a conversation with a template that Meta has approved. So our template names it in the first
line, and each line below fills one of its placeholders.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from app.kernel import db
from app.kernel.errors import Forbidden, Unreadable
from app.kernel.people import Person
from app.messages.channel import Declined, DeliveryReport, NotTaken, OutgoingMessage, Reply, Unconfirmed, WebhookNews

WAIT = httpx.Timeout(10, connect=3)
TOO_MUCH = frozenset([4, 80007, 130429, 131048, 131056])  # rate limits
LATER = frozenset([131016, 133004])  # outages at Meta
STATES = ("sent", "delivered", "read", "failed")


class WhatsApp:
    name = "whatsapp"
    label = "WhatsApp"
    deduplicates = False
    confirms = True

    def __init__(self, *, phone_id: str, token: str, app_secrets: tuple[str, ...], verify_token: str, url: str) -> None:
        self.app_secrets, self.verify_token = app_secrets, verify_token
        self.address_there = f"{url.rstrip('/')}/{phone_id}/messages"
        self.headers = {"Authorization": f"Bearer {token}"}

    def address(self, person: Person) -> str:
        return person.phone

    # --- sending ---

    def send(self, letter: OutgoingMessage) -> str:
        db.require_no_transaction()
        try:
            answer = httpx.post(self.address_there, json=_template(letter), headers=self.headers, timeout=WAIT)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise NotTaken("WhatsApp could not be reached.") from None
        except httpx.HTTPError:
            raise Unconfirmed("WhatsApp did not respond. If it accepted the message, it will confirm soon.") from None
        body = _json_of(answer)
        if answer.is_success and body:
            return _id(body)
        raise _error_of(answer.status_code, body)

    # --- webhooks ---

    def parse_webhook(self, raw: bytes, headers: Mapping[str, str], path: str) -> WebhookNews:
        given = next((value for name, value in headers.items() if name.lower() == "x-hub-signature-256"), "")
        wanted = (f"sha256={hmac.new(each.encode(), raw, hashlib.sha256).hexdigest()}" for each in self.app_secrets)
        if not any(hmac.compare_digest(given.encode(), each.encode()) for each in wanted):
            raise Forbidden("WhatsApp’s signature is not valid.")
        try:
            values = [*_values(json.loads(raw))]
            reports = [
                _report_of(each) for value in values for each in value.get("statuses", []) if each["status"] in STATES
            ]
            return WebhookNews(reports, [reply for value in values for reply in _replies(value)])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Unreadable("The signature is valid, but the content could not be read.") from None

    def answer_challenge(self, asked: Mapping[str, str]) -> str:
        """Meta verifies the address once, when it is entered there."""
        right = hmac.compare_digest(asked.get("hub.verify_token", "").encode(), self.verify_token.encode())
        if asked.get("hub.mode") != "subscribe" or not right:
            raise Forbidden("The verification token is not valid.")
        return asked.get("hub.challenge", "")


def _template(letter: OutgoingMessage) -> dict[str, Any]:
    places = [
        {"type": "text", "text": " ".join(line.split())} for line in letter.content.text.splitlines() if line.strip()
    ]
    return {
        "messaging_product": "whatsapp",
        "to": letter.to.removeprefix("+"),
        "type": "template",
        "template": {
            "name": letter.content.subject,
            "language": {"code": letter.content.locale},
            "components": [{"type": "body", "parameters": places}] if places else [],
        },
        "biz_opaque_callback_data": str(letter.id),
    }


def _json_of(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _id(body: Mapping[str, Any]) -> str:
    try:
        return str(body["messages"][0]["id"])
    except (KeyError, IndexError, TypeError):
        raise Unconfirmed(
            "WhatsApp did not return a message ID. If it accepted the message, it will confirm soon."
        ) from None


def _error_of(status: int, body: Mapping[str, Any]) -> NotTaken | Declined | Unconfirmed:
    """Sort an error response: a readable refusal is final, after anything else the message may have been accepted."""
    error = body.get("error")
    if status == 429 or (isinstance(error, dict) and error.get("code") in TOO_MUCH):
        return NotTaken("WhatsApp is not accepting more messages at the moment.")
    if not isinstance(error, dict) or (status >= 500 and error.get("code") not in LATER):
        return Unconfirmed(
            f"WhatsApp responded with status {status} and did not say whether it accepted the message. "
            "If it did, it will confirm soon."
        )
    if error.get("code") in LATER:
        return NotTaken("WhatsApp is unavailable at the moment.")
    return Declined(_words(error))


def _words(error: Mapping[str, Any]) -> str:
    detail = error.get("error_data")
    more = detail.get("details", "") if isinstance(detail, dict) else ""
    body = more or error.get("title") or error.get("message") or "no reason given"
    return f"WhatsApp rejected this message: {str(body)[:300]} ({error.get('code', 'no code')})"


def _values(body: Any) -> Iterator[dict[str, Any]]:
    for entry in body.get("entry", []):
        for change in entry.get("changes", []):
            if change.get("field") == "messages":
                yield change["value"]


def _report_of(status: Mapping[str, Any]) -> DeliveryReport:
    ours = str(status.get("biz_opaque_callback_data") or "")
    trouble = (
        next((_words(each) for each in status.get("errors", [])), "WhatsApp could not deliver this.")
        if status["status"] == "failed"
        else ""
    )
    return DeliveryReport(
        status["status"], int(ours) if ours.isdecimal() and len(ours) < 10 else None, str(status["id"]), trouble
    )


def _replies(value: Mapping[str, Any]) -> Iterator[Reply]:
    for each in value.get("messages", []):
        if each.get("type") == "text":
            yield Reply(f"+{each['from']}", str(each["text"]["body"]))

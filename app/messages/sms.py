"""SMS by Twilio: sends text messages, and reads delivery reports and replies from its webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx

from app.kernel import db
from app.kernel.errors import Forbidden, Missing, Unreadable
from app.kernel.people import Person
from app.messages.channel import Declined, DeliveryReport, NotTaken, OutgoingMessage, Reply, Unconfirmed, WebhookNews

WAIT = httpx.Timeout(10, connect=3)
HERE = "/api/messages/webhook/sms"
STATES = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}


class Sms:
    name = "sms"
    label = "SMS"
    deduplicates = False
    confirms = False  # reports may be hours late, so silence proves nothing

    def __init__(self, *, account: str, token: str, sender: str, url: str, reach_us_at: str) -> None:
        self.account, self.token, self.here = account, token, reach_us_at.rstrip("/")
        self.sender = {"MessagingServiceSid" if sender.startswith("MG") else "From": sender}
        self.address_there = f"{url.rstrip('/')}/2010-04-01/Accounts/{account}/Messages.json"

    def address(self, person: Person) -> str:
        return person.phone

    # --- sending ---

    def send(self, letter: OutgoingMessage) -> str:
        db.require_no_transaction()
        form = self.sender | {
            "To": letter.to,
            "Body": letter.content.text.strip(),
            "StatusCallback": f"{self.here}{HERE}?message={letter.id}",
        }
        try:
            answer = httpx.post(self.address_there, data=form, auth=(self.account, self.token), timeout=WAIT)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise NotTaken("The SMS provider could not be reached.") from None
        except httpx.HTTPError:
            raise Unconfirmed("The SMS provider did not respond. The message may have been sent.") from None
        body = _json_of(answer)
        if answer.is_success and body.get("sid"):
            return body["sid"]
        raise _error_of(answer.status_code, body)

    # --- webhooks ---

    def parse_webhook(self, raw: bytes, headers: Mapping[str, str], path: str) -> WebhookNews:
        """Twilio signs the full URL, followed by every field in the order of their names."""
        given = next((value for name, value in headers.items() if name.lower() == "x-twilio-signature"), "")
        try:
            fields = parse_qsl(raw.decode(), keep_blank_values=True)
        except UnicodeDecodeError:
            raise Unreadable("The request body must be form data.") from None
        text = self.here + path + "".join(f"{name}{value}" for name, value in sorted(fields))
        wanted = base64.b64encode(hmac.new(self.token.encode(), text.encode(), hashlib.sha1).digest())
        if not hmac.compare_digest(given.encode(), wanted):
            raise Forbidden("The SMS provider’s signature is not valid.")
        return _news(dict(fields), path)

    def answer_challenge(self, asked: Mapping[str, str]) -> str:
        raise Missing


def _news(body: Mapping[str, str], path: str) -> WebhookNews:
    if "Body" in body and "From" in body and body.get("SmsStatus", "received") == "received":
        return WebhookNews(replies=[Reply(body["From"], body["Body"])])
    state = STATES.get(body.get("MessageStatus", ""))
    if state is None or not body.get("MessageSid"):
        return WebhookNews()  # “queued” and “sending” change nothing
    (ours, *_) = parse_qs(urlsplit(path).query).get("message", [""])
    trouble = (
        f"The SMS could not be delivered (error code: {body.get('ErrorCode') or 'unknown'})."
        if state == "failed"
        else ""
    )
    return WebhookNews(
        [DeliveryReport(state, int(ours) if ours.isdecimal() and len(ours) < 10 else None, body["MessageSid"], trouble)]
    )


def _json_of(answer: httpx.Response) -> dict[str, str]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return {name: str(value) for name, value in body.items()} if isinstance(body, dict) else {}


def _error_of(status: int, body: Mapping[str, str]) -> NotTaken | Declined | Unconfirmed:
    """Below 500 nothing was sent; from 500 on the message may have been sent."""
    if status == 429:
        return NotTaken("The SMS provider is not accepting more messages at the moment.")
    if status >= 500 or not body.get("message"):
        return Unconfirmed(
            f"The SMS provider responded with status {status} and did not say whether the message was sent."
        )
    return Declined(f"The SMS provider rejected this message: {body['message'][:300]} ({body.get('code', 'no code')})")

"""Twilio SMS API, simulated: sending a message, its errors, STOP replies and status callbacks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, request

from app.kernel import clock
from app.sandbox.phones import Phones, Thing, WebhookCall
from config import Settings

STOP, START = ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"), ("START", "YES", "UNSTOP")


class Sms:
    name = "sms"

    def __init__(self, settings: Settings, phones: Phones) -> None:
        self.settings, self.phones = settings, phones
        self.hook = settings.base_url.rstrip("/") + "/api/messages/webhook/sms"

    def create_blueprint(self) -> Blueprint:
        pages = Blueprint("sms", __name__, url_prefix="/sandbox/sms/2010-04-01")
        pages.add_url_rule("/Accounts/<account>/Messages.json", "send", self.send, methods=["POST"])
        pages.after_request(self.phones.drop_reply)
        return pages

    def send(self, account: str) -> Any:
        caller = request.authorization
        if (
            account != self.settings.twilio_account
            or caller is None
            or (caller.username, caller.password) != (account, self.settings.twilio_token)
        ):
            return _error(20003, "Authenticate", 401)
        if refusal := self._refusal(request.form):
            return _error(*refusal)
        return self._simulate_fault() or self._accept(account)

    def _refusal(self, form: Mapping[str, str]) -> tuple[int, str] | None:
        to, body = form.get("To", ""), form.get("Body", "")
        wrong = [
            (not re.fullmatch(r"\+[1-9][0-9]{6,14}", to), 21211, f"Invalid 'To' Phone Number: {to}"),
            (not form.get("From") and not form.get("MessagingServiceSid"), 21603, "A 'From' phone number is required."),
            (not body, 21602, "Message body is required."),
            (len(body) > 1600, 21617, "The concatenated message body exceeds the 1600 character limit"),
            (self.phones.store.get("stopped", to) is not None, 21610, "Attempt to send to unsubscribed recipient"),
        ]
        return next(((code, words) for is_so, code, words in wrong if is_so), None)

    def _simulate_fault(self) -> Any:
        match self.phones.use_fault(self.name):
            case "429":
                return _error(20429, "Too Many Requests", 429)
            case "500":
                return _error(20500, "An internal server error has occurred", 500)
            case "refused":
                return _error(21614, "'To' number is not a valid mobile number")
            case "swallowed":
                return Response("", 502)
        return None

    def _accept(self, account: str) -> Any:
        form, sid = request.form, f"SM{secrets.token_hex(16)}"
        sender = {"from": form.get("From"), "messaging_service_sid": form.get("MessagingServiceSid")}
        self.phones.receive_text(
            self.name,
            {"id": sid, "to": form["To"], "body": form["Body"], "callback": form.get("StatusCallback"), **sender},
        )
        message = {
            "sid": sid,
            "account_sid": account,
            "to": form["To"],
            "body": form["Body"],
            "status": "queued",
            "direction": "outbound-api",
        }
        more = {
            "num_segments": "1",
            "error_code": None,
            "error_message": None,
            "api_version": "2010-04-01",
            "date_created": formatdate(clock.timestamp()),
        }
        return jsonify(message | sender | more), 201

    # --- status callbacks and replies ---

    def status_call(self, text: Thing, status: str) -> WebhookCall:
        state = "undelivered" if status == "failed" else status
        form = {
            "MessageSid": text["id"],
            "SmsSid": text["id"],
            "MessageStatus": state,
            "SmsStatus": state,
            "To": text["to"],
            "From": text["from"] or "",
        }
        form |= {"AccountSid": self.settings.twilio_account, "ApiVersion": "2010-04-01"} | (
            {"ErrorCode": "30003"} if status == "failed" else {}
        )
        return self._signed_call(text.get("callback") or self.hook, form, wrong=bool(text.get("wrong_signature")))

    def reply_call(self, phone: str, words: str) -> WebhookCall:
        """Build the webhook of a reply. The carrier, too, blocks a number that has sent STOP."""
        keyword = words.strip().upper()
        if keyword in STOP:
            self.phones.store.put("stopped", {"id": phone})
        elif keyword in START:
            with self.phones.store.open() as file:
                file.execute("delete from thing where kind = 'stopped' and id = ?", (phone,))
        sid = f"SM{secrets.token_hex(16)}"
        form = {
            "MessageSid": sid,
            "SmsSid": sid,
            "SmsStatus": "received",
            "From": phone,
            "To": self.settings.twilio_sender,
            "Body": words,
            "NumMedia": "0",
        }
        return self._signed_call(
            self.hook, form | {"AccountSid": self.settings.twilio_account, "ApiVersion": "2010-04-01"}
        )

    def _signed_call(self, address: str, form: dict[str, str], *, wrong: bool = False) -> WebhookCall:
        text = address + "".join(f"{name}{value}" for name, value in sorted(form.items()))
        secret = "not the token" if wrong else self.settings.twilio_token
        signature = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()
        return WebhookCall(
            address,
            {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature},
            urlencode(form).encode(),
        )


def _error(code: int, message: str, status: int = 400) -> tuple[Response, int]:
    return jsonify(
        code=code, message=message, more_info=f"https://www.twilio.com/docs/errors/{code}", status=status
    ), status

"""The one door to Razorpay: its SDK with our own timeouts, certificates and error reading."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import certifi
import razorpay
import requests

from app.kernel import db
from app.kernel.errors import Forbidden, Unreadable
from app.money.amount import Money
from app.money.gateway import Charge, Checkout, Told, Unreachable

WAIT = (3, 10)  # seconds to connect and to read; the SDK by itself waits for ever
_STATES = {"created": "created", "failed": "failed", "authorized": "authorized", "captured": "captured", "refunded": "refunded"}


class Razorpay:
    name = "razorpay"

    def __init__(self, *, key: str, secret: str, webhook_secrets: tuple[str, ...], url: str, hosted: str, business: str) -> None:
        self.key, self.secret, self.webhook_secrets, self.hosted, self.business = key, secret, webhook_secrets, hosted, business
        self.client = razorpay.Client(auth=(key, secret), base_url=url)
        self.client.cert_path = certifi.where()  # the SDK's own bundle is of 2015

    def order(self, money: Money, receipt: str) -> str:
        """Look by receipt first: a lost reply must not make a second order for the same bill."""
        known = self._call(self.client.order.all, {"receipt": receipt})
        if known["items"]:
            return str(known["items"][0]["id"])
        made = self._call(self.client.order.create, {"amount": money.amount, "currency": money.currency, "receipt": receipt})
        return str(made["id"])

    def charges(self, order_id: str) -> list[Charge]:
        return [_charge(each) for each in self._call(self.client.order.payments, order_id)["items"]]

    def checkout(self, order_id: str, money: Money, payer: Mapping[str, str], back: str, away: str) -> Checkout:
        fields = {"key_id": self.key, "order_id": order_id, "amount": str(money.amount), "currency": money.currency, "name": self.business}
        prefill = {f"prefill[{name}]": value for name, value in payer.items() if value}
        return Checkout(self.hosted, fields | prefill | {"callback_url": back, "cancel_url": away})

    def is_genuine(self, order_id: str, payment_id: str, signature: str) -> bool:
        return _signed(f"{order_id}|{payment_id}".encode(), signature, self.secret)

    def hear(self, raw: bytes, headers: Mapping[str, str]) -> Told:
        given = headers.get("X-Razorpay-Signature", "")
        # After a change of secret, events of yesterday are still signed with the old one.
        if not any(_signed(raw, given, secret) for secret in self.webhook_secrets):
            raise Forbidden("The signature does not fit the body.")
        return _read(raw, headers.get("X-Razorpay-Event-Id", ""))

    def refund(self, payment_id: str, money: Money, key: str) -> str:
        headers = {"X-Refund-Idempotency": key}
        try:
            made = self._call(self.client.payment.refund, payment_id, {"amount": money.amount, "receipt": key}, headers=headers)
        except Unreachable as no:
            if "fully refunded already" not in no.words:
                raise
            made = self._call(self.client.payment.fetch_multiple_refund, payment_id, {})["items"][0]  # it went back some other way
        return str(made["id"])

    def public(self) -> dict[str, str]:
        return {"gateway": self.name, "key": self.key}

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        db.step_outside()
        try:
            told = method(*args, timeout=WAIT, **kwargs)
        except (requests.RequestException, razorpay.errors.ServerError, razorpay.errors.GatewayError) as error:
            raise Unreachable("The payment gateway does not answer just now. Nothing was charged; please try again in a minute.") from error
        except razorpay.errors.BadRequestError as error:
            raise Unreachable(f"The payment gateway said no: {error}") from error
        if not isinstance(told, dict):
            raise Unreachable("The payment gateway answered something that cannot be read.")
        return told


def _signed(body: bytes, given: str, secret: str) -> bool:
    """On bytes, in constant time; the SDK's own check raises on bytes, on None and on letters outside ASCII."""
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return bool(secret) and hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))


def _charge(told: Mapping[str, Any]) -> Charge:
    money = Money(int(told["amount"]), str(told["currency"]))
    return Charge(str(told["id"]), _STATES.get(told["status"], "created"), money, str(told.get("method") or ""), str(told.get("error_description") or ""))


def _read(raw: bytes, event_id: str) -> Told:
    try:
        told = json.loads(raw)
        payload = told["payload"]
        entity = payload.get("payment", payload.get("order", {})).get("entity", {})
        order_id = entity.get("order_id") or (entity.get("id") if "payment" not in payload else None)
        kind = str(told["event"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unreadable("This is signed, but it is not an event.") from None
    # Razorpay numbers its events in a header; without one, the same body is the same event.
    return Told(event_id or hashlib.sha256(raw).hexdigest(), kind, str(order_id) if order_id else None)

"""Razorpay adapter: orders, checkout, refunds, disputes, settlements and webhook signatures.

It uses Razorpay's SDK, with our own timeouts, certificates and error handling.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NoReturn, TypeVar

import certifi
import razorpay
import requests

from app.kernel import clock, db
from app.kernel.errors import Forbidden, Unreadable
from app.kernel.translation import say
from app.money.gateways.gateway import (
    Charge,
    CheckoutForm,
    Declined,
    GatewayDispute,
    GatewayRefund,
    OrderRequest,
    SettlementLine,
    Unreachable,
    WebhookNotice,
)
from app.money.sums.amount import Money

WAIT = (3, 10)  # seconds to connect and to read; the SDK has no timeout of its own
PAGE = 100
SOONER = timedelta(minutes=2)  # checkout closes this long before the hold expires, so that payments arrive in time

_T = TypeVar("_T")
_STATES = ("created", "failed", "authorized", "captured", "refunded")
_REFUND_STATES = {"processed": "done", "failed": "failed"}
_DISPUTE_STATES = ("open", "under_review", "won", "lost", "closed")


class Razorpay:
    name = "razorpay"
    currencies: frozenset[str] = frozenset()
    by_hand = False

    def __init__(
        self, *, key: str, secret: str, webhook_secrets: tuple[str, ...], url: str, hosted: str, business: str
    ) -> None:
        self.key, self.secret, self.webhook_secrets = key, secret, webhook_secrets
        self.hosted, self.business = hosted, business
        self.client = razorpay.Client(session=_CheckedSession(), auth=(key, secret), base_url=url)
        self.client.cert_path = certifi.where()  # the SDK bundles certificates of 2015

    # --- orders ---

    def create_order(self, asked: OrderRequest) -> str:
        """Look the receipt up first, because a lost response must not lead to a second order."""
        whole = {"amount": asked.money.amount, "currency": asked.money.currency, "receipt": asked.receipt}
        known = _items(self._call(self.client.order.all, {"receipt": asked.receipt}))
        with _parsing():
            alike = [each for each in known if {name: each[name] for name in whole} == whole]
            if alike:
                return str(alike[0]["id"])
            notes = {"about": asked.about} if asked.about else {}
            return str(self._call(self.client.order.create, whole | {"notes": notes})["id"])

    def close_order(self, order_id: str) -> None:
        """Do nothing: Razorpay can't cancel an order. The checkout page times out, and late payments are refunded."""

    def checkout_form(self, order_id: str, asked: OrderRequest) -> CheckoutForm:
        fields = {
            "key_id": self.key,
            "order_id": order_id,
            "amount": str(asked.money.amount),
            "currency": asked.money.currency,
            "name": self.business,
        }
        data = {"description": asked.about, "timeout": _seconds_until(asked.until)} | {
            f"prefill[{name}]": value for name, value in asked.payer.items()
        }
        ways = {"callback_url": asked.back, "cancel_url": asked.away}
        return CheckoutForm(self.hosted, fields | {name: value for name, value in data.items() if value} | ways)

    def verify_return(self, order_id: str, fields: Mapping[str, str]) -> str:
        """Verify the signature over our own order's ID, whatever ID the browser sends."""
        payment_id = fields.get("razorpay_payment_id", "")
        if not payment_id:
            return "failed"
        proven = _signature_matches(
            f"{order_id}|{payment_id}".encode("utf-8", "replace"), fields.get("razorpay_signature", ""), self.secret
        )
        return "" if proven else "unverified"

    def list_charges(self, order_id: str) -> Sequence[Charge]:
        return _parse_all(_parse_charge, _items(self._call(self.client.order.payments, order_id)))

    # --- refunds and disputes ---

    def send_refund(self, payment_id: str, money: Money, key: str) -> GatewayRefund:
        asked = {"amount": money.amount, "speed": "normal", "receipt": key}
        try:
            data = self._call(self.client.payment.refund, payment_id, asked, headers={"X-Refund-Idempotency": key})
        except Declined:
            # Razorpay forgets keys after a while, but keeps the refund with our key as its receipt.
            ours = [each for each in self.list_refunds(payment_id) if each.key == key]
            if not ours:
                raise
            return ours[0]
        return _parse_all(_parse_refund, [data])[0]

    def list_refunds(self, payment_id: str) -> Sequence[GatewayRefund]:
        return _parse_all(_parse_refund, self._list_all(self.client.payment.fetch_multiple_refund, payment_id))

    def fetch_dispute(self, id: str) -> GatewayDispute:
        return _parse_all(_parse_dispute, [self._call(self.client.dispute.fetch, id)])[0]

    # --- reconciliation ---

    def list_captured(self, day: date) -> Sequence[Charge]:
        """List by the day on which payments were created, the only date that Razorpay keeps."""
        start = int(datetime.combine(day, time(), UTC).timestamp())
        listed = self._list_all(self.client.payment.all, **{"from": start, "to": start + 24 * 60 * 60 - 1})
        return [each for each in _parse_all(_parse_charge, listed) if each.state == "captured"]

    def list_settlements(self, day: date) -> Sequence[SettlementLine]:
        return _parse_all(
            _parse_settlement,
            self._list_all(self.client.settlement.report, year=day.year, month=day.month, day=day.day),
        )

    # --- webhooks ---

    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookNotice:
        lowered = {name.lower(): value for name, value in headers.items()}
        # After a change of the secret, older events are still signed with the old one.
        if not any(
            _signature_matches(raw, lowered.get("x-razorpay-signature", ""), secret) for secret in self.webhook_secrets
        ):
            raise Forbidden("The signature doesn’t match the body.")
        # The event ID is in a header; without one, the same body is the same event.
        return _parse_event(raw, lowered.get("x-razorpay-event-id") or hashlib.sha256(raw).hexdigest())

    def public_details(self) -> dict[str, str]:
        return {"gateway": self.name, "key": self.key}

    # --- requests ---

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        db.require_no_transaction()
        data = method(*args, **kwargs)
        return data if isinstance(data, dict) else _raise_unreadable()

    def _list_all(self, method: Callable[..., Any], *about: str, **asked: int) -> list[dict[str, Any]]:
        """Return all pages of a list, without the duplicates that appear when new items move the pages."""
        pages: dict[str, dict[str, Any]] = {}
        for skip in range(0, 1_000_000, PAGE):
            page = _items(self._call(method, *about, {**asked, "count": PAGE, "skip": skip}))
            with _parsing():
                pages |= {str(each.get("entity_id") or each["id"]): each for each in page}
            if len(page) < PAGE:
                break
        return [*pages.values()]


class _CheckedSession(requests.Session):
    """Checks each response before the SDK does, which keeps only the words of an error."""

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        try:
            answer = super().request(method, url, *args, **kwargs | {"timeout": WAIT, "allow_redirects": False})
        except requests.RequestException as error:
            raise Unreachable(say("The payment gateway isn’t responding. Please try again in a minute.")) from error
        _raise_for_error(answer)
        return answer


def _raise_for_error(answer: requests.Response) -> None:
    try:
        data = answer.json()
    except ValueError:
        _raise_unreadable()
    if 200 <= answer.status_code < 300:
        return
    error = data.get("error") if isinstance(data, dict) else None
    words = str(error.get("description") or "") if isinstance(error, dict) else ""
    if (
        not words
        or not 400 <= answer.status_code < 500
        or answer.status_code in (408, 429)
        or _is_still_processing(answer.status_code, words)
    ):
        raise Unreachable(say("The payment gateway can’t process this right now. Please try again in a minute."))
    assert isinstance(error, dict)
    code, field, reason = (str(error.get(name) or "") for name in ("code", "field", "reason"))
    raise Declined(words, status=answer.status_code, code=code, field=field, reason=reason)


def _is_still_processing(status: int, words: str) -> bool:
    """Tell a conflict with our own request, still being processed, from one with a different request, which is a no."""
    return status == 409 and not words.startswith("Different request")


def _raise_unreadable() -> NoReturn:
    raise Unreachable(say("The payment gateway sent an invalid response. Please try again in a minute."))


@contextmanager
def _parsing() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
        _raise_unreadable()


def _items(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    items = data.get("items")
    return items if isinstance(items, list) and all(isinstance(each, dict) for each in items) else _raise_unreadable()


def _parse_all(parse: Callable[[Mapping[str, Any]], _T], data: Sequence[Mapping[str, Any]]) -> list[_T]:
    with _parsing():
        return [parse(each) for each in data]


# --- parsing ---


def _parse_charge(data: Mapping[str, Any]) -> Charge:
    # Razorpay's status becomes "refunded" after a full refund; `captured` says whether it was ever captured.
    state = "captured" if data.get("captured") is True else str(data["status"])
    return Charge(
        id=str(data["id"]),
        state=state if state in _STATES else "created",
        money=_parse_money(data),
        method=str(data.get("method") or ""),
        error=str(data.get("error_description") or ""),
        returned=int(data.get("amount_refunded") or 0),
        order_id=str(data.get("order_id") or ""),
        at=_parse_moment(data.get("created_at")),
    )


def _parse_refund(data: Mapping[str, Any]) -> GatewayRefund:
    state = _REFUND_STATES.get(str(data["status"]), "pending")
    return GatewayRefund(
        str(data["id"]), str(data["payment_id"]), state, _parse_money(data), str(data.get("receipt") or "")
    )


def _parse_dispute(data: Mapping[str, Any]) -> GatewayDispute:
    return GatewayDispute(
        id=str(data["id"]),
        payment_id=str(data["payment_id"]),
        state=data["status"] if data["status"] in _DISPUTE_STATES else "open",
        money=_parse_money(data),
        deducted=int(data.get("amount_deducted") or 0),
        reason=str(data.get("reason_description") or data.get("reason_code") or ""),
        respond_by=_parse_moment(data.get("respond_by")),
    )


def _parse_settlement(data: Mapping[str, Any]) -> SettlementLine:
    """Separate the amounts: Razorpay's fee includes its tax, and credits and debits are net of the fee."""
    currency, fee, tax = str(data["currency"]), int(data.get("fee") or 0), int(data.get("tax") or 0)
    whole = int(data["credit"]) - int(data["debit"]) + fee
    return SettlementLine(
        id=str(data["entity_id"]),
        kind=str(data["type"]),
        credit=Money(max(whole, 0), currency),
        debit=Money(max(-whole, 0), currency),
        fee=Money(fee - tax, currency),
        tax=Money(tax, currency),
        reference=str(data.get("settlement_utr") or ""),
        settled_at=_parse_moment(data.get("settled_at")),
        dispute_id=str(data.get("dispute_id") or ""),
    )


def _parse_money(data: Mapping[str, Any]) -> Money:
    return Money(int(data["amount"]), str(data["currency"]))


def _parse_moment(data: Any) -> datetime | None:
    return datetime.fromtimestamp(int(data), UTC) if data else None


def _seconds_until(until: datetime | None) -> str:
    left = int((until - clock.now() - SOONER).total_seconds()) if until else 0
    return str(left) if left > 0 else ""


def _parse_event(raw: bytes, event_id: str) -> WebhookNotice:
    """Read the IDs by their place in the payload, because some order IDs lack their usual prefix."""
    try:
        data = json.loads(raw)
        kind, payload = data["event"], data["payload"]
        things = {
            name: thing["entity"]
            for name, thing in payload.items()
            if isinstance(thing, dict) and isinstance(thing.get("entity"), dict)
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Unreadable("The signature is valid, but the body isn’t an event.") from None
    if not isinstance(kind, str) or not kind:
        raise Unreadable("The signature is valid, but the body isn’t an event.")

    def first(*places: tuple[str, str]) -> str | None:
        ids = (things.get(thing, {}).get(name) for thing, name in places)
        return next((each for each in ids if each and isinstance(each, str)), None)

    return WebhookNotice(
        event_id,
        kind,
        order_id=first(("payment", "order_id"), ("payment_link", "order_id"), ("order", "id")),
        payment_id=first(("payment", "id"), ("refund", "payment_id"), ("dispute", "payment_id")),
        dispute_id=first(("dispute", "id")),
    )


def _signature_matches(body: bytes, signature: str, secret: str) -> bool:
    """Compare in constant time, on bytes. The SDK's own check raises on bytes, None and non-ASCII characters."""
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return bool(secret) and hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))

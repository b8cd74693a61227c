"""Stripe adapter: checkout sessions, refunds, disputes, payouts and webhook signatures.

It uses Stripe's SDK, with our own timeouts, certificates, idempotency keys and error handling.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl, urlsplit

import certifi
import stripe

from app.kernel import clock, db
from app.kernel.errors import Forbidden, Unreadable
from app.kernel.translation import say
from app.money.gateways.gateway import (
    Charge,
    CheckoutForm,
    Declined,
    GatewayDispute,
    GatewayRefund,
    OrderExpired,
    OrderRequest,
    SettlementLine,
    Unreachable,
    WebhookNotice,
)
from app.money.sums.amount import Money

WAIT = (3, 10)  # seconds to connect and to read; the SDK's default is eighty
TOLERANCE = 300  # seconds for which a signature is valid
DAY = 24 * 60 * 60

_ZERO_DECIMAL = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
_THREE_DECIMAL = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
_PAYMENT_STATES = {"succeeded": "captured", "requires_capture": "authorized", "canceled": "failed"}
_PAID_OR_PENDING = ("succeeded", "processing", "requires_capture")
_REFUND_STATES = {"succeeded": "done", "failed": "failed", "canceled": "failed"}
_DISPUTE_STATES = {
    "under_review": "under_review",
    "won": "won",
    "lost": "lost",
    "closed": "closed",
    "prevented": "closed",
}
_LINE_KINDS = {"charge": "payment", "payment": "payment", "refund": "refund", "payment_refund": "refund"}

_T = TypeVar("_T")

stripe.ca_bundle_path = certifi.where()  # kept up to date, unlike the SDK's own bundle


class Stripe:
    name = "stripe"
    currencies: frozenset[str] = frozenset()
    by_hand = False

    def __init__(self, *, key: str, webhook_secrets: tuple[str, ...], url: str) -> None:
        self.webhook_secrets = webhook_secrets
        line = stripe.RequestsClient(timeout=WAIT)
        # One retry is safe, because every request that changes something has an idempotency key.
        self.client = stripe.StripeClient(key, base_addresses={"api": url}, http_client=line, max_network_retries=1).v1

    # --- orders ---

    def create_order(self, asked: OrderRequest) -> str:
        """Create a session with the receipt as its key, so that a lost response doesn't lead to a second one."""
        try:
            made = self._call_one(
                self.client.checkout.sessions.create, _session_params(asked), key=f"order-{asked.receipt}"
            )
        except Declined as no:
            known = self._existing_session(asked) if no.their_code == "idempotency_error" else None
            if known is None:
                raise
            return known
        return str(made["id"])

    def _existing_session(self, asked: OrderRequest) -> str | None:
        """Find the session of this receipt and amount, created earlier with other details, such as another expiry."""
        recent = self._list_all(self.client.checkout.sessions.list, created={"gte": clock.timestamp() - DAY})
        with _parsing():
            alike = [each for each in recent if each["client_reference_id"] == asked.receipt]
            return next(
                (
                    str(each["id"])
                    for each in alike
                    if _parse_money(each["amount_total"], each["currency"]) == asked.money
                ),
                None,
            )

    def close_order(self, order_id: str) -> None:
        try:
            self._call_one(self.client.checkout.sessions.expire, order_id, key=f"close-{order_id}")
        except Declined:
            if self._session(order_id)["status"] == "open":
                raise

    def checkout_form(self, order_id: str, asked: OrderRequest) -> CheckoutForm:
        session = self._session(order_id, expand=["payment_intent"])
        with _parsing():
            paid = (
                session["status"] == "complete" and (session["payment_intent"] or {}).get("status") in _PAID_OR_PENDING
            )
        if paid:
            return _redirect_form(asked.back)  # paid in another tab
        # A failed bank debit leaves a session that is complete and unpaid, and accepts no other card.
        if session["status"] != "open" or not session["url"]:
            raise OrderExpired("The time to pay for this has expired.")
        return _redirect_form(str(session["url"]))

    def verify_return(self, order_id: str, fields: Mapping[str, str]) -> str:
        """Accept any return: Stripe signs nothing in the browser, and checking the order is always safe."""
        return ""

    def list_charges(self, order_id: str) -> Sequence[Charge]:
        """Return the session's one payment intent, which covers all attempts, failed ones and the last."""
        intent = self._session(order_id, expand=["payment_intent.latest_charge"])["payment_intent"]
        return _parse_all(lambda data: _parse_intent(data, order_id), [intent] if intent else [])

    # --- refunds and disputes ---

    def send_refund(self, payment_id: str, money: Money, key: str) -> GatewayRefund:
        """Look the key up in the refunds first, because Stripe forgets idempotency keys after a day."""
        made = next((each for each in self.list_refunds(payment_id) if each.key == key), None)
        if made is not None:
            return made
        what = {"payment_intent": payment_id, "amount": _to_minor_units(money), "metadata": {"key": key}}
        return _parse_all(_parse_refund, [self._call_one(self.client.refunds.create, what, key=key)])[0]

    def list_refunds(self, payment_id: str) -> Sequence[GatewayRefund]:
        return _parse_all(_parse_refund, self._list_all(self.client.refunds.list, payment_intent=payment_id))

    def fetch_dispute(self, id: str) -> GatewayDispute:
        return _parse_all(_parse_dispute, [self._call_one(self.client.disputes.retrieve, id)])[0]

    # --- reconciliation ---

    def list_captured(self, day: date) -> Sequence[Charge]:
        begin = _start_of_day(day)
        charges = self._list_all(self.client.charges.list, created={"gte": begin, "lt": begin + DAY})
        sessions = (
            self._list_all(self.client.checkout.sessions.list, created={"gte": begin - DAY, "lt": begin + DAY})
            if charges
            else []
        )
        orders = {str(each.get("payment_intent")): str(each["id"]) for each in sessions}
        here = [each for each in charges if each.get("status") == "succeeded" and each.get("captured")]
        return _parse_all(lambda data: _parse_charge(data, orders.get(str(data["payment_intent"]), "")), here)

    def list_settlements(self, day: date) -> Sequence[SettlementLine]:
        """Return the lines of the payouts that arrived on this day. Stripe settles in the account's currency."""
        begin = _start_of_day(day)
        payouts = self._list_all(
            self.client.payouts.list, arrival_date={"gte": begin, "lt": begin + DAY}, status="paid"
        )
        return [line for payout in payouts for line in self._payout_lines(payout)]

    def _payout_lines(self, payout: Mapping[str, Any]) -> list[SettlementLine]:
        lines = self._list_all(self.client.balance_transactions.list, payout=payout["id"], expand=["data.source"])
        return _parse_all(
            lambda data: _parse_settlement(data, payout), [each for each in lines if each.get("type") != "payout"]
        )

    # --- webhooks ---

    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookNotice:
        signature = next((value for name, value in headers.items() if name.lower() == "stripe-signature"), "")
        # While the secret is being rotated, events are signed with either.
        if not any(_signature_matches(raw, signature, secret) for secret in self.webhook_secrets):
            raise Forbidden("The signature doesn’t match the body.")
        return _parse_event(raw)

    def public_details(self) -> dict[str, str]:
        return {"gateway": self.name}

    # --- requests ---

    def _session(self, order_id: str, **params: Any) -> dict[str, Any]:
        data = self._call_one(self.client.checkout.sessions.retrieve, order_id, params)
        return data if {"status", "url", "payment_intent"} <= data.keys() else _raise_unreadable()

    def _call_one(self, method: Callable[..., Any], *args: Any, key: str = "") -> dict[str, Any]:
        data: dict[str, Any] = _call_sdk(
            lambda: method(*args, options={"idempotency_key": key} if key else None).to_dict()
        )
        return data if "id" in data else _raise_unreadable()

    def _list_all(self, method: Callable[..., Any], **params: Any) -> list[dict[str, Any]]:
        """Return all pages of a list."""
        data: list[dict[str, Any]] = _call_sdk(
            lambda: [each.to_dict() for each in method(params | {"limit": 100}).auto_paging_iter()]
        )
        return data if all("id" in each for each in data) else _raise_unreadable()


def _call_sdk(ask: Callable[[], Any]) -> Any:
    db.require_no_transaction()
    try:
        with _parsing():  # the SDK assumes that a successful response is an object
            return ask()
    except (stripe.APIConnectionError, stripe.APIError, stripe.RateLimitError) as error:
        raise Unreachable(say("The payment gateway isn’t responding. Please try again in a minute.")) from error
    except stripe.StripeError as error:
        raise _parse_error(error) from error


def _parse_error(error: stripe.StripeError) -> Declined:
    details = (error.json_body or {}).get("error") or {}
    code, field, reason = (str(details.get(name) or "") for name in ("code", "param", "decline_code"))
    words = str(details.get("message") or f"The payment gateway declined the request ({error.http_status}).")
    return Declined(
        words, status=error.http_status or 0, code=code or str(details.get("type") or ""), field=field, reason=reason
    )


def _raise_unreadable() -> NoReturn:
    raise Unreachable(say("The payment gateway sent an invalid response. Please try again in a minute."))


@contextmanager
def _parsing() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
        _raise_unreadable()


def _parse_all(parse: Callable[[Mapping[str, Any]], _T], data: Sequence[Mapping[str, Any]]) -> list[_T]:
    with _parsing():
        return [parse(each) for each in data]


# --- building requests ---


def _session_params(asked: OrderRequest) -> dict[str, Any]:
    about = asked.about or asked.receipt
    item = {
        "currency": asked.money.currency.lower(),
        "unit_amount": _to_minor_units(asked.money),
        "product_data": {"name": about},
    }
    session: dict[str, Any] = {
        "mode": "payment",
        "line_items": [{"quantity": 1, "price_data": item}],
        "client_reference_id": asked.receipt,
        "payment_intent_data": {"description": about, "metadata": {"receipt": asked.receipt}},
        "success_url": asked.back,
        "cancel_url": asked.away,
    }
    if asked.payer.get("email"):
        session["customer_email"] = asked.payer["email"]
    if asked.until:
        session["expires_at"] = _session_expiry(asked.until)
    return session


def _session_expiry(until: datetime) -> int:
    """Return the expiry, within Stripe's limits of 30 minutes and a day, with a minute for clock differences."""
    now = clock.timestamp()
    return min(max(int(until.timestamp()), now + 31 * 60), now + DAY - 60)


def _redirect_form(address: str) -> CheckoutForm:
    """Return a GET form, with the query as fields, because a GET form drops the query of its address."""
    parts = urlsplit(address)
    return CheckoutForm(
        parts._replace(query="").geturl(), dict(parse_qsl(parts.query, keep_blank_values=True)), method="get"
    )


def _decimals(currency: str) -> int:
    return 0 if currency in _ZERO_DECIMAL else 3 if currency in _THREE_DECIMAL else 2


def _to_minor_units(money: Money) -> int:
    """Convert to Stripe's minor units, which differ from ours for some currencies."""
    coins = Decimal(money.plain).scaleb(_decimals(money.currency))
    if coins != coins.to_integral_value() or (money.currency in _THREE_DECIMAL and coins % 10):
        raise Declined(f"Stripe can’t charge {money} exactly in {money.currency}.")
    return int(coins)


def _parse_money(coins: int, currency: str) -> Money:
    return Money.parse(str(Decimal(coins).scaleb(-_decimals(currency.upper()))), currency.upper())


# --- parsing ---


def _parse_intent(intent: Mapping[str, Any], order_id: str) -> Charge:
    attempt, trouble = intent.get("latest_charge") or {}, intent.get("last_payment_error") or {}
    currency, state = intent["currency"], _PAYMENT_STATES.get(intent["status"], "created")
    if trouble and intent["status"] == "requires_payment_method":
        state = "failed"
    if state == "failed" and attempt.get("refunded"):
        state = "refunded"
    return Charge(
        id=str(intent["id"]),
        state=state,
        money=_parse_money(intent["amount_received"] if state == "captured" else intent["amount"], currency),
        method=_payment_method(attempt),
        error=str(trouble.get("message") or "") if state == "failed" else "",
        returned=_parse_money(attempt.get("amount_refunded") or 0, currency).amount,
        order_id=order_id,
        at=_parse_moment(attempt.get("created")),
    )


def _parse_charge(charge: Mapping[str, Any], order_id: str) -> Charge:
    money, returned = (
        _parse_money(charge[what], charge["currency"]) for what in ("amount_captured", "amount_refunded")
    )
    id, at = str(charge["payment_intent"] or charge["id"]), _parse_moment(charge["created"])
    return Charge(id, "captured", money, _payment_method(charge), returned=returned.amount, order_id=order_id, at=at)


def _payment_method(charge: Mapping[str, Any]) -> str:
    return str((charge.get("payment_method_details") or {}).get("type") or "")


def _parse_refund(data: Mapping[str, Any]) -> GatewayRefund:
    money, key = _parse_money(data["amount"], data["currency"]), str((data.get("metadata") or {}).get("key", ""))
    return GatewayRefund(
        str(data["id"]),
        str(data["payment_intent"] or data["charge"]),
        _REFUND_STATES.get(data["status"], "pending"),
        money,
        key,
    )


def _parse_dispute(data: Mapping[str, Any]) -> GatewayDispute:
    moved = -sum(each["amount"] for each in data["balance_transactions"])
    return GatewayDispute(
        id=str(data["id"]),
        payment_id=str(data["payment_intent"] or data["charge"]),
        state=_DISPUTE_STATES.get(data["status"].removeprefix("warning_"), "open"),
        money=_parse_money(data["amount"], data["currency"]),
        deducted=_parse_money(max(0, moved), data["currency"]).amount,
        reason=str(data["reason"]),
        respond_by=_parse_moment(data["evidence_details"].get("due_by")),
    )


def _parse_settlement(line: Mapping[str, Any], payout: Mapping[str, Any]) -> SettlementLine:
    source, currency = line["source"] or {}, line["currency"]
    taxes = sum(each["amount"] for each in line["fee_details"] if each["type"] == "tax")
    kind = _LINE_KINDS.get(line["type"], "adjustment")
    what = {"payment": source.get("payment_intent"), "refund": source.get("id")}.get(kind)
    return SettlementLine(
        id=str(what or line["id"]),  # a dispute has two lines: one withholds, one releases
        kind=kind,
        credit=_parse_money(max(0, line["amount"]), currency),
        debit=_parse_money(max(0, -line["amount"]), currency),
        fee=_parse_money(line["fee"] - taxes, currency),
        tax=_parse_money(taxes, currency),
        reference=str((payout.get("trace_id") or {}).get("value") or payout["id"]),
        settled_at=_parse_moment(payout["arrival_date"]),
    )


def _parse_moment(data: Any) -> datetime | None:
    return datetime.fromtimestamp(data, UTC) if data else None


def _start_of_day(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _signature_matches(raw: bytes, signature: str, secret: str) -> bool:
    """Compare in constant time, on bytes, within Stripe's tolerance. The SDK's own check raises on non-text bodies."""
    parts = [part.strip().partition("=") for part in signature.split(",")]
    moment = next((value for name, _, value in parts if name == "t"), "")
    if (
        not (moment.isascii() and moment.isdigit() and len(moment) < 12)
        or abs(clock.timestamp() - int(moment)) > TOLERANCE
    ):
        return False
    expected = hmac.new(secret.encode(), moment.encode() + b"." + raw, hashlib.sha256).hexdigest().encode()
    return bool(secret) and any(
        hmac.compare_digest(expected, value.encode("utf-8", "replace")) for name, _, value in parts if name == "v1"
    )


def _parse_event(raw: bytes) -> WebhookNotice:
    try:
        data = json.loads(raw)
        thing, event_id, kind = data["data"]["object"], str(data["id"]), str(data["type"])
        what, id, payment = thing.get("object"), thing.get("id"), thing.get("payment_intent")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Unreadable("The signature is valid, but the body isn’t an event.") from None
    match what:
        case "checkout.session":
            return WebhookNotice(event_id, kind, order_id=_text_or_none(id))
        case "payment_intent":
            return WebhookNotice(event_id, kind, payment_id=_text_or_none(id))
        case "charge" | "refund":
            return WebhookNotice(event_id, kind, payment_id=_text_or_none(payment))
        case "dispute":
            return WebhookNotice(event_id, kind, payment_id=_text_or_none(payment), dispute_id=_text_or_none(id))
    return WebhookNotice(event_id, kind)


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None

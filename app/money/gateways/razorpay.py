"""The one door to Razorpay: its SDK with our own timeouts, certificates and error reading."""

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

WAIT = (3, 10)  # seconds to connect and to read; the SDK by itself waits for ever
PAGE = 100
SOONER = timedelta(
    minutes=2
)  # the payer's page closes before we stop waiting: money that is on its way then still arrives in time

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
        self.key, self.secret, self.webhook_secrets, self.hosted, self.business = (
            key,
            secret,
            webhook_secrets,
            hosted,
            business,
        )
        self.client = razorpay.Client(session=_CheckedSession(), auth=(key, secret), base_url=url)
        self.client.cert_path = certifi.where()  # the SDK's own bundle is of 2015

    # --- asking for money ---

    def create_order(self, asked: OrderRequest) -> str:
        """Look by receipt first: a lost reply must not make a second order for the same bill."""
        whole = {"amount": asked.money.amount, "currency": asked.money.currency, "receipt": asked.receipt}
        known = _items(self._call(self.client.order.all, {"receipt": asked.receipt}))
        with _parsing():
            alike = [each for each in known if {name: each[name] for name in whole} == whole]
            made = (
                alike[0]
                if alike
                else self._call(
                    self.client.order.create, whole | {"notes": {"about": asked.about} if asked.about else {}}
                )
            )
            return str(made["id"])

    def close_order(self, order_id: str) -> None:
        """Razorpay has no way to cancel an order. The payer's page runs out by itself, and what comes late is given back."""

    def checkout_form(self, order_id: str, asked: OrderRequest) -> CheckoutForm:
        fields = {
            "key_id": self.key,
            "order_id": order_id,
            "amount": str(asked.money.amount),
            "currency": asked.money.currency,
            "name": self.business,
        }
        told = {"description": asked.about, "timeout": _seconds_until(asked.until)} | {
            f"prefill[{name}]": value for name, value in asked.payer.items()
        }
        ways = {"callback_url": asked.back, "cancel_url": asked.away}
        return CheckoutForm(self.hosted, fields | {name: value for name, value in told.items() if value} | ways)

    def verify_return(self, order_id: str, fields: Mapping[str, str]) -> str:
        """The proof is over our own order's id, whatever id the browser brings along."""
        payment_id = fields.get("razorpay_payment_id", "")
        if not payment_id:
            return "failed"
        proven = _signature_matches(
            f"{order_id}|{payment_id}".encode("utf-8", "replace"), fields.get("razorpay_signature", ""), self.secret
        )
        return "" if proven else "unverified"

    def list_charges(self, order_id: str) -> Sequence[Charge]:
        return _parse_all(_parse_charge, _items(self._call(self.client.order.payments, order_id)))

    # --- giving it back, and quarrels about it ---

    def send_refund(self, payment_id: str, money: Money, key: str) -> GatewayRefund:
        asked = {"amount": money.amount, "speed": "normal", "receipt": key}
        try:
            told = self._call(self.client.payment.refund, payment_id, asked, headers={"X-Refund-Idempotency": key})
        except Declined:
            # Razorpay forgets keys after a while; the refund itself it keeps, and our key is its receipt.
            ours = [each for each in self.list_refunds(payment_id) if each.key == key]
            if not ours:
                raise
            return ours[0]
        return _parse_all(_parse_refund, [told])[0]

    def list_refunds(self, payment_id: str) -> Sequence[GatewayRefund]:
        return _parse_all(_parse_refund, self._list_all(self.client.payment.fetch_multiple_refund, payment_id))

    def fetch_dispute(self, id: str) -> GatewayDispute:
        return _parse_all(_parse_dispute, [self._call(self.client.dispute.fetch, id)])[0]

    # --- counting ---

    def list_captured(self, day: date) -> Sequence[Charge]:
        """Razorpay lists payments by the day on which they were begun; it keeps no other date."""
        start = int(datetime.combine(day, time(), UTC).timestamp())
        listed = self._list_all(self.client.payment.all, **{"from": start, "to": start + 24 * 60 * 60 - 1})
        return [each for each in _parse_all(_parse_charge, listed) if each.state == "captured"]

    def list_settlements(self, day: date) -> Sequence[SettlementLine]:
        return _parse_all(
            _parse_settlement,
            self._list_all(self.client.settlement.report, year=day.year, month=day.month, day=day.day),
        )

    # --- hearing ---

    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookNotice:
        given = {name.lower(): value for name, value in headers.items()}
        # After a change of secret, events of yesterday are still signed with the old one.
        if not any(
            _signature_matches(raw, given.get("x-razorpay-signature", ""), secret) for secret in self.webhook_secrets
        ):
            raise Forbidden("The signature doesn’t match the body.")
        # Razorpay numbers its events in a header; without one, the same body is the same event.
        return _parse_event(raw, given.get("x-razorpay-event-id") or hashlib.sha256(raw).hexdigest())

    def public_details(self) -> dict[str, str]:
        return {"gateway": self.name, "key": self.key}

    # --- the line ---

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        db.require_no_transaction()
        told = method(*args, **kwargs)
        return told if isinstance(told, dict) else _raise_unreadable()

    def _list_all(self, method: Callable[..., Any], *about: str, **asked: int) -> list[dict[str, Any]]:
        """All of a list. What arrives meanwhile moves the rest down, so that some are seen twice: they are counted once."""
        found: dict[str, dict[str, Any]] = {}
        for skip in range(0, 1_000_000, PAGE):
            page = _items(self._call(method, *about, {**asked, "count": PAGE, "skip": skip}))
            with _parsing():
                found |= {str(each.get("entity_id") or each["id"]): each for each in page}
            if len(page) < PAGE:
                break
        return [*found.values()]


class _CheckedSession(requests.Session):
    """Sees each answer before the SDK does, which keeps nothing of an error but its words."""

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        try:
            answer = super().request(method, url, *args, **kwargs | {"timeout": WAIT, "allow_redirects": False})
        except requests.RequestException as error:
            raise Unreachable(say("The payment gateway isn’t responding. Please try again in a minute.")) from error
        _raise_for_error(answer)
        return answer


def _raise_for_error(answer: requests.Response) -> None:
    try:
        told = answer.json()
    except ValueError:
        _raise_unreadable()
    if 200 <= answer.status_code < 300:
        return
    error = told.get("error") if isinstance(told, dict) else None
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
    """A conflict has two meanings: our first request is still being worked on, or it was a different one. Only the second is a no."""
    return status == 409 and not words.startswith("Different request")


def _raise_unreadable() -> NoReturn:
    raise Unreachable(say("The payment gateway sent an invalid response. Please try again in a minute."))


@contextmanager
def _parsing() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
        _raise_unreadable()


def _items(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    items = told.get("items")
    return items if isinstance(items, list) and all(isinstance(each, dict) for each in items) else _raise_unreadable()


def _parse_all(read: Callable[[Mapping[str, Any]], _T], told: Sequence[Mapping[str, Any]]) -> list[_T]:
    with _parsing():
        return [read(each) for each in told]


# --- reading ---


def _parse_charge(told: Mapping[str, Any]) -> Charge:
    # Razorpay calls a payment refunded once all of it went back; whether it was ever ours stands elsewhere.
    state = "captured" if told.get("captured") is True else str(told["status"])
    return Charge(
        id=str(told["id"]),
        state=state if state in _STATES else "created",
        money=_parse_money(told),
        method=str(told.get("method") or ""),
        error=str(told.get("error_description") or ""),
        returned=int(told.get("amount_refunded") or 0),
        order_id=str(told.get("order_id") or ""),
        at=_parse_moment(told.get("created_at")),
    )


def _parse_refund(told: Mapping[str, Any]) -> GatewayRefund:
    state = _REFUND_STATES.get(str(told["status"]), "pending")
    return GatewayRefund(
        str(told["id"]), str(told["payment_id"]), state, _parse_money(told), str(told.get("receipt") or "")
    )


def _parse_dispute(told: Mapping[str, Any]) -> GatewayDispute:
    return GatewayDispute(
        id=str(told["id"]),
        payment_id=str(told["payment_id"]),
        state=told["status"] if told["status"] in _DISPUTE_STATES else "open",
        money=_parse_money(told),
        deducted=int(told.get("amount_deducted") or 0),
        reason=str(told.get("reason_description") or told.get("reason_code") or ""),
        respond_by=_parse_moment(told.get("respond_by")),
    )


def _parse_settlement(told: Mapping[str, Any]) -> SettlementLine:
    """Razorpay's fee has its tax in it, and its credits and debits have the fee in them."""
    currency, fee, tax = str(told["currency"]), int(told.get("fee") or 0), int(told.get("tax") or 0)
    whole = int(told["credit"]) - int(told["debit"]) + fee
    return SettlementLine(
        id=str(told["entity_id"]),
        kind=str(told["type"]),
        credit=Money(max(whole, 0), currency),
        debit=Money(max(-whole, 0), currency),
        fee=Money(fee - tax, currency),
        tax=Money(tax, currency),
        reference=str(told.get("settlement_utr") or ""),
        settled_at=_parse_moment(told.get("settled_at")),
        dispute_id=str(told.get("dispute_id") or ""),
    )


def _parse_money(told: Mapping[str, Any]) -> Money:
    return Money(int(told["amount"]), str(told["currency"]))


def _parse_moment(told: Any) -> datetime | None:
    return datetime.fromtimestamp(int(told), UTC) if told else None


def _seconds_until(until: datetime | None) -> str:
    left = int((until - clock.now() - SOONER).total_seconds()) if until else 0
    return str(left) if left > 0 else ""


def _parse_event(raw: bytes, event_id: str) -> WebhookNotice:
    """Whose ids are whose is read from where they stand: some events carry order ids without their usual beginning."""
    try:
        told = json.loads(raw)
        kind, payload = told["event"], told["payload"]
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
        found = (things.get(thing, {}).get(name) for thing, name in places)
        return next((each for each in found if each and isinstance(each, str)), None)

    return WebhookNotice(
        event_id,
        kind,
        order_id=first(("payment", "order_id"), ("payment_link", "order_id"), ("order", "id")),
        payment_id=first(("payment", "id"), ("refund", "payment_id"), ("dispute", "payment_id")),
        dispute_id=first(("dispute", "id")),
    )


def _signature_matches(body: bytes, given: str, secret: str) -> bool:
    """On bytes, in constant time; the SDK's own check raises on bytes, on None and on letters outside ASCII."""
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return bool(secret) and hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))

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
from app.money.gateways.gateway import Asked, Charge, Checkout, Declined, Disputed, Returned, Settled, Told, Unreachable
from app.money.sums.amount import Money

WAIT = (3, 10)  # seconds to connect and to read; the SDK by itself waits for ever
PAGE = 100
SOONER = timedelta(
    minutes=2
)  # the payer's page closes before we stop waiting: money that is on its way then still arrives in time

_T = TypeVar("_T")
_STATES = ("created", "failed", "authorized", "captured", "refunded")
_REFUNDS = {"processed": "done", "failed": "failed"}
_DISPUTES = ("open", "under_review", "won", "lost", "closed")


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
        self.client = razorpay.Client(session=_Line(), auth=(key, secret), base_url=url)
        self.client.cert_path = certifi.where()  # the SDK's own bundle is of 2015

    # --- asking for money ---

    def order(self, asked: Asked) -> str:
        """Look by receipt first: a lost reply must not make a second order for the same bill."""
        whole = {"amount": asked.money.amount, "currency": asked.money.currency, "receipt": asked.receipt}
        known = _items(self._call(self.client.order.all, {"receipt": asked.receipt}))
        with _making_sense():
            alike = [each for each in known if {name: each[name] for name in whole} == whole]
            made = (
                alike[0]
                if alike
                else self._call(
                    self.client.order.create, whole | {"notes": {"about": asked.about} if asked.about else {}}
                )
            )
            return str(made["id"])

    def close(self, order_id: str) -> None:
        """Razorpay has no way to cancel an order. The payer's page runs out by itself, and what comes late is given back."""

    def checkout(self, order_id: str, asked: Asked) -> Checkout:
        fields = {
            "key_id": self.key,
            "order_id": order_id,
            "amount": str(asked.money.amount),
            "currency": asked.money.currency,
            "name": self.business,
        }
        told = {"description": asked.about, "timeout": _seconds(asked.until)} | {
            f"prefill[{name}]": value for name, value in asked.payer.items()
        }
        ways = {"callback_url": asked.back, "cancel_url": asked.away}
        return Checkout(self.hosted, fields | {name: value for name, value in told.items() if value} | ways)

    def came_back(self, order_id: str, fields: Mapping[str, str]) -> str:
        """The proof is over our own order's id, whatever id the browser brings along."""
        payment_id = fields.get("razorpay_payment_id", "")
        if not payment_id:
            return "failed"
        proven = _signed(
            f"{order_id}|{payment_id}".encode("utf-8", "replace"), fields.get("razorpay_signature", ""), self.secret
        )
        return "" if proven else "unverified"

    def charges(self, order_id: str) -> Sequence[Charge]:
        return _each(_charge, _items(self._call(self.client.order.payments, order_id)))

    # --- giving it back, and quarrels about it ---

    def refund(self, payment_id: str, money: Money, key: str) -> Returned:
        asked = {"amount": money.amount, "speed": "normal", "receipt": key}
        try:
            told = self._call(self.client.payment.refund, payment_id, asked, headers={"X-Refund-Idempotency": key})
        except Declined:
            # Razorpay forgets keys after a while; the refund itself it keeps, and our key is its receipt.
            ours = [each for each in self.refunds(payment_id) if each.key == key]
            if not ours:
                raise
            return ours[0]
        return _each(_returned, [told])[0]

    def refunds(self, payment_id: str) -> Sequence[Returned]:
        return _each(_returned, self._pages(self.client.payment.fetch_multiple_refund, payment_id))

    def dispute(self, id: str) -> Disputed:
        return _each(_disputed, [self._call(self.client.dispute.fetch, id)])[0]

    # --- counting ---

    def taken(self, day: date) -> Sequence[Charge]:
        """Razorpay lists payments by the day on which they were begun; it keeps no other date."""
        start = int(datetime.combine(day, time(), UTC).timestamp())
        listed = self._pages(self.client.payment.all, **{"from": start, "to": start + 24 * 60 * 60 - 1})
        return [each for each in _each(_charge, listed) if each.state == "captured"]

    def settled(self, day: date) -> Sequence[Settled]:
        return _each(_settled, self._pages(self.client.settlement.report, year=day.year, month=day.month, day=day.day))

    # --- hearing ---

    def hear(self, raw: bytes, headers: Mapping[str, str]) -> Told:
        given = {name.lower(): value for name, value in headers.items()}
        # After a change of secret, events of yesterday are still signed with the old one.
        if not any(_signed(raw, given.get("x-razorpay-signature", ""), secret) for secret in self.webhook_secrets):
            raise Forbidden("The signature doesn’t match the body.")
        # Razorpay numbers its events in a header; without one, the same body is the same event.
        return _heard(raw, given.get("x-razorpay-event-id") or hashlib.sha256(raw).hexdigest())

    def public(self) -> dict[str, str]:
        return {"gateway": self.name, "key": self.key}

    # --- the line ---

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        db.require_no_transaction()
        told = method(*args, **kwargs)
        return told if isinstance(told, dict) else _unreadable()

    def _pages(self, method: Callable[..., Any], *about: str, **asked: int) -> list[dict[str, Any]]:
        """All of a list. What arrives meanwhile moves the rest down, so that some are seen twice: they are counted once."""
        found: dict[str, dict[str, Any]] = {}
        for skip in range(0, 1_000_000, PAGE):
            page = _items(self._call(method, *about, {**asked, "count": PAGE, "skip": skip}))
            with _making_sense():
                found |= {str(each.get("entity_id") or each["id"]): each for each in page}
            if len(page) < PAGE:
                break
        return [*found.values()]


class _Line(requests.Session):
    """Sees each answer before the SDK does, which keeps nothing of an error but its words."""

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        try:
            answer = super().request(method, url, *args, **kwargs | {"timeout": WAIT, "allow_redirects": False})
        except requests.RequestException as error:
            raise Unreachable(say("The payment gateway isn’t responding. Please try again in a minute.")) from error
        _check(answer)
        return answer


def _check(answer: requests.Response) -> None:
    try:
        told = answer.json()
    except ValueError:
        _unreadable()
    if 200 <= answer.status_code < 300:
        return
    error = told.get("error") if isinstance(told, dict) else None
    words = str(error.get("description") or "") if isinstance(error, dict) else ""
    if (
        not words
        or not 400 <= answer.status_code < 500
        or answer.status_code in (408, 429)
        or _is_under_way(answer.status_code, words)
    ):
        raise Unreachable(say("The payment gateway can’t process this right now. Please try again in a minute."))
    assert isinstance(error, dict)
    code, field, reason = (str(error.get(name) or "") for name in ("code", "field", "reason"))
    raise Declined(words, status=answer.status_code, code=code, field=field, reason=reason)


def _is_under_way(status: int, words: str) -> bool:
    """A conflict has two meanings: our first request is still being worked on, or it was a different one. Only the second is a no."""
    return status == 409 and not words.startswith("Different request")


def _unreadable() -> NoReturn:
    raise Unreachable(say("The payment gateway sent an invalid response. Please try again in a minute."))


@contextmanager
def _making_sense() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
        _unreadable()


def _items(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    items = told.get("items")
    return items if isinstance(items, list) and all(isinstance(each, dict) for each in items) else _unreadable()


def _each(read: Callable[[Mapping[str, Any]], _T], told: Sequence[Mapping[str, Any]]) -> list[_T]:
    with _making_sense():
        return [read(each) for each in told]


# --- reading ---


def _charge(told: Mapping[str, Any]) -> Charge:
    # Razorpay calls a payment refunded once all of it went back; whether it was ever ours stands elsewhere.
    state = "captured" if told.get("captured") is True else str(told["status"])
    return Charge(
        id=str(told["id"]),
        state=state if state in _STATES else "created",
        money=_money(told),
        method=str(told.get("method") or ""),
        error=str(told.get("error_description") or ""),
        returned=int(told.get("amount_refunded") or 0),
        order_id=str(told.get("order_id") or ""),
        at=_moment(told.get("created_at")),
    )


def _returned(told: Mapping[str, Any]) -> Returned:
    state = _REFUNDS.get(str(told["status"]), "pending")
    return Returned(str(told["id"]), str(told["payment_id"]), state, _money(told), str(told.get("receipt") or ""))


def _disputed(told: Mapping[str, Any]) -> Disputed:
    return Disputed(
        id=str(told["id"]),
        payment_id=str(told["payment_id"]),
        state=told["status"] if told["status"] in _DISPUTES else "open",
        money=_money(told),
        deducted=int(told.get("amount_deducted") or 0),
        reason=str(told.get("reason_description") or told.get("reason_code") or ""),
        respond_by=_moment(told.get("respond_by")),
    )


def _settled(told: Mapping[str, Any]) -> Settled:
    """Razorpay's fee has its tax in it, and its credits and debits have the fee in them."""
    currency, fee, tax = str(told["currency"]), int(told.get("fee") or 0), int(told.get("tax") or 0)
    whole = int(told["credit"]) - int(told["debit"]) + fee
    return Settled(
        id=str(told["entity_id"]),
        kind=str(told["type"]),
        credit=Money(max(whole, 0), currency),
        debit=Money(max(-whole, 0), currency),
        fee=Money(fee - tax, currency),
        tax=Money(tax, currency),
        reference=str(told.get("settlement_utr") or ""),
        settled_at=_moment(told.get("settled_at")),
        dispute_id=str(told.get("dispute_id") or ""),
    )


def _money(told: Mapping[str, Any]) -> Money:
    return Money(int(told["amount"]), str(told["currency"]))


def _moment(told: Any) -> datetime | None:
    return datetime.fromtimestamp(int(told), UTC) if told else None


def _seconds(until: datetime | None) -> str:
    left = int((until - clock.now() - SOONER).total_seconds()) if until else 0
    return str(left) if left > 0 else ""


def _heard(raw: bytes, event_id: str) -> Told:
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

    return Told(
        event_id,
        kind,
        order_id=first(("payment", "order_id"), ("payment_link", "order_id"), ("order", "id")),
        payment_id=first(("payment", "id"), ("refund", "payment_id"), ("dispute", "payment_id")),
        dispute_id=first(("dispute", "id")),
    )


def _signed(body: bytes, given: str, secret: str) -> bool:
    """On bytes, in constant time; the SDK's own check raises on bytes, on None and on letters outside ASCII."""
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return bool(secret) and hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))

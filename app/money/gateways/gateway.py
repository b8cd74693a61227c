"""Payment gateway contract: the protocol of an adapter, the data it exchanges, and the configured gateways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from sqlalchemy.orm import mapped_column

from app.kernel.errors import Missing, Refused
from app.money.sums.amount import Money

LABELS = {"razorpay": "Razorpay", "stripe": "Stripe", "cash": "Cash", "cheque": "Cheque", "bank": "Bank transfer"}


@dataclass(frozen=True)
class OrderRequest:
    """One order to be created at a gateway."""

    money: Money
    receipt: str  # our reference at the gateway; two requests with one receipt make one order
    back: str  # where the payer's browser goes afterwards
    away: str  # where it goes when the payer gives up
    about: str = ""  # what the payer reads: "Booking BK-2026-000123"
    payer: Mapping[str, str] = field(default_factory=dict)  # name, email, contact
    until: datetime | None = None  # when the reservation expires


@dataclass(frozen=True)
class Charge:
    """One attempt to pay, as the gateway reports it now."""

    id: str
    state: str  # created, failed, authorized, captured; or refunded, if it was never captured
    money: Money
    method: str = ""
    error: str = ""
    returned: int = 0  # refunded since, in minor units
    order_id: str = ""
    at: datetime | None = None  # when the payer made it, by the gateway's clock


@dataclass(frozen=True)
class GatewayRefund:
    """One refund, as the gateway reports it."""

    id: str
    payment_id: str
    state: str  # pending, done, failed
    money: Money
    key: str = ""  # our idempotency key, if the refund is ours


@dataclass(frozen=True)
class GatewayDispute:
    """One dispute (chargeback), as the gateway reports it."""

    id: str
    payment_id: str
    state: str  # open, under_review, won, lost, closed
    money: Money
    deducted: int = 0  # withheld so far, in minor units
    reason: str = ""
    respond_by: datetime | None = None


@dataclass(frozen=True)
class SettlementLine:
    """One line of a settlement report: a payment, refund or adjustment, with its fee."""

    id: str  # of the payment, the refund, …
    kind: str  # payment, refund, adjustment, …
    credit: Money  # to us, before fee and tax are taken off
    debit: Money  # from us
    fee: Money  # without the tax on it
    tax: Money
    reference: str = ""  # the bank's own reference for the transfer
    settled_at: datetime | None = None
    dispute_id: str = ""  # of an adjustment because of a dispute


@dataclass(frozen=True)
class WebhookNotice:
    """The IDs in a webhook; the facts are fetched from the gateway afterwards."""

    event_id: str
    kind: str
    order_id: str | None = None
    payment_id: str | None = None
    dispute_id: str | None = None


@dataclass(frozen=True)
class CheckoutForm:
    """A plain HTML form that leads to the gateway's page, without JavaScript."""

    action: str
    fields: Mapping[str, str] = field(default_factory=dict)
    method: str = "post"


class Unreachable(Refused):
    """The gateway did not respond, or sent an invalid response: the outcome is unknown, retry later."""

    status = 503
    code = "gateway_unreachable"


class Declined(Refused):
    """The gateway declined; the same request would be declined again. Its words are kept."""

    status = 502
    code = "gateway_declined"

    def __init__(self, words: str, *, status: int = 0, code: str = "", field: str = "", reason: str = "") -> None:
        super().__init__(words)
        self.their_status, self.their_code, self.field, self.reason = status, code, field, reason


class OrderExpired(Refused):
    """The gateway has closed this order and accepts no payments for it; a new one is needed."""


class Gateway(Protocol):
    """What an adapter implements."""

    name: str
    currencies: frozenset[str]  # empty: any
    by_hand: bool  # recorded by staff: no order, no webhook, and refunds are paid out by hand

    def create_order(self, asked: OrderRequest) -> str:
        """Create an order, once for each receipt; returns the gateway's order ID."""

    def close_order(self, order_id: str) -> None:
        """Close an order to payments. Where a gateway can't do that, late payments are refunded."""

    def checkout_form(self, order_id: str, asked: OrderRequest) -> CheckoutForm:
        """Return the form for the payer; raises OrderExpired if the order is closed."""

    def verify_return(self, order_id: str, fields: Mapping[str, str]) -> str:
        """Check what the payer's browser brought: "" if it may be paid, "failed", or "unverified" if forged."""

    def list_charges(self, order_id: str) -> Sequence[Charge]:
        """Return every attempt to pay this order."""

    def send_refund(self, payment_id: str, money: Money, key: str) -> GatewayRefund:
        """Refund an amount, once for each key."""

    def list_refunds(self, payment_id: str) -> Sequence[GatewayRefund]:
        """Return every refund of this payment, also those made in the gateway's dashboard."""

    def fetch_dispute(self, id: str) -> GatewayDispute: ...

    def list_captured(self, day: date) -> Sequence[Charge]:
        """Return every payment captured on this day (UTC), for the reconciliation."""

    def list_settlements(self, day: date) -> Sequence[SettlementLine]:
        """Return the settlement report of this day."""

    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookNotice:
        """Verify a webhook's signature over its raw bytes, and return the IDs in it."""

    def public_details(self) -> dict[str, str]:
        """Return what clients may know: the gateway's name and its publishable key."""


_gateways: dict[str, Gateway] = {}
_outside = ""


def configure(*gateways: Gateway) -> None:
    """Set the gateways of this installation, the default one first."""
    _gateways.clear()
    _gateways.update({each.name: each for each in gateways})


def configure_public_url(address: str) -> None:
    """Set the public base URL for gateways and payers; empty for relative addresses."""
    global _outside
    _outside = address.rstrip("/")


def public_url(path: str) -> str:
    return _outside + path


def all_gateways() -> list[Gateway]:
    return [*_gateways.values()]


def for_each_online(call: Callable[[str], object]) -> None:
    """Call the function for each online gateway; failures are raised at the end, after all were called."""
    troubles = []
    for each in [each for each in all_gateways() if not each.by_hand]:
        try:
            call(each.name)
        except Refused as no:
            troubles.append(f"{gateway_label(each.name)}: {no.words}")
    if troubles:
        raise Unreachable(" ".join(troubles))


def gateway_labels() -> Mapping[str, str]:
    """Return the label of each gateway."""
    return {each.name: each.name.capitalize() for each in all_gateways()} | LABELS


def gateway_label(name: str) -> str:
    return gateway_labels().get(name, name.capitalize())


def gateway_column(label: str = "Gateway") -> Any:
    """Map a column for a gateway's name, displayed by its label."""
    return mapped_column(info={"label": label, "choices": gateway_labels})


def by_name(name: str) -> Gateway:
    if name not in _gateways:
        raise Missing
    return _gateways[name]


def default_for(currency: str) -> Gateway:
    """Return the gateway for new bills in this currency."""
    online = (each for each in _gateways.values() if not each.by_hand)
    fitting = next((each for each in online if not each.currencies or currency in each.currencies), None)
    if fitting is None:
        raise Refused(f"No payment gateway is set up for {currency}.")
    return fitting

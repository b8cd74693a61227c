"""The contract of a gateway: what we ask of whoever moves the money, and what they tell us back."""

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
    """One request for money, as a gateway has to know it."""

    money: Money
    receipt: str  # what the gateway files it under; asking twice for one receipt makes one order
    back: str  # where the payer's browser goes afterwards
    away: str  # and where it goes when they give up
    about: str = ""  # what the payer reads: "Booking BK-2026-000123"
    payer: Mapping[str, str] = field(default_factory=dict)  # name, email, contact
    until: datetime | None = None  # nobody waits for it any longer than this


@dataclass(frozen=True)
class Charge:
    """One attempt to pay, as the gateway sees it at the moment we asked."""

    id: str
    state: str  # created, failed, authorized, captured; or refunded: it came and went without ever being ours
    money: Money
    method: str = ""
    error: str = ""
    returned: int = 0  # how much of a captured one has gone back since, in the smallest coin
    order_id: str = ""
    at: datetime | None = None  # when the payer made it, by the gateway's own clock


@dataclass(frozen=True)
class GatewayRefund:
    """One refund, as the gateway sees it."""

    id: str
    payment_id: str
    state: str  # pending, done, failed
    money: Money
    key: str = ""  # ours, when it was us who asked


@dataclass(frozen=True)
class GatewayDispute:
    """A payer's bank wants the money of one payment back."""

    id: str
    payment_id: str
    state: str  # open, under_review, won, lost, closed
    money: Money
    deducted: int = 0  # what the gateway has taken from us already, in the smallest coin
    reason: str = ""
    respond_by: datetime | None = None


@dataclass(frozen=True)
class SettlementLine:
    """One line of a settlement report: what reached our bank for one payment, refund or correction, and what it cost."""

    id: str  # of the payment, the refund, …
    kind: str  # payment, refund, adjustment, …
    credit: Money  # to us, before fee and tax are taken off
    debit: Money  # from us
    fee: Money  # without the tax on it
    tax: Money
    reference: str = ""  # the bank's own reference for the transfer
    settled_at: datetime | None = None
    dispute_id: str = ""  # when it is a correction because of one


@dataclass(frozen=True)
class WebhookNotice:
    """What a webhook says at first sight; the truth is fetched afterwards."""

    event_id: str
    kind: str
    order_id: str | None = None
    payment_id: str | None = None
    dispute_id: str | None = None


@dataclass(frozen=True)
class CheckoutForm:
    """A plain form that takes the payer to the gateway's own page, with or without JavaScript."""

    action: str
    fields: Mapping[str, str] = field(default_factory=dict)
    method: str = "post"


class Unreachable(Refused):
    """The gateway did not answer, or not sensibly. Nothing is known; ask again later."""

    status = 503
    code = "gateway_unreachable"


class Declined(Refused):
    """The gateway understood, and said no: asking the same again would be no again. What it said is kept."""

    status = 502
    code = "gateway_declined"

    def __init__(self, words: str, *, status: int = 0, code: str = "", field: str = "", reason: str = "") -> None:
        super().__init__(words)
        self.their_status, self.their_code, self.field, self.reason = status, code, field, reason


class OrderExpired(Refused):
    """The gateway has closed this order and takes no money for it any more; a new one has to be announced."""


class Gateway(Protocol):
    name: str
    currencies: frozenset[str]  # empty: any
    by_hand: bool  # money that staff count themselves: no order, no webhook, and a refund is handed out

    def create_order(self, asked: OrderRequest) -> str:
        """Announce the money; answers the gateway's order id."""

    def close_order(self, order_id: str) -> None:
        """Nobody should pay this any more. Where a gateway cannot do that, late money is given back when it comes."""

    def checkout_form(self, order_id: str, asked: OrderRequest) -> CheckoutForm:
        """The way to the payer's page; raises Lapsed when the order is over."""

    def verify_return(self, order_id: str, fields: Mapping[str, str]) -> str:
        """What the payer's browser brings: "" when it is worth a look, "failed", or "unverified" when the proof is wrong."""

    def list_charges(self, order_id: str) -> Sequence[Charge]:
        """Every attempt to pay this order."""

    def send_refund(self, payment_id: str, money: Money, key: str) -> GatewayRefund:
        """Give (part of) the money back; the same key gives it back once, however often it is asked."""

    def list_refunds(self, payment_id: str) -> Sequence[GatewayRefund]:
        """Everything that went back of this payment, whoever asked for it."""

    def fetch_dispute(self, id: str) -> GatewayDispute: ...

    def list_captured(self, day: date) -> Sequence[Charge]:
        """Every payment captured on this day (UTC), to be counted against our books."""

    def list_settlements(self, day: date) -> Sequence[SettlementLine]:
        """The settlement report of this day."""

    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookNotice:
        """Check a webhook's signature over its raw bytes, and read what it is about. Refuses what is not genuine."""

    def public_details(self) -> dict[str, str]:
        """What a client may know: the gateway's name and the publishable key."""


_gateways: dict[str, Gateway] = {}
_outside = ""


def configure(*gateways: Gateway) -> None:
    """The gateways of this installation, the usual one first."""
    _gateways.clear()
    _gateways.update({each.name: each for each in gateways})


def configure_public_url(address: str) -> None:
    """Under which name gateways and payers find us; empty where the pages' own name will do."""
    global _outside
    _outside = address.rstrip("/")


def public_url(path: str) -> str:
    return _outside + path


def all_gateways() -> list[Gateway]:
    return [*_gateways.values()]


def for_each_online(ask: Callable[[str], object]) -> None:
    """Each that answers over the wire; one that is away does not keep the others from being asked, and is said at the end."""
    troubles = []
    for each in [each for each in all_gateways() if not each.by_hand]:
        try:
            ask(each.name)
        except Refused as no:
            troubles.append(f"{gateway_label(each.name)}: {no.words}")
    if troubles:
        raise Unreachable(" ".join(troubles))


def gateway_labels() -> Mapping[str, str]:
    """What each gateway is called on a screen."""
    return {each.name: each.name.capitalize() for each in all_gateways()} | LABELS


def gateway_label(name: str) -> str:
    return gateway_labels().get(name, name.capitalize())


def gateway_column(called: str = "Gateway") -> Any:
    return mapped_column(info={"label": called, "choices": gateway_labels})


def by_name(name: str) -> Gateway:
    if name not in _gateways:
        raise Missing
    return _gateways[name]


def default_for(currency: str) -> Gateway:
    """The gateway that new bills in this currency go to."""
    fits = (
        each for each in _gateways.values() if not each.by_hand and (not each.currencies or currency in each.currencies)
    )
    found = next(fits, None)
    if found is None:
        raise Refused(f"No payment gateway is set up for {currency}.")
    return found

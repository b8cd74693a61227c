"""Offline payments recorded by staff: cash, cheque and bank transfer, as gateways without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from app.kernel.errors import Missing, Refused
from app.money.gateways.gateway import (
    Charge,
    CheckoutForm,
    GatewayDispute,
    GatewayRefund,
    OrderRequest,
    SettlementLine,
    WebhookNotice,
)
from app.money.sums.amount import Money

_WORDS = {
    "cash": "Cash payments are recorded by staff",
    "cheque": "Cheque payments are recorded by staff",
    "bank": "Bank transfers are recorded by staff",
}


class Offline:
    """A gateway without orders or webhooks."""

    currencies: frozenset[str] = frozenset()
    by_hand = True

    def __init__(self, name: str) -> None:
        self.name = name

    def create_order(self, asked: OrderRequest) -> str:
        raise self._refusal("They can’t be requested online.")

    def close_order(self, order_id: str) -> None:
        """Do nothing: there is no order to close."""

    def checkout_form(self, order_id: str, asked: OrderRequest) -> CheckoutForm:
        raise self._refusal("There is no online payment page for them.")

    def verify_return(self, order_id: str, fields: Mapping[str, str]) -> str:
        raise Missing

    def list_charges(self, order_id: str) -> Sequence[Charge]:
        return []

    def send_refund(self, payment_id: str, money: Money, key: str) -> GatewayRefund:
        raise self._refusal(f"Pay out {money} by hand, and mark the refund as paid out.")

    def list_refunds(self, payment_id: str) -> Sequence[GatewayRefund]:
        return []

    def fetch_dispute(self, id: str) -> GatewayDispute:
        raise Missing

    def list_captured(self, day: date) -> Sequence[Charge]:
        return []

    def list_settlements(self, day: date) -> Sequence[SettlementLine]:
        return []

    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookNotice:
        raise Missing

    def public_details(self) -> dict[str, str]:
        return {"gateway": self.name}

    def _refusal(self, words: str) -> Refused:
        return Refused(f"{_WORDS[self.name]}. {words}")


OFFLINE = Offline("cash"), Offline("cheque"), Offline("bank")

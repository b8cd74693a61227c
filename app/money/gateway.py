"""The contract of a gateway: what we ask of whoever moves the money, and what they tell us back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from app.kernel.errors import Missing, Refused
from app.money.amount import Money


@dataclass(frozen=True)
class Charge:
    """One attempt to pay, as the gateway sees it at the moment we asked."""

    id: str
    state: str  # created, failed, authorized, captured, or refunded by somebody else than us
    money: Money
    method: str = ""
    error: str = ""


@dataclass(frozen=True)
class Told:
    """What a webhook says at first sight; the truth is fetched afterwards."""

    event_id: str
    kind: str
    order_id: str | None


@dataclass(frozen=True)
class Checkout:
    """A plain form that takes the payer to the gateway's own page, with or without JavaScript."""

    action: str
    fields: Mapping[str, str]


class Unreachable(Refused):
    """The gateway did not answer, or not sensibly. Nothing is known; ask again later."""

    status = 503
    code = "gateway_unreachable"


class Gateway(Protocol):
    name: str

    def order(self, money: Money, receipt: str) -> str:
        """Announce the money; answers the gateway's order id. Asking twice for one receipt makes one order."""

    def charges(self, order_id: str) -> list[Charge]: ...

    def checkout(self, order_id: str, money: Money, payer: Mapping[str, str], back: str, away: str) -> Checkout: ...

    def is_genuine(self, order_id: str, payment_id: str, signature: str) -> bool:
        """Did the gateway itself sign the browser's return?"""

    def hear(self, raw: bytes, headers: Mapping[str, str]) -> Told:
        """Check a webhook's signature over its raw bytes, and read what it is about. Refuses what is not genuine."""

    def refund(self, payment_id: str, money: Money, key: str) -> str:
        """Give the money back; the same key gives it back once."""

    def public(self) -> dict[str, str]:
        """What a client may know: the gateway's name and the publishable key."""


_gateways: dict[str, Gateway] = {}


def use(gateway: Gateway) -> None:
    _gateways[gateway.name] = gateway


def named(name: str) -> Gateway:
    if name not in _gateways:
        raise Missing
    return _gateways[name]


def usual() -> Gateway:
    """The gateway that new bills go to."""
    return next(iter(_gateways.values()))

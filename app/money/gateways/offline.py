"""Money that staff count themselves: cash, a cheque, a transfer to our bank. Nobody is asked, and nobody tells us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from app.kernel.errors import Missing, Refused
from app.money.gateways.gateway import Asked, Charge, Checkout, Disputed, Returned, Settled, Told
from app.money.sums.amount import Money

_WORDS = {
    "cash": "Cash payments are recorded by staff",
    "cheque": "Cheque payments are recorded by staff",
    "bank": "Bank transfers are recorded by staff",
}


class Offline:
    currencies: frozenset[str] = frozenset()
    by_hand = True

    def __init__(self, name: str) -> None:
        self.name = name

    def order(self, asked: Asked) -> str:
        raise self._no("They can’t be requested online.")

    def close(self, order_id: str) -> None:
        """Nothing was announced, so nothing has to be closed."""

    def checkout(self, order_id: str, asked: Asked) -> Checkout:
        raise self._no("There is no online payment page for them.")

    def came_back(self, order_id: str, fields: Mapping[str, str]) -> str:
        raise Missing

    def charges(self, order_id: str) -> Sequence[Charge]:
        return []

    def refund(self, payment_id: str, money: Money, key: str) -> Returned:
        raise self._no(f"Pay out {money} by hand, and mark the refund as paid out.")

    def refunds(self, payment_id: str) -> Sequence[Returned]:
        return []

    def dispute(self, id: str) -> Disputed:
        raise Missing

    def taken(self, day: date) -> Sequence[Charge]:
        return []

    def settled(self, day: date) -> Sequence[Settled]:
        return []

    def hear(self, raw: bytes, headers: Mapping[str, str]) -> Told:
        raise Missing

    def public(self) -> dict[str, str]:
        return {"gateway": self.name}

    def _no(self, words: str) -> Refused:
        return Refused(f"{_WORDS[self.name]}. {words}")


OFFLINE = Offline("cash"), Offline("cheque"), Offline("bank")

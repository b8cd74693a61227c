"""Limits: above which sum a second pair of eyes is needed, for what is taken by hand and for what goes back."""

from __future__ import annotations

from app.money.sums.amount import Money

_above = Money(1_000_000, "INR")


def configure(money: Money) -> None:
    global _above
    _above = money


def needs_four_eyes(money: Money) -> bool:
    """Another currency than the house's own is always looked at twice."""
    return money.currency != _above.currency or money > _above

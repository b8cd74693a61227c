"""Approval limit (four eyes): above it, refunds and payments recorded by staff need a second approval."""

from __future__ import annotations

from app.money.sums.amount import Money

_above = Money(1_000_000, "INR")


def configure(above: Money) -> None:
    global _above
    _above = above


def needs_four_eyes(money: Money) -> bool:
    """Tell whether a second approval is needed; in a currency other than the limit's it always is."""
    return money.currency != _above.currency or money > _above

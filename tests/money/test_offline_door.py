"""Tests of the offline gateways for cash, cheques and bank transfers, which refuse everything online."""

from __future__ import annotations

from datetime import date

import pytest

from app.kernel.errors import Missing, Refused
from app.money.gateways.gateway import Gateway, OrderRequest
from app.money.gateways.offline import OFFLINE, Offline
from app.money.sums.amount import Money

ASKED = OrderRequest(Money(1500, "INR"), "BK-1", "/back", "/away")


def test_there_are_three_kinds_and_each_is_a_gateway() -> None:
    gateways: tuple[Gateway, ...] = OFFLINE
    assert [each.name for each in gateways] == ["cash", "cheque", "bank"]
    assert all(each.by_hand and not each.currencies for each in gateways)
    assert [each.public_details() for each in gateways] == [
        {"gateway": "cash"},
        {"gateway": "cheque"},
        {"gateway": "bank"},
    ]


@pytest.mark.parametrize("it", OFFLINE, ids=lambda it: it.name)
def test_nothing_is_announced_paid_on_a_page_or_sent_back_by_wire(it: Offline) -> None:
    with pytest.raises(Refused, match="They can’t be requested online"):
        it.create_order(ASKED)
    with pytest.raises(Refused, match="There is no online payment page for them"):
        it.checkout_form("", ASKED)
    with pytest.raises(Refused, match=r"Pay out ₹15\.00 by hand"):
        it.send_refund("1", Money(1500, "INR"), "RF-1")


@pytest.mark.parametrize("it", OFFLINE, ids=lambda it: it.name)
def test_whoever_asks_what_happened_hears_that_nothing_did(it: Offline) -> None:
    it.close_order("")
    assert [
        *it.list_charges(""),
        *it.list_refunds(""),
        *it.list_captured(date(2026, 1, 1)),
        *it.list_settlements(date(2026, 1, 1)),
    ] == []


@pytest.mark.parametrize("it", OFFLINE, ids=lambda it: it.name)
def test_nobody_can_tell_it_anything_from_outside(it: Offline) -> None:
    for tell in (lambda: it.parse_webhook(b"{}", {}), lambda: it.verify_return("", {}), lambda: it.fetch_dispute("1")):
        with pytest.raises(Missing):
            tell()

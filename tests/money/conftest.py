"""Fixtures for tests of money: a bill, a payer, gateway failures and ledger balances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from app.kernel.db import session
from app.money.bills.bill import Bill
from app.money.bills.ledger import balance_of, imbalance
from app.money.bills.payment import Payment
from app.money.gateways.gateway import Charge
from app.money.sums.amount import Money
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.slot import Slot
from tests.conftest import PATIENCE

Hold = Callable[..., Booking]


def inr(amount: int) -> Money:
    return Money(amount, "INR")


@pytest.fixture
def bill(slot: Slot, hold: Hold) -> Bill:
    found = hold(slot).bill
    assert found
    return found


@pytest.fixture
def play(sandbox: str) -> Callable[..., dict[str, Any]]:
    """Act as the payer at the sandbox: play(bill, "captured")."""

    def play(bill: Bill, outcome: str, **how: Any) -> dict[str, Any]:
        answer = requests.post(
            f"{sandbox}/razorpay/orders/{bill.announce()}/pay",
            json={"outcome": outcome, "deliver": False} | how,
            timeout=PATIENCE,
        )
        assert answer.ok, answer.text
        return dict(answer.json())

    return play


@pytest.fixture
def go_wrong(sandbox: str) -> Callable[..., None]:
    """Make the next gateway request fail: go_wrong("502")."""
    return lambda fault, times=1, path="": requests.post(
        f"{sandbox}/razorpay/faults", json={"fault": fault, "times": times, "path": path}, timeout=PATIENCE
    )


@pytest.fixture
def paid(bill: Bill, play: Any) -> Payment:
    """A payment by card for a booking."""
    play(bill, "captured")
    bill.check_gateway()
    return payment_of(bill)


def booking_of(bill: Bill) -> Booking:
    session.expire_all()
    return Booking.get(bill.row_id)


def payments_of(bill: Bill) -> list[Payment]:
    session.expire_all()
    return list(Bill.get(bill.id).payments)


def payment_of(bill: Bill) -> Payment:
    (payment,) = payments_of(bill)
    return payment


def captured(bill: Bill, id: str = "pay_1", money: Money | None = None, **more: Any) -> Charge:
    return Charge(id, "captured", money or bill.price, "card", **more)


def books(*names: str) -> dict[str, int]:
    """Return the balances of these accounts in paise, debits above zero, and check that the books balance."""
    assert imbalance() == {}
    return {name: balance_of(name, "INR").amount for name in names}

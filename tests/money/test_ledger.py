"""Tests of the ledger: double entry that balances, immutable, and accounts that can’t be overdrawn."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from app.kernel import db
from app.kernel.db import session, transaction
from app.kernel.errors import Refused
from app.kernel.people import Person
from app.money.bills.bill import Bill, ByHand
from app.money.bills.ledger import (
    KINDS,
    MEANINGS,
    TITLES,
    Account,
    Hold,
    Line,
    Posting,
    balance_of,
    imbalance,
    post,
    trial_balance_rows,
)
from app.money.bills.payment import Bounce, Payment
from app.money.sums.amount import Money
from app.packs.bookings.booking.changes import CallOff
from tests.conftest import ROOT
from tests.money.conftest import booking_of, books, inr, payment_of


@pytest.fixture
def person(app: Flask) -> Person:
    with transaction():
        return Person.find_or_create(name="Meera Iyer", email="meera@example.com", phone="", timezone="Asia/Kolkata")


def test_a_posting_adds_up_or_is_not_there(person: Person) -> None:
    with pytest.raises(Refused), transaction():
        post("one sided", "x", ("cash", inr(100)), about=person)
    with pytest.raises(Refused), transaction():
        post("crooked", "x", ("cash", inr(100)), ("income", inr(-99)), about=person)
    with pytest.raises(Refused), transaction():
        post("two currencies", "x", ("cash", inr(100)), ("income", Money(-100, "USD")), about=person)
    assert session.scalar(select(func.count()).select_from(Line)) == 0


def test_the_database_itself_checks_the_sum(person: Person) -> None:
    with transaction():
        post("right", "x", ("cash", inr(100)), ("income", inr(-100)), about=person)
    one_more_line = """
        insert into line (posting_id, account_id, money_amount, money_currency, created_at, changed_at, version)
        select posting_id, account_id, 1, money_currency, now(), now(), 1 from line limit 1"""
    no_lines = """
        insert into posting (key, day, what, noun, by, created_at, changed_at, version)
        values ('empty', now(), 'x', '', 'x', now(), now(), 1)"""
    for wrong in (one_more_line, no_lines):
        with pytest.raises(DBAPIError), db.engine().begin() as connection:
            connection.execute(text(wrong))


@pytest.mark.parametrize("table", ["posting", "line", "invoice"])
@pytest.mark.parametrize("attempt", ["update {} set version = 2", "delete from {}", "truncate {} cascade"])
def test_nothing_in_the_books_or_on_paper_is_ever_changed(bill: Bill, table: str, attempt: str) -> None:
    booking_of(bill).mark_paid(ByHand("cash", "receipt 7"))
    with pytest.raises(DBAPIError, match="written once"), db.engine().begin() as connection:
        connection.execute(text(attempt.format(table)))


def test_the_same_key_is_booked_once(person: Person) -> None:
    for _ in range(2):
        with transaction():
            post("twice", "x", ("cash", inr(100)), ("income", inr(-100)), about=person)
    assert books("cash", "income") == {"cash": 100, "income": -100}


def test_a_mistake_stands_beside_its_opposite_once(person: Person) -> None:
    with transaction():
        wrong = post("wrong", "x", ("cash", inr(100)), ("income", inr(-100)), about=person)
    assert wrong
    for _ in range(2):
        with transaction():
            wrong.reverse("A typing mistake")
    assert books("cash", "income") == {"cash": 0, "income": 0}
    assert session.scalar(select(func.count()).select_from(Posting)) == 2


def test_a_paid_bill_is_a_liability_until_the_hour_is_over(
    bill: Bill, paid: Payment, later: Any, work_off: Any
) -> None:
    assert books("gateway razorpay", "received", "deposits", "income") == {
        "gateway razorpay": 99900,
        "received": 0,
        "deposits": -99900,
        "income": 0,
    }
    with later(hours=50):
        booking_of(bill).complete()
    assert books("deposits", "income") == {"deposits": 0, "income": -99900}


def test_what_is_called_off_is_owed_until_it_is_there(bill: Bill, paid: Payment, work_off: Any) -> None:
    booking_of(bill).cancel(CallOff("Ill."))
    assert books("deposits", "to-give-back", "gateway razorpay") == {
        "deposits": 0,
        "to-give-back": -99900,
        "gateway razorpay": 99900,
    }
    work_off()
    assert books("deposits", "to-give-back", "gateway razorpay") == {
        "deposits": 0,
        "to-give-back": 0,
        "gateway razorpay": 0,
    }


def test_a_balance_can_be_asked_for_one_thing_alone(bill: Bill, paid: Payment) -> None:
    assert balance_of("deposits", "INR", about=bill) == inr(-99900)
    other = Bill(id=10**6)
    assert balance_of("deposits", "INR", about=other) == inr(0)
    session.expunge_all()


def test_the_trial_balance_is_even(bill: Bill, paid: Payment) -> None:
    rows = trial_balance_rows()
    assert sum(debit for _, debit, _ in rows) == sum(credit for _, _, credit in rows) == 2 * 99900
    assert all(account.means for account, _, _ in rows)


# --- accounts that cannot be overdrawn --------------------------------------------------------------------------------


@pytest.fixture
def wallet(person: Person) -> Account:
    with transaction():
        made = Account.wallet_of(person, "INR")
        post("fill", "Commission", ("cash", inr(1000)), (made, inr(-1000)), about=person)
    return made


def test_what_is_held_cannot_be_promised_twice(wallet: Account) -> None:
    hold = wallet.hold(inr(700), "withdrawal 1")
    assert wallet.hold(inr(700), "withdrawal 1").id == hold.id
    with pytest.raises(Refused, match="sufficient"):
        wallet.hold(inr(301), "withdrawal 2")
    hold.release()
    again = wallet.hold(inr(1000), "withdrawal 3")
    again.take("bank", "Paid out")
    session.expire_all()
    assert (wallet.balance, wallet.held, wallet.available) == (0, 0, inr(0))
    assert imbalance() == {}


def test_the_database_refuses_to_overdraw_whoever_asks(wallet: Account, person: Person) -> None:
    with pytest.raises(Refused, match="sufficient"), transaction():
        post("too much", "x", (wallet, inr(1001)), ("cash", inr(-1001)), about=person)
    wallet.hold(inr(600), "h")
    with pytest.raises(Refused, match="sufficient"), transaction():
        post("what is held", "x", (wallet, inr(500)), ("cash", inr(-500)), about=person)


def test_a_crowd_cannot_draw_more_than_there_is(wallet: Account, app: Flask) -> None:
    def draw(n: int) -> bool:
        with app.app_context():
            try:
                Account.get(wallet.id).hold(inr(300), f"draw {n}").take("bank", "Paid out")
            except Refused:
                return False
            else:
                return True
            finally:
                session.remove()

    with ThreadPoolExecutor(6) as crowd:
        assert sum(crowd.map(draw, range(12))) == 3
    session.expire_all()
    assert wallet.available == inr(100)
    assert session.scalar(select(func.count()).where(Hold.state == "taken")) == 3


def test_four_eyes_look_at_a_large_sum_taken_by_hand(
    open_slot: Callable[..., Any], hold: Any, by: Any, service: Any
) -> None:
    with transaction():
        service.price = inr(1_500_000)
    bill = hold(open_slot()).bill
    with by("dina"):
        booking_of(bill).mark_paid(ByHand("bank", "UTR 12345"))
    payment = payment_of(bill)
    assert (booking_of(bill).state, payment.state) == ("held", "authorized")
    assert books("bank") == {"bank": 0}
    with by("ada"):
        payment.approve()
    assert (booking_of(bill).state, payment_of(bill).state) == ("confirmed", "captured")
    assert books("bank", "deposits") == {"bank": 1_500_000, "deposits": -1_500_000}


def test_nobody_approves_what_they_took_themselves(
    open_slot: Callable[..., Any], hold: Any, by: Any, service: Any
) -> None:
    with transaction():
        service.price = inr(1_500_000)
    bill = hold(open_slot()).bill
    with by("ada"):
        booking_of(bill).mark_paid(ByHand("cash", "x"))
        with pytest.raises(Refused, match="Someone else"):
            payment_of(bill).approve()


def test_the_seat_waits_for_money_that_somebody_has_to_look_at(
    open_slot: Any, hold: Any, by: Any, service: Any, later: Any, work_off: Any
) -> None:
    with transaction():
        service.price = inr(1_500_000)
    bill = hold(open_slot()).bill
    with by("dina"):
        booking_of(bill).mark_paid(ByHand("bank", "UTR 12345"))
    with later(hours=2):
        work_off()
        assert booking_of(bill).state == "held"
    with later(hours=25):
        work_off()
        assert booking_of(bill).state == "expired"


def test_a_cheque_is_money_when_it_is_cleared_and_none_when_it_bounces(
    open_slot: Any, hold: Any, work_off: Any
) -> None:
    good, bad = (hold(open_slot(hours=48 + n), name=name).bill for n, name in ((0, "Good Payer"), (2, "Bad Payer")))
    for bill in (good, bad):
        booking_of(bill).mark_paid(ByHand("cheque", "000123"))
    assert books("cheques", "bank") == {"cheques": 199800, "bank": 0}
    payment_of(good).clear()
    payment_of(bad).bounce(Bounce("Insufficient funds"))
    assert books("cheques", "bank", "deposits") == {"cheques": 0, "bank": 99900, "deposits": -99900}
    assert (Bill.get(bad.id).state, booking_of(bad).state, payment_of(bad).state) == ("unpaid", "confirmed", "bounced")
    booking_of(bad)
    Bill.get(bad.id).take_by_hand(ByHand("cash", "at last"))
    assert Bill.get(bad.id).state == "paid"
    assert books("cash", "deposits") == {"cash": 99900, "deposits": -199800}


def test_the_page_about_money_names_every_account(app: Flask) -> None:
    page = (ROOT / "app/money/README.md").read_text().partition("## Documents")[0]
    assert [name for name in KINDS if f"`{name}`" not in page and f"`{name} …`" not in page] == []
    assert KINDS.keys() == MEANINGS.keys() == TITLES.keys()


def test_what_somebody_has_to_look_at_is_not_asked_for_twice(
    open_slot: Any, hold: Any, by: Any, service: Any, client: Any
) -> None:
    with transaction():
        service.price = inr(1_500_000)
    bill = hold(open_slot()).bill
    with by("dina"):
        booking_of(bill).mark_paid(ByHand("bank", "UTR 12345"))
    assert client.get(f"/pay/{bill.token}").status_code == 302

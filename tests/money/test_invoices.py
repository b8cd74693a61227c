"""Tests of invoices, receipts and credit notes: numbers without gaps, immutable, and exactly one each."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid
from app.kernel.numbering import fiscal_year, next_fiscal_number
from app.money.bills import invoice
from app.money.bills.bill import Bill, ByHand
from app.money.bills.invoice import Invoice, parse_buyer
from app.money.bills.payment import GiveBack, Payment
from app.money.gateways.gateway import Charge
from app.money.paper.document import Party
from app.money.sums import quote
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.choices import Choices
from tests.conftest import MEERA, PATIENCE
from tests.money.conftest import booking_of, books, inr, payment_of


@pytest.fixture
def registered(app: Flask, service: Any) -> Any:
    """A practice in Karnataka that is registered for GST."""
    quote.configure("29")
    invoice.configure(
        Party("Asha & Dev", "12 MG Road\nBengaluru", "hello@example.com", "", "29AAGCB7383J1Z4", "29 Karnataka")
    )
    with transaction():
        service.tax_rate, service.tax_code = 1800, "999799"
    yield
    quote.configure("")
    invoice.configure(Party("Asha & Dev"))


def papers(kind: str = "") -> list[Invoice]:
    session.expire_all()
    return [each for each in session.scalars(select(Invoice).order_by(Invoice.id)) if not kind or each.kind == kind]


def test_a_paid_bill_is_an_invoice_and_a_receipt_once(bill: Bill) -> None:
    for _ in range(3):
        bill.apply_charges([Charge("pay_1", "captured", bill.price)])
    assert [(each.kind, each.number, each.total) for each in papers()] == [
        ("invoice", fiscal("INV", 1), inr(99900)),
        ("receipt", fiscal("RC", 1), inr(99900)),
    ]


def fiscal(kind: str, n: int) -> str:
    year = fiscal_year(clock.today())
    return f"{kind}/{year % 100}-{year % 100 + 1}/{n:06d}"


def test_the_tax_of_an_invoice_is_the_tax_in_the_books(registered: Any, bill: Bill) -> None:
    bill.apply_charges([Charge("pay_1", "captured", bill.price)])
    (paper,) = papers("invoice")
    assert (paper.title, paper.total, paper.tax, paper.place) == ("Tax invoice", inr(99900), inr(15238), "29 Karnataka")
    assert books("tax CGST", "tax SGST", "deposits") == {"tax CGST": -7619, "tax SGST": -7619, "deposits": -84662}


def test_a_buyer_in_another_state_pays_the_tax_of_two_states_at_once(registered: Any, open_slot: Any) -> None:
    booking = Booking.hold(
        open_slot(hours=30),
        MEERA,
        {},
        Choices(buyer={"tax_number": "27AAPFU0939F1ZV", "address": "5 Marine Drive, Mumbai"}),
    )
    booking.bill.apply_charges([Charge("pay_1", "captured", booking.bill.price)])
    (paper,) = papers("invoice")
    assert (paper.place, paper.buyer["tax_number"], [*paper.lines[0]["taxes"]]) == (
        "27 Maharashtra",
        "27AAPFU0939F1ZV",
        ["IGST"],
    )
    assert books("tax IGST") == {"tax IGST": -15239}


def test_what_goes_back_is_a_credit_note_over_exactly_that(registered: Any, bill: Bill) -> None:
    bill.apply_charges([Charge("pay_1", "captured", bill.price)])
    for amount in ("333.33", "333.33", ""):
        payment_of(bill).give_back(GiveBack(amount=amount, why="A complaint"))
    notes = papers("credit_note")
    assert [each.total.amount for each in notes] == [33333, 33333, 33234]
    assert sum(each.tax.amount for each in notes) == 15238
    assert {each.credits.number for each in notes if each.credits} == {fiscal("INV", 1)}
    assert books("tax CGST", "tax SGST", "deposits", "to-give-back") == {
        "tax CGST": 0,
        "tax SGST": 0,
        "deposits": 0,
        "to-give-back": -99900,
    }


def test_numbers_have_no_gap_and_no_twin_whoever_changes_their_mind(app: Flask) -> None:
    def ask(seed: int) -> str | None:
        with app.app_context():
            try:
                with transaction():
                    mine = next_fiscal_number("INV")
                    if random.Random(seed).random() < 0.3:
                        raise ZeroDivisionError
                return mine
            except ZeroDivisionError:
                return None
            finally:
                session.remove()

    with ThreadPoolExecutor(4) as crowd:
        given = sorted(each for each in crowd.map(ask, range(60)) if each)
    assert given == [fiscal("INV", n) for n in range(1, len(given) + 1)]


def test_the_year_of_the_books_begins_in_april_by_the_clock_of_the_house(app: Flask) -> None:
    for moment, said in {
        datetime(2027, 3, 31, 18, 29, tzinfo=UTC): "INV/26-27/000001",  # 23:59 in Kolkata
        datetime(2027, 3, 31, 18, 30, tzinfo=UTC): "INV/27-28/000001",
        datetime(2027, 12, 31, tzinfo=UTC): "INV/27-28/000002",
    }.items():
        with clock.frozen_at(moment), transaction():
            number = next_fiscal_number("INV")
        assert number == said
        assert len(number) <= 16


def test_the_pdf_is_the_same_each_time_and_only_for_who_has_the_link(bill: Bill, client: FlaskClient) -> None:
    booking_of(bill).mark_paid(ByHand("cash", "receipt 7"))
    paper = papers("invoice")[0]
    first, second = (client.get(f"/paper/{paper.token}") for _ in range(2))
    assert (first.mimetype, first.data[:5], first.data == second.data) == ("application/pdf", b"%PDF-", True)
    assert client.get(f"/paper/{paper.token[1:]}x").status_code == 404
    assert client.get("/paper/1").status_code == 404


def test_what_is_still_to_be_paid_can_be_printed(bill: Bill, client: FlaskClient) -> None:
    assert client.get(f"/pay/{bill.token}/request.pdf").data[:5] == b"%PDF-"
    booking_of(bill).mark_paid(ByHand("cash", "receipt 7"))
    assert client.get(f"/pay/{bill.token}/request.pdf").status_code == 404


def test_the_invoice_goes_out_by_email_with_the_pdf(bill: Bill, work_off: Any, sandbox: str) -> None:
    requests.delete(f"{sandbox}/mail", timeout=PATIENCE)
    booking_of(bill).mark_paid(ByHand("cash", "receipt 7"))
    work_off()
    mails = requests.get(f"{sandbox}/mail.json?to=meera", timeout=PATIENCE).json()
    (mail,) = [each for each in mails if each["subject"].startswith("Invoice INV/")]
    raw = requests.get(f"{sandbox}/mail/{mail['id']}.eml", timeout=PATIENCE)
    assert "application/pdf" in raw.text


@pytest.mark.parametrize("wrong", [{"tax_number": "29AAGCB7383J1Z5"}, {"region": "Karnataka"}, {"address": "x" * 301}])
def test_what_an_invoice_cannot_say_is_a_marked_field(wrong: dict[str, str]) -> None:
    with pytest.raises(Invalid) as no:
        parse_buyer(wrong)
    assert no.value.fields.keys() == wrong.keys()


def test_the_state_of_a_registered_buyer_is_that_of_their_number() -> None:
    assert parse_buyer({"tax_number": " 27aapfu0939f1zv ", "region": "29"}) == {
        "tax_number": "27AAPFU0939F1ZV",
        "region": "27",
    }


def test_who_we_were_stays_on_what_was_written(registered: Any, bill: Bill) -> None:
    bill.apply_charges([Charge("pay_1", "captured", bill.price)])
    before = papers("invoice")[0].render_pdf()
    invoice.configure(Party("Somebody Else"))
    assert papers("invoice")[0].render_pdf() == before


def test_a_payment_that_pays_for_nothing_is_on_no_paper(bill: Bill) -> None:
    bill.apply_charges([Charge("pay_1", "captured", inr(1000))])
    assert papers() == []
    assert isinstance(payment_of(bill), Payment)

"""Tests of reports against figures worked out by hand, of the to-do list and of timelines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from app.kernel import clock, db
from app.kernel.db import session, transaction
from app.kernel.people import Person
from app.money.bills import invoice
from app.money.bills.bill import Bill, ByHand
from app.money.bills.dispute import Dispute
from app.money.bills.ledger import post
from app.money.bills.payment import GiveBack
from app.money.gateways.gateway import Charge, GatewayDispute, SettlementLine
from app.money.paper.document import Party
from app.money.reconcile.settlement import Settlement
from app.money.reconcile.tally import Tally
from app.money.sums import quote
from app.money.sums.amount import Money
from app.money.sums.refund_policy import RefundPolicy
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.choices import Choices
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.conftest import MEERA

NOON = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)  # of a Friday in Kolkata
ZERO = Money(0, "INR")
Enter = Callable[[str], FlaskClient]


def inr(rupees: float) -> Money:
    return Money(round(rupees * 100), "INR")


@pytest.fixture
def ask(client: FlaskClient, token: Any) -> Callable[..., Any]:
    """ask("statement", account=1): what the endpoint answers, as the accountant hears it."""

    def ask(report: str, **asked: Any) -> Any:
        answer = client.get(f"/api/v1/report/{report}", query_string=asked, headers=token("anil"))
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    return ask


@pytest.fixture
def registered(app: Flask) -> Iterator[None]:
    """A house in Karnataka that is registered for GST."""
    quote.configure("29")
    invoice.configure(Party("Asha & Dev", tax_number="29AAGCK4512L1ZA", region="29 Karnataka"))
    yield
    quote.configure("")
    invoice.configure(Party("Asha & Dev"))


@pytest.fixture
def taxed(service: Service) -> Service:
    with transaction():
        service.price, service.tax_rate = inr(1180), 1800
    return service


@pytest.fixture
def paid(taxed: Service, hold: Any, by: Any) -> Callable[..., Booking]:
    """A booking that is paid in cash by dina: paid(slot), paid(slot, Choices(...))."""

    def paid(slot: Slot, choices: Choices | None = None, **who: str) -> Booking:
        booking = Booking.hold(slot, MEERA | who, {}, choices)
        with by("dina"), transaction():
            booking.mark_paid(ByHand("cash", "R-1"))
        return booking

    return paid


def figures(told: Any, *names: str) -> list[tuple[Any, ...]]:
    def plain(value: Any) -> Any:
        return (value["amount"] / 100 if "amount" in value else value["name"]) if isinstance(value, dict) else value

    return [tuple(plain(row[name]) for name in names) for row in told["result"]]


def by_force(statement: str) -> None:
    """What no door allows, done in the database itself."""
    session.rollback()
    with db.engine().begin() as connection:
        connection.execute(text("set local session_replication_role = replica"))
        connection.execute(text(statement))


# --- the ledger -------------------------------------------------------------------------------------------------------


def test_both_sides_of_the_trial_balance_come_to_the_same(paid: Any, slot: Slot, ask: Any) -> None:
    paid(slot)
    told = ask("trial_balance")
    assert figures(told, "account", "debit", "credit", "balance") == [
        ("Cash", 1180, 0, 1180),
        ("Customer advances", 0, 1000, -1000),
        ("Unallocated receipts", 1180, 1180, 0),
        ("Output tax: Tax", 0, 180, -180),
    ]
    assert {name: money["amount"] for name, money in told["totals"]["INR"].items()} == {
        "debit": 236000,
        "credit": 236000,
        "balance": 0,
    }
    assert told["verdict"]["good"]
    assert ask("trial_balance", day=clock.today() - timedelta(days=1))["count"] == 0


def test_books_that_do_not_balance_are_red_and_wait_on_the_first_page(
    paid: Any, slot: Slot, ask: Any, enter: Enter
) -> None:
    paid(slot)
    by_force("update line set money_amount = money_amount + 500 where id = 1")
    assert not ask("trial_balance")["verdict"]["good"]
    page = enter("anil").get("/desk/reports/trial_balance/").text
    assert "The books don’t balance. The difference is ₹5.00" in page
    assert 'class="notice is-bad"' in page
    assert "The books don’t balance" in enter("anil").get("/desk/").text
    assert "The books don’t balance" not in enter("dina").get("/desk/").text, (
        "whoever may not open a report is not told of it"
    )


def test_a_statement_runs_from_what_was_there_to_what_is_left(app: Flask, ask: Any) -> None:
    with transaction():
        person = Person.find_or_create(**MEERA)
        session.flush()
    for days, rupees in ((0, 100), (3, 50), (4, -30)):
        with clock.frozen_at(NOON + timedelta(days=days)), transaction():
            post(
                f"trial {days}",
                f"Day {days}",
                ("cash", inr(rupees)),
                ("received", inr(-rupees)),
                about=person,
                person=person,
            )
    told = ask("statement", account=1, since="2026-11-22", until="2026-11-30")
    assert figures(told, "what", "debit", "credit", "balance") == [
        ("Opening balance", None, None, 100),
        ("Day 3", 50, None, 150),
        ("Day 4", None, 30, 120),
        ("Closing balance", None, None, 120),
    ]
    own = ask("statement", person=f"{person.id} · Meera Iyer", since="2026-11-01", until="2026-11-30")
    assert figures(own, "account", "balance")[-2:] == [("Unallocated receipts", -120), (None, -120)]


def test_sums_are_never_made_across_currencies(app: Flask, ask: Any, enter: Enter) -> None:
    with transaction():
        person = Person.find_or_create(**MEERA)
        session.flush()
        post("rupees", "Rupees", ("cash", inr(100)), ("received", inr(-100)), about=person, person=person)
        post(
            "dollars",
            "Dollars",
            ("cash", Money(700, "USD")),
            ("received", Money(-700, "USD")),
            about=person,
            person=person,
        )
    assert {currency: sums["debit"]["amount"] for currency, sums in ask("day_book")["totals"].items()} == {
        "INR": 10000,
        "USD": 700,
    }
    page = enter("omar").get("/desk/reports/day_book/").text
    assert "$7.00" in page
    rows = enter("omar").get("/desk/reports/day_book/export.csv").text.splitlines()
    assert [row.rpartition(",")[2] for row in rows] == ["Currency", "INR", "INR", "USD", "USD"]


# --- papers -----------------------------------------------------------------------------------------------------------


def test_the_tax_of_invoices_less_credit_notes_by_place_and_rate(
    registered: None, paid: Any, open_slot: Any, ask: Any, by: Any
) -> None:
    paid(open_slot(hours=48))
    elsewhere = paid(
        open_slot(hours=50),
        Choices(buyer={"tax_number": "27AABCS1429B1ZU"}),
        name="Kabir Shah",
        email="kabir@example.com",
    )
    with by("dina"), transaction():
        elsewhere.bills[0].payments[0].give_back(GiveBack(amount="590", why="Half of it was enough."))
    assert figures(ask("tax_summary"), "place", "name", "rate", "sold", "credited", "taxable", "tax") == [
        ("27 Maharashtra", "IGST", 18.0, 1000, 500, 500, 90),
        ("29 Karnataka", "CGST", 9.0, 1000, 0, 1000, 90),
        ("29 Karnataka", "SGST", 9.0, 1000, 0, 1000, 90),
    ]
    told = ask("gst_return")
    assert figures(told, "part", "gstin", "number", "rate", "taxable", "cgst", "sgst", "igst", "total") == [
        ("B2B", "27AABCS1429B1ZU", elsewhere.bills[0].invoices[0].number, 18.0, 1000, 0, 0, 180, 1180),
        ("B2C", "", None, 18.0, 1000, 90, 90, 0, 1180),
        ("CDNR", "27AABCS1429B1ZU", elsewhere.bills[0].invoices[-1].number, 18.0, -500, 0, 0, -90, -590),
    ]
    assert told["totals"]["INR"]["total"]["amount"] == 177000


def test_what_is_not_taxed_is_in_the_return_too(
    registered: None, service: Service, slot: Slot, hold: Any, by: Any, ask: Any
) -> None:
    booking = hold(slot)
    with by("dina"), transaction():
        booking.mark_paid(ByHand("cash", "R-1"))
    assert figures(ask("tax_summary"), "name", "rate", "taxable", "tax") == [("No tax", 0, 999, 0)]
    assert figures(ask("gst_return"), "part", "rate", "total") == [("B2C", 0, 999)]


def test_a_number_that_is_missing_is_flagged(paid: Any, open_slot: Any, ask: Any) -> None:
    for hours in (48, 50, 52):
        paid(open_slot(hours=hours))
    told = ask("invoice_register")
    numbers = [number for (number,) in figures(told, "number")]
    assert numbers == sorted(numbers)
    assert told["verdict"] == {"good": True, "words": "No numbers are missing in 3 documents."}
    by_force(f"delete from invoice where number = '{numbers[1]}'")
    told = ask("invoice_register")
    assert figures(told, "number", "kind")[1] == (numbers[1], "Missing")
    assert not told["verdict"]["good"]
    assert ask("invoice_register", papers="received")["verdict"]["good"], "another series has no gap"


# --- what is still to come, and what went back ------------------------------------------------------------------------


def test_what_is_owed_is_put_by_age_and_a_lapsed_hold_is_owed_by_nobody(
    service: Service, open_slot: Any, hold: Any, by: Any, ask: Any
) -> None:
    with transaction():
        service.price, service.deposit_percent = inr(1000), 40
    with clock.frozen_at(NOON):
        rest = hold(open_slot(hours=48))
        with by("dina"), transaction():
            rest.mark_paid(ByHand("bank", "UTR-1"))
        lapsed = hold(open_slot(hours=50), name="Kabir Shah")
        with transaction():
            lapsed.lapse()
    ages = ("not_due", "month", "two_months", "older", "days")
    for day, expected in (
        (date(2026, 11, 21), (600, None, None, None, 0)),
        (date(2026, 11, 22), (None, 600, None, None, 0)),
        (date(2026, 12, 22), (None, 600, None, None, 30)),
        (date(2026, 12, 23), (None, None, 600, None, 31)),
        (date(2027, 1, 22), (None, None, None, 600, 61)),
    ):
        told = ask("owed", day=day)
        assert figures(told, *ages) == [expected]
        assert told["totals"]["INR"]["total"]["amount"] == 60000


def test_refunds_that_failed_stand_first_with_their_age(paid: Any, open_slot: Any, ask: Any, enter: Enter) -> None:
    with clock.frozen_at(NOON):
        for hours, why in ((48, "=1+1"), (50, "Late")):
            payment = paid(open_slot(hours=hours)).bills[0].payments[0]
            with transaction():
                payment.give_back(GiveBack(amount="10", why=why))
        with transaction():
            paid_first = Bill.get(1).payments[0].refunds[0]
            paid_first.fail("The till was empty.")
    with clock.frozen_at(NOON + timedelta(days=4)):
        told = ask("refunds", since="2026-11-01")
        assert figures(told, "state", "money", "days", "trouble") == [
            ("failed", 10, 4, "The till was empty."),
            ("owed", 10, 4, ""),
        ]
        assert told["totals"]["INR"]["money"]["amount"] == 2000
        assert "'=1+1" in enter("anil").get("/desk/reports/refunds/export.csv").text


# --- gateways ---------------------------------------------------------------------------------------------------------


def test_the_gateway_and_the_books_beside_each_other(hold: Any, slot: Slot, ask: Any) -> None:
    bill = hold(slot).bill
    bill.apply_charges([Charge("pay_1", "captured", bill.price, "upi")])
    with transaction():
        session.add(Tally(gateway="razorpay", day=clock.today(), there=inr(999), here=inr(999), difference=ZERO))
        Settlement.record(
            "razorpay",
            clock.today(),
            SettlementLine("pay_1", "payment", inr(999), ZERO, inr(20), inr(3.6), "UTR1", clock.now()),
        )
    told = ask("reconciliation", since=clock.today(), until=clock.today() + timedelta(days=1))
    names = ("gateway", "there", "here", "difference", "settled", "fees", "tax", "not_settled", "unmatched")
    assert figures(told, *names) == [("razorpay", 999, 999, 0, 975.4, 20, 3.6, 0, 0)]
    assert told["verdict"]["good"]
    with transaction():
        tally = Tally(
            gateway="stripe",
            day=clock.today(),
            there=inr(50),
            here=ZERO,
            difference=inr(50),
            rows=[{"payment": "ch_9", "there": "₹50.00", "here": "nothing"}],
        )
        session.add(tally)
        session.flush()
        tally.differ()
        Settlement.record("stripe", clock.today(), SettlementLine("ch_7", "payment", inr(10), ZERO, ZERO, ZERO))
    told = ask("reconciliation", since=clock.today(), until=clock.today() + timedelta(days=1))
    said = [row["what"]["name"] for row in told["result"] if row["gateway"] == "stripe"]
    assert said[0] == "Total for the period"
    assert "ch_9: ₹50.00 at the gateway, nothing in our books" in said[1]
    assert "payment ch_7: No matching payment was found in our books." in said[2]
    assert not told["verdict"]["good"]


# --- a period ---------------------------------------------------------------------------------------------------------


def test_days_are_days_of_the_house_and_not_of_greenwich(paid: Any, slot: Slot, ask: Any) -> None:
    today = clock.today()
    with clock.frozen_at(datetime.combine(today, time(0, 30), ZoneInfo(clock.zone()))):  # still yesterday in Greenwich
        paid(slot)
    assert ask("day_book", since=str(today), until=str(today))["count"]
    yesterday = str(today - timedelta(days=1))
    assert not ask("day_book", since=yesterday, until=yesterday)["count"]


def test_a_period_that_ends_before_it_begins_is_refused_and_stays_in_the_form(app: Flask, enter: Enter) -> None:
    page = enter("anil").get("/desk/reports/day_book/?since=2026-11-20&until=2026-11-01")
    assert page.status_code == 422
    assert "The end date must not be before the start date." in page.text
    assert 'value="2026-11-01"' in page.text


def test_a_long_report_is_cut_on_the_page_and_whole_in_the_spreadsheet(app: Flask, enter: Enter) -> None:
    with transaction():
        person = Person.find_or_create(**MEERA)
        session.flush()
        for each in range(110):
            post(f"trial {each}", "Trial", ("cash", inr(1)), ("received", inr(-1)), about=person)
    page = enter("anil").get("/desk/reports/day_book/").text
    assert "Showing the first 200 of 220 rows." in page
    assert "₹110.00" in page, "the total is over all of them"
    assert len(enter("anil").get("/desk/reports/day_book/export.csv").text.splitlines()) == 221


# --- the first page ---------------------------------------------------------------------------------------------------


def test_where_nothing_waits_the_first_page_says_so(app: Flask, enter: Enter) -> None:
    for name in ("anil", "omar"):
        assert "You’re all caught up." in enter(name).get("/desk/").text


def test_what_waits_is_for_those_who_can_do_it_and_not_for_who_asked(
    paid: Any, service: Service, open_slot: Any, hold: Any, by: Any, enter: Enter
) -> None:
    with transaction():
        service.price = inr(20000)
    large = hold(open_slot(hours=48))
    with by("dina"), transaction():
        large.mark_paid(ByHand("cash", "R-9"))
    assert "Payments awaiting second approval" in enter("anil").get("/desk/").text
    assert "Payments awaiting second approval" not in enter("dina").get("/desk/").text
    payment = large.bills[0].payments[0]
    with by("anil"), transaction():
        payment.approve()
    with by("anil"), transaction():
        payment.give_back(GiveBack(amount="", why="All of it"))
    assert "Refunds awaiting approval" not in enter("anil").get("/desk/").text, "who asked for it cannot approve it"
    assert "Refunds awaiting approval" in enter("ada").get("/desk/").text
    page = enter("anil").get(f"/desk/refund/{payment.refunds[0].id}").text
    assert "You requested this refund yourself. Someone else has to approve it." in page


def test_a_dispute_says_how_many_days_are_left(hold: Any, slot: Slot, enter: Enter) -> None:
    bill = hold(slot).bill
    bill.apply_charges([Charge("pay_1", "captured", bill.price, "card")])
    told = GatewayDispute("disp_1", "pay_1", "open", bill.price, respond_by=clock.ahead(days=3))
    with transaction():
        Dispute._open(bill.payments[0], told).apply_report(told)
    for name in ("dina", "anil"):
        page = enter(name).get("/desk/").text
        assert "Disputes awaiting a response" in page
        assert "First due in 3 days" in page
        assert 'href="/desk/dispute/?f.state=open"' in page
    assert "Disputes awaiting a response" not in enter("omar").get("/desk/").text, (
        "an auditor changes nothing, so nothing waits for them"
    )


# --- a record and what belongs to it ----------------------------------------------------------------------------------


def test_a_bill_shows_its_payments_refunds_and_papers(paid: Any, slot: Slot, enter: Enter, count_queries: Any) -> None:
    booking = paid(slot)
    payment = booking.bills[0].payments[0]
    with transaction():
        payment.give_back(GiveBack(amount="180", why="Too long"))
    page = enter("dina").get(f"/desk/bill/{payment.bill_id}").text
    for url in (
        f"/desk/payment/{payment.id}",
        f"/desk/refund/{payment.refunds[0].id}",
        *(f"/desk/invoice/{each.id}" for each in payment.bill.invoices),
    ):
        assert f'data-href="{url}"' in page
    assert "First consultation" in page, "the lines of the price are a table"
    assert "18%" in page
    assert f'data-href="/desk/refund/{payment.refunds[0].id}"' in enter("dina").get(f"/desk/payment/{payment.id}").text
    assert f'data-href="/desk/bill/{payment.bill_id}"' in enter("dina").get(f"/desk/booking/{booking.id}").text
    few = count_queries(lambda: enter("dina").get(f"/desk/payment/{payment.id}"))
    for _ in range(5):
        with transaction():
            payment.give_back(GiveBack(amount="10", why="Once more"))
    assert count_queries(lambda: enter("dina").get(f"/desk/payment/{payment.id}")) <= few


def test_what_a_reader_may_not_read_is_not_shown_below_a_record_either(paid: Any, slot: Slot, enter: Enter) -> None:
    booking = paid(slot)
    page = enter("asha").get(f"/desk/booking/{booking.id}")
    assert page.status_code == 200
    assert "/desk/bill/" not in page.text
    assert "/desk/invoice/" not in page.text


def test_papers_and_the_pay_link_are_one_click_away(
    hold: Any, open_slot: Any, paid: Any, enter: Enter, client: FlaskClient
) -> None:
    bill = hold(open_slot(hours=48)).bill
    page = enter("dina").get(f"/desk/bill/{bill.id}").text
    assert f'href="/pay/{bill.token}/request.pdf"' in page
    assert f'/pay/{bill.token}"' in page
    assert client.get(f"/pay/{bill.token}/request.pdf").mimetype == "application/pdf"
    done = paid(open_slot(hours=50), name="Kabir Shah").bills[0]
    page = enter("dina").get(f"/desk/bill/{done.id}").text
    assert "/pay/" not in page, "what is paid is not asked for"
    paper = done.invoices[0]
    assert f'href="/paper/{paper.token}"' in enter("omar").get(f"/desk/invoice/{paper.id}").text


def test_facts_are_read_as_what_they_are(paid: Any, slot: Slot, enter: Enter) -> None:
    booking = paid(slot)
    page = enter("dina").get(f"/desk/quote/{booking.quote_id}").text
    assert "₹1,180.00" in page
    assert "{&#39;" not in page
    assert "{'" not in page
    with transaction():
        tally = Tally(
            gateway="razorpay",
            day=clock.today(),
            there=inr(1),
            here=ZERO,
            difference=inr(1),
            rows=[{"payment": "pay_x", "there": "₹1.00", "here": "nothing"}],
        )
        session.add(tally)
    assert "<td>pay_x</td>" in enter("dina").get(f"/desk/tally/{tally.id}").text.replace("\n", "")


def test_a_day_is_filtered_from_one_to_another(paid: Any, slot: Slot, enter: Enter) -> None:
    paid(slot)
    desk = enter("dina")
    assert 'name="f.day.from"' in desk.get("/desk/invoice/").text
    today = clock.today().isoformat()
    assert "INV/" in desk.get(f"/desk/invoice/?f.day.from={today}&f.day.to={today}").text
    assert "INV/" not in desk.get("/desk/invoice/?f.day.to=2020-01-01").text


def test_a_policy_is_typed_as_a_person_writes_it(app: Flask, enter: Enter) -> None:
    answer = enter("dina").post("/desk/refund_policy/new", data={"name": "Strict", "tiers": "24h: 50%, 48h: 100%"})
    assert answer.status_code == 302
    assert session.get(RefundPolicy, 1).tiers == "48h: 100%, 24h: 50%"  # type: ignore[union-attr]

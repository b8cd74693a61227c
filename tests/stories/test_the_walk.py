"""Browser tests of one booking with real servers: a customer books and pays, staff see it and cancel it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.kernel.db import session, transaction
from app.money.sums.amount import Money
from app.money.sums.coupon import Coupon
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.extra import Extra
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.conftest import PASSWORD, PATIENCE

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("working")]

Visit = Callable[..., Page]


def choose_a_time(page: Page, web: str) -> None:
    page.goto(f"{web}/")
    page.get_by_role("link", name=re.compile("First consultation|Choose a time|Book")).first.click()
    if "/book/" not in page.url:
        page.goto(f"{web}/book/first")
    page.get_by_role("link", name=re.compile(r"available time")).first.click()
    page.get_by_role("link", name=re.compile(r"with Asha Rao")).first.click()


def fill_in(page: Page, name: str = "Meera Iyer", email: str = "meera@example.com") -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Email").fill(email)
    page.get_by_label(re.compile("^Phone")).fill("+91 98450 12345")
    page.get_by_label(re.compile("Place of birth")).fill("Mysuru")
    page.get_by_role("button", name=re.compile("^(Continue to payment|Book this time)$")).click()


def pay(page: Page, how: str = "Pay INR") -> None:
    page.get_by_role("button", name=re.compile("Pay ₹999.00")).click()
    page.get_by_role("button", name=re.compile(how)).click()


@pytest.mark.parametrize(
    ("width", "scripts"), [(1280, True), (360, False)], ids=["wide, with scripts", "a small phone, without"]
)
def test_a_customer_books_and_pays(visit: Visit, web: str, sandbox: str, slot: Slot, width: int, scripts: bool) -> None:
    requests.delete(f"{sandbox}/mail", timeout=PATIENCE)
    page = visit(width=width, java_script_enabled=scripts)
    choose_a_time(page, web)
    fill_in(page)
    expect(page.get_by_text("₹999.00").first).to_be_visible()
    pay(page)
    if not scripts:
        page.get_by_role("button", name="Return to website").click()
    expect(page.locator("main")).to_contain_text("BK-")
    expect(page.locator("main")).to_contain_text(re.compile("confirmed", re.IGNORECASE))
    assert "Mysuru" not in page.content()
    assert page.evaluate("document.documentElement.scrollWidth") <= width if scripts else True
    wait_for_mail(page, sandbox, "Confirmed")


@pytest.fixture
def with_more(service: Service) -> None:
    """Something to add, a word that takes something off, and half of it paid later."""
    with transaction():
        service.deposit_percent = 50
        session.add_all(
            [Extra(service=service, name="Recording", price=Money(20000, "INR")), Coupon(code="WELCOME-10", percent=10)]
        )


@pytest.mark.parametrize(
    ("width", "scripts"), [(1280, True), (390, False)], ids=["wide, with scripts", "a phone, without"]
)
def test_extras_a_coupon_a_deposit_and_the_rest(
    visit: Visit, web: str, sandbox: str, slot: Slot, with_more: None, width: int, scripts: bool
) -> None:
    page = visit(width=width, java_script_enabled=scripts)
    choose_a_time(page, web)
    page.get_by_label("Name", exact=True).fill("Meera Iyer")
    page.get_by_label("Recording").check()
    if not scripts:
        page.get_by_role("button", name="Update price").click()
    costs = page.locator("#price")
    expect(costs).to_contain_text("₹1,199.00")
    page.get_by_text("Have a coupon").click()
    page.get_by_label("Coupon", exact=True).fill("nosuch")
    page.get_by_role("button", name="Apply").click()
    expect(costs).to_contain_text("This coupon doesn’t exist")
    page.get_by_label("Coupon", exact=True).fill("welcome-10")
    page.get_by_role("button", name="Apply").click()
    expect(costs).to_contain_text("₹1,079.10")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Meera Iyer")
    assert session.scalars(select(Booking)).all() == []
    page.get_by_label("Email").fill("meera@example.com")
    page.get_by_role("button", name="Continue to payment").click()
    for due, part, sum in ("Deposit due now", "Deposit", "₹539.55"), ("Balance due now", "Balance", "₹539.55"):
        expect(page.locator("main")).to_contain_text(due)
        page.get_by_role("button", name=f"Pay {sum}").click()
        page.get_by_role("button", name=re.compile("Pay INR")).click()
        if not scripts:
            page.get_by_role("button", name="Return to website").click()
        expect(page.locator("main")).to_contain_text(f"{part} (paid)")
        if part == "Deposit":
            page.get_by_role("link", name=f"Pay {sum}").click()
    expect(page.locator("main")).to_contain_text("Your booking is confirmed")
    expect(page.get_by_role("link", name=re.compile("Receipt"))).to_have_count(2)


def test_a_tick_that_nobody_saw_the_price_of_is_said_before_anything_is_held(
    visit: Visit, web: str, sandbox: str, slot: Slot, with_more: None
) -> None:
    page = visit(java_script_enabled=False)
    choose_a_time(page, web)
    page.get_by_label("Recording").check()
    fill_in(page)
    expect(page.get_by_role("alert")).to_contain_text("The price has changed from ₹999.00 to ₹1,199.00.")
    assert session.scalars(select(Booking)).all() == []
    page.get_by_role("button", name="Continue to payment").click()
    expect(page.get_by_role("button", name="Pay ₹599.50")).to_be_visible()


def test_a_payment_that_fails_can_be_tried_again(visit: Visit, web: str, sandbox: str, slot: Slot) -> None:
    page = visit()
    choose_a_time(page, web)
    fill_in(page)
    pay(page, "Fail payment")
    expect(page.get_by_role("alert")).to_contain_text("unsuccessful")
    page.get_by_role("button", name=re.compile("Pay INR")).click()
    expect(page.locator("main")).to_contain_text(re.compile("confirmed", re.IGNORECASE))


@pytest.mark.usefixtures("on_each_edge")
def test_leaving_the_payment_page_keeps_the_time_held(visit: Visit, web: str, sandbox: str, slot: Slot) -> None:
    page = visit()
    choose_a_time(page, web)
    fill_in(page)
    pay(page, "Cancel payment")
    expect(page.get_by_text("you have not been charged")).to_be_visible()
    page.get_by_role("link", name=re.compile("Pay")).first.click()
    pay(page)
    expect(page.locator("main")).to_contain_text(re.compile("confirmed", re.IGNORECASE))


def test_two_tabs_on_one_time_and_what_was_typed_is_not_lost_to_a_mistake(
    visit: Visit, web: str, sandbox: str, slot: Slot
) -> None:
    first, second = visit(), visit()
    choose_a_time(first, web)
    choose_a_time(second, web)
    fill_in(first, email="meera@nowhere")
    expect(first.get_by_text("Enter a valid email address.").first).to_be_visible()
    expect(first.get_by_label("Name", exact=True)).to_have_value("Meera Iyer")
    fill_in(first)
    fill_in(second, name="Kabir Shah", email="kabir@example.com")
    expect(second.get_by_text("This time has just been taken")).to_be_visible()


def test_a_double_click_is_one_booking(visit: Visit, web: str, sandbox: str, slot: Slot) -> None:
    page = visit()
    choose_a_time(page, web)
    page.get_by_label("Name", exact=True).fill("Meera Iyer")
    page.get_by_label("Email").fill("meera@example.com")
    page.get_by_role("button", name="Continue to payment").dblclick()
    expect(page.get_by_role("button", name=re.compile("Pay ₹999.00"))).to_be_visible()
    assert len(session.scalars(select(Booking)).all()) == 1


def test_going_back_to_correct_a_mistake_does_not_stand_in_ones_own_way(
    visit: Visit, web: str, sandbox: str, slot: Slot
) -> None:
    page = visit()
    choose_a_time(page, web)
    fill_in(page, email="mera@example.com")
    expect(page.get_by_role("button", name=re.compile("Pay ₹999.00"))).to_be_visible()
    page.go_back()
    fill_in(page)
    expect(page.get_by_role("button", name=re.compile("Pay ₹999.00"))).to_be_visible()
    assert [(each.person.email, each.state) for each in session.scalars(select(Booking).order_by(Booking.id))] == [
        ("mera@example.com", "expired"),
        ("meera@example.com", "held"),
    ]


def test_staff_see_the_booking_and_call_it_off_and_the_money_goes_back(
    visit: Visit, web: str, sandbox: str, slot: Slot, hold: Callable[..., Booking]
) -> None:
    booking = hold(slot)
    bill = booking.bill
    assert bill
    requests.post(f"{sandbox}/razorpay/orders/{bill.announce()}/pay", json={"outcome": "captured"}, timeout=PATIENCE)
    page = visit()
    page.goto(f"{web}/desk/")
    page.get_by_label(re.compile("user", re.IGNORECASE)).fill("dina")
    page.get_by_label(re.compile("^password", re.IGNORECASE)).fill(PASSWORD)
    page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()
    page.goto(f"{web}/desk/booking/")
    page.get_by_role("link", name=booking.number).first.click()
    until(page, lambda: page.locator("main").get_by_text("Confirmed").first.is_visible())
    page.get_by_role("link", name="Cancel booking").first.click()
    page.get_by_label(re.compile("Reason")).fill("The practitioner is ill.")
    page.get_by_role("button", name=re.compile("Cancel booking")).first.click()
    expect(page.locator("main")).to_contain_text("Cancelled")
    expect(page.locator("main")).to_contain_text("The practitioner is ill.")
    page.goto(f"{web}/desk/payment/")
    until(page, lambda: page.locator("main").get_by_text("Refunded", exact=True).first.is_visible())
    wait_for_mail(page, sandbox, "Cancelled")


def until(page: Page, true: Callable[[], bool]) -> None:
    """What a worker does arrives within seconds; look again until then."""
    since = time.monotonic()
    while time.monotonic() - since < PATIENCE:
        if true():
            return
        page.wait_for_timeout(250)
        page.reload()
    raise AssertionError(page.locator("main").inner_text())


def wait_for_mail(page: Page, sandbox: str, subject: str) -> None:
    def subjects() -> list[Any]:
        return [each["subject"] for each in requests.get(f"{sandbox}/mail.json", timeout=PATIENCE).json()]

    since = time.monotonic()
    while time.monotonic() - since < PATIENCE:
        if any(each.startswith(subject) for each in subjects()):
            return
        page.wait_for_timeout(100)
    raise AssertionError(subjects())

"""Tests of prices and payments: what the form and the API show, and what is charged, whatever a client sends."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.kernel import clock
from app.kernel.db import session, transaction
from app.money.bills.bill import Bill, ByHand
from app.money.bills.payment import Bounce
from app.money.sums.amount import Money
from app.money.sums.coupon import Coupon, CouponUse
from app.money.sums.refund_policy import RefundPolicy
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.offer.extra import Extra
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.conftest import PATIENCE

MEERA = {"name": "Meera Iyer", "email": "meera@example.com"}
GSTIN = "29ABCDE1234F1ZW"

pytestmark = pytest.mark.usefixtures("sandbox")


def inr(amount: int) -> Money:
    return Money(amount, "INR")


@pytest.fixture
def extras(service: Service) -> tuple[int, int]:
    with transaction():
        pair = (
            Extra(service=service, name="Recording", price=inr(20000)),
            Extra(service=service, name="Printed chart", price=inr(35000)),
        )
        session.add_all(pair)
    return pair[0].id, pair[1].id


@pytest.fixture
def coupon(app: Any) -> Callable[..., Coupon]:
    def coupon(code: str = "WELCOME-10", **terms: Any) -> Coupon:
        with transaction():
            made = Coupon(code=code, **({"percent": 10} | terms))
            session.add(made)
        return made

    return coupon


class Form:
    """The form of one time, as a visitor fills it in."""

    def __init__(self, client: FlaskClient, slot: Slot) -> None:
        self.client, self.address = client, f"/book/first/{slot.id}"
        self.page = client.get(self.address)
        self.typed: dict[str, Any] = dict(MEERA)

    @property
    def hidden(self) -> dict[str, str]:
        return dict(re.findall(r'type="hidden" name="(once|quote|timezone)" value="([^"]*)"', self.page.text))

    def send(self, **typed: Any) -> Any:
        self.typed |= typed
        self.page = self.client.post(self.address, data=self.hidden | self.typed)
        return self.page

    def apply(self, **typed: Any) -> Any:
        answer = self.send(apply="coupon", **typed)
        del self.typed["apply"]
        return answer

    @property
    def total(self) -> str:
        return said(self.page.text, r'class="is-total"><dt>Total</dt><dd class="price">([^<]*)')

    def wrong(self, name: str) -> str:
        return said(self.page.text, rf'id="{name}-wrong">.*?Error: </span>([^<]*)')


def said(page: str, pattern: str) -> str:
    found = re.search(pattern, page, re.DOTALL)
    assert found, page
    return unescape(found[1]).strip()


@pytest.fixture
def form(client: FlaskClient, slot: Slot) -> Form:
    return Form(client, slot)


def bookings() -> list[Booking]:
    session.expire_all()
    return list(session.scalars(select(Booking).order_by(Booking.id)))


def only() -> Booking:
    (booking,) = bookings()
    return booking


def api(client: FlaskClient, taken: Slot, **more: Any) -> Any:
    return client.post("/api/bookings", json={"slot": taken.id} | MEERA | more)


# --- the form ---------------------------------------------------------------------------------------------------------


def test_extras_and_a_coupon_are_seen_in_the_price_before_anything_is_held_or_used(
    form: Form, extras: Any, coupon: Any
) -> None:
    welcome = coupon()
    page = form.apply(extra=[extras[0]], coupon=" welcome-10 ", phone="+91 98450 12345", birth_place="Mysuru").text
    assert (form.total, page.count("−₹119.90")) == ("₹1,079.10", 1)
    for kept in ("Meera Iyer", "meera@example.com", "+91 98450 12345", "Mysuru", " welcome-10 "):
        assert f'value="{kept}"' in page
    assert f'value="{extras[0]}" checked' in page
    assert f'value="{extras[1]}" checked' not in page
    assert (bookings(), Coupon.get(welcome.id).used) == ([], 0)
    assert form.send().status_code == 303
    assert (str(only().price), Coupon.get(welcome.id).used) == ("₹1,079.10", 1)


def test_applying_asks_for_nothing_else_yet(form: Form, coupon: Any) -> None:
    coupon()
    form.apply(name="", email="", coupon="WELCOME-10")
    assert (form.page.status_code, form.total) == (200, "₹899.10")


def test_another_price_than_the_page_showed_is_said_once_before_anything_is_held(form: Form, extras: Any) -> None:
    answer = form.send(extra=[extras[1]])
    assert answer.status_code == 409
    assert "The price has changed from ₹999.00 to ₹1,349.00." in answer.text
    assert bookings() == []
    assert form.send().status_code == 303
    assert str(only().price) == "₹1,349.00"


def test_a_price_that_was_named_is_kept_when_the_list_changes(form: Form, service: Service) -> None:
    with transaction():
        Service.get(service.id).price = inr(150000)
    assert form.send().status_code == 303
    assert str(only().price) == "₹999.00"


def test_a_price_that_was_named_too_long_ago_is_named_anew(form: Form, service: Service, later: Any) -> None:
    with later(minutes=31):
        assert form.send().status_code == 303  # still the same, so nobody is asked twice
        assert str(only().price) == "₹999.00"
        only().lapse()
        with transaction():
            Service.get(service.id).price = inr(150000)
        again = Form(form.client, only().slot)
    with later(minutes=62):
        with transaction():
            Service.get(service.id).price = inr(160000)
        assert again.send().status_code == 409
        assert "The price has changed from ₹1,500.00 to ₹1,600.00." in again.page.text
        assert again.send().status_code == 303


def test_the_price_of_one_choice_is_not_taken_for_another(form: Form, extras: Any, open_slot: Any) -> None:
    cheap = form.hidden["quote"]
    form.apply(extra=[extras[1]])
    form.client.post(form.address, data=form.hidden | form.typed | {"quote": cheap})
    assert bookings() == []
    again = Form(form.client, open_slot(hours=60))
    for quote in ("x", "", form.hidden["quote"][:-1] + "A"):
        again.client.post(again.address, data=again.hidden | again.typed | {"quote": quote, "extra": [extras[1]]})
    assert str(only().price) == "₹1,349.00"


def test_a_wrong_coupon_is_a_marked_field_and_nothing_is_lost(form: Form, coupon: Any) -> None:
    answer = form.send(coupon="NOSUCH")
    assert answer.status_code == 422
    assert form.wrong("coupon") == "This coupon doesn’t exist or isn’t valid today."
    assert 'value="Meera Iyer"' in answer.text
    assert bookings() == []
    coupon("DEAR", minimum=inr(500000))
    form.send(coupon="DEAR")
    assert form.wrong("coupon") == "This coupon requires a minimum price of ₹5,000.00."


def test_an_extra_that_is_gone_is_said_and_the_rest_is_kept(form: Form, extras: Any) -> None:
    Extra.get(extras[1]).retire()
    assert form.send(extra=[*extras]).status_code == 422
    assert form.wrong("extras") == "One of these extras is no longer available."
    assert form.total == "₹1,199.00"
    for nonsense in (0, -1, "x", 10**12, "²"):
        assert form.send(extra=[nonsense]).status_code == 422


def test_free_by_a_coupon_is_said_and_needs_no_gateway(form: Form, coupon: Any) -> None:
    coupon("ALL", percent=100)
    form.apply(coupon="ALL")
    assert form.total == "Free"
    assert "Book this time" in form.page.text
    assert "/booking/" in form.send().location
    booking = only()
    assert (booking.state, booking.bill, booking.price) == ("confirmed", None, inr(0))
    page = form.client.get(f"/booking/{booking.token}").text
    assert "Coupon ALL" in page
    assert "Pay ₹" not in page


def test_a_business_names_itself_on_its_invoice(form: Form) -> None:
    assert form.send(tax_number="29ABCDE1234F1Z0").status_code == 422
    assert form.wrong("tax_number").startswith("Enter a valid 15-character GSTIN")
    assert form.send(tax_number=GSTIN.lower(), address="12 Temple Road\nBengaluru").status_code == 303
    assert only().buyer == {"tax_number": GSTIN, "region": "29", "address": "12 Temple Road\nBengaluru"}
    form.page = form.client.get(form.address)  # going back to correct something
    assert f'value="{GSTIN}"' in form.page.text


def test_tax_that_is_added_and_tax_that_is_within_are_told_apart(
    client: FlaskClient, slot: Slot, service: Service
) -> None:
    with transaction():
        service.tax_rate = 1800
    within = Form(client, slot)
    assert re.search(r"This includes Tax 18%", within.page.text)
    assert within.total == "₹999.00"
    with transaction():
        service.tax_included = False
    added = Form(client, slot)
    assert added.total == "₹1,178.82"
    assert "This includes" not in added.page.text


def test_going_back_to_correct_keeps_the_choices_and_does_not_use_the_coupon_twice(
    form: Form, extras: Any, coupon: Any
) -> None:
    last = coupon(uses_at_most=1, uses_each=1)
    form.apply(extra=[extras[0]], coupon="WELCOME-10")
    assert form.send(email="mera@example.com").status_code == 303
    form.page = form.client.get(form.address)
    assert form.total == "₹1,079.10"
    assert 'value="WELCOME-10"' in form.page.text
    assert form.send(email="meera@example.com").status_code == 303
    assert [each.state for each in bookings()] == ["expired", "held"]
    assert Coupon.get(last.id).used == 1


def test_the_same_form_sent_twice_is_one_booking_and_one_use(form: Form, coupon: Any) -> None:
    once = coupon(uses_at_most=1)
    form.apply(coupon="WELCOME-10")
    sent = form.hidden | form.typed
    first, second = (form.client.post(form.address, data=sent) for _ in range(2))
    assert (first.status_code, first.location) == (second.status_code, second.location)
    assert (len(bookings()), Coupon.get(once.id).used) == (1, 1)


# --- coupons under pressure -------------------------------------------------------------------------------------------


def test_the_last_use_is_given_once_to_several_who_come_at_once(open_slot: Any, coupon: Any, web: str) -> None:
    last = coupon(uses_at_most=1)
    slots = [open_slot(hours=hours).id for hours in range(48, 54)]
    session.rollback()

    def ask(n: int) -> requests.Response:
        body = {"slot": slots[n], "name": f"Person {n}", "email": f"p{n}@example.com", "coupon": "WELCOME-10"}
        return requests.post(f"{web}/api/bookings", json=body, timeout=60)

    with ThreadPoolExecutor(6) as crowd:
        answers = list(crowd.map(ask, range(6)))
    assert sorted(each.status_code for each in answers) == [201, 422, 422, 422, 422, 422]
    assert {each.json()["error"]["fields"]["coupon"] for each in answers if each.status_code == 422} == {
        "This coupon has been fully used, or was already used with this email address."
    }
    session.expire_all()
    assert (Coupon.get(last.id).used, session.scalar(select(func.count()).select_from(CouponUse)), len(bookings())) == (
        1,
        1,
        1,
    )


def test_one_mailbox_uses_it_as_often_as_it_may_and_nobody_hears_whose_did(
    client: FlaskClient, open_slot: Any, coupon: Any
) -> None:
    coupon("EACH", uses_each=1)
    coupon("SPENT", uses_at_most=1)
    assert api(client, open_slot(hours=48), coupon="EACH").status_code == 201
    assert api(client, open_slot(hours=50), coupon="SPENT", email="other@example.com").status_code == 201
    mine, spent = (
        api(client, open_slot(hours=52), coupon="each", email="MEERA@example.com"),
        api(client, open_slot(hours=54), coupon="SPENT"),
    )
    assert (mine.status_code, mine.get_json()) == (422, spent.get_json())
    assert api(client, open_slot(hours=56), coupon="EACH", email="kabir@example.com").status_code == 201


def test_a_hold_that_lapses_gives_its_use_back_once(
    client: FlaskClient, slot: Slot, coupon: Any, later: Any, work_off: Any
) -> None:
    last = coupon(uses_at_most=1)
    assert api(client, slot, coupon="WELCOME-10").status_code == 201
    with later(minutes=16):
        work_off()
        work_off()
        assert Coupon.get(last.id).used == 0
        assert api(client, slot, coupon="WELCOME-10", email="kabir@example.com").status_code == 201
    assert Coupon.get(last.id).used == 1


def test_whoever_guesses_too_often_waits_and_hears_no_more_of_any_word(
    client: FlaskClient, slot: Slot, coupon: Any
) -> None:
    coupon()
    asked = [client.post("/api/bookings/quote", json={"service": "first", "coupon": f"GUESS-{n}"}) for n in range(11)]
    assert [each.status_code for each in asked] == [422] * 10 + [429]
    right = client.post("/api/bookings/quote", json={"service": "first", "coupon": "WELCOME-10"})
    assert (right.status_code, right.get_json()) == (429, asked[-1].get_json())
    assert asked[-1].get_json()["error"].keys() == {"code", "message", "fields"}
    form = Form(client, slot)
    assert form.send(coupon="WELCOME-10").status_code == 429
    assert "Try again in ten minutes" in form.wrong("coupon")
    assert 'value="Meera Iyer"' in form.page.text
    assert form.send(coupon="").status_code == 303  # who does without goes on


def test_right_words_are_not_counted_and_unknown_ended_and_early_ones_sound_the_same(
    client: FlaskClient, service: Service, coupon: Any
) -> None:
    coupon()
    for _ in range(12):
        assert client.post("/api/bookings/quote", json={"service": "first", "coupon": "WELCOME-10"}).status_code == 201
    coupon("OVER").end()
    coupon("EARLY", since=clock.ahead(days=3))
    answers = [
        client.post("/api/bookings/quote", json={"service": "first", "coupon": word}).get_json()
        for word in ("NOSUCH", "OVER", "EARLY")
    ]
    assert answers[0] == answers[1] == answers[2]


# --- prices that a client sends ---------------------------------------------------------------------------------------

FORGED = {
    "price": "1",
    "price_amount": "1",
    "total": "0",
    "amount": "1",
    "deposit": "1",
    "deposit_amount": "1",
    "off": "99900",
    "discount": "100",
    "percent": "100",
    "lines": "[]",
    "tax_rate": "0",
    "currency": "JPY",
    "price_currency": "JPY",
    "state": "confirmed",
    "paid_with": "cash",
    "quote_id": "1",
    "coupon_id": "1",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_price_that_the_form_sends_changes_nothing(form: Form, name: str) -> None:
    assert form.send(**{name: FORGED[name]}).status_code in (303, 422)
    for booking in bookings():
        assert (booking.price, booking.deposit, booking.state) == (inr(99900), inr(99900), "held")


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("place", ["body", "buyer", "answers", "query"])
def test_a_price_that_a_program_sends_is_refused_or_changes_nothing(
    client: FlaskClient, slot: Slot, name: str, place: str
) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "body": {name: FORGED[name]},
        "buyer": {"buyer": {name: FORGED[name]}},
        "answers": {"answers": {name: FORGED[name]}},
        "query": {},
    }
    query = f"?{name}={FORGED[name]}" if place == "query" else ""
    booked = client.post(f"/api/bookings{query}", json={"slot": slot.id} | MEERA | bodies[place])
    quoted = client.post(f"/api/bookings/quote{query}", json={"service": "first"} | bodies[place])
    assert (booked.status_code, quoted.status_code) == ((201, 201) if place == "query" else (422, 422))
    for booking in bookings():
        assert (booking.price, booking.deposit, booking.state) == (inr(99900), inr(99900), "held")
    if place == "query":
        assert quoted.get_json()["total"] == {"amount": 99900, "currency": "INR"}


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_price_in_the_address_of_the_payment_changes_nothing(
    client: FlaskClient, slot: Slot, hold: Any, method: str
) -> None:
    bill = hold(slot).bill
    for path in (
        f"/pay/{bill.token}",
        f"/pay/{bill.token}/back",
        f"/booking/{bill.thing.token}",
        f"/api/bookings/{bill.thing.token}",
    ):
        getattr(client, method)(path, **{"query_string" if method == "get" else "data": FORGED})
    session.expire_all()
    assert (Bill.get(bill.id).price, Bill.get(bill.id).state, only().state) == (inr(99900), "open", "held")


# --- the API ----------------------------------------------------------------------------------------------------------


def test_a_service_says_its_extras_tax_deposit_and_policy(client: FlaskClient, service: Service, extras: Any) -> None:
    with transaction():
        it = Service.get(service.id)
        it.tax_rate, it.deposit_percent, it.policy = 1800, 30, RefundPolicy(name="Usual", tiers="48h: 100%, 24h: 50%")
    (told,) = client.get("/api/services").get_json()["services"]
    assert told["extras"][0] == {"id": extras[0], "name": "Recording", "price": {"amount": 20000, "currency": "INR"}}
    assert (told["tax"], told["deposit_percent"]) == ({"percent": 18.0, "included": True}, 30)
    assert (
        told["policy"]
        == "Free cancellation up to 48 hours before. 50% refund up to 24 hours before. No refund after that."
    )


def test_a_price_is_named_and_taken_by_its_token(
    client: FlaskClient, slot: Slot, service: Service, extras: Any, coupon: Any
) -> None:
    used = coupon()
    choices = {"extras": [extras[0]], "coupon": "welcome-10", "buyer": {"tax_number": GSTIN}}
    named = client.post("/api/bookings/quote", json={"service": "first"} | choices).get_json()
    assert named.keys() == {"token", "holds_until", "lines", "coupon", "total", "deposit", "later", "policy"}
    assert [each["label"] for each in named["lines"]] == ["First consultation", "Recording"]
    assert (named["total"]["amount"], named["coupon"]) == (107910, "WELCOME-10")
    assert sum(each["total"]["amount"] for each in named["lines"]) == 107910
    assert (bookings(), Coupon.get(used.id).used) == ([], 0)
    with transaction():
        Service.get(service.id).price = inr(500000)
    told = api(client, slot, quote=named["token"], **choices)
    assert told.status_code == 201, told.text
    assert told.get_json()["price"] == named["total"]
    assert told.get_json()["lines"] == named["lines"]
    assert api(client, slot, quote=named["token"], **choices).status_code == 409  # taken


def test_a_price_for_something_else_or_from_long_ago_is_refused(
    client: FlaskClient, slot: Slot, extras: Any, later: Any
) -> None:
    named = client.post("/api/bookings/quote", json={"service": "first"}).get_json()["token"]
    assert api(client, slot, quote=named, extras=[extras[0]]).get_json()["error"]["fields"].keys() == {"quote"}
    assert api(client, slot, quote="x").get_json()["error"]["fields"].keys() == {"quote"}
    with later(minutes=31):
        answer = api(client, slot, quote=named)
    assert (answer.status_code, answer.get_json()["error"]["message"]) == (
        409,
        "This quote has expired. Please request a new one.",
    )
    assert bookings() == []


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ({"service": None}, {"service"}),
        ({"service": True}, {"service"}),
        ({"service": ["first"]}, {"service"}),
        ({"extras": "1"}, {"extras"}),
        ({"extras": [True]}, {"extras"}),
        ({"extras": [10**9]}, {"extras"}),
        ({"extras": [0]}, {"extras"}),
        ({"extras": list(range(1, 99))}, {"extras"}),
        ({"coupon": 7}, {"coupon"}),
        ({"coupon": "x" * 10_000}, {"coupon"}),
        ({"buyer": "29"}, {"buyer"}),
        ({"buyer": {"region": "99"}}, {"region"}),
        ({"buyer": {"tax_number": 7}}, {"tax_number"}),
        ({"buyer": {"address": "x" * 301}}, {"address"}),
        ({"slot": 1}, {"slot"}),
        ({"total": 1}, {"total"}),
    ],
)
def test_a_question_about_the_price_that_makes_no_sense_names_its_fields(
    client: FlaskClient, service: Service, wrong: dict[str, Any], fields: set[str]
) -> None:
    answer = client.post("/api/bookings/quote", json={"service": "first"} | wrong)
    assert (answer.status_code, answer.get_json()["error"]["fields"].keys()) == (422, fields)
    assert client.post("/api/bookings/quote", json={"service": "nosuch"}).status_code == 404


# --- deposit, rest, refunds and papers --------------------------------------------------------------------------------


@pytest.fixture
def on_deposit(service: Service) -> None:
    with transaction():
        it = Service.get(service.id)
        it.deposit_percent, it.policy = 30, RefundPolicy(name="Usual", tiers="48h: 100%, 24h: 50%")


def pay(bill: Bill, sandbox: str) -> None:
    told = {"outcome": "captured", "deliver": False}
    assert requests.post(f"{sandbox}/razorpay/orders/{bill.announce()}/pay", json=told, timeout=PATIENCE).ok
    bill.check_gateway()


@pytest.mark.usefixtures("on_deposit")
def test_a_deposit_then_the_rest_then_the_hour(
    form: Form, sandbox: str, client: FlaskClient, later: Any, work_off: Any
) -> None:
    assert "₹299.70" in form.page.text
    assert "₹699.30" in form.page.text
    requests.delete(f"{sandbox}/mail", timeout=PATIENCE)
    page = client.get(form.send().location).text
    assert "Deposit due now" in page
    assert "Pay ₹299.70" in page
    work_off()
    assert "₹299.70" in mail(sandbox, "Complete your booking by")
    booking = only()
    assert booking.bill
    pay(booking.bill, sandbox)
    page, told = client.get(f"/booking/{booking.token}").text, client.get(f"/api/bookings/{booking.token}").get_json()
    assert "Pay ₹699.30" in page
    assert [(each["part"], each["state"], each["price"]["amount"]) for each in told["bills"]] == [
        ("deposit", "paid", 29970),
        ("rest", "open", 69930),
    ]
    assert told["bills"][0]["pay"] is None
    assert told["bills"][1]["pay"].endswith(f"/pay/{only().bill.token}")  # type: ignore[union-attr]
    assert [each["kind"] for each in told["papers"]] == ["invoice", "receipt"]
    for paper in re.findall(r'href="(/paper/[^"]+|/pay/[^"]+/request.pdf)"', page):
        assert client.get(paper).data.startswith(b"%PDF")
    work_off()
    confirmed = mail(sandbox, "Confirmed")
    assert "Deposit (paid): ₹299.70" in confirmed
    assert "The balance of ₹699.30 is due" in confirmed
    rest = only().bill
    assert rest
    assert "Balance due now" in client.get(f"/pay/{rest.token}").text
    pay(rest, sandbox)
    page = client.get(f"/booking/{booking.token}").text
    assert "Balance (paid)" in page
    assert "Pay ₹" not in page
    with later(hours=50):
        only().complete()
        assert "Thank you for coming" in client.get(f"/booking/{booking.token}").text


def mail(sandbox: str, subject: str) -> str:
    found = [
        each
        for each in requests.get(f"{sandbox}/mail.json?to=meera", timeout=PATIENCE).json()
        if each["subject"].startswith(subject)
    ]
    assert found, subject
    return str(found[-1])


def test_what_goes_back_is_told_in_plain_words(
    client: FlaskClient, slot: Slot, service: Service, sandbox: str, work_off: Any, on_deposit: None
) -> None:
    with transaction():
        Service.get(service.id).deposit_percent = 100
    api(client, slot)
    assert only().bill
    pay(only().bill, sandbox)  # type: ignore[arg-type]
    booking = only()
    booking.cancel(CallOff("You asked for it.", back="policy"))
    page = client.get(f"/booking/{booking.token}").text
    assert "is on its way</strong> to your original payment method" in page
    for internal in ("48h", "owed", "to_approve", f"pay_{booking.id}"):
        assert internal not in page
    work_off()
    told = client.get(f"/api/bookings/{booking.token}").get_json()
    assert [each["state"] for each in told["refunds"]] in (["done"], ["on_its_way"])
    assert [each["kind"] for each in told["papers"]] == ["invoice", "receipt", "credit_note"]
    assert "Credit note" in client.get(f"/booking/{booking.token}").text


def test_money_by_hand_waits_for_a_second_look_and_is_handed_back_by_hand(
    client: FlaskClient, slot: Slot, service: Service, by: Any
) -> None:
    with transaction():
        Service.get(service.id).price = inr(2_000_000)
    api(client, slot)
    with by("dina"):
        only().mark_paid(ByHand("cash", "receipt 7"))
    booking = only()
    page = client.get(f"/booking/{booking.token}").text
    assert "We have recorded your payment of ₹20,000.00." in page
    assert "Pay ₹" not in page
    booking.bill.payments[0].approve()  # type: ignore[union-attr]
    only().cancel(CallOff("You asked for it."))
    page = client.get(f"/booking/{booking.token}").text
    assert "Your refund of ₹20,000.00 is ready." in page
    assert client.get(f"/api/bookings/{booking.token}").get_json()["refunds"][0]["by_hand"] is True


def test_a_cheque_that_was_not_honoured_can_be_paid_again(
    client: FlaskClient, slot: Slot, work_off: Any, sandbox: str
) -> None:
    api(client, slot)
    only().mark_paid(ByHand("cheque", "000123"))
    requests.delete(f"{sandbox}/mail", timeout=PATIENCE)
    only().bill.payments[0].bounce(Bounce("Insufficient funds"))  # type: ignore[union-attr]
    booking = only()
    page = client.get(f"/booking/{booking.token}").text
    assert "was returned by the bank" in page
    assert "Pay ₹999.00" in page
    assert "Insufficient" not in page
    work_off()
    assert "₹999.00" in mail(sandbox, "Your payment was returned")
    bill = booking.bill
    assert bill
    pay(bill, sandbox)
    assert "was returned by the bank" not in client.get(f"/booking/{booking.token}").text


@pytest.mark.parametrize(
    "name", ["श्रीमती अनुराधा वेंकटरमणी", "Wolfeschlegelsteinhausenbergerdorff " * 2, "O'Brien <b>&amp;</b>"]
)
def test_every_name_reaches_every_page_and_paper(form: Form, sandbox: str, name: str, extras: Any) -> None:
    with transaction():
        Extra.get(extras[0]).name = name
    form.apply(name=name, extra=[extras[0]])
    assert form.send().status_code == 303
    booking = only()
    assert booking.bill
    assert form.client.get(f"/pay/{booking.bill.token}").status_code == 200
    assert form.client.get(f"/pay/{booking.bill.token}/request.pdf").data.startswith(b"%PDF")
    pay(booking.bill, sandbox)
    page = form.client.get(f"/booking/{booking.token}").text
    assert name.strip() in unescape(page)
    assert "<b>" not in page
    assert form.client.get(re.findall(r'href="(/paper/[^"]+)"', page)[0]).data.startswith(b"%PDF")

"""Tests of the public JSON API: responses, refusals, and what it never discloses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.kernel.db import session, transaction
from app.money.bills.bill import ByHand
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.slot import Slot
from tests.conftest import PATIENCE

GOOD = {
    "name": "Meera Iyer",
    "email": "meera@example.com",
    "phone": "+91 98450 12345",
    "tz": "Europe/Rome",
    "answers": {"birth_place": "Mysuru"},
}


def book(client: FlaskClient, taken: Slot, key: str = "", **more: Any) -> Any:
    return client.post(
        "/api/bookings", json={"slot": taken.id} | GOOD | more, headers={"Idempotency-Key": key} if key else {}
    )


def test_services_say_what_they_cost_and_ask(client: FlaskClient, service: Any) -> None:
    (told,) = client.get("/api/services").get_json()["services"]
    assert (told["slug"], told["minutes"], told["price"]) == ("first", 60, {"amount": 99900, "currency": "INR"})
    assert [each["name"] for each in told["questions"]] == ["birth_date", "birth_time", "birth_place"]


def test_free_times_are_instants_in_the_zone_that_was_asked_for(client: FlaskClient, slot: Slot) -> None:
    (told,) = client.get("/api/slots?service=first&tz=America/New_York").get_json()["slots"]
    assert told.keys() == {"id", "starts_at", "ends_at", "practitioner", "seats_left"}
    start = datetime.fromisoformat(told["starts_at"])
    assert start == slot.starts_at
    assert start.utcoffset() in (timedelta(hours=-4), timedelta(hours=-5))
    assert (told["practitioner"], told["seats_left"]) == ("Asha Rao", 1)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "service=first&tz=Mars/Phobos",
        "service=first&from=yesterday",
        "service=first&from=2026-01-01&to=2027-01-01",
        "service=first&to=9999-12-31",
        "service=first&from=9999-12-31",
    ],
)
def test_a_question_that_cannot_be_read_is_a_400(client: FlaskClient, service: Any, query: str) -> None:
    answer = client.get(f"/api/slots?{query}")
    assert answer.status_code == 400
    assert answer.get_json()["error"]["message"]


def test_a_service_that_is_not_offered_is_not_there(client: FlaskClient, app: Any) -> None:
    assert client.get("/api/slots?service=nosuch").status_code == 404
    assert client.get("/api/slots?service=99999999999999").status_code == 404
    assert client.get("/api/slots?service=²").status_code == 404
    assert client.get("/book/a%00b").status_code in (400, 404)


def test_a_month_is_one_constant_number_of_queries(client: FlaskClient, open_slot: Any, count_queries: Any) -> None:
    open_slot()
    few = count_queries(lambda: client.get("/api/slots?service=first"))
    for hours in range(50, 90):
        open_slot(hours=hours)
    assert count_queries(lambda: client.get("/api/slots?service=first")) == few <= 3


def test_the_page_of_times_asks_as_often_for_many_practitioners_as_for_two(
    client: FlaskClient, open_slot: Any, dev: Any, count_queries: Any
) -> None:
    open_slot()
    open_slot(of=dev)
    few = count_queries(lambda: client.get("/book/first"))
    for n in range(3):
        with transaction():
            another = Practitioner(name=f"Colleague {n}")
            session.add(another)
        open_slot(of=another, hours=50 + n)
    assert count_queries(lambda: client.get("/book/first")) == few


def test_a_booking_answers_with_what_paying_needs(client: FlaskClient, slot: Slot, sandbox: str, settings: Any) -> None:
    answer = book(client, slot)
    told = answer.get_json()
    assert answer.status_code == 201
    assert told.keys() == {
        "token",
        "number",
        "state",
        "service",
        "slot",
        "timezone",
        "hold_expires_at",
        "price",
        "deposit",
        "lines",
        "policy",
        "bills",
        "refunds",
        "papers",
        "meeting",
        "changes",
        "checkout",
    }
    assert (told["state"], told["price"]) == ("held", {"amount": 99900, "currency": "INR"})
    assert told["checkout"].keys() == {"gateway", "key", "order_id", "amount", "currency"}
    assert told["checkout"]["order_id"].startswith("order_")
    again = client.get(f"/api/bookings/{told['token']}").get_json()
    assert (again["number"], again["timezone"], again["checkout"]) == (told["number"], "Europe/Rome", told["checkout"])


def test_programs_need_no_forms_token(client: FlaskClient, slot: Slot, sandbox: str) -> None:
    client.application.config["WTF_CSRF_ENABLED"] = True
    try:
        assert book(client, slot).status_code == 201
        assert client.post("/api/payment/verify", json={}).status_code == 422
        assert client.post("/api/payment/webhook/razorpay", data=b"{}").status_code == 403
    finally:
        client.application.config["WTF_CSRF_ENABLED"] = False


def test_a_taken_time_is_a_409(client: FlaskClient, slot: Slot, sandbox: str) -> None:
    book(client, slot)
    answer = book(client, slot, name="Kabir Shah")
    assert answer.status_code == 409
    assert "just been taken" in answer.get_json()["error"]["message"]


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ({"price": 1}, {"price"}),
        ({"slot": 10**9}, {"slot"}),
        ({"slot": "1"}, {"slot"}),
        ({"slot": True}, {"slot"}),
        ({"slot": -1}, {"slot"}),
        ({"email": "nobody"}, {"email"}),
        ({"email": "a@b.example\nBcc: x@y.example"}, {"email"}),
        ({"name": ""}, {"name"}),
        ({"name": "x" * 10_000}, {"name"}),
        ({"phone": "abc"}, {"phone"}),
        ({"tz": "Mars/Phobos"}, {"tz"}),
        ({"answers": {"birth_time": "25:00"}}, {"birth_time"}),
        ({"answers": {"state": "confirmed"}}, {"state"}),
        ({"answers": "x"}, {"answers"}),
        ({"name": 7, "email": None}, {"name", "email"}),
    ],
)
def test_bad_input_names_its_fields(client: FlaskClient, slot: Slot, wrong: dict[str, Any], fields: set[str]) -> None:
    answer = book(client, slot, **wrong)
    assert answer.status_code == 422, answer.text
    assert answer.get_json()["error"]["fields"].keys() == fields
    assert session.scalar(select(func.count()).select_from(Booking)) == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'{"slot": 1e400}', b"\xff"])
def test_what_is_no_json_object_is_a_clear_no(client: FlaskClient, app: Any, body: bytes) -> None:
    assert client.post("/api/bookings", data=body, content_type="application/json").status_code in (400, 422)


def test_the_same_request_twice_is_one_booking(client: FlaskClient, slot: Slot, sandbox: str) -> None:
    first, second = book(client, slot, key="abc"), book(client, slot, key="abc")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_json() == second.get_json()
    other = book(client, slot, key="abc", name="Kabir Shah")
    assert other.status_code == 409
    assert "a different request" in other.get_json()["error"]["message"]


def test_a_wrong_link_and_a_foreign_one_sound_the_same(
    client: FlaskClient, slot: Slot, hold: Callable[..., Booking]
) -> None:
    booking = hold(slot)
    bill = booking.bill
    assert bill
    answers = [
        client.get(f"/api/bookings/{token}")
        for token in ("x", bill.token, booking.token[:-1] + ("B" if booking.token.endswith("A") else "A"))
    ]
    assert {each.status_code for each in answers} == {404}
    assert len({each.text for each in answers}) == 1


def test_nobody_hears_birth_data_or_of_anybody_else(
    client: FlaskClient, slot: Slot, hold: Callable[..., Booking], open_slot: Any, sandbox: str
) -> None:
    mine = Booking.hold(
        slot,
        {"name": "Meera Iyer", "email": "meera@example.com", "phone": "", "timezone": "Asia/Kolkata"},
        {"birth_place": "Mysuru", "birth_date": "1990-05-01"},
    )
    hold(open_slot(hours=60), name="Kabir Shah", email="kabir@example.com")
    mine.mark_paid(ByHand("cash", "x"))
    for page in (client.get(f"/api/bookings/{mine.token}").text, client.get(f"/booking/{mine.token}").text):
        for secret in ("Mysuru", "1990", "Kabir", "kabir@", "meera@example.com"):
            assert secret not in page


def test_verifying_says_what_the_gateway_says(client: FlaskClient, slot: Slot, sandbox: str) -> None:
    told = book(client, slot).get_json()
    proof = requests.post(
        f"{sandbox}/razorpay/orders/{told['checkout']['order_id']}/pay",
        json={"outcome": "captured", "deliver": False},
        timeout=PATIENCE,
    ).json()
    handed = {name: proof[name] for name in ("razorpay_order_id", "razorpay_payment_id", "razorpay_signature")}
    assert client.post("/api/payment/verify", json=handed | {"razorpay_signature": "0" * 64}).status_code == 409
    assert client.get(f"/api/bookings/{told['token']}").get_json()["state"] == "held"
    assert client.post("/api/payment/verify", json=handed).get_json()["thing_state"] == "confirmed"
    assert client.post("/api/payment/verify", json=handed | {"razorpay_order_id": "order_nosuch"}).status_code == 404
    assert client.post("/api/payment/verify", json=handed | {"amount": 1}).status_code == 422

"""Tests of the cart: several reservations, reviewed and paid at once, on the pages and by JSON."""

from __future__ import annotations

import re
from typing import Any

import requests
from flask.testing import FlaskClient
from sqlalchemy import select

from app.kernel import clock
from app.kernel.db import session
from app.money.bills.basket import Basket
from app.packs.bookings.booking.booking import Booking
from tests.conftest import MEERA, PATIENCE

WHO = {name: MEERA[name] for name in ("name", "email", "phone")}


def keep(client: FlaskClient, slot: Any, button: str = "more", **typed: str) -> Any:
    page = client.get(f"/book/first/{slot.id}").text
    once = re.search(r'name="once" value="([^"]+)"', page)
    assert once
    return client.post(
        f"/book/first/{slot.id}",
        data={"once": once[1], "tz": "Asia/Kolkata", "timezone": "Asia/Kolkata", button: "1"} | WHO | typed,
    )


def all_states() -> list[str]:
    session.expire_all()
    return list(session.scalars(select(Booking.state).order_by(Booking.id)))


def test_two_hours_are_kept_looked_over_and_paid_at_once(client: FlaskClient, open_slot: Any, sandbox: str) -> None:
    first, second = open_slot(hours=48), open_slot(hours=50)
    kept = keep(client, first)
    assert (kept.status_code, kept.location) == (303, "/services")
    shown = client.get("/services").text
    assert "1 item is waiting for payment." in shown
    assert 'value="Meera Iyer"' in client.get(f"/book/first/{second.id}").text
    assert keep(client, second, "go").location == "/basket"
    page = client.get("/basket").text
    assert page.count("Remove") == 2
    assert "₹1,998.00" in page
    to_pay = client.post("/basket").location
    assert "₹1,998.00" in client.get(to_pay).text
    basket = session.scalars(select(Basket)).one()
    requests.post(
        f"{sandbox}/razorpay/orders/{basket.order_id}/pay",
        json={"outcome": "captured", "deliver": False},
        timeout=PATIENCE,
    )
    basket.check_gateway()
    done = client.get(f"/basket/{basket.token}").text
    assert "Payment complete" in done
    assert all_states() == ["confirmed"] * 2
    assert "Your cart is empty." in client.get("/basket").text


def test_what_is_taken_out_is_free_again(client: FlaskClient, open_slot: Any) -> None:
    for hours in (48, 50):
        keep(client, open_slot(hours=hours))
    out = re.findall(r'action="(/basket/out/[^"]+)"', client.get("/basket").text)
    assert client.post(out[0]).location == "/basket"
    assert all_states() == ["expired", "held"]
    assert client.post("/basket").location.startswith("/pay/")  # one is paid as ever
    assert session.scalars(select(Basket)).all() == []


def test_what_is_kept_waits_for_what_is_chosen_after_it_an_hour_at_most(
    client: FlaskClient, open_slot: Any, later: Any
) -> None:
    keep(client, open_slot(hours=48))
    first = session.scalars(select(Booking)).one()
    began = first.created_at
    with later(minutes=14):
        keep(client, open_slot(hours=50))
        session.expire_all()
        assert Booking.get(first.id).hold_expires_at > clock.ahead(minutes=10)
    with later(minutes=100):
        assert "Your cart is empty." in client.get("/basket").text
    assert Booking.get(first.id).hold_expires_at <= began.replace(microsecond=0) + (
        clock.ahead(hours=1, seconds=1) - clock.now()
    )


def test_somebody_elses_link_takes_nothing_out_of_a_basket_that_is_not_there(
    client: FlaskClient, open_slot: Any, hold: Any
) -> None:
    booking = hold(open_slot())
    assert booking.bill
    client.post(f"/basket/out/{booking.bill.token}")
    assert all_states() == ["held"]


def test_programs_put_bills_together_by_their_tokens(client: FlaskClient, open_slot: Any, hold: Any) -> None:
    bills = [hold(open_slot(hours=48 + n)).bill for n in range(2)]
    tokens = [each.token for each in bills]
    made = client.post("/api/payment/baskets", json={"bills": tokens})
    assert (made.status_code, made.json["price"], made.json["state"]) == (
        201,
        {"amount": 199800, "currency": "INR"},
        "open",
    )
    assert client.post("/api/payment/baskets", json={"bills": tokens}).json["token"] == made.json["token"]
    assert [each["number"] for each in client.get(f"/api/payment/baskets/{made.json['token']}").json["bills"]] == [
        each.number for each in bills
    ]
    for wrong, status in (
        ({"bills": tokens[:1]}, 409),
        ({"bills": "x"}, 422),
        ({"bills": [7]}, 422),
        ({}, 422),
        ({"bills": ["x", "y"]}, 404),
    ):
        assert client.post("/api/payment/baskets", json=wrong).status_code == status

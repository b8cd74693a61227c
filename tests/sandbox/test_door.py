"""Tests of the reverse proxy that serves the sandbox at the product's own address."""

from __future__ import annotations

from dataclasses import replace

from flask import Flask
from flask.testing import FlaskClient

from app.sandbox.proxy import sandbox_proxy
from config import Settings
from tests.conftest import free_port
from tests.sandbox.conftest import Standing


def web(keys: Settings, address: str) -> FlaskClient:
    app = Flask("web", static_folder=None)
    app.register_blueprint(sandbox_proxy(replace(keys, sandbox_url=address)))
    return app.test_client()


def test_what_is_asked_is_handed_on_and_so_is_the_answer(bank: Standing, keys: Settings) -> None:
    client, auth = web(keys, bank.url.removesuffix("/sandbox")), (keys.razorpay_key, keys.razorpay_secret)
    assert client.get("/sandbox/").status_code == 200
    order = client.post(
        "/sandbox/razorpay/v1/orders", json={"amount": 100, "currency": "INR", "receipt": "a b&c"}, auth=auth
    ).get_json()
    assert (
        client.get("/sandbox/razorpay/v1/orders", query_string={"receipt": "a b&c"}, auth=auth).get_json()["count"] == 1
    )
    assert client.patch(
        f"/sandbox/razorpay/v1/orders/{order['id']}", json={"notes": {"seat": "4"}}, auth=auth
    ).get_json()["notes"] == {"seat": "4"}
    assert client.get(f"/sandbox/razorpay/v1/orders/{order['id']}").status_code == 401
    paid = client.post(f"/sandbox/razorpay/orders/{order['id']}/pay", data={"outcome": "captured"})
    assert (paid.status_code, paid.headers["Location"]) == (303, "/sandbox/razorpay/")
    assert client.delete("/sandbox/mail").get_json() == {"empty": True}


def test_a_sandbox_that_is_away_is_one_sentence(keys: Settings) -> None:
    answer = web(keys, f"http://127.0.0.1:{free_port()}").get("/sandbox/mail")
    assert (answer.status_code, answer.mimetype, answer.text) == (
        502,
        "text/plain",
        "The sandbox is not running. Start it with `make run`.",
    )

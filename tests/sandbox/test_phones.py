"""Tests of the WhatsApp and Twilio simulators: authentication, errors and delivery reports."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests

from app.sandbox.webhooks import sign
from config import Settings
from tests.conftest import PATIENCE
from tests.sandbox.conftest import Shop, Standing, start  # noqa: F401  # asked for by name

TO = "+919845012345"
TEMPLATE = {
    "name": "booking_confirmed",
    "language": {"code": "en"},
    "components": [{"type": "body", "parameters": [{"type": "text", "text": "Meera"}]}],
}


@pytest.fixture
def keys(keys: Settings, shop: Shop) -> Settings:
    """Settings that send the webhooks to the shop."""
    object.__setattr__(keys, "base_url", shop.address.removesuffix("/hook"))
    return keys


def whatsapp(bank: Standing, keys: Settings, token: str = "", **change: Any) -> requests.Response:
    body = {
        "messaging_product": "whatsapp",
        "to": TO[1:],
        "type": "template",
        "template": TEMPLATE,
        "biz_opaque_callback_data": "7",
    } | change
    headers = {"Authorization": f"Bearer {token or keys.whatsapp_token}"}
    return requests.post(
        f"{bank.url}/whatsapp/v23.0/{keys.whatsapp_phone_id}/messages", json=body, headers=headers, timeout=PATIENCE
    )


def sms(bank: Standing, keys: Settings, token: str = "", **change: str) -> requests.Response:
    form = {
        "To": TO,
        "From": keys.twilio_sender,
        "Body": "Hello",
        "StatusCallback": f"{keys.base_url}/hook?message=7",
    } | change
    url = f"{bank.url}/sms/2010-04-01/Accounts/{keys.twilio_account}/Messages.json"
    return requests.post(url, data=form, auth=(keys.twilio_account, token or keys.twilio_token), timeout=PATIENCE)


def heard(shop: Shop, count: int) -> Iterator[tuple[dict[str, str], bytes]]:
    until = time.monotonic() + PATIENCE
    while len(shop.heard) < count and time.monotonic() < until:
        time.sleep(0.02)
    assert len(shop.heard) == count
    yield from shop.heard


def test_whatsapp_takes_a_template_and_tells_of_it_under_our_own_number(
    bank: Standing, keys: Settings, shop: Shop
) -> None:
    made = whatsapp(bank, keys).json()
    assert made["messages"][0]["id"].startswith("wamid.")
    told = []
    for headers, raw in heard(shop, 2):
        assert headers["x-hub-signature-256"] == f"sha256={sign(raw, keys.whatsapp_app_secrets[0])}"
        [status] = json.loads(raw)["entry"][0]["changes"][0]["value"]["statuses"]
        assert (status["id"], status["biz_opaque_callback_data"], status["recipient_id"]) == (
            made["messages"][0]["id"],
            "7",
            TO[1:],
        )
        told.append(status["status"])
    assert told == ["sent", "delivered"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"token": "x"}, 401, 190),
        ({"messaging_product": "sms"}, 400, 100),
        ({"to": "+91"}, 400, 131009),
        ({"type": "text"}, 400, 131047),
        ({"template": TEMPLATE | {"name": "No Such"}}, 400, 132001),
        (
            {
                "template": TEMPLATE
                | {"components": [{"type": "body", "parameters": [{"type": "text", "text": "a\nb"}]}]}
            },
            400,
            132018,
        ),
    ],
)
def test_whatsapp_refuses_as_it_does(
    bank: Standing, keys: Settings, change: dict[str, Any], status: int, code: int
) -> None:
    answer = whatsapp(bank, keys, **change)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_twilio_signs_its_reports_over_the_address_that_we_gave(bank: Standing, keys: Settings, shop: Shop) -> None:
    made = sms(bank, keys)
    assert (made.status_code, made.json()["status"]) == (201, "queued")
    told = []
    for headers, raw in heard(shop, 2):
        form = dict(parse_qsl(raw.decode(), keep_blank_values=True))
        text = f"{keys.base_url}/hook?message=7" + "".join(f"{name}{value}" for name, value in sorted(form.items()))
        assert (
            headers["x-twilio-signature"]
            == base64.b64encode(hmac.new(keys.twilio_token.encode(), text.encode(), hashlib.sha1).digest()).decode()
        )
        assert form["MessageSid"] == made.json()["sid"]
        told.append(form["MessageStatus"])
    assert told == ["sent", "delivered"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"token": "x"}, 401, 20003),
        ({"To": "98450"}, 400, 21211),
        ({"Body": ""}, 400, 21602),
        ({"Body": "x" * 1601}, 400, 21617),
        ({"From": ""}, 400, 21603),
    ],
)
def test_twilio_refuses_as_it_does(
    bank: Standing, keys: Settings, change: dict[str, str], status: int, code: int
) -> None:
    answer = sms(bank, keys, **change)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_whoever_said_stop_is_not_reached_until_they_say_start(bank: Standing, keys: Settings) -> None:
    for words, status in (("STOP", 400), ("START", 201)):
        requests.post(
            f"{bank.url}/phones/reply", json={"carrier": "sms", "phone": TO, "words": words}, timeout=PATIENCE
        )
        assert sms(bank, keys).status_code == status


def test_a_telephone_shows_what_came_and_harms_nobody(bank: Standing, keys: Settings) -> None:
    sms(bank, keys, Body="<script>alert(1)</script>")
    whatsapp(bank, keys)
    page = requests.get(f"{bank.url}/phones", timeout=PATIENCE).text
    assert "<script>alert" not in page
    assert "booking_confirmed" in page
    [text] = [
        each
        for each in requests.get(f"{bank.url}/phones/texts.json", timeout=PATIENCE).json()
        if each["carrier"] == "whatsapp"
    ]
    assert (
        requests.post(f"{bank.url}/phones/{text['id']}/read", allow_redirects=False, timeout=PATIENCE).status_code
        == 303
    )
    assert requests.post(f"{bank.url}/phones/nobody/read", timeout=PATIENCE).status_code == 404
    assert requests.post(f"{bank.url}/phones/faults", json={"fault": "nosuch"}, timeout=PATIENCE).status_code == 400


@pytest.mark.parametrize(("fault", "status"), [("429", 429), ("500", 500), ("refused", 400)])
def test_it_goes_wrong_when_it_is_asked_to_and_only_so_often(
    bank: Standing, keys: Settings, fault: str, status: int
) -> None:
    assert requests.post(f"{bank.url}/phones/faults", json={"fault": fault, "carrier": "sms"}, timeout=PATIENCE).ok
    assert whatsapp(bank, keys).status_code == 200
    assert sms(bank, keys).status_code == status
    assert sms(bank, keys).status_code == 201

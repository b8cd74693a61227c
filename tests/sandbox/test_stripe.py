"""Tests of the Stripe simulator's protocol, as the real SDK sees it, in success and in failure."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import requests
import stripe

from app.kernel import clock
from app.sandbox import create_sandbox
from config import Settings
from tests.conftest import PATIENCE
from tests.sandbox.conftest import Shop, Standing

GOOD: dict[str, Any] = {
    "mode": "payment",
    "line_items": [
        {
            "quantity": 1,
            "price_data": {"currency": "usd", "unit_amount": 1500, "product_data": {"name": "Booking BK-1"}},
        }
    ],
    "client_reference_id": "BK-1",
    "success_url": "https://shop.example/back?session={CHECKOUT_SESSION_ID}",
    "cancel_url": "https://shop.example/away",
}


class Play:
    """A sandbox, used through the real SDK and through its actions."""

    def __init__(self, bank: Standing, keys: Settings) -> None:
        self.url, self.keys, self.store = f"{bank.url}/stripe", keys, bank.store
        self.sdk = stripe.StripeClient(keys.stripe_key, base_addresses={"api": self.url}, max_network_retries=0).v1

    def session(self, **change: Any) -> Any:
        return self.sdk.checkout.sessions.create(GOOD | change)

    def verb(self, path: str, /, **given: Any) -> Any:
        answer = requests.post(f"{self.url}/{path}", json=given, timeout=PATIENCE)
        assert answer.ok, answer.text
        return answer.json()

    def paid(self, **how: Any) -> Any:
        return self.verb(f"sessions/{self.session().id}/pay", outcome="captured", **how)

    def raw(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.keys.stripe_key}"} | more.pop("headers", {})
        return requests.request(method, f"{self.url}/v1/{path}", headers=headers, timeout=PATIENCE, **more)


@pytest.fixture
def play(bank: Standing, keys: Settings) -> Play:
    return Play(bank, keys)


# --- sessions ---


def test_a_session_is_as_stripe_makes_it(play: Play) -> None:
    session = play.session(customer_email="noor@example.com")
    assert session.id.startswith("cs_test_")
    assert (session.object, session.status, session.payment_status, session.payment_intent) == (
        "checkout.session",
        "open",
        "unpaid",
        None,
    )
    assert (session.amount_total, session.currency, session.client_reference_id) == (1500, "usd", "BK-1")
    assert session.url == f"https://shop.example/sandbox/stripe/pay/{session.id}"
    assert abs(session.expires_at - clock.timestamp() - 86400) < 5
    assert play.sdk.checkout.sessions.retrieve(session.id) == session


PRICE = GOOD["line_items"][0]["price_data"]


@pytest.mark.parametrize(
    ("change", "words", "code", "param"),
    [
        ({"mode": None}, "Missing required param: mode.", "parameter_missing", "mode"),
        (
            {"line_items": None},
            "The `line_items` parameter is required in payment mode.",
            "parameter_missing",
            "line_items",
        ),
        ({"success_url": None}, "Missing required param: success_url.", "parameter_missing", "success_url"),
        ({"success_url": "javascript:1"}, "Not a valid URL", "url_invalid", "success_url"),
        ({"customer_email": "noor"}, "Invalid email address: noor", "email_invalid", "customer_email"),
        (
            {"expires_at": 1},
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.",
            None,
            "expires_at",
        ),
        (
            {"expires_at": 9999999999},
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
            None,
            "expires_at",
        ),
        ({"expires_at": "soon"}, "Invalid integer: soon", "parameter_invalid_integer", "expires_at"),
        (
            {"line_items": [{"quantity": 0, "price_data": PRICE}]},
            "Quantity is required. Add `quantity` to `line_items[0]`",
            None,
            "line_items[0][quantity]",
        ),
        (
            {"line_items": [{"price_data": PRICE | {"unit_amount": "10.5"}}]},
            "Invalid integer: 10.5",
            "parameter_invalid_integer",
            "line_items[0][price_data][unit_amount]",
        ),
        (
            {"line_items": [{"price_data": PRICE | {"currency": "USD"}}]},
            "Invalid currency: USD.",
            None,
            "line_items[0][price_data][currency]",
        ),
        (
            {"line_items": [{"price_data": PRICE | {"product_data": {}}}]},
            "Missing required param: line_items[0][price_data][product_data][name].",
            "parameter_missing",
            "line_items[0][price_data][product_data][name]",
        ),
        (
            {"line_items": [{"quantity": 1, "price_data": PRICE | {"unit_amount": 49}}]},
            "The Checkout Session's total amount due must add up to at least $0.50 usd",
            "amount_too_small",
            None,
        ),
        (
            {"line_items": [{"quantity": 1, "price_data": PRICE | {"currency": "kwd", "unit_amount": 1001}}]},
            "Amounts in kwd must be divisible by 10.",
            "parameter_invalid_integer",
            "line_items[0][price_data][unit_amount]",
        ),
    ],
)
def test_a_wrong_session_is_refused_in_stripes_words(
    play: Play, change: dict[str, Any], words: str, code: str | None, param: str | None
) -> None:
    given = {name: value for name, value in (GOOD | change).items() if value is not None}
    with pytest.raises(stripe.InvalidRequestError) as no:
        play.sdk.checkout.sessions.create(given)
    assert (no.value.user_message, no.value.code, no.value.param, no.value.http_status) == (words, code, param, 400)


def test_a_caller_without_the_key_is_told_so_in_stripes_shape(play: Play) -> None:
    nobody = requests.get(f"{play.url}/v1/refunds", timeout=PATIENCE)
    assert (nobody.status_code, nobody.json()["error"]["type"]) == (401, "invalid_request_error")
    with pytest.raises(stripe.AuthenticationError, match="Invalid API Key provided"):
        stripe.StripeClient("sk_test_other", base_addresses={"api": play.url}).v1.refunds.list()
    assert (
        requests.get(f"{play.url}/v1/refunds", auth=(play.keys.stripe_key, ""), timeout=PATIENCE).json()["data"] == []
    )


def test_what_is_not_there_is_missing(play: Play) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such checkout.session: 'cs_none'") as no:
        play.sdk.checkout.sessions.retrieve("cs_none")
    assert (no.value.http_status, no.value.code) == (404, "resource_missing")
    assert "Unrecognized request URL (GET: /v1/customers)" in play.raw("GET", "customers").json()["error"]["message"]


def test_a_session_is_expired_once_and_told(play: Play, shop: Shop) -> None:
    session = play.session()
    assert play.sdk.checkout.sessions.expire(session.id).status == "expired"
    with pytest.raises(stripe.InvalidRequestError, match=r"This Checkout Session has a status of `expired`"):
        play.sdk.checkout.sessions.expire(session.id)
    assert shop.hears(1) == ["checkout.session.expired"]
    assert (
        requests.post(
            f"{play.url}/sessions/{session.id}/pay", json={"outcome": "captured"}, timeout=PATIENCE
        ).status_code
        == 400
    )


def test_a_session_lapses_when_its_time_is_over(play: Play, shop: Shop) -> None:
    session = play.session()
    with play.store.open() as file:
        file.execute("update soon set due = 0 where id = ?", (session.id,))
    assert shop.hears(1) == ["checkout.session.expired"]
    assert play.sdk.checkout.sessions.retrieve(session.id).status == "expired"


def test_a_session_that_was_paid_does_not_lapse(play: Play, shop: Shop) -> None:
    session = play.session()
    play.verb(f"sessions/{session.id}/pay", outcome="captured")
    with play.store.open() as file:
        file.execute("update soon set due = 0 where id = ?", (session.id,))
    assert shop.hears(1) == ["checkout.session.completed"]
    assert play.sdk.checkout.sessions.retrieve(session.id).status == "complete"


# --- asking twice ---


def test_one_key_makes_one_session_and_another_body_is_refused(play: Play) -> None:
    make = play.sdk.checkout.sessions.create
    first = make(GOOD, options={"idempotency_key": "one"})
    again = make(GOOD, options={"idempotency_key": "one"})
    assert (first.id, again.last_response.headers["Idempotent-Replayed"]) == (again.id, "true")
    with pytest.raises(stripe.IdempotencyError, match="Try using a key other than 'one'"):
        make(GOOD | {"client_reference_id": "BK-2"}, options={"idempotency_key": "one"})
    assert len(play.sdk.checkout.sessions.list().data) == 1


def test_a_key_remembers_a_no_but_not_a_mistake_in_the_asking(play: Play) -> None:
    session = play.session()
    ask = lambda **given: play.sdk.refunds.create(given, options={"idempotency_key": "k"})  # noqa: E731
    with pytest.raises(stripe.InvalidRequestError, match="Invalid positive integer"):
        ask(payment_intent="pi_none", amount=-1)
    intent = play.verb(f"sessions/{session.id}/pay", outcome="failed")["id"]
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge to refund"):
        ask(payment_intent=intent)
    play.verb(f"sessions/{session.id}/pay", outcome="captured")
    with pytest.raises(stripe.InvalidRequestError, match="does not have a successful charge to refund"):
        ask(payment_intent=intent)


# --- paying ---


def test_attempts_at_one_session_are_one_payment_that_fails_and_then_succeeds(play: Play, shop: Shop) -> None:
    session = play.session(payment_intent_data={"metadata": {"receipt": "BK-1"}, "description": "Booking BK-1"})
    failed = play.verb(f"sessions/{session.id}/pay", outcome="failed", card="4000000000009995")
    assert (failed["status"], failed["last_payment_error"]["decline_code"]) == (
        "requires_payment_method",
        "insufficient_funds",
    )
    paid = play.verb(f"sessions/{session.id}/pay", outcome="captured")
    assert (paid["id"], paid["status"], paid["amount_received"], paid["last_payment_error"]) == (
        failed["id"],
        "succeeded",
        1500,
        None,
    )
    assert paid["metadata"] == {"receipt": "BK-1"}
    whole = play.sdk.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge"]})
    assert (whole.status, whole.payment_status, whole.url) == ("complete", "paid", None)
    assert (whole.payment_intent.latest_charge.captured, whole.payment_intent.latest_charge.status) == (
        True,
        "succeeded",
    )
    assert [each.status for each in play.sdk.charges.list({"payment_intent": paid["id"]}).data] == [
        "succeeded",
        "failed",
    ]
    assert shop.hears(1) == ["checkout.session.completed"]


@pytest.mark.parametrize(
    ("then", "kind", "status"),
    [("captured", "async_payment_succeeded", "paid"), ("failed", "async_payment_failed", "unpaid")],
)
def test_a_bank_debit_is_complete_before_it_is_paid(play: Play, shop: Shop, then: str, kind: str, status: str) -> None:
    session = play.session()
    play.verb(f"sessions/{session.id}/pay", outcome="async", then=then, after=0)
    assert shop.hears(2) == ["checkout.session.completed", f"checkout.session.{kind}"]
    first, last = shop.events()
    assert (first["data"]["object"]["status"], first["data"]["object"]["payment_status"]) == ("complete", "unpaid")
    assert last["data"]["object"]["payment_status"] == status
    assert not any(name.startswith("_") for name in last["data"]["object"])


def test_a_bank_debit_survives_a_restart(start: Callable[[], Standing], keys: Settings, shop: Shop) -> None:
    before = start()
    play = Play(before, keys)
    session = play.session()
    play.verb(f"sessions/{session.id}/pay", outcome="async", after=1)
    before.close()
    after = Play(start(), keys)
    assert shop.hears(2) == ["checkout.session.completed", "checkout.session.async_payment_succeeded"]
    assert after.sdk.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_the_page_takes_a_good_card_and_says_what_is_wrong_with_a_bad_one(play: Play) -> None:
    session = play.session()
    page = f"{play.url}/pay/{session.id}"
    shown = requests.get(page, timeout=PATIENCE).text
    assert "Booking BK-1" in shown
    assert "$15.00" in shown
    press = lambda **form: requests.post(page, data=form, timeout=PATIENCE, allow_redirects=False)  # noqa: E731
    assert "Your card number is incomplete." in press(press="pay", card="4242").text
    assert "Your card was declined." in press(press="pay", card="4000 0000 0000 0002").text
    assert press(press="abandon").headers["Location"] == "https://shop.example/away"
    assert (
        press(press="pay", card="4242 4242 4242 4242").headers["Location"]
        == f"https://shop.example/back?session={session.id}"
    )
    again = requests.get(page, timeout=PATIENCE, allow_redirects=False)
    assert (again.status_code, again.headers["Location"]) == (303, f"https://shop.example/back?session={session.id}")


def test_an_expired_page_leads_back_to_the_shop(play: Play) -> None:
    session = play.session()
    play.sdk.checkout.sessions.expire(session.id)
    page = requests.post(
        f"{play.url}/pay/{session.id}", data={"press": "pay", "card": "4242424242424242"}, timeout=PATIENCE
    )
    assert (page.status_code, "https://shop.example/away" in page.text) == (410, True)
    assert requests.get(f"{play.url}/pay/cs_none", timeout=PATIENCE).status_code == 404


def test_what_was_asked_is_seen_by_people_with_buttons_to_press(play: Play) -> None:
    session = play.session()
    assert "BK-1" in requests.get(f"{play.url}/", timeout=PATIENCE).text
    requests.post(f"{play.url}/sessions/{session.id}/pay", data={"outcome": "captured"}, timeout=PATIENCE)
    assert "Succeeded" in requests.get(f"{play.url}/", timeout=PATIENCE).text


# --- going back ---


def test_refunds_add_up_and_never_beyond_what_was_paid(play: Play, shop: Shop) -> None:
    paid = play.paid(deliver=False)
    first = play.sdk.refunds.create({"payment_intent": paid["id"], "amount": 500, "metadata": {"key": "RF-1"}})
    assert (first.status, first.amount, first.metadata["key"]) == ("succeeded", 500, "RF-1")
    with pytest.raises(
        stripe.InvalidRequestError,
        match=r"Refund amount \(\$10.01\) is greater than unrefunded amount on charge \(\$10.00\)",
    ):
        play.sdk.refunds.create({"payment_intent": paid["id"], "amount": 1001})
    play.sdk.refunds.create({"payment_intent": paid["id"]})
    with pytest.raises(stripe.InvalidRequestError, match="has already been refunded") as no:
        play.sdk.refunds.create({"payment_intent": paid["id"]})
    assert no.value.code == "charge_already_refunded"
    assert [each.amount for each in play.sdk.refunds.list({"payment_intent": paid["id"]}).data] == [1000, 500]
    assert shop.hears(4) == ["refund.created", "charge.refunded"] * 2
    assert shop.events()[-1]["data"]["object"]["amount_refunded"] == 1500


def test_a_refund_can_come_back(play: Play, shop: Shop) -> None:
    paid = play.paid(deliver=False)
    refund = play.verb(f"payments/{paid['id']}/refund", amount=500, status="pending", deliver=False)
    play.verb(f"refunds/{refund['id']}/becomes", status="failed")
    assert shop.hears(1) == ["refund.updated"]
    assert play.sdk.charges.list({"payment_intent": paid["id"]}).data[0].amount_refunded == 0


def test_a_dispute_takes_the_money_and_a_won_one_brings_it_back(play: Play, shop: Shop) -> None:
    paid = play.paid(deliver=False)
    dispute = play.verb(f"payments/{paid['id']}/dispute", reason="product_not_received")
    assert [each.net for each in play.sdk.disputes.retrieve(dispute["id"]).balance_transactions] == [-1500 - 1500 - 270]
    with pytest.raises(stripe.InvalidRequestError, match="has been charged back; cannot issue a refund"):
        play.sdk.refunds.create({"payment_intent": paid["id"]})
    assert play.verb(f"disputes/{dispute['id']}/close", outcome="won")["status"] == "won"
    assert shop.hears(2) == ["charge.dispute.created", "charge.dispute.closed"]


def test_a_payout_carries_every_line_once(play: Play) -> None:
    paid = play.paid(deliver=False)
    play.sdk.refunds.create({"payment_intent": paid["id"], "amount": 500})
    [payout] = play.verb("settle")["payouts"]
    lines = play.sdk.balance_transactions.list({"payout": payout["id"], "expand": ["data.source"]}).data
    assert [(each.type, each.amount) for each in lines] == [
        ("payout", -payout["amount"]),
        ("refund", -500),
        ("charge", 1500),
    ]
    assert lines[-1].source.payment_intent == paid["id"]
    assert payout["amount"] == sum(each.net for each in lines[1:])
    assert play.verb("settle") == {"payouts": []}
    assert [each.id for each in play.sdk.payouts.list({"status": "paid"}).data] == [payout["id"]]


def test_a_list_is_newest_first_and_read_in_pages(play: Play) -> None:
    ids = [play.session().id for _ in range(5)][::-1]
    assert [each.id for each in play.sdk.checkout.sessions.list({"limit": 2}).auto_paging_iter()] == ids
    assert play.sdk.checkout.sessions.list({"created": {"gt": clock.timestamp() + 60}}).data == []
    assert play.raw("GET", "refunds?limit=1000").status_code == 400
    assert (
        "cannot be expanded"
        in play.raw("GET", f"checkout/sessions/{ids[0]}?expand[0]=nothing").json()["error"]["message"]
    )


# --- events ---


def test_an_event_is_signed_as_the_sdk_expects(play: Play, shop: Shop, keys: Settings) -> None:
    play.paid()
    assert shop.hears(1) == ["checkout.session.completed"]
    headers, raw = shop.heard[0]
    event = stripe.Webhook.construct_event(raw, headers["stripe-signature"], keys.stripe_webhook_secrets[0])
    assert (event.object, event.data.object.client_reference_id, event.livemode) == ("event", "BK-1", False)


@pytest.mark.parametrize("fault", ["wrong_secret", "tampered"])
def test_an_event_that_is_not_genuine_can_be_sent(play: Play, shop: Shop, keys: Settings, fault: str) -> None:
    play.paid(**{fault: True})
    shop.hears(1)
    headers, raw = shop.heard[0]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(raw, headers["stripe-signature"], keys.stripe_webhook_secrets[0])


def test_events_come_twice_shuffled_late_or_not_at_all(play: Play, shop: Shop, keys: Settings) -> None:
    paid = play.paid(deliver="twice")
    assert shop.hears(2) == ["checkout.session.completed"] * 2
    assert len({each["id"] for each in shop.events()}) == 1
    play.verb(f"payments/{paid['id']}/refund", deliver="shuffled")
    assert shop.hears(4)[2:] == ["charge.refunded", "refund.created"]
    play.paid(deliver=False)
    assert len(shop.hears(5, within=0.5)) == 4
    held = requests.get(f"{play.url}/events", timeout=PATIENCE).json()["events"][0]
    assert (held["event"], held["tries"]) == ("checkout.session.completed", 0)
    with play.store.open() as file:
        file.execute("update event set made = made - 3600 where id = ?", (held["id"],))
    assert requests.post(f"{play.url}/events/{held['id']}/deliver", timeout=PATIENCE).json() == {"answer": "200"}
    headers, raw = shop.heard[-1]
    assert stripe.Webhook.construct_event(raw, headers["stripe-signature"], keys.stripe_webhook_secrets[0])


def test_how_events_are_brought_and_how_refunds_end_can_be_planned(play: Play, shop: Shop) -> None:
    play.verb("faults", deliver="duplicate")
    play.verb("faults", deliver="delayed", seconds=0.5)
    play.paid()
    assert shop.hears(2) == ["checkout.session.completed"] * 2
    began = time.monotonic()
    paid = play.paid()
    assert len(shop.hears(3)) == 3
    assert time.monotonic() - began > 0.5
    play.verb("faults", refund="pending")
    assert play.sdk.refunds.create({"payment_intent": paid["id"], "amount": 1}).status == "pending"
    assert play.sdk.refunds.create({"payment_intent": paid["id"], "amount": 1}).status == "succeeded"
    for plan in ({"deliver": "by pigeon"}, {"refund": "maybe"}, {"fault": "502", "times": 0}):
        assert requests.post(f"{play.url}/faults", json=plan, timeout=PATIENCE).status_code == 400


def test_each_stranger_lists_its_own_events(play: Play, bank: Standing) -> None:
    play.paid(deliver=False)
    bank.pay(bank.order(), "failed", deliver=False)
    assert [each["event"] for each in requests.get(f"{bank.api}/events", timeout=PATIENCE).json()["events"]] == [
        "payment.failed"
    ]
    assert [each["event"] for each in requests.get(f"{play.url}/events", timeout=PATIENCE).json()["events"]] == [
        "checkout.session.completed"
    ]


# --- faults ---


def test_faults_come_when_they_are_ordered_and_hit_stripe_alone(play: Play, bank: Standing) -> None:
    for fault, error in (
        ("502", stripe.APIError),
        ("429", stripe.RateLimitError),
        ("500", stripe.APIError),
        ("empty", stripe.APIError),
        ("in_flight", stripe.APIError),
        ("reply_lost", stripe.APIConnectionError),
    ):
        play.verb("faults", fault=fault, path="/v1/checkout/sessions")
        bank.order()
        with pytest.raises(error):
            play.session()
    assert len(play.sdk.checkout.sessions.list().data) == 1  # only the reply was lost
    assert requests.post(f"{play.url}/faults", json={"fault": "fire"}, timeout=PATIENCE).status_code == 400


def test_a_lost_reply_and_the_same_key_make_one_session(play: Play) -> None:
    play.verb("faults", fault="reply_lost", path="/v1/checkout/sessions")
    with pytest.raises(stripe.APIConnectionError):
        play.sdk.checkout.sessions.create(GOOD, options={"idempotency_key": "k"})
    made = play.sdk.checkout.sessions.create(GOOD, options={"idempotency_key": "k"})
    assert [each.id for each in play.sdk.checkout.sessions.list().data] == [made.id]


def test_it_does_not_stand_in_beside_real_keys(start: Callable[[], Standing], keys: Settings) -> None:
    bank = start()
    real = create_sandbox(replace(keys, stripe_key="sk_test_real"), bank.store, bank.sender)
    assert real.test_client().get("/sandbox/stripe/").status_code == 404


def test_a_form_that_makes_no_sense_is_refused(play: Play) -> None:
    odd = (
        {"mode[x]": "1"},
        {"line_items[0]": "x"},
        {"line_items[0][price_data]": "x"},
        {"line_items": "x"},
        {"line_items[0][price_data][product_data]": "x"},
    )
    for form in ({"mode": "payment"} | each for each in odd):
        answer = play.raw("POST", "checkout/sessions", data=form)
        assert (answer.status_code, "error" in json.loads(answer.text)) == (400, True), form

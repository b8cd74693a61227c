"""What Razorpay and the payer's bank do between them: orders, attempts to pay them, captures, refunds, and the events that tell of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import re
from collections.abc import Callable, Mapping
from typing import Any

from flask import request

from app.sandbox.razorpay_wire import (
    Route,
    Thing,
    Wrong,
    amount,
    body,
    collection,
    new_id,
    newest,
    no,
    notes,
    now,
    page,
    public,
    short,
    whole,
)
from app.sandbox.state_file import Store
from app.sandbox.webhooks import Postman
from config import Settings

How = Mapping[str, Any]

LATE = 20.0  # seconds until a payment that failed turns out to have gone through
SOON = 0.5  # seconds until something that is pending is decided
UNLUCKY = 2468  # the amount of a refund that fails, as in Razorpay's own test mode
DELIVERIES = ("now", "duplicate", "shuffled", "delayed", "dropped", "wrong_secret", "tampered")
_PAID = "Your payment has been declined as the order is already paid. Please initiate the payment with a new order."


class Bank:
    def __init__(self, settings: Settings, store: Store, postman: Postman) -> None:
        self.settings, self.store, self.postman = settings, store, postman
        self.when_paid: list[Callable[[Thing, Thing, How], None]] = []  # who else wants to know that an order got money

    def routes(self) -> list[Route]:
        return [
            ("/v1/orders", "POST", self.make_order),
            ("/v1/orders", "GET", self.list_orders),
            ("/v1/orders/<id>", "GET", self.show_order),
            ("/v1/orders/<id>", "PATCH", self.note_order),
            ("/v1/orders/<id>/payments", "GET", self.show_payments),
            ("/v1/payments", "GET", self.list_payments),
            ("/v1/payments/<id>", "GET", self.payment),
            ("/v1/payments/<id>/capture", "POST", self.capture),
            ("/v1/payments/<id>/refund", "POST", self.refund),
            ("/v1/payments/<id>/refunds", "GET", self.list_refunds_of),
            ("/v1/refunds", "GET", self.list_refunds),
            ("/v1/refunds/<id>", "GET", self.show_refund),
        ]

    def find(self, kind: str, id: str) -> Thing:
        return self.store.get(kind, id) or no("The id provided does not exist")

    # --- orders ---

    def make_order(self) -> Thing:
        given = body()
        asked = amount(given, words="Order amount less than minimum amount allowed")
        if not isinstance(given.get("currency"), str) or len(given["currency"]) != 3:
            no("The currency field is required.", field="currency")
        if given.get("transfers") and given.get("partial_payment"):
            no("Transfers cannot be created on an order with partial payment.", field="partial_payment")
        capture = given.get("payment", {}).get("capture") if isinstance(given.get("payment"), dict) else None
        by_hand = capture == "manual" or given.get("payment_capture") in (0, False)
        return public(
            self.open_order(
                asked,
                given["currency"],
                short(given, "receipt"),
                notes(given),
                by_hand=by_hand,
                partial=given.get("partial_payment") is True,
            )
        )

    def open_order(
        self,
        asked: int,
        currency: str,
        receipt: Any,
        said: Any,
        *,
        by_hand: bool = False,
        partial: bool = False,
        link: str = "",
    ) -> Thing:
        order = {
            "id": new_id("order"),
            "entity": "order",
            "amount": asked,
            "amount_paid": 0,
            "amount_due": asked,
            "currency": currency,
            "receipt": receipt,
            "offer_id": None,
            "status": "created",
            "attempts": 0,
            "notes": said,
            "created_at": now(),
            "_by_hand": by_hand,
            "_partial": partial,
            "_link": link,
        }
        return self.store.put("order", order, None if receipt is None else str(receipt))

    def list_orders(self) -> Thing:
        return newest(self.store.all("order", request.args.get("receipt")))

    def show_order(self, id: str) -> Thing:
        return public(self.order(id))

    def note_order(self, id: str) -> Thing:
        return public(self.store.put("order", self.order(id) | {"notes": notes(body())}))

    def show_payments(self, id: str) -> Thing:
        return collection(self.payments_of(self.order(id)["id"]))

    def order(self, id: str) -> Thing:
        return self.find("order", id)

    def payments_of(self, order_id: str) -> list[Thing]:
        return self.store.all("payment", order_id)

    # --- payments ---

    def list_payments(self) -> Thing:
        return newest(self.store.all("payment"))

    def payment(self, id: str) -> Thing:
        return public(self.find("payment", id))

    def keep(self, payment: Thing, **changes: Any) -> Thing:
        return self.store.put("payment", payment | changes, payment["order_id"])

    def attempt(self, order_id: str, outcome: str, how: How, *, after: float = LATE, **changes: Any) -> Thing:
        """The payer tries; the bank says captured, failed, only authorized, or failed now and captured later. All of it is written down at once."""
        with self.store.open():
            order = self.order(order_id)
            if order["status"] == "paid":
                raise Wrong(_PAID)
            payment = self.keep(_new_payment(order["amount_due"], order["currency"], order["id"]), **changes)
            self.store.put("order", order | {"status": "attempted", "attempts": order["attempts"] + 1})
            return self._decide(payment, outcome, how, after)

    def stray(self, asked: int, currency: str, outcome: str, how: How, after: float = LATE) -> Thing:
        """Somebody pays without an order of the shop's, as on a payment page made at the dashboard."""
        with self.store.open():
            return self._decide(self.keep(_new_payment(asked, currency, None)), outcome, how, after)

    def _decide(self, payment: Thing, outcome: str, how: How, after: float) -> Thing:
        if outcome == "captured":
            return self.succeed(payment["id"], how)
        if outcome == "authorized":
            return self.succeed(payment["id"], how, waits=True)
        failed = self.keep(payment, status="failed", **_FAILED)
        self.tell("payment.failed", how, payment=failed)
        if outcome == "late":
            self._succeed_later(payment["id"], after, how)
        return failed

    def _succeed_later(self, payment_id: str, after: float, how: How) -> None:
        if after <= 0:
            self.succeed(payment_id, how)
        else:
            self.store.soon("capture", payment_id, after, how)

    def settle_late(self) -> None:
        """The bank answered after all; looked after by the postman, so that a restart forgets nobody's money. A person may have been quicker."""
        with self.store.open():
            for id, how in self.store.due("capture"):
                if self.find("payment", id)["status"] == "failed":
                    self.succeed(id, how)
            for id, how in self.store.due("refund"):
                if self.find("refund", id)["status"] == "pending":
                    self.decide_refund(id, "failed", how)

    def succeed(self, payment_id: str, how: How, *, waits: bool = False) -> Thing:
        """Authorized, then captured by itself, unless it waits for a hand or its order was paid by another attempt meanwhile."""
        with self.store.open():
            payment = self.find("payment", payment_id)
            if payment["status"] not in ("created", "failed"):
                no("Only a failed payment can be authorized late.")
            order = self.order(payment["order_id"]) if payment["order_id"] else None
            authorized = self.keep(payment, status="authorized", **dict.fromkeys(_FAILED))
            if order and order["status"] == "paid":
                return self.give_back(authorized, how)
            if waits or (order and order["_by_hand"]):
                self.tell("payment.authorized", how, payment=authorized)
                return authorized
            return self._capture(authorized, [("payment.authorized", {"payment": authorized})], how)

    def _capture(self, payment: Thing, news: list[tuple[str, dict[str, Thing]]], how: How) -> Thing:
        fee = (payment["amount"] * 2 + 50) // 100
        tax = (fee * 18 + 50) // 100
        captured = self.keep(payment, status="captured", captured=True, fee=fee + tax, tax=tax)
        news = [*news, ("payment.captured", {"payment": captured})]
        order = self._paid(self.order(payment["order_id"]), payment["amount"]) if payment["order_id"] else None
        if order and order["status"] == "paid":
            news.append(("order.paid", {"payment": captured, "order": order}))
        for kind, things in news[::-1] if how.get("deliver") == "shuffled" else news:
            self.tell(kind, how, **things)
        if order:
            for each in self.when_paid:
                each(order, captured, how)
        return captured

    def _paid(self, order: Thing, more: int) -> Thing:
        paid = order["amount_paid"] + more
        due = max(0, order["amount"] - paid)
        status = "attempted" if order["_partial"] and due else "paid"
        return self.store.put("order", order | {"status": status, "amount_paid": paid, "amount_due": due})

    def capture(self, id: str) -> Thing:
        given = body()
        with self.store.open():
            payment = self.find("payment", id)
            if not whole(given.get("amount")):
                no("The amount must be an integer.", field="amount")
            if payment["captured"]:
                no("This payment has already been captured")
            if payment["status"] != "authorized":
                no("Only payments which have been authorized and not yet captured can be captured")
            if given["amount"] != payment["amount"]:
                no("Capture amount must be equal to the amount authorized", field="amount")
            if payment["order_id"] and self.order(payment["order_id"])["status"] == "paid":
                raise Wrong(_PAID)
            return public(self._capture(payment, [], {}))

    def proof(self, payment: Thing) -> dict[str, str]:
        """What the payer's browser brings to the shop."""
        signature = self.sign(f"{payment['order_id']}|{payment['id']}")
        return {
            "razorpay_payment_id": payment["id"],
            "razorpay_order_id": payment["order_id"],
            "razorpay_signature": signature,
        }

    def sign(self, words: str) -> str:
        return hmac.new(self.settings.razorpay_secret.encode(), words.encode(), hashlib.sha256).hexdigest()

    # --- refunds ---

    def list_refunds(self) -> Thing:
        return newest(self.store.all("refund"))

    def list_refunds_of(self, id: str) -> Thing:
        return page(self.store.all("refund", self.payment(id)["id"])[::-1])

    def show_refund(self, id: str) -> Thing:
        return public(self.find("refund", id))

    def refund(self, id: str) -> Thing:
        key = request.headers.get("X-Refund-Idempotency")
        if key is not None and len(key) < 10:
            no("The idempotency key must be at least 10 characters long.")
        if key is not None and not re.fullmatch(r"[A-Za-z0-9_-]+", key):
            no("The idempotency key must only contain alphanumeric characters, underscores, and hyphens")
        given = body()
        return self.once("refund", key, given, lambda: public(self.give(self.find("payment", id), given, {})))

    def once(self, endpoint: str, key: str | None, given: Thing, act: Callable[[], Thing]) -> Thing:
        """One key, one effect: for the whole account, whatever it was that was asked about."""
        said = json.dumps([request.path, given], sort_keys=True)
        with self.store.open():
            known = self.store.answered(endpoint, key) if key else None
            if known and known[0] != said:
                no("Different request with the same idempotency key has already been processed.", 409)
            answer = known[1] if known else act()
            if key and not known:
                self.store.keep_answer(endpoint, key, said, answer)
            return answer

    def give(self, payment: Thing, given: Thing, how: How) -> Thing:
        """So much of a captured payment goes back; how that ends may be planned."""
        left = payment["amount"] - payment["amount_refunded"]
        if payment["status"] == "refunded":
            no("The payment has been fully refunded already")
        if payment["status"] != "captured":
            no("The payment status should be captured for action to be taken")
        asked = amount({"amount": left} | given, words=f"The amount must be at least {payment['currency']} 1.00")
        if asked > left:
            no("The total refund amount is greater than the refund payment amount", field="amount")
        ends = (self.store.planned("refund") or {"refund": "failed" if asked == UNLUCKY else "processed"})["refund"]
        refund = _new_refund(payment, asked, given) | {"status": "processed" if ends == "processed" else "pending"}
        self.store.put("refund", refund, payment["id"])
        payment = self._returned(payment, asked)
        self.tell("refund.created", how, refund=refund, payment=payment)
        if ends == "processed":
            self.tell("refund.processed", how, refund=refund, payment=payment)
        elif ends == "failed":
            self.store.soon("refund", refund["id"], SOON, how)
        return refund

    def _returned(self, payment: Thing, more: int) -> Thing:
        back = payment["amount_refunded"] + more
        status = "full" if back == payment["amount"] else "partial" if back else None
        return self.keep(
            payment, amount_refunded=back, refund_status=status, status="refunded" if status == "full" else "captured"
        )

    def decide_refund(self, id: str, outcome: str, how: How) -> Thing:
        """What was pending reaches the payer, or does not; then the money is the shop's again."""
        with self.store.open():
            refund = self.find("refund", id)
            if refund["status"] != "pending":
                no("Only a pending refund can be processed or failed.")
            refund = self.store.put("refund", refund | {"status": outcome})
            payment = self.find("payment", refund["payment_id"])
            if outcome == "failed":
                payment = self._returned(payment, -refund["amount"])
            self.tell(f"refund.{outcome}", how, refund=refund, payment=payment)
            return refund

    def give_back(self, payment: Thing, how: How) -> Thing:
        """Another attempt was quicker: Razorpay returns this money by itself, and `captured: false` tells it from a refund of ours."""
        self.tell("payment.authorized", how, payment=payment)
        refund = self.store.put("refund", _new_refund(payment, payment["amount"], {}), payment["id"])
        returned = self.keep(payment, status="refunded", amount_refunded=payment["amount"], refund_status="full")
        for kind in ("refund.created", "refund.processed"):
            self.tell(kind, how, refund=refund, payment=returned)
        return returned

    # --- telling the shop ---

    def tell(self, kind: str, how: How, **things: Thing) -> None:
        """The event as it is now. How it is brought was said with the verb, or is planned for the next ones."""
        payload = {name: {"entity": public(thing)} for name, thing in things.items()}
        told = {
            "entity": "event",
            "account_id": "acc_sandbox",
            "event": kind,
            "contains": [*payload],
            "payload": payload,
            "created_at": now(),
        }
        said = delivery(how)
        planned = {} if "deliver" in how else self.store.planned("deliver") or {}
        if planned.get("deliver") == "shuffled":
            planned = {"deliver": "delayed", "seconds": random.uniform(0, 1.5)}  # noqa: S311  # nobody has to guess it
        said = said if "deliver" in how else delivery({**how, **planned})
        self.postman.post(new_id("evt").removeprefix("evt_"), told, **said)


def delivery(how: How) -> dict[str, Any]:
    """How an event is brought, in the postman's words."""
    said = how.get("deliver", True)
    way = {True: "now", False: "dropped", "twice": "duplicate"}.get(said, said) if isinstance(said, str | bool) else ""
    seconds = how.get("seconds", 10)
    if way not in DELIVERIES or isinstance(seconds, bool) or not isinstance(seconds, int | float):
        no(f"deliver must be one of {', '.join(DELIVERIES)}, and seconds a number.", field="deliver")
    return {
        "hold": way == "dropped",
        "twice": way == "duplicate",
        "after": float(seconds) if way == "delayed" else 0.0,
        "wrong_secret": way == "wrong_secret" or bool(how.get("wrong_secret")),
        "tampered": way == "tampered" or bool(how.get("tampered")),
    }


_FAILED = {
    "error_code": "BAD_REQUEST_ERROR",
    "error_description": "Payment was unsuccessful because the bank did not respond.",
    "error_source": "issuer_bank",
    "error_step": "payment_authorization",
    "error_reason": "payment_failed",
}


def _new_payment(asked: int, currency: str, order_id: str | None) -> Thing:
    return {
        "id": new_id("pay"),
        "entity": "payment",
        "amount": asked,
        "currency": currency,
        "status": "created",
        "order_id": order_id,
        "invoice_id": None,
        "international": False,
        "method": "card",
        "amount_refunded": 0,
        "refund_status": None,
        "captured": False,
        "description": None,
        "card_id": new_id("card"),
        "bank": None,
        "wallet": None,
        "vpa": None,
        "email": "payer@example.com",
        "contact": "+919999999999",
        "notes": [],
        "fee": None,
        "tax": None,
        "error_code": None,
        "error_description": None,
        "error_source": None,
        "error_step": None,
        "error_reason": None,
        "acquirer_data": {"auth_code": None},
        "created_at": now(),
    }


def _new_refund(payment: Thing, asked: int, given: Thing) -> Thing:
    return {
        "id": new_id("rfnd"),
        "entity": "refund",
        "amount": asked,
        "currency": payment["currency"],
        "payment_id": payment["id"],
        "notes": notes(given),
        "receipt": given.get("receipt"),
        "acquirer_data": {"arn": None},
        "batch_id": None,
        "status": "processed",
        "speed_requested": given.get("speed", "normal"),
        "speed_processed": "normal",
        "created_at": now(),
    }

"""Razorpay orders, payments, captures and refunds, simulated, with their webhooks and the payer's bank."""

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
    ApiError,
    Route,
    Thing,
    collection,
    is_whole,
    json_body,
    new_id,
    newest_page,
    paginate,
    public_fields,
    read_amount,
    read_notes,
    read_reference,
    refuse,
    unix_now,
)
from app.sandbox.state_file import Store
from app.sandbox.webhooks import WebhookSender
from config import Settings

Delivery = Mapping[str, Any]

LATE_SECONDS = 20.0  # seconds until a failed payment is authorized after all
PENDING_SECONDS = 0.5  # seconds until a pending refund, transfer or payout ends
FAILING_REFUND = 2468  # the amount of a refund that fails, as in Razorpay's own test mode
DELIVERIES = ("now", "duplicate", "shuffled", "delayed", "dropped", "wrong_secret", "tampered")
_PAID = "Your payment has been declined as the order is already paid. Please initiate the payment with a new order."


class Bank:
    def __init__(self, settings: Settings, store: Store, sender: WebhookSender) -> None:
        self.settings, self.store, self.sender = settings, store, sender
        self.on_order_paid: list[Callable[[Thing, Thing, Delivery], None]] = []  # called with order, payment, delivery

    def routes(self) -> list[Route]:
        return [
            ("/v1/orders", "POST", self.make_order),
            ("/v1/orders", "GET", self.list_orders),
            ("/v1/orders/<id>", "GET", self.show_order),
            ("/v1/orders/<id>", "PATCH", self.note_order),
            ("/v1/orders/<id>/payments", "GET", self.show_payments),
            ("/v1/payments", "GET", self.list_payments),
            ("/v1/payments/<id>", "GET", self.show_payment),
            ("/v1/payments/<id>/capture", "POST", self.capture),
            ("/v1/payments/<id>/refund", "POST", self.refund),
            ("/v1/payments/<id>/refunds", "GET", self.list_refunds_of),
            ("/v1/refunds", "GET", self.list_refunds),
            ("/v1/refunds/<id>", "GET", self.show_refund),
        ]

    def find_entity(self, kind: str, id: str) -> Thing:
        return self.store.get(kind, id) or refuse("The id provided does not exist")

    # --- orders ---

    def make_order(self) -> Thing:
        given = json_body()
        asked = read_amount(given, words="Order amount less than minimum amount allowed")
        if not isinstance(given.get("currency"), str) or len(given["currency"]) != 3:
            refuse("The currency field is required.", field="currency")
        if given.get("transfers") and given.get("partial_payment"):
            refuse("Transfers cannot be created on an order with partial payment.", field="partial_payment")
        capture = given.get("payment", {}).get("capture") if isinstance(given.get("payment"), dict) else None
        by_hand = capture == "manual" or given.get("payment_capture") in (0, False)
        return public_fields(
            self.open_order(
                asked,
                given["currency"],
                read_reference(given, "receipt"),
                read_notes(given),
                by_hand=by_hand,
                partial=given.get("partial_payment") is True,
            )
        )

    def open_order(
        self,
        asked: int,
        currency: str,
        receipt: Any,
        order_notes: Any,
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
            "notes": order_notes,
            "created_at": unix_now(),
            "_by_hand": by_hand,
            "_partial": partial,
            "_link": link,
        }
        return self.store.put("order", order, None if receipt is None else str(receipt))

    def list_orders(self) -> Thing:
        return newest_page(self.store.all("order", request.args.get("receipt")))

    def show_order(self, id: str) -> Thing:
        return public_fields(self.find_order(id))

    def note_order(self, id: str) -> Thing:
        return public_fields(self.store.put("order", self.find_order(id) | {"notes": read_notes(json_body())}))

    def show_payments(self, id: str) -> Thing:
        return collection(self.payments_of(self.find_order(id)["id"]))

    def find_order(self, id: str) -> Thing:
        return self.find_entity("order", id)

    def payments_of(self, order_id: str) -> list[Thing]:
        return self.store.all("payment", order_id)

    # --- payments ---

    def list_payments(self) -> Thing:
        return newest_page(self.store.all("payment"))

    def show_payment(self, id: str) -> Thing:
        return public_fields(self.find_entity("payment", id))

    def update_payment(self, payment: Thing, **changes: Any) -> Thing:
        return self.store.put("payment", payment | changes, payment["order_id"])

    def attempt_payment(
        self, order_id: str, outcome: str, how: Delivery, *, after: float = LATE_SECONDS, **changes: Any
    ) -> Thing:
        """Pay an order, in one transaction; ends captured, failed, authorized, or late (failed now, captured later)."""
        with self.store.open():
            order = self.find_order(order_id)
            if order["status"] == "paid":
                raise ApiError(_PAID)
            payment = self.update_payment(_new_payment(order["amount_due"], order["currency"], order["id"]), **changes)
            self.store.put("order", order | {"status": "attempted", "attempts": order["attempts"] + 1})
            return self._finish_attempt(payment, outcome, how, after)

    def pay_without_order(
        self, asked: int, currency: str, outcome: str, how: Delivery, after: float = LATE_SECONDS
    ) -> Thing:
        """Create a payment that belongs to no order, as from a payment page of the dashboard."""
        with self.store.open():
            return self._finish_attempt(self.update_payment(_new_payment(asked, currency, None)), outcome, how, after)

    def _finish_attempt(self, payment: Thing, outcome: str, how: Delivery, after: float) -> Thing:
        if outcome == "captured":
            return self.authorize_payment(payment["id"], how)
        if outcome == "authorized":
            return self.authorize_payment(payment["id"], how, waits=True)
        failed = self.update_payment(payment, status="failed", **_FAILED)
        self.send_event("payment.failed", how, payment=failed)
        if outcome == "late":
            self._authorize_later(payment["id"], after, how)
        return failed

    def _authorize_later(self, payment_id: str, after: float, how: Delivery) -> None:
        if after <= 0:
            self.authorize_payment(payment_id, how)
        else:
            self.store.schedule("capture", payment_id, after, how)

    def finish_pending(self) -> None:
        """Finish late payments and pending refunds that are due, unless an action has already done so.

        Runs in the sender's loop from stored times, so that a restart loses none."""
        with self.store.open():
            for id, how in self.store.take_due("capture"):
                if self.find_entity("payment", id)["status"] == "failed":
                    self.authorize_payment(id, how)
            for id, how in self.store.take_due("refund"):
                if self.find_entity("refund", id)["status"] == "pending":
                    self.decide_refund(id, "failed", how)

    def authorize_payment(self, payment_id: str, how: Delivery, *, waits: bool = False) -> Thing:
        """Authorize a payment and capture it, unless capture is manual. If the order is already paid, refund it."""
        with self.store.open():
            payment = self.find_entity("payment", payment_id)
            if payment["status"] not in ("created", "failed"):
                refuse("Only a failed payment can be authorized late.")
            order = self.find_order(payment["order_id"]) if payment["order_id"] else None
            authorized = self.update_payment(payment, status="authorized", **dict.fromkeys(_FAILED))
            if order and order["status"] == "paid":
                return self.return_payment(authorized, how)
            if waits or (order and order["_by_hand"]):
                self.send_event("payment.authorized", how, payment=authorized)
                return authorized
            return self._capture(authorized, [("payment.authorized", {"payment": authorized})], how)

    def _capture(self, payment: Thing, news: list[tuple[str, dict[str, Thing]]], how: Delivery) -> Thing:
        fee = (payment["amount"] * 2 + 50) // 100
        tax = (fee * 18 + 50) // 100
        captured = self.update_payment(payment, status="captured", captured=True, fee=fee + tax, tax=tax)
        news = [*news, ("payment.captured", {"payment": captured})]
        order = self._add_paid(self.find_order(payment["order_id"]), payment["amount"]) if payment["order_id"] else None
        if order and order["status"] == "paid":
            news.append(("order.paid", {"payment": captured, "order": order}))
        for kind, things in news[::-1] if how.get("deliver") == "shuffled" else news:
            self.send_event(kind, how, **things)
        if order:
            for each in self.on_order_paid:
                each(order, captured, how)
        return captured

    def _add_paid(self, order: Thing, more: int) -> Thing:
        paid = order["amount_paid"] + more
        due = max(0, order["amount"] - paid)
        status = "attempted" if order["_partial"] and due else "paid"
        return self.store.put("order", order | {"status": status, "amount_paid": paid, "amount_due": due})

    def capture(self, id: str) -> Thing:
        given = json_body()
        with self.store.open():
            payment = self.find_entity("payment", id)
            if not is_whole(given.get("amount")):
                refuse("The amount must be an integer.", field="amount")
            if payment["captured"]:
                refuse("This payment has already been captured")
            if payment["status"] != "authorized":
                refuse("Only payments which have been authorized and not yet captured can be captured")
            if given["amount"] != payment["amount"]:
                refuse("Capture amount must be equal to the amount authorized", field="amount")
            if payment["order_id"] and self.find_order(payment["order_id"])["status"] == "paid":
                raise ApiError(_PAID)
            return public_fields(self._capture(payment, [], {}))

    def checkout_proof(self, payment: Thing) -> dict[str, str]:
        """Return the signed fields that the checkout posts to the shop."""
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
        return newest_page(self.store.all("refund"))

    def list_refunds_of(self, id: str) -> Thing:
        return paginate(self.store.all("refund", self.show_payment(id)["id"])[::-1])

    def show_refund(self, id: str) -> Thing:
        return public_fields(self.find_entity("refund", id))

    def refund(self, id: str) -> Thing:
        key = request.headers.get("X-Refund-Idempotency")
        if key is not None and len(key) < 10:
            refuse("The idempotency key must be at least 10 characters long.")
        if key is not None and not re.fullmatch(r"[A-Za-z0-9_-]+", key):
            refuse("The idempotency key must only contain alphanumeric characters, underscores, and hyphens")
        given = json_body()
        return self.run_once(
            "refund", key, given, lambda: public_fields(self.create_refund(self.find_entity("payment", id), given, {}))
        )

    def run_once(self, endpoint: str, key: str | None, given: Thing, act: Callable[[], Thing]) -> Thing:
        """Run an action once per idempotency key and answer repeats from memory; keys are per account."""
        asked = json.dumps([request.path, given], sort_keys=True)
        with self.store.open():
            stored = self.store.stored_answer(endpoint, key) if key else None
            if stored and stored[0] != asked:
                refuse("Different request with the same idempotency key has already been processed.", 409)
            answer = stored[1] if stored else act()
            if key and not stored:
                self.store.store_answer(endpoint, key, asked, answer)
            return answer

    def create_refund(self, payment: Thing, given: Thing, how: Delivery) -> Thing:
        """Refund a captured payment in full or in part. The outcome can be planned."""
        left = payment["amount"] - payment["amount_refunded"]
        if payment["status"] == "refunded":
            refuse("The payment has been fully refunded already")
        if payment["status"] != "captured":
            refuse("The payment status should be captured for action to be taken")
        asked = read_amount({"amount": left} | given, words=f"The amount must be at least {payment['currency']} 1.00")
        if asked > left:
            refuse("The total refund amount is greater than the refund payment amount", field="amount")
        ends = (self.store.use_plan("refund") or {"refund": "failed" if asked == FAILING_REFUND else "processed"})[
            "refund"
        ]
        refund = _new_refund(payment, asked, given) | {"status": "processed" if ends == "processed" else "pending"}
        self.store.put("refund", refund, payment["id"])
        payment = self._add_refunded(payment, asked)
        self.send_event("refund.created", how, refund=refund, payment=payment)
        if ends == "processed":
            self.send_event("refund.processed", how, refund=refund, payment=payment)
        elif ends == "failed":
            self.store.schedule("refund", refund["id"], PENDING_SECONDS, how)
        return refund

    def _add_refunded(self, payment: Thing, more: int) -> Thing:
        back = payment["amount_refunded"] + more
        status = "full" if back == payment["amount"] else "partial" if back else None
        return self.update_payment(
            payment, amount_refunded=back, refund_status=status, status="refunded" if status == "full" else "captured"
        )

    def decide_refund(self, id: str, outcome: str, how: Delivery) -> Thing:
        """End a pending refund. A failed one puts the money back on the payment."""
        with self.store.open():
            refund = self.find_entity("refund", id)
            if refund["status"] != "pending":
                refuse("Only a pending refund can be processed or failed.")
            refund = self.store.put("refund", refund | {"status": outcome})
            payment = self.find_entity("payment", refund["payment_id"])
            if outcome == "failed":
                payment = self._add_refunded(payment, -refund["amount"])
            self.send_event(f"refund.{outcome}", how, refund=refund, payment=payment)
            return refund

    def return_payment(self, payment: Thing, how: Delivery) -> Thing:
        """Refund a second payment of a paid order, as Razorpay does unasked; `captured: false` marks it."""
        self.send_event("payment.authorized", how, payment=payment)
        refund = self.store.put("refund", _new_refund(payment, payment["amount"], {}), payment["id"])
        returned = self.update_payment(
            payment, status="refunded", amount_refunded=payment["amount"], refund_status="full"
        )
        for kind in ("refund.created", "refund.processed"):
            self.send_event(kind, how, refund=refund, payment=returned)
        return returned

    # --- webhooks ---

    def send_event(self, kind: str, how: Delivery, **things: Thing) -> None:
        """Queue a webhook with the present state. Its delivery comes from the action or from a plan."""
        payload = {name: {"entity": public_fields(thing)} for name, thing in things.items()}
        event = {
            "entity": "event",
            "account_id": "acc_sandbox",
            "event": kind,
            "contains": [*payload],
            "payload": payload,
            "created_at": unix_now(),
        }
        options = delivery_options(how)
        planned = {} if "deliver" in how else self.store.use_plan("deliver") or {}
        if planned.get("deliver") == "shuffled":
            planned = {"deliver": "delayed", "seconds": random.uniform(0, 1.5)}  # noqa: S311  # not a secret
        options = options if "deliver" in how else delivery_options({**how, **planned})
        self.sender.enqueue(new_id("evt").removeprefix("evt_"), event, **options)


def delivery_options(how: Delivery) -> dict[str, Any]:
    """Turn the options of an action into arguments of WebhookSender.enqueue."""
    wanted = how.get("deliver", True)
    names = {True: "now", False: "dropped", "twice": "duplicate"}
    way = names.get(wanted, wanted) if isinstance(wanted, str | bool) else ""
    seconds = how.get("seconds", 10)
    if way not in DELIVERIES or isinstance(seconds, bool) or not isinstance(seconds, int | float):
        refuse(f"deliver must be one of {', '.join(DELIVERIES)}, and seconds a number.", field="deliver")
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
        "created_at": unix_now(),
    }


def _new_refund(payment: Thing, asked: int, given: Thing) -> Thing:
    return {
        "id": new_id("rfnd"),
        "entity": "refund",
        "amount": asked,
        "currency": payment["currency"],
        "payment_id": payment["id"],
        "notes": read_notes(given),
        "receipt": given.get("receipt"),
        "acquirer_data": {"arn": None},
        "batch_id": None,
        "status": "processed",
        "speed_requested": given.get("speed", "normal"),
        "speed_processed": "normal",
        "created_at": unix_now(),
    }

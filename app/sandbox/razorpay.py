"""Razorpay's side of the wire: orders, payments, refunds, the hosted checkout, signed events, and faults on demand."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import threading
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from flask import Blueprint, Response, abort, g, jsonify, redirect, render_template, request

from app.sandbox.store import Store
from app.sandbox.webhooks import Postman
from config import Settings

LATE = 20.0  # seconds until a payment that failed turns out to have gone through
_LETTERS = string.ascii_letters + string.digits


class Wrong(Exception):
    """An error as Razorpay says it."""

    def __init__(self, text: str, status: int = 400, field: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        reason = "input_validation_failed" if field else "NA"
        self.body = {
            "error": {"code": "BAD_REQUEST_ERROR", "description": text, "source": "business", "step": "payment_initiation", "reason": reason, "metadata": {}}
        }
        if field:
            self.body["error"]["field"] = field


def gateway(settings: Settings, store: Store, postman: Postman) -> Blueprint:
    """The API below /v1, the checkout that a payer sees, and the verbs with which tests and people play the bank."""
    it = Bank(settings, store, postman)
    pages = Blueprint("razorpay", __name__, url_prefix="/sandbox/razorpay")
    pages.register_error_handler(Wrong, lambda wrong: (jsonify(wrong.body), wrong.status))
    pages.before_request(it.check_caller)
    pages.after_request(it.lose_the_reply)
    for rule, methods, view in (
        ("/v1/orders", ["POST"], it.make_order),
        ("/v1/orders", ["GET"], it.list_orders),
        ("/v1/orders/<id>", ["GET"], lambda id: it.order(id)),
        ("/v1/orders/<id>", ["PATCH"], it.note_order),
        ("/v1/orders/<id>/payments", ["GET"], lambda id: _collection(it.payments_of(it.order(id)["id"]))),
        ("/v1/payments", ["GET"], lambda: _collection(store.all("payment")[::-1][: _count()])),
        ("/v1/payments/<id>", ["GET"], lambda id: it.payment(id)),
        ("/v1/payments/<id>/capture", ["POST"], it.capture),
        ("/v1/payments/<id>/refund", ["POST"], it.refund),
        ("/v1/payments/<id>/refunds", ["GET"], lambda id: _collection(store.all("refund", it.payment(id)["id"]))),
        ("/v1/refunds/<id>", ["GET"], lambda id: it.find("refund", id)),
        ("/v1/checkout/embedded", ["POST"], it.show_checkout),
        ("/checkout/<id>", ["POST"], it.press),
        ("/", ["GET"], it.show_orders),
        ("/orders/<id>/pay", ["POST"], it.pay_by_verb),
        ("/events", ["GET"], it.events),
        ("/events/<id>/deliver", ["POST"], lambda id: jsonify(answer=postman.deliver(id))),
        ("/faults", ["POST"], it.plan_fault),
    ):
        pages.add_url_rule(rule, f"{methods[0]} {rule}".replace(".", ""), view, methods=methods)
    return pages


class Bank:
    """What Razorpay and the payer's bank do between them."""

    def __init__(self, settings: Settings, store: Store, postman: Postman) -> None:
        self.settings, self.store, self.postman = settings, store, postman

    # --- who calls, and what goes wrong on purpose ---

    def check_caller(self) -> Any:
        path = request.path.removeprefix("/sandbox/razorpay")
        if not path.startswith("/v1/") or path.startswith("/v1/checkout"):
            return None
        known = request.authorization
        if known is None or (known.username, known.password) != (self.settings.razorpay_key, self.settings.razorpay_secret):
            raise Wrong("Authentication failed", 401)
        return self._break_down(path)

    def _break_down(self, path: str) -> Any:
        g.fault = self.store.next_fault(path)
        match g.fault:
            case "502":
                return Response("<html><body><h1>502 Bad Gateway</h1></body></html>", 502, mimetype="text/html")
            case "429":
                raise Wrong("Request failed. Please try after sometime.", 429)
            case "500":
                return Response("{}", 500, mimetype="application/json")
            case "slow":
                time.sleep(12)
        return None

    def lose_the_reply(self, response: Response) -> Response:
        """The effect has happened; the answer never arrives whole."""
        if g.get("fault") == "reply_lost":
            response.data = b""
            response.status_code = 502
        return response

    def plan_fault(self) -> Response:
        given = _json()
        self.store.expect_fault(str(given.get("path", "")), str(given["fault"]), int(given.get("times", 1)))
        return jsonify(planned=given)

    # --- orders ---

    def make_order(self) -> dict[str, Any]:
        given = _json()
        amount, receipt, notes = given.get("amount"), given.get("receipt"), given.get("notes")
        if not isinstance(amount, int) or isinstance(amount, bool):
            raise Wrong("The amount must be an integer.", field="amount")
        if amount < 100:
            raise Wrong("Order amount less than minimum amount allowed", field="amount")
        if not isinstance(given.get("currency"), str) or len(given["currency"]) != 3:
            raise Wrong("The currency field is required.", field="currency")
        if receipt is not None and len(str(receipt)) > 40:
            raise Wrong("The receipt may not be greater than 40 characters.", field="receipt")
        order = {
            "id": _id("order"), "entity": "order", "amount": amount, "amount_paid": 0, "amount_due": amount, "currency": given["currency"],
            "receipt": receipt, "offer_id": None, "status": "created", "attempts": 0, "notes": notes or [], "created_at": int(time.time()),
        }  # fmt: skip
        return self.store.put("order", order)

    def list_orders(self) -> dict[str, Any]:
        receipt = request.args.get("receipt")
        found = [each for each in self.store.all("order")[::-1] if receipt is None or each["receipt"] == receipt]
        return _collection(found[int(request.args.get("skip", 0)) :][: _count()])

    def note_order(self, id: str) -> dict[str, Any]:
        return self.store.put("order", self.order(id) | {"notes": _json().get("notes") or []})

    def order(self, id: str) -> dict[str, Any]:
        return self.find("order", id)

    def payment(self, id: str) -> dict[str, Any]:
        return self.find("payment", id)

    def find(self, kind: str, id: str) -> dict[str, Any]:
        return self.store.get(kind, id) or _no("The id provided does not exist")

    def payments_of(self, order_id: str) -> list[dict[str, Any]]:
        return self.store.all("payment", order_id)

    # --- paying ---

    def attempt(self, order: dict[str, Any], outcome: str, *, amount: int | None = None, after: float = LATE, **delivery: Any) -> dict[str, Any]:
        """The payer tries; the bank says captured, failed, or failed now and captured later."""
        with self.store.one_at_a_time:
            order = self.order(order["id"])
            if order["status"] == "paid":
                raise Wrong("Payment already done for this order.")
            payment = self.store.put("payment", _new_payment(order, amount), order["id"])
            self.store.put("order", order | {"status": "attempted", "attempts": order["attempts"] + 1})
            if outcome == "captured":
                return self._succeed(payment["id"], 0, delivery)
            failed = self._fail(payment, delivery)
            if outcome == "late":
                self._succeed_later(payment["id"], after, delivery)
            return failed

    def _fail(self, payment: dict[str, Any], delivery: Mapping[str, Any]) -> dict[str, Any]:
        why = {"error_code": "BAD_REQUEST_ERROR", "error_description": "Payment was unsuccessful as the bank did not answer.", "error_reason": "payment_failed"}
        failed = self.store.put("payment", payment | {"status": "failed", **why}, payment["order_id"])
        self._tell("payment.failed", failed, None, delivery)
        return failed

    def _succeed_later(self, payment_id: str, after: float, delivery: Mapping[str, Any]) -> None:
        if after <= 0:
            self._succeed(payment_id, 0, delivery)
        else:
            _in_a_while(after, lambda: self._succeed(payment_id, 0, delivery))

    def _succeed(self, payment_id: str, fee: int, delivery: Mapping[str, Any]) -> dict[str, Any]:
        with self.store.one_at_a_time:
            payment = self.payment(payment_id)
            order = self.order(payment["order_id"])
            well = {"error_code": None, "error_description": None, "error_reason": None}
            authorized = self.store.put("payment", payment | well | {"status": "authorized"}, order["id"])
            if order["status"] == "paid":  # somebody else's attempt was quicker: Razorpay gives this one back by itself
                return self.store.put("payment", authorized | {"status": "refunded", "refund_status": "full", "captured": False}, order["id"])
            captured = self.store.put("payment", authorized | {"status": "captured", "captured": True, "fee": fee}, order["id"])
            paid = self.store.put("order", order | {"status": "paid", "amount_paid": payment["amount"], "amount_due": 0})
            events = [("payment.authorized", authorized, None), ("payment.captured", captured, None), ("order.paid", captured, paid)]
            for kind, snapshot, of in events[::-1] if delivery.get("deliver") == "shuffled" else events:
                self._tell(kind, snapshot, of, delivery)
            return captured

    def _tell(
        self, kind: str, payment: dict[str, Any], order: dict[str, Any] | None, delivery: Mapping[str, Any], refund: dict[str, Any] | None = None
    ) -> None:
        payload = {"payment": {"entity": payment}} | ({"order": {"entity": order}} if order else {}) | ({"refund": {"entity": refund}} if refund else {})
        body = {"entity": "event", "account_id": "acc_sandbox", "event": kind, "contains": [*payload], "payload": payload, "created_at": int(time.time())}
        deliver, event_id = delivery.get("deliver", True), _id("evt").removeprefix("evt_")
        faults = {name: bool(delivery.get(name)) for name in ("wrong_secret", "tampered")}
        self.postman.post(event_id, body, hold=deliver is False, **faults)
        if deliver == "twice":
            _in_a_while(0.3, lambda: self.postman.deliver(event_id))

    # --- capture and refund, by API ---

    def capture(self, id: str) -> dict[str, Any]:
        payment, given = self.payment(id), _json()
        if payment["status"] == "captured":
            raise Wrong("This payment has already been captured")
        if payment["status"] != "authorized":
            raise Wrong("Only payments which have been authorized and not yet captured can be captured")
        if given.get("amount") != payment["amount"]:
            raise Wrong("Capture amount must be equal to the amount authorized", field="amount")
        return self._succeed(id, 0, {})

    def refund(self, id: str) -> Any:
        given, key = _json(), request.headers.get("X-Refund-Idempotency")
        with self.store.one_at_a_time:
            payment = self.payment(id)
            for made in self.store.all("refund", id):
                if key and made["_key"] == key:
                    if made["_asked"] != given:
                        raise Wrong("Different request with the same idempotency key has already been processed.", 409)
                    return _public(made)
            return _public(self._refund(payment, given, key))

    def _refund(self, payment: dict[str, Any], given: dict[str, Any], key: str | None) -> dict[str, Any]:
        amount, left = given.get("amount", payment["amount"]), payment["amount"] - payment["amount_refunded"]
        if payment["status"] == "refunded" or (payment["status"] == "captured" and left == 0):
            raise Wrong("The payment has been fully refunded already")
        if payment["status"] != "captured":
            raise Wrong("The payment status should be captured for action to be taken")
        if not isinstance(amount, int) or amount < 100 or amount > left:
            raise Wrong(
                "The total refund amount is greater than the refund payment amount"
                if isinstance(amount, int) and amount > left
                else "The amount must be atleast INR 1.00",
                field="amount",
            )
        refund = {
            "id": _id("rfnd"), "entity": "refund", "amount": amount, "currency": payment["currency"], "payment_id": payment["id"], "notes": given.get("notes") or [],
            "receipt": given.get("receipt"), "status": "processed", "speed_requested": given.get("speed", "normal"), "speed_processed": "normal",
            "created_at": int(time.time()), "_key": key, "_asked": given,
        }  # fmt: skip
        self.store.put("refund", refund, payment["id"])
        whole = amount == left
        changed = {"amount_refunded": payment["amount_refunded"] + amount, "refund_status": "full" if whole else "partial"} | (
            {"status": "refunded"} if whole else {}
        )
        after = self.store.put("payment", payment | changed, payment["order_id"])
        for kind in ("refund.created", "refund.processed"):
            self._tell(kind, after, None, {}, _public(refund))
        return refund

    # --- what the payer sees ---

    def show_checkout(self) -> str:
        form = request.form
        if form.get("key_id") != self.settings.razorpay_key:
            abort(400, "The key is not known here.")
        return self._checkout(self.order(form.get("order_id", "")), form)

    def _checkout(self, order: dict[str, Any], form: Mapping[str, str], trouble: str = "") -> str:
        kept = {name: form[name] for name in ("callback_url", "cancel_url", "name", "key_id", "order_id") if name in form}
        return render_template(
            "sandbox/checkout.html", order=order, kept=kept, trouble=trouble, amount=f"{order['amount'] / 100:,.2f}", shop=form.get("name", "the shop")
        )

    def press(self, id: str) -> Any:
        """One of the payer's buttons. Success is sent back as Razorpay does it: a form, posted to the shop."""
        order, form = self.order(id), request.form
        if order["status"] == "paid":
            return redirect(form["cancel_url"], 303)  # paid in another tab: the shop knows, and says so
        match form.get("press"):
            case "pay":
                if trouble := _card_trouble(form):
                    return self._checkout(order, form, trouble), 400
                return self._send_back(form["callback_url"], self.proof(self.attempt(order, "captured")))
            case "fail":
                failed = self.attempt(order, "failed")
                return self._checkout(self.order(id), form, failed["error_description"] + " Try again, or leave.")
            case "late":
                self.attempt(order, "late")
        return redirect(form["cancel_url"], 303)

    def _send_back(self, to: str, fields: Mapping[str, str]) -> str:
        return render_template("sandbox/back.html", to=to, fields=fields)

    def proof(self, payment: dict[str, Any]) -> dict[str, str]:
        text = f"{payment['order_id']}|{payment['id']}"
        signature = hmac.new(self.settings.razorpay_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return {"razorpay_payment_id": payment["id"], "razorpay_order_id": payment["order_id"], "razorpay_signature": signature}

    # --- verbs ---

    def show_orders(self) -> str:
        orders = [(order, self.payments_of(order["id"])) for order in self.store.all("order")[::-1][:50]]
        return render_template("sandbox/orders.html", orders=orders)

    def pay_by_verb(self, id: str) -> Any:
        given = _json() if request.is_json else dict(request.form)
        outcome = given.get("outcome")
        if outcome not in ("captured", "failed", "late"):
            raise Wrong("The outcome is captured, failed or late.", field="outcome")
        order = self.store.get("order", id) or _no("The id provided does not exist", 404)
        options: dict[str, Any] = {name: given[name] for name in ("amount", "after", "deliver", "wrong_secret", "tampered") if name in given}
        payment = self.attempt(order, outcome, **options)
        if not request.is_json:
            return redirect("/sandbox/razorpay/", 303)
        return jsonify(payment | (self.proof(payment) if outcome == "captured" else {}))

    def events(self) -> Response:
        with self.store.open() as file:
            rows = file.execute(
                "select id, made, due, tries, answer, json_extract(body, '$.event') as event from event order by made desc limit 200"
            ).fetchall()
        return jsonify(events=[dict(row) for row in rows])


def _new_payment(order: Mapping[str, Any], amount: int | None) -> dict[str, Any]:
    return {
        "id": _id("pay"), "entity": "payment", "amount": amount or order["amount"], "currency": order["currency"], "status": "created", "order_id": order["id"],
        "invoice_id": None, "international": False, "method": "card", "amount_refunded": 0, "refund_status": None, "captured": False, "description": None,
        "email": "payer@example.com", "contact": "+919999999999", "notes": [], "fee": None, "tax": None, "error_code": None, "error_description": None,
        "error_source": None, "error_step": None, "error_reason": None, "created_at": int(time.time()),
    }  # fmt: skip


def _card_trouble(form: Mapping[str, str]) -> str:
    """The words for a card that cannot be charged; a payment without a card is Razorpay's UPI, and always fine."""
    number, expiry = form.get("card", "").replace(" ", ""), form.get("expiry", "")
    if not number:
        return ""
    if not number.isdigit() or len(number) < 12:
        return "Please enter a valid card number."
    month, _, year = expiry.partition("/")
    if not (month.strip().isdigit() and year.strip().isdigit() and 1 <= int(month) <= 12):
        return "Please enter a valid expiry date."
    now = time.gmtime()
    if (2000 + int(year) % 100, int(month)) < (now.tm_year, now.tm_mon):
        return "Your card has expired. Please use another card."
    return ""


def _in_a_while(seconds: float, do: Any) -> None:
    timer = threading.Timer(seconds, do)
    timer.daemon = True
    timer.start()


def _id(kind: str) -> str:
    return f"{kind}_{''.join(secrets.choice(_LETTERS) for _ in range(14))}"


def _collection(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"entity": "collection", "count": len(items), "items": [_public(each) for each in items]}


def _public(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if not name.startswith("_")}


def _count() -> int:
    return min(int(request.args.get("count", 10)), 100)


def _json() -> dict[str, Any]:
    given = request.get_json(silent=True)
    return given if isinstance(given, dict) else {}


def _no(text: str, status: int = 400) -> NoReturn:
    raise Wrong(text, status)

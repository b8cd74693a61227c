"""Razorpay's side of the wire: orders, payments, refunds, the hosted checkout, signed events, and faults on demand."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import socket
import string
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from flask import Blueprint, Response, g, jsonify, redirect, render_template, request

from app.sandbox.store import Store
from app.sandbox.webhooks import Postman
from config import Settings

LATE = 20.0  # seconds until a payment that failed turns out to have gone through
_LETTERS = string.ascii_letters + string.digits
_FAULTS = ("none", "reply_lost", "502", "429", "500", "slow")
_WITHOUT_MINOR = ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
_WITH_THREE = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")


class Wrong(Exception):
    """An error as Razorpay says it."""

    def __init__(self, text: str, status: int = 400, field: str | None = None) -> None:
        super().__init__(text)
        self.status, self.text = status, text
        where = ("business", "payment_initiation", "input_validation_failed") if status == 400 else ("NA", "NA", "NA")
        error: dict[str, Any] = {"code": "BAD_REQUEST_ERROR", "description": text}
        if status != 401:  # a stranger is told nothing more
            error |= dict(zip(("source", "step", "reason"), where, strict=True)) | {"metadata": {}}
        if field:
            error["field"] = field
        self.body = {"error": error}


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
        ("/v1/orders/<id>", ["GET"], lambda id: _public(it.order(id))),
        ("/v1/orders/<id>", ["PATCH"], it.note_order),
        ("/v1/orders/<id>/payments", ["GET"], lambda id: _collection(it.payments_of(it.order(id)["id"]))),
        ("/v1/payments", ["GET"], lambda: _collection(_page(store.all("payment")[::-1]))),
        ("/v1/payments/<id>", ["GET"], lambda id: it.payment(id)),
        ("/v1/payments/<id>/capture", ["POST"], it.capture),
        ("/v1/payments/<id>/refund", ["POST"], it.refund),
        ("/v1/payments/<id>/refunds", ["GET"], lambda id: _collection(store.all("refund", it.payment(id)["id"]))),
        ("/v1/refunds/<id>", ["GET"], lambda id: _public(it.find("refund", id))),
        ("/v1/checkout/embedded", ["POST"], it.show_checkout),
        ("/checkout/<id>", ["POST"], it.press),
        ("/", ["GET"], it.show_orders),
        ("/orders/<id>/pay", ["POST"], it.pay_by_verb),
        ("/events", ["GET"], lambda: jsonify(events=postman.events())),
        ("/events/<id>/deliver", ["POST"], lambda id: jsonify(answer=postman.deliver(id) or _no("The id provided does not exist", 404))),
        ("/faults", ["POST"], it.plan_fault),
        ("/v1/<path:any>", ["GET", "POST", "PATCH", "PUT", "DELETE"], lambda any: _no("The requested URL was not found on the server.")),
    ):
        pages.add_url_rule(rule, f"{methods[0]} {rule}".replace(".", ""), view, methods=methods)
    postman.rounds.append(it.settle_late)
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
            response.status_code = 502  # seen only where there is no line to hang up on, as in a test client
            line: socket.socket | None = request.environ.get("werkzeug.socket")
            if line is not None:
                line.shutdown(socket.SHUT_RDWR)
        return response

    def plan_fault(self) -> Response:
        given = _json()
        fault, times = str(given.get("fault")), given.get("times", 1)
        if fault not in _FAULTS or not _whole(times):
            raise Wrong(f"The fault is one of {', '.join(_FAULTS)}, and times is a whole number.", field="fault")
        self.store.expect_fault(str(given.get("path", "")), fault, times)
        return jsonify(planned=given)

    # --- orders ---

    def make_order(self) -> dict[str, Any]:
        given = _json()
        amount, receipt, notes = given.get("amount"), given.get("receipt"), _notes(given)
        if amount is None:
            raise Wrong("The amount field is required.", field="amount")
        if not _whole(amount):
            raise Wrong("The amount must be an integer.", field="amount")
        if amount < 100:
            raise Wrong("Order amount less than minimum amount allowed", field="amount")
        if not isinstance(given.get("currency"), str) or len(given["currency"]) != 3:
            raise Wrong("The currency field is required.", field="currency")
        if receipt is not None and len(str(receipt)) > 40:
            raise Wrong("The receipt may not be greater than 40 characters.", field="receipt")
        capture = given.get("payment", {}).get("capture") if isinstance(given.get("payment"), dict) else None
        order = {
            "id": _id("order"), "entity": "order", "amount": amount, "amount_paid": 0, "amount_due": amount, "currency": given["currency"],
            "receipt": receipt, "offer_id": None, "status": "created", "attempts": 0, "notes": notes, "created_at": int(time.time()),
            "_by_hand": capture == "manual" or given.get("payment_capture") in (0, False),
        }  # fmt: skip
        return _public(self.store.put("order", order))

    def list_orders(self) -> dict[str, Any]:
        receipt = request.args.get("receipt")
        return _collection(_page([each for each in self.store.all("order")[::-1] if receipt is None or each["receipt"] == receipt]))

    def note_order(self, id: str) -> dict[str, Any]:
        return _public(self.store.put("order", self.order(id) | {"notes": _notes(_json())}))

    def order(self, id: str) -> dict[str, Any]:
        return self.find("order", id)

    def payment(self, id: str) -> dict[str, Any]:
        return self.find("payment", id)

    def find(self, kind: str, id: str) -> dict[str, Any]:
        return self.store.get(kind, id) or _no("The id provided does not exist")

    def payments_of(self, order_id: str) -> list[dict[str, Any]]:
        return self.store.all("payment", order_id)

    # --- paying ---

    def attempt(self, order: dict[str, Any], outcome: str, *, amount: int | None = None, after: float = LATE, **how: Any) -> dict[str, Any]:
        """The payer tries; the bank says captured, failed, or failed now and captured later. All of it is written down at once."""
        with self.store.open():
            order = self.order(order["id"])
            if order["status"] == "paid":
                raise Wrong("Your payment has been declined as the order is already paid. Please initiate the payment with a new order.")
            payment = self.store.put("payment", _new_payment(order, amount) | how.pop("payer", {}), order["id"])
            self.store.put("order", order | {"status": "attempted", "attempts": order["attempts"] + 1})
            if outcome == "captured":
                return self._succeed(payment["id"], how)
            failed = self._fail(payment, how)
            if outcome == "late":
                self._succeed_later(payment["id"], after, how)
            return failed

    def _fail(self, payment: dict[str, Any], how: Mapping[str, Any]) -> dict[str, Any]:
        failed = self.store.put("payment", payment | {"status": "failed", **_FAILED}, payment["order_id"])
        self._tell("payment.failed", failed, None, how)
        return failed

    def _succeed_later(self, payment_id: str, after: float, how: Mapping[str, Any]) -> None:
        if after <= 0:
            self._succeed(payment_id, how)
            return
        with self.store.open() as file:
            file.execute("insert into late values (?, ?, ?)", (payment_id, time.time() + after, json.dumps(how)))

    def settle_late(self) -> None:
        """The bank answered after all; looked after by the postman, so that a restart forgets nobody's money."""
        with self.store.open() as file:
            for row in file.execute("delete from late where due <= ? returning payment, delivery", (time.time(),)).fetchall():
                self._succeed(row["payment"], json.loads(row["delivery"]))

    def _succeed(self, payment_id: str, how: Mapping[str, Any]) -> dict[str, Any]:
        """Authorized, then captured by itself, unless the order asks for a hand or was paid by another attempt meanwhile."""
        with self.store.open():
            payment = self.payment(payment_id)
            order = self.order(payment["order_id"])
            authorized = self.store.put("payment", payment | dict.fromkeys(_FAILED) | {"status": "authorized"}, order["id"])
            if order["status"] == "paid":
                return self._give_back(authorized, how)
            if order.get("_by_hand"):
                self._tell("payment.authorized", authorized, None, how)
                return authorized
            return self._capture(authorized, [("payment.authorized", authorized, None)], how)

    def _capture(self, payment: dict[str, Any], news: list[Any], how: Mapping[str, Any]) -> dict[str, Any]:
        order = self.order(payment["order_id"])
        fee = round(payment["amount"] * 0.0236)  # two per cent, and the tax on it
        captured = self.store.put("payment", payment | {"status": "captured", "captured": True, "fee": fee, "tax": round(fee * 18 / 118)}, order["id"])
        sums = {"amount_paid": payment["amount"], "amount_due": max(0, order["amount"] - payment["amount"])}
        paid = self.store.put("order", order | {"status": "paid"} | sums)
        news = [*news, ("payment.captured", captured, None), ("order.paid", captured, paid)]
        for kind, snapshot, of in news[::-1] if how.get("deliver") == "shuffled" else news:
            self._tell(kind, snapshot, of, how)
        return captured

    def _give_back(self, payment: dict[str, Any], how: Mapping[str, Any]) -> dict[str, Any]:
        """Another attempt was quicker: Razorpay returns this money by itself, and `captured: false` tells it from a refund of ours."""
        self._tell("payment.authorized", payment, None, how)
        refund = self.store.put("refund", _new_refund(payment, payment["amount"], {}), payment["id"])
        given_back = {"status": "refunded", "amount_refunded": payment["amount"], "refund_status": "full"}
        returned = self.store.put("payment", payment | given_back, payment["order_id"])
        for kind in ("refund.created", "refund.processed"):
            self._tell(kind, returned, None, how, refund)
        return returned

    def _tell(self, kind: str, payment: dict[str, Any], order: dict[str, Any] | None, how: Mapping[str, Any], refund: dict[str, Any] | None = None) -> None:
        things = {"refund": refund, "payment": payment, "order": order}
        payload = {name: {"entity": _public(thing)} for name, thing in things.items() if thing}
        body = {"entity": "event", "account_id": "acc_sandbox", "event": kind, "contains": [*payload], "payload": payload, "created_at": int(time.time())}
        deliver = how.get("deliver", True)
        faults = {name: bool(how.get(name)) for name in ("wrong_secret", "tampered")}
        self.postman.post(_id("evt").removeprefix("evt_"), body, hold=deliver is False, twice=deliver == "twice", **faults)

    # --- capture and refund, by API ---

    def capture(self, id: str) -> dict[str, Any]:
        given = _json()
        with self.store.open():
            payment = self.payment(id)
            if not _whole(given.get("amount")):
                raise Wrong("The amount must be an integer.", field="amount")
            if payment["captured"]:
                raise Wrong("This payment has already been captured")
            if payment["status"] != "authorized":
                raise Wrong("Only payments which have been authorized and not yet captured can be captured")
            if given["amount"] != payment["amount"]:
                raise Wrong("Capture amount must be equal to the amount authorized", field="amount")
            if self.order(payment["order_id"])["status"] == "paid":
                raise Wrong("Your payment has been declined as the order is already paid. Please initiate the payment with a new order.")
            return self._capture(payment, [], {})

    def refund(self, id: str) -> dict[str, Any]:
        given, key = _json(), request.headers.get("X-Refund-Idempotency")
        if key is not None and len(key) < 10:
            raise Wrong("The idempotency key must be at least 10 characters long.")
        if key is not None and not re.fullmatch(r"[A-Za-z0-9_-]+", key):
            raise Wrong("The idempotency key must only contain alphanumeric characters, underscores, and hyphens")
        with self.store.open():
            payment = self.payment(id)
            made = next((each for each in self.store.all("refund", id) if key and each["_key"] == key), None)
            if made is None:
                return _public(self._refund(payment, given, key))
            if made["_asked"] != given:
                raise Wrong("Different request with the same idempotency key has already been processed.", 409)
            return _public(made)

    def _refund(self, payment: dict[str, Any], given: dict[str, Any], key: str | None) -> dict[str, Any]:
        amount, left = given.get("amount", payment["amount"]), payment["amount"] - payment["amount_refunded"]
        if payment["status"] == "refunded":
            raise Wrong("The payment has been fully refunded already")
        if payment["status"] != "captured":
            raise Wrong("The payment status should be captured for action to be taken")
        if not _whole(amount):
            raise Wrong("The amount must be an integer.", field="amount")
        if amount < 100:
            raise Wrong(f"The amount must be at least {payment['currency']} 1.00", field="amount")
        if amount > left:
            raise Wrong("The total refund amount is greater than the refund payment amount", field="amount")
        refund = self.store.put("refund", _new_refund(payment, amount, given) | {"_key": key}, payment["id"])
        state = {"refund_status": "full", "status": "refunded"} if amount == left else {"refund_status": "partial"}
        after = self.store.put("payment", payment | state | {"amount_refunded": payment["amount_refunded"] + amount}, payment["order_id"])
        for kind in ("refund.created", "refund.processed"):
            self._tell(kind, after, None, {}, refund)
        return refund

    # --- what the payer sees ---

    def show_checkout(self) -> Any:
        form = request.form
        try:
            if form.get("key_id") != self.settings.razorpay_key:
                raise Wrong("The api key provided is invalid")
            return self._checkout(self.order(form.get("order_id", "")), form)
        except Wrong as wrong:
            return render_template("sandbox/sorry.html", words=wrong.text, away=""), 400

    def _checkout(self, order: dict[str, Any], form: Mapping[str, str], trouble: str = "", failed: Mapping[str, str] | None = None) -> str:
        _address(form, "callback_url")
        kept = {name: value for name, value in form.items() if name in _KEPT or name.startswith(("prefill[", "notes["))}
        amount = _shown(order["amount"], order["currency"])
        return render_template(
            "sandbox/checkout.html", order=order, kept=kept, trouble=trouble, failed=failed, amount=amount, shop=form.get("name", "the shop")
        )

    def press(self, id: str) -> Any:
        """One of the payer's buttons. What came of it is sent back as Razorpay does it: a form, posted to the shop."""
        try:
            return self._press(self.order(id), request.form)
        except Wrong as wrong:
            return render_template("sandbox/sorry.html", words=wrong.text, away=request.form.get("cancel_url", "")), 400

    def _press(self, order: dict[str, Any], form: Mapping[str, str]) -> Any:
        if order["status"] == "paid" and form.get("cancel_url"):
            return redirect(_address(form, "cancel_url"), 303)  # paid in another tab: the shop knows, and says so
        press, back, payer = form.get("press"), _address(form, "callback_url"), _payer(form)
        if press == "pay":
            if trouble := _card_trouble(form):
                return self._checkout(order, form, trouble), 400
            paid = self.attempt(order, "captured", payer=payer)
            return render_template("sandbox/back.html", to=back, fields=self.proof(paid))
        if press == "fail":
            failed = self.attempt(order, "failed", payer=payer)
            return self._checkout(order, form, failed["error_description"] + " Try again, or return to the shop.", _told(failed))
        if press == "late":
            self.attempt(order, "late", payer=payer)
        if not form.get("cancel_url"):  # Razorpay asks for none, and then leaves the payer here
            return render_template("sandbox/sorry.html", words="Nothing was charged here. You can close this page.", away="")
        return redirect(_address(form, "cancel_url"), 303)

    def proof(self, payment: dict[str, Any]) -> dict[str, str]:
        text = f"{payment['order_id']}|{payment['id']}"
        signature = hmac.new(self.settings.razorpay_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return {"razorpay_payment_id": payment["id"], "razorpay_order_id": payment["order_id"], "razorpay_signature": signature}

    # --- verbs ---

    def show_orders(self) -> str:
        orders = [(order, self.payments_of(order["id"])) for order in self.store.all("order")[::-1][:50]]
        return render_template("sandbox/orders.html", orders=orders, shown=_shown)

    def pay_by_verb(self, id: str) -> Any:
        given = _json() if request.is_json else dict(request.form)
        outcome = given.get("outcome")
        if outcome not in ("captured", "failed", "late"):
            raise Wrong("The outcome is captured, failed or late.", field="outcome")
        if not _whole(given.get("amount", 1)) or not isinstance(given.get("after", LATE), int | float):
            raise Wrong("The amount is a whole number of minor units, and after is a number of seconds.", field="amount")
        order = self.store.get("order", id) or _no("The id provided does not exist", 404)
        options: dict[str, Any] = {name: given[name] for name in ("amount", "after", "deliver", "wrong_secret", "tampered") if name in given}
        payment = self.attempt(order, outcome, **options)
        if not request.is_json:
            return redirect("/sandbox/razorpay/", 303)
        return jsonify(payment | (self.proof(payment) if outcome == "captured" else {}))


_KEPT = ("key_id", "order_id", "name", "description", "callback_url", "cancel_url")
_FAILED = {
    "error_code": "BAD_REQUEST_ERROR", "error_description": "Payment was unsuccessful as the bank did not answer.",
    "error_source": "issuer_bank", "error_step": "payment_authorization", "error_reason": "payment_failed",
}  # fmt: skip


def _new_payment(order: Mapping[str, Any], amount: int | None) -> dict[str, Any]:
    return {
        "id": _id("pay"), "entity": "payment", "amount": order["amount"] if amount is None else amount, "currency": order["currency"], "status": "created",
        "order_id": order["id"], "invoice_id": None, "international": False, "method": "card", "amount_refunded": 0, "refund_status": None,
        "captured": False, "description": None, "card_id": _id("card"), "bank": None, "wallet": None, "vpa": None, "email": "payer@example.com",
        "contact": "+919999999999", "notes": [], "fee": None, "tax": None, "error_code": None, "error_description": None, "error_source": None,
        "error_step": None, "error_reason": None, "acquirer_data": {"auth_code": None}, "created_at": int(time.time()),
    }  # fmt: skip


def _new_refund(payment: Mapping[str, Any], amount: int, given: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": _id("rfnd"), "entity": "refund", "amount": amount, "currency": payment["currency"], "payment_id": payment["id"], "notes": _notes(given),
        "receipt": given.get("receipt"), "acquirer_data": {"arn": None}, "batch_id": None, "status": "processed",
        "speed_requested": given.get("speed", "normal"), "speed_processed": "normal", "created_at": int(time.time()), "_key": None, "_asked": given,
    }  # fmt: skip


def _payer(form: Mapping[str, str]) -> dict[str, Any]:
    """What the shop filled in about the payer becomes part of the payment, as at Razorpay."""
    known = {name: form[f"prefill[{name}]"] for name in ("email", "contact") if form.get(f"prefill[{name}]")}
    notes = {name[6:-1]: value for name, value in form.items() if name.startswith("notes[") and name.endswith("]")}
    return known | {"notes": notes or [], "description": form.get("description")}


def _told(failed: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a failure, as Razorpay posts them to the callback address."""
    told = {f"error[{name}]": str(failed[f"error_{name}"]) for name in ("code", "description", "source", "step", "reason")}
    return told | {"error[metadata]": json.dumps({"payment_id": failed["id"], "order_id": failed["order_id"]})}


def _address(form: Mapping[str, str], name: str) -> str:
    """Where the payer goes next; a page is not made to run somebody's script."""
    address = form.get(name, "")
    if not re.match(r"https?://|/(?!/)", address):
        raise Wrong(f"The {name} field is required.", field=name)
    return address


def _shown(amount: int, currency: str) -> str:
    places = 0 if currency in _WITHOUT_MINOR else 3 if currency in _WITH_THREE else 2
    return f"{currency} {amount / 10**places:,.{places}f}"


def _card_trouble(form: Mapping[str, str]) -> str:
    """The words for a card that cannot be charged; a payment without a card is Razorpay's UPI, and always fine."""
    number, expiry = form.get("card", "").replace(" ", ""), form.get("expiry", "")
    if not number:
        return ""
    if not re.fullmatch(r"[0-9]{12,19}", number):
        return "Please enter a valid card number."
    valid = re.fullmatch(r"\s*(0?[1-9]|1[0-2])\s*/\s*(?:20)?([0-9]{2})\s*", expiry)
    if not valid:
        return "Please enter a valid expiry date."
    now = time.gmtime()
    if (2000 + int(valid[2]), int(valid[1])) < (now.tm_year, now.tm_mon):
        return "Your card has expired. Please use another card."
    if not re.fullmatch(r"[0-9]{3,4}", form.get("cvv", "").strip()):
        return "Please enter a valid CVV."
    return ""


def _id(kind: str) -> str:
    return f"{kind}_{''.join(secrets.choice(_LETTERS) for _ in range(14))}"


def _collection(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"entity": "collection", "count": len(items), "items": [_public(each) for each in items]}


def _public(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if not name.startswith("_")}


def _page(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """count and skip, as in every list of Razorpay's: ten unless asked, a hundred at most."""
    asked = [request.args.get(name, usual) for name, usual in (("count", "10"), ("skip", "0"))]
    if not all(re.fullmatch(r"[0-9]{1,9}", each) for each in asked):
        raise Wrong("The count must be an integer.", field="count")
    count, skip = map(int, asked)
    if not 1 <= count <= 100:
        raise Wrong("The count must be between 1 and 100.", field="count")
    return items[skip : skip + count]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _notes(given: Mapping[str, Any]) -> Any:
    """An object with something in it, or an empty list: so speaks Razorpay."""
    notes = given.get("notes") or []
    if notes and not isinstance(notes, dict):
        raise Wrong("The notes must be an array.", field="notes")
    if len(notes) > 15:
        raise Wrong("Number of fields in notes should be less than or equal to 15", field="notes")
    return notes


def _json() -> dict[str, Any]:
    given = request.get_json(silent=True)
    return given if isinstance(given, dict) else {}


def _no(text: str, status: int = 400) -> NoReturn:
    raise Wrong(text, status)

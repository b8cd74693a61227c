"""Razorpay, simulated: API authentication, faults on demand, actions of payer and bank for tests, and admin pages."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, g, jsonify, redirect, render_template, request

from app.sandbox import razorpay_payouts, razorpay_settlements
from app.sandbox.razorpay_bank import DELIVERIES, LATE_SECONDS, Bank, delivery_options
from app.sandbox.razorpay_checkout import Checkout
from app.sandbox.razorpay_payment_links import PaymentLinks
from app.sandbox.razorpay_payouts import Payouts
from app.sandbox.razorpay_settlements import Settlements
from app.sandbox.razorpay_wire import (
    ApiError,
    Route,
    Thing,
    format_amount,
    is_whole,
    public_fields,
    read_amount,
    read_input,
    refuse,
)
from app.sandbox.state_file import Store
from app.sandbox.webhooks import ANSWER_SECONDS, WebhookSender
from config import Settings

HOME = "/sandbox/razorpay/"
FAULTS = ("reply_lost", "502", "429", "500", "slow", "empty", "no_content", "list", "in_flight", "none")
OUTCOMES = ("captured", "failed", "late", "authorized")
ENDS = {"refund": ("processed", "pending", "failed"), "payout": ("processed", "pending", "reversed", "failed")}


def create_blueprint(settings: Settings, store: Store, sender: WebhookSender) -> Blueprint:
    """Register the API below /v1, the hosted checkout, the actions and the admin pages."""
    bank = Bank(settings, store, sender)
    links, settlements, payouts = PaymentLinks(bank), Settlements(bank), Payouts(bank)
    guard, actions = ApiGuard(settings, store), Actions(bank, links, settlements, payouts)
    pages = Blueprint("razorpay", __name__, url_prefix=HOME.rstrip("/"))
    pages.register_error_handler(ApiError, _error_response)
    pages.before_request(guard.check_caller)
    pages.after_request(guard.drop_reply)
    pages.after_request(_allow_framing)
    for part in (bank, links, settlements, payouts, Checkout(bank, links), actions, AdminPages(store, sender), guard):
        for rule, method, view in part.routes():
            pages.add_url_rule(rule, f"{method} {rule}".replace(".", ""), view, methods=[method])
    pages.add_url_rule("/v1/<path:any>", "nothing", _not_found, methods=["GET", "POST", "PATCH", "PUT", "DELETE"])
    sender.periodic.append(bank.finish_pending)
    return pages


def _allow_framing(response: Response) -> Response:
    """Let a shop's page frame the checkout pages, and only these."""
    if request.path.removeprefix(HOME).startswith(("v1/checkout/", "checkout/", "sim/")):
        response.headers["Content-Security-Policy"] = (
            "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors *"
        )
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def _not_found(any: str) -> Thing:
    refuse("The requested URL was not found on the server.")


def _error_response(wrong: ApiError) -> Any:
    """Answer a form of the sandbox's pages with a page, and an API call with Razorpay's JSON."""
    if _is_form() and not request.path.startswith(f"{HOME}v1/"):
        return render_template("sandbox/refused.html", words=wrong.text, back=_back_address()), wrong.status
    return jsonify(wrong.body), wrong.status


def _is_form() -> bool:
    return request.mimetype == "application/x-www-form-urlencoded"


def _back_address() -> str:
    back = request.form.get("back", HOME)
    return back if back.startswith(HOME) else HOME


class ApiGuard:
    """API keys of the caller, and planned faults."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store = settings, store

    def routes(self) -> list[Route]:
        return [
            ("/faults", "GET", self.show_plans),
            ("/faults", "POST", self.add_plan),
            ("/faults", "DELETE", self.clear_plans),
            ("/faults/forget", "POST", self.clear_plans),
        ]

    def check_caller(self) -> Any:
        path = request.path.removeprefix(HOME.rstrip("/"))
        if not path.startswith("/v1/") or path.startswith("/v1/checkout"):
            return None
        caller = request.authorization
        if caller is None or (caller.username, caller.password) != (
            self.settings.razorpay_key,
            self.settings.razorpay_secret,
        ):
            raise ApiError("Authentication failed", 401)
        return self._simulate_fault(f"{request.method} {path}")

    def _simulate_fault(self, path: str) -> Any:
        planned = self.store.use_plan("fault", path) or {}
        g.fault = planned.get("fault")
        answers = {
            "502": ("<html><body><h1>502 Bad Gateway</h1></body></html>", 502, "text/html"),
            "500": ("{}", 500, "application/json"),
            "empty": ("", 200, "application/json"),
            "list": ("[]", 200, "application/json"),
            "no_content": ("", 204, None),
        }
        if g.fault in answers:
            words, status, kind = answers[g.fault]
            return Response(words, status, mimetype=kind)
        if g.fault == "429":
            raise ApiError("Request failed. Please try after sometime.", 429)
        if g.fault == "in_flight":
            raise ApiError(
                "Request failed because another request is being processed with the same idempotency key.", 409
            )
        if g.fault == "slow":
            time.sleep(planned["seconds"])
        return None

    def drop_reply(self, response: Response) -> Response:
        """Cut the connection before the reply is complete; the request has already taken effect."""
        if g.get("fault") == "reply_lost":
            response.data = b""
            response.status_code = 502  # a test client has no socket to close
            connection: socket.socket | None = request.environ.get("werkzeug.socket")
            if connection is not None:
                connection.shutdown(socket.SHUT_RDWR)
        return response

    def show_plans(self) -> Response:
        return jsonify(planned=self.store.list_plans())

    def add_plan(self) -> Any:
        """Plan a faulty API response, webhook delivery, refund or payout, for a number of times."""
        given = read_input()
        times, kind = (
            given.get("times", 1),
            next((each for each in ("fault", "deliver", *ENDS) if each in given), "fault"),
        )
        if not is_whole(times) or times < 1:
            refuse("times must be a whole number of 1 or more.", field="times")
        value = str(given.get(kind))
        if kind == "deliver":
            delivery_options(given)
            how = {"deliver": given["deliver"], "seconds": given.get("seconds", 10)}
        elif value not in ENDS.get(kind, FAULTS):
            refuse(f"{kind} must be one of {', '.join(ENDS.get(kind, FAULTS))}.", field=kind)
        else:
            how = {kind: value} | (_fault_scope(given) if kind == "fault" else {})
        self.store.add_plan(kind, how, times)
        return redirect(_back_address(), 303) if _is_form() else jsonify(planned=how | {"times": times})

    def clear_plans(self) -> Any:
        self.store.clear_plans()
        return redirect(_back_address(), 303) if _is_form() else self.show_plans()


def _fault_scope(given: Thing) -> Thing:
    seconds = given.get("seconds", 12)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 60:
        refuse("seconds must be a number from 0 to 60.", field="seconds")
    return {"path": str(given.get("path", "")), "seconds": seconds}


class Actions:
    """Actions of the payer, the bank and Razorpay's dashboard: tests call them in JSON, people press buttons."""

    def __init__(self, bank: Bank, links: PaymentLinks, settlements: Settlements, payouts: Payouts) -> None:
        self.bank, self.links, self.settlements, self.payouts = bank, links, settlements, payouts

    def routes(self) -> list[Route]:
        return [
            (rule, "POST", _action_view(view))
            for rule, view in (
                ("/orders/<id>/pay", self.pay_order),
                ("/payments", self.pay_without_order),
                ("/payments/<id>/late-authorise", self.authorize_late),
                ("/payments/<id>/refund", self.refund_payment),
                ("/payments/<id>/dispute", self.open_dispute),
                ("/refunds/<id>/<outcome>", self.decide_refund),
                ("/disputes/<id>/<outcome>", self.decide_dispute),
                ("/settle", self.settle),
                ("/links/<id>/pay", self.pay_link),
                ("/links/<id>/expire", self.expire_link),
                ("/payouts/<id>/<outcome>", self.decide_payout),
                ("/events/<id>/deliver", self.deliver_event),
            )
        ]

    def pay_order(self, given: Thing, id: str) -> Thing:
        order = self.bank.store.get("order", id) or refuse("The id provided does not exist", 404)
        outcome, after, changes = _read_attempt(given)
        payment = self.bank.attempt_payment(order["id"], outcome, _read_delivery(given), after=after, **changes)
        return payment | (self.bank.checkout_proof(payment) if outcome == "captured" else {})

    def pay_without_order(self, given: Thing) -> Thing:
        outcome, after, _ = _read_attempt({"outcome": "captured"} | given)
        return self.bank.pay_without_order(
            read_amount(given), str(given.get("currency", "INR")), outcome, _read_delivery(given), after
        )

    def authorize_late(self, given: Thing, id: str) -> Thing:
        return self.bank.authorize_payment(id, _read_delivery(given))

    def refund_payment(self, given: Thing, id: str) -> Thing:
        part = {"amount": given["amount"]} if "amount" in given else {}
        with self.bank.store.open():
            return self.bank.create_refund(self.bank.find_entity("payment", id), part, _read_delivery(given))

    def decide_refund(self, given: Thing, id: str, outcome: str) -> Thing:
        return self.bank.decide_refund(id, _one_of(("processed", "failed"), outcome), _read_delivery(given))

    def open_dispute(self, given: Thing, id: str) -> Thing:
        return self.settlements.open_dispute(id, given, _read_delivery(given))

    def decide_dispute(self, given: Thing, id: str, outcome: str) -> Thing:
        return self.settlements.decide_dispute(
            id, _one_of(razorpay_settlements.OUTCOMES, outcome), given, _read_delivery(given)
        )

    def settle(self, given: Thing) -> Thing:
        return {
            "settlements": [
                public_fields(each) for each in self.settlements.settle(given.get("day"), _read_delivery(given))
            ]
        }

    def pay_link(self, given: Thing, id: str) -> Thing:
        outcome, after, changes = _read_attempt({"outcome": "captured"} | given)
        return self.links.pay_link(self.links.find_link(id), outcome, _read_delivery(given), after=after, **changes)

    def expire_link(self, given: Thing, id: str) -> Thing:
        return self.links.expire_link(id, _read_delivery(given))

    def decide_payout(self, given: Thing, id: str, outcome: str) -> Thing:
        return self.payouts.decide_payout(id, _one_of(razorpay_payouts.OUTCOMES, outcome), _read_delivery(given))

    def deliver_event(self, _: Thing, id: str) -> Thing:
        answer = self.bank.sender.deliver_first(id, ANSWER_SECONDS - 2)
        return {"answer": answer} if answer is not None else refuse("The id provided does not exist", 404)


def _action_view(act: Callable[..., Thing]) -> Callable[..., Any]:
    def answer(**which: str) -> Any:
        result = act(read_input(), **which)
        return redirect(_back_address(), 303) if _is_form() else jsonify(public_fields(result))

    return answer


def _one_of(allowed: tuple[str, ...], outcome: str) -> str:
    return (
        outcome
        if outcome in allowed
        else refuse(f"outcome must be {', '.join(allowed[:-1])} or {allowed[-1]}.", 404, field="outcome")
    )


def _read_attempt(given: Thing) -> tuple[str, float, Thing]:
    """Read the outcome of a payment, its delay, and the fields that differ from the order."""
    outcome, after = given.get("outcome"), given.get("after", LATE_SECONDS)
    if outcome not in OUTCOMES:
        refuse(f"outcome must be {', '.join(OUTCOMES[:-1])} or {OUTCOMES[-1]}.", field="outcome")
    if (
        not is_whole(given.get("amount", 1))
        or given.get("amount", 1) < 1
        or isinstance(after, bool)
        or not isinstance(after, int | float)
    ):
        refuse("amount must be a whole number of minor units, and after a number of seconds.", field="amount")
    currency = given.get("currency", "INR")
    if not isinstance(currency, str) or len(currency) != 3:
        refuse("currency must have three letters.", field="currency")
    return str(outcome), float(after), {name: given[name] for name in ("amount", "currency", "method") if name in given}


def _read_delivery(given: Mapping[str, Any]) -> Thing:
    """Read how the webhooks of this action are delivered; refuse wrong options before it takes effect."""
    how = {name: given[name] for name in ("deliver", "seconds", "wrong_secret", "tampered") if name in given}
    delivery_options(how)
    return how


class AdminPages:
    """Admin pages of the simulated Razorpay."""

    def __init__(self, store: Store, sender: WebhookSender) -> None:
        self.store, self.sender = store, sender

    def routes(self) -> list[Route]:
        return [
            ("/", "GET", self.show_orders),
            ("/books", "GET", self.show_settlements),
            ("/out", "GET", self.show_payouts),
            ("/webhooks", "GET", self.show_webhooks),
            ("/trouble", "GET", self.show_faults),
            ("/events", "GET", self.list_events),
        ]

    def list_events(self) -> Response:
        return jsonify(events=self.sender.list_events())

    def show_orders(self) -> str:
        rows = [
            (order, [(each, self.store.all("refund", each["id"])) for each in self.store.all("payment", order["id"])])
            for order in self._newest("order")
        ]
        strays = [
            (each, self.store.all("refund", each["id"])) for each in self._newest("payment") if not each["order_id"]
        ]
        return render_template(
            "sandbox/orders.html", orders=rows, strays=strays, format_amount=format_amount, here=HOME
        )

    def show_settlements(self) -> str:
        lists = {f"{kind}s": self._newest(kind) for kind in ("dispute", "settlement")}
        return render_template(
            "sandbox/books.html",
            format_amount=format_amount,
            here=f"{HOME}books",
            rows=self._newest("settled"),
            **lists,
        )

    def show_payouts(self) -> str:
        lists = {f"{kind}s": self._newest(kind) for kind in ("payment_link", "transfer", "payout")}
        return render_template("sandbox/out.html", format_amount=format_amount, here=f"{HOME}out", **lists)

    def show_webhooks(self) -> str:
        return render_template("sandbox/webhooks.html", events=self.sender.list_events(), here=f"{HOME}webhooks")

    def show_faults(self) -> str:
        return render_template(
            "sandbox/trouble.html",
            plans=self.store.list_plans(),
            faults=FAULTS,
            deliveries=DELIVERIES,
            here=f"{HOME}trouble",
        )

    def _newest(self, kind: str) -> list[Thing]:
        return self.store.all(kind)[::-1][:50]

"""Razorpay's side of the wire: who may call, the verbs with which tests and people play the bank, and faults on demand."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, g, jsonify, redirect, render_template, request

from app.sandbox import razorpay_payouts, razorpay_settlements
from app.sandbox.razorpay_bank import DELIVERIES, LATE, Bank, delivery
from app.sandbox.razorpay_checkout import Checkout
from app.sandbox.razorpay_payment_links import Links
from app.sandbox.razorpay_payouts import Out
from app.sandbox.razorpay_settlements import Books
from app.sandbox.razorpay_wire import Route, Thing, Wrong, amount, asked, no, public, shown, whole
from app.sandbox.state_file import Store
from app.sandbox.webhooks import PATIENCE, Postman
from config import Settings

HOME = "/sandbox/razorpay/"
FAULTS = ("reply_lost", "502", "429", "500", "slow", "empty", "no_content", "list", "in_flight", "none")
OUTCOMES = ("captured", "failed", "late", "authorized")
ENDS = {"refund": ("processed", "pending", "failed"), "payout": ("processed", "pending", "reversed", "failed")}


def gateway(settings: Settings, store: Store, postman: Postman) -> Blueprint:
    """The API below /v1, the checkout that a payer sees, and the verbs."""
    bank = Bank(settings, store, postman)
    links, books, out = Links(bank), Books(bank), Out(bank)
    line, verbs, desk = Line(settings, store), Verbs(bank, links, books, out), Desk(store, postman)
    pages = Blueprint("razorpay", __name__, url_prefix=HOME.rstrip("/"))
    pages.register_error_handler(Wrong, _refused)
    pages.before_request(line.check_caller)
    pages.after_request(line.lose_the_reply)
    pages.after_request(_let_shops_frame_it)
    for each in (bank, links, books, out, Checkout(bank, links), verbs, desk, line):
        for rule, method, view in each.routes():
            pages.add_url_rule(rule, f"{method} {rule}".replace(".", ""), view, methods=[method])
    pages.add_url_rule("/v1/<path:any>", "nothing", _nowhere, methods=["GET", "POST", "PATCH", "PUT", "DELETE"])
    postman.rounds.append(bank.settle_late)
    return pages


def _let_shops_frame_it(response: Response) -> Response:
    """The payer's pages open within a shop's own; nothing else here does."""
    if request.path.removeprefix(HOME).startswith(("v1/checkout/", "checkout/", "sim/")):
        response.headers["Content-Security-Policy"] = (
            "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors *"
        )
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def _nowhere(any: str) -> Thing:
    no("The requested URL was not found on the server.")


def _refused(wrong: Wrong) -> Any:
    """A person at one of the sandbox's own pages reads a sentence; everybody else reads Razorpay's JSON."""
    if _is_form() and not request.path.startswith(f"{HOME}v1/"):
        return render_template("sandbox/refused.html", words=wrong.text, back=_way_back()), wrong.status
    return jsonify(wrong.body), wrong.status


def _is_form() -> bool:
    return request.mimetype == "application/x-www-form-urlencoded"


def _way_back() -> str:
    back = request.form.get("back", HOME)
    return back if back.startswith(HOME) else HOME


class Line:
    """Who calls, and what goes wrong on purpose."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store = settings, store

    def routes(self) -> list[Route]:
        return [
            ("/faults", "GET", self.show_plans),
            ("/faults", "POST", self.plan),
            ("/faults", "DELETE", self.forget),
            ("/faults/forget", "POST", self.forget),
        ]

    def check_caller(self) -> Any:
        path = request.path.removeprefix(HOME.rstrip("/"))
        if not path.startswith("/v1/") or path.startswith("/v1/checkout"):
            return None
        known = request.authorization
        if known is None or (known.username, known.password) != (
            self.settings.razorpay_key,
            self.settings.razorpay_secret,
        ):
            raise Wrong("Authentication failed", 401)
        return self._break_down(f"{request.method} {path}")

    def _break_down(self, path: str) -> Any:
        planned = self.store.planned("fault", path) or {}
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
            raise Wrong("Request failed. Please try after sometime.", 429)
        if g.fault == "in_flight":
            raise Wrong("Request failed because another request is being processed with the same idempotency key.", 409)
        if g.fault == "slow":
            time.sleep(planned["seconds"])
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

    def show_plans(self) -> Response:
        return jsonify(planned=self.store.plans())

    def plan(self) -> Any:
        """What shall go wrong, and how often: an answer of the API, how events are brought, or how refunds and payouts end."""
        given = asked()
        times, kind = (
            given.get("times", 1),
            next((each for each in ("fault", "deliver", *ENDS) if each in given), "fault"),
        )
        if not whole(times) or times < 1:
            no("times must be a whole number of 1 or more.", field="times")
        said = str(given.get(kind))
        if kind == "deliver":
            delivery(given)
            how = {"deliver": given["deliver"], "seconds": given.get("seconds", 10)}
        elif said not in ENDS.get(kind, FAULTS):
            no(f"{kind} must be one of {', '.join(ENDS.get(kind, FAULTS))}.", field=kind)
        else:
            how = {kind: said} | (_where(given) if kind == "fault" else {})
        self.store.plan(kind, how, times)
        return redirect(_way_back(), 303) if _is_form() else jsonify(planned=how | {"times": times})

    def forget(self) -> Any:
        self.store.forget_plans()
        return redirect(_way_back(), 303) if _is_form() else self.show_plans()


def _where(given: Thing) -> Thing:
    seconds = given.get("seconds", 12)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 60:
        no("seconds must be a number from 0 to 60.", field="seconds")
    return {"path": str(given.get("path", "")), "seconds": seconds}


class Verbs:
    """What tests say in JSON, and people with buttons: the payer, the payer's bank, and whoever sits at Razorpay's dashboard."""

    def __init__(self, bank: Bank, links: Links, books: Books, out: Out) -> None:
        self.bank, self.links, self.books, self.out = bank, links, books, out

    def routes(self) -> list[Route]:
        return [
            (rule, "POST", _verb(view))
            for rule, view in (
                ("/orders/<id>/pay", self.pay),
                ("/payments", self.pay_without_order),
                ("/payments/<id>/late-authorise", self.late),
                ("/payments/<id>/refund", self.give_back),
                ("/payments/<id>/dispute", self.dispute),
                ("/refunds/<id>/<outcome>", self.decide_refund),
                ("/disputes/<id>/<outcome>", self.decide_dispute),
                ("/settle", self.settle),
                ("/links/<id>/pay", self.pay_link),
                ("/links/<id>/expire", self.expire_link),
                ("/payouts/<id>/<outcome>", self.decide_payout),
                ("/events/<id>/deliver", self.deliver),
            )
        ]

    def pay(self, given: Thing, id: str) -> Thing:
        order = self.bank.store.get("order", id) or no("The id provided does not exist", 404)
        outcome, after, changes = _attempt(given)
        payment = self.bank.attempt(order["id"], outcome, _how(given), after=after, **changes)
        return payment | (self.bank.proof(payment) if outcome == "captured" else {})

    def pay_without_order(self, given: Thing) -> Thing:
        outcome, after, _ = _attempt({"outcome": "captured"} | given)
        return self.bank.stray(amount(given), str(given.get("currency", "INR")), outcome, _how(given), after)

    def late(self, given: Thing, id: str) -> Thing:
        return self.bank.succeed(id, _how(given))

    def give_back(self, given: Thing, id: str) -> Thing:
        part = {"amount": given["amount"]} if "amount" in given else {}
        with self.bank.store.open():
            return self.bank.give(self.bank.find("payment", id), part, _how(given))

    def decide_refund(self, given: Thing, id: str, outcome: str) -> Thing:
        return self.bank.decide_refund(id, _one_of(("processed", "failed"), outcome), _how(given))

    def dispute(self, given: Thing, id: str) -> Thing:
        return self.books.open_dispute(id, given, _how(given))

    def decide_dispute(self, given: Thing, id: str, outcome: str) -> Thing:
        return self.books.decide_dispute(id, _one_of(razorpay_settlements.OUTCOMES, outcome), given, _how(given))

    def settle(self, given: Thing) -> Thing:
        return {"settlements": [public(each) for each in self.books.settle(given.get("day"), _how(given))]}

    def pay_link(self, given: Thing, id: str) -> Thing:
        outcome, after, changes = _attempt({"outcome": "captured"} | given)
        return self.links.pay(self.links.find(id), outcome, _how(given), after=after, **changes)

    def expire_link(self, given: Thing, id: str) -> Thing:
        return self.links.expire(id, _how(given))

    def decide_payout(self, given: Thing, id: str, outcome: str) -> Thing:
        return self.out.decide(id, _one_of(razorpay_payouts.OUTCOMES, outcome), _how(given))

    def deliver(self, _: Thing, id: str) -> Thing:
        answer = self.bank.postman.hurry(id, PATIENCE - 2)
        return {"answer": answer} if answer is not None else no("The id provided does not exist", 404)


def _verb(act: Callable[..., Thing]) -> Callable[..., Any]:
    def answer(**which: str) -> Any:
        told = act(asked(), **which)
        return redirect(_way_back(), 303) if _is_form() else jsonify(public(told))

    return answer


def _one_of(known: tuple[str, ...], outcome: str) -> str:
    return (
        outcome
        if outcome in known
        else no(f"outcome must be {', '.join(known[:-1])} or {known[-1]}.", 404, field="outcome")
    )


def _attempt(given: Thing) -> tuple[str, float, Thing]:
    """How a payment ends, when, and in what it differs from what was asked."""
    outcome, after = given.get("outcome"), given.get("after", LATE)
    if outcome not in OUTCOMES:
        no(f"outcome must be {', '.join(OUTCOMES[:-1])} or {OUTCOMES[-1]}.", field="outcome")
    if (
        not whole(given.get("amount", 1))
        or given.get("amount", 1) < 1
        or isinstance(after, bool)
        or not isinstance(after, int | float)
    ):
        no("amount must be a whole number of minor units, and after a number of seconds.", field="amount")
    currency = given.get("currency", "INR")
    if not isinstance(currency, str) or len(currency) != 3:
        no("currency must have three letters.", field="currency")
    return str(outcome), float(after), {name: given[name] for name in ("amount", "currency", "method") if name in given}


def _how(given: Mapping[str, Any]) -> Thing:
    """How the events of this verb are brought; wrong words are refused before anything happens."""
    how = {name: given[name] for name in ("deliver", "seconds", "wrong_secret", "tampered") if name in given}
    delivery(how)
    return how


class Desk:
    """The sandbox's own pages, for people."""

    def __init__(self, store: Store, postman: Postman) -> None:
        self.store, self.postman = store, postman

    def routes(self) -> list[Route]:
        return [
            ("/", "GET", self.orders),
            ("/books", "GET", self.books),
            ("/out", "GET", self.out),
            ("/webhooks", "GET", self.webhooks),
            ("/trouble", "GET", self.trouble),
            ("/events", "GET", self.events),
        ]

    def events(self) -> Response:
        return jsonify(events=self.postman.events())

    def orders(self) -> str:
        known = self._newest("order")
        rows = [
            (order, [(each, self.store.all("refund", each["id"])) for each in self.store.all("payment", order["id"])])
            for order in known
        ]
        strays = [
            (each, self.store.all("refund", each["id"])) for each in self._newest("payment") if not each["order_id"]
        ]
        return render_template("sandbox/orders.html", orders=rows, strays=strays, shown=shown, here=HOME)

    def books(self) -> str:
        lists = {f"{kind}s": self._newest(kind) for kind in ("dispute", "settlement")}
        return render_template(
            "sandbox/books.html", shown=shown, here=f"{HOME}books", rows=self._newest("settled"), **lists
        )

    def out(self) -> str:
        lists = {f"{kind}s": self._newest(kind) for kind in ("payment_link", "transfer", "payout")}
        return render_template("sandbox/out.html", shown=shown, here=f"{HOME}out", **lists)

    def webhooks(self) -> str:
        return render_template("sandbox/webhooks.html", events=self.postman.events(), here=f"{HOME}webhooks")

    def trouble(self) -> str:
        return render_template(
            "sandbox/trouble.html",
            plans=self.store.plans(),
            faults=FAULTS,
            deliveries=DELIVERIES,
            here=f"{HOME}trouble",
        )

    def _newest(self, kind: str) -> list[Thing]:
        return self.store.all(kind)[::-1][:50]

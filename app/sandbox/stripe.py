"""Stripe's side of the wire: sessions, payments, refunds, disputes and payouts, the hosted checkout, signed events, and faults on demand."""

from __future__ import annotations

import hashlib
import json
import operator
import random
import re
import secrets
import socket
import string
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

from flask import Blueprint, Response, g, jsonify, redirect, render_template, request

from app.kernel import clock
from app.sandbox.state_file import Store
from app.sandbox.webhooks import PATIENCE, Hand, Postman, sign
from config import Settings

LATE = 20.0  # seconds until a bank says what became of a payment that takes its time
DAY = 24 * 60 * 60
_LETTERS = string.ascii_letters + string.digits
FAULTS = ("none", "reply_lost", "502", "429", "500", "slow", "empty", "list", "in_flight")
DELIVERIES = ("now", "duplicate", "shuffled", "delayed", "dropped", "wrong_secret", "tampered")
REFUNDS = ("succeeded", "pending", "failed")
_WITHOUT_COINS = (
    "bif",
    "clp",
    "djf",
    "gnf",
    "jpy",
    "kmf",
    "krw",
    "mga",
    "pyg",
    "rwf",
    "vnd",
    "vuv",
    "xaf",
    "xof",
    "xpf",
)
_WITH_THREE = ("bhd", "jod", "kwd", "omr", "tnd")
_LEAST = {"usd": 50, "eur": 50, "inr": 50, "gbp": 30, "jpy": 50}
_SIGNS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "inr": "₹"}
_KINDS = {
    "pi": "payment_intent",
    "ch": "charge",
    "re": "refund",
    "txn": "balance_transaction",
    "du": "dispute",
    "po": "payout",
}
_CARDS = {
    "4000000000000002": ("card_declined", "generic_decline", "Your card was declined."),
    "4000000000009995": ("card_declined", "insufficient_funds", "Your card has insufficient funds."),
    "4000000000000069": ("expired_card", "expired_card", "Your card has expired."),
    "4000000000000127": ("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."),
}


class Wrong(Exception):
    """An error as Stripe says it; what has `begun` is remembered under the caller's key, and repeated."""

    def __init__(
        self,
        text: str,
        status: int = 400,
        *,
        type: str = "invalid_request_error",
        code: str = "",
        param: str = "",
        begun: bool = False,
    ) -> None:
        super().__init__(text)
        self.text, self.status, self.begun = text, status, begun
        said = {"code": code, "message": text, "param": param, "type": type}
        self.body = {"error": {name: value for name, value in said.items() if value}}


def gateway(settings: Settings, store: Store, postman: Postman) -> Blueprint:
    """The API below /v1, the checkout that a payer sees, and the verbs with which tests and people play the bank."""
    it = Bank(settings, store, postman)
    pages = Blueprint("stripe", __name__, url_prefix="/sandbox/stripe")
    pages.register_error_handler(Wrong, lambda wrong: (jsonify(wrong.body), wrong.status))
    pages.before_request(it.check_caller)
    pages.after_request(_lose_the_reply)
    for rule, methods, view in (
        ("/v1/checkout/sessions", ["POST"], lambda: it.once(it.make_session)),
        ("/v1/checkout/sessions", ["GET"], lambda: it.page("checkout.session")),
        ("/v1/checkout/sessions/<id>", ["GET"], lambda id: it.show("checkout.session", id)),
        ("/v1/checkout/sessions/<id>/expire", ["POST"], lambda id: it.once(lambda _: it.expire(id))),
        ("/v1/payment_intents", ["GET"], lambda: it.page("payment_intent")),
        ("/v1/payment_intents/<id>", ["GET"], lambda id: it.show("payment_intent", id)),
        ("/v1/charges", ["GET"], lambda: it.page("charge")),
        ("/v1/charges/<id>", ["GET"], lambda id: it.show("charge", id)),
        ("/v1/refunds", ["POST"], lambda: it.once(it.make_refund)),
        ("/v1/refunds", ["GET"], lambda: it.page("refund")),
        ("/v1/refunds/<id>", ["GET"], lambda id: it.show("refund", id)),
        ("/v1/disputes", ["GET"], lambda: it.page("dispute")),
        ("/v1/disputes/<id>", ["GET"], lambda id: it.show("dispute", id)),
        ("/v1/payouts", ["GET"], lambda: it.page("payout")),
        ("/v1/balance_transactions", ["GET"], lambda: it.page("balance_transaction")),
        ("/v1/<path:any>", ["GET", "POST", "DELETE"], _unknown),
        ("/pay/<id>", ["GET"], it.show_checkout),
        ("/pay/<id>", ["POST"], it.press),
        ("/", ["GET"], it.show_sessions),
        ("/sessions/<id>/pay", ["POST"], it.pay_by_verb),
        ("/sessions/<id>/expire", ["POST"], lambda id: it.expire(id, _how(_json()))),
        ("/payments/<id>/refund", ["POST"], it.refund_by_verb),
        ("/refunds/<id>/becomes", ["POST"], it.change_refund_by_verb),
        ("/payments/<id>/dispute", ["POST"], it.dispute_by_verb),
        ("/disputes/<id>/close", ["POST"], it.close_dispute_by_verb),
        ("/settle", ["POST"], it.settle),
        ("/events", ["GET"], lambda: jsonify(events=postman.events("stripe"))),
        ("/events/<id>/deliver", ["POST"], lambda id: _brought(id, postman.hurry(id, PATIENCE - 2))),
        ("/faults", ["POST"], it.plan),
    ):
        pages.add_url_rule(rule, f"{methods[0]} {rule}".replace(".", ""), view, methods=methods)
    at = postman.hands["razorpay"].address.replace("/webhook/razorpay", "/webhook/stripe")
    postman.hands["stripe"] = Hand(at, settings.stripe_webhook_secrets[0], _as_stripe)
    postman.rounds.append(it.keep_time)
    return pages


class Bank:
    """What Stripe and the payer's bank do between them."""

    def __init__(self, settings: Settings, store: Store, postman: Postman) -> None:
        self.settings, self.store, self.postman = settings, store, postman

    # --- who calls, and what goes wrong on purpose ---

    def check_caller(self) -> Any:
        path = request.path.removeprefix("/sandbox/stripe")
        if not path.startswith("/v1/"):
            return None
        known = request.authorization
        given = "" if known is None else known.token or known.username or ""
        if not given:
            raise Wrong(
                "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth.",
                401,
            )
        if given != self.settings.stripe_key:
            raise Wrong(f"Invalid API Key provided: {given[:8]}****{given[-4:]}", 401)
        return self._break_down(path)

    def _break_down(self, path: str) -> Any:
        planned = self.store.planned("stripe fault", f"{request.method} {path}") or {}
        g.fault = planned.get("fault", "")
        match g.fault:
            case "502":
                return Response("<html><body><h1>502 Bad Gateway</h1></body></html>", 502, mimetype="text/html")
            case "empty" | "list":
                return Response("[]" if g.fault == "list" else "", 200, mimetype="application/json")
            case "429":
                raise Wrong("Too many requests in a short period of time; please slow down.", 429, code="rate_limit")
            case "500":
                raise Wrong("An unknown error occurred.", 500, type="api_error")
            case "in_flight":
                words = "There is currently another in-progress request using this Idempotency Key."
                raise Wrong(words, 409, type="idempotency_error", code="idempotency_key_in_use")
            case "slow":
                time.sleep(planned["seconds"])
        return None

    def plan(self) -> Response:
        """What shall go wrong, and how often: an answer of the API, how events are brought, or how refunds end."""
        given = _json()
        times, seconds = given.get("times", 1), given.get("seconds", 12)
        kind, known = next(
            (pair for pair in (("deliver", DELIVERIES), ("refund", REFUNDS)) if pair[0] in given), ("fault", FAULTS)
        )
        if str(given.get(kind)) not in known:
            raise Wrong(f"{kind} must be one of {', '.join(known)}.", param=kind)
        if not isinstance(times, int) or times < 1 or not isinstance(seconds, int | float):
            raise Wrong("times must be a whole number of 1 or more, and seconds a number.", param="times")
        self.store.plan(
            f"stripe {kind}", {kind: given[kind], "seconds": seconds, "path": str(given.get("path", ""))}, times
        )
        return jsonify(planned=given)

    def once(self, act: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
        """The effect and the memory of it are one; the same key again is answered from memory."""
        given, key = _unfolded(request.form), request.headers.get("Idempotency-Key", "")
        asked = hashlib.sha256(json.dumps([request.path, given], sort_keys=True).encode()).hexdigest()
        with self.store.open():
            known = self.store.answered("stripe", key) if key else None
            if known is None:
                return self._first(act, given, key, asked)
            if known[0] != asked:
                words = (
                    "Keys for idempotent requests can only be used with the same parameters they were first used with."
                )
                raise Wrong(
                    f"{words} Try using a key other than '{key}' if you meant to execute a different request.",
                    type="idempotency_error",
                )
            return jsonify(known[1]["body"]), known[1]["status"], {"Idempotent-Replayed": "true"}

    def _first(
        self, act: Callable[[dict[str, Any]], dict[str, Any]], given: dict[str, Any], key: str, asked: str
    ) -> Any:
        try:
            body, status = self._expanded(_public(act(given)), given.get("expand", [])), 200
        except Wrong as wrong:
            if not wrong.begun:
                raise
            body, status = wrong.body, wrong.status
        if key:
            self.store.keep_answer("stripe", key, asked, {"body": body, "status": status})
        return jsonify(body), status

    # --- what is kept, and how it is read ---

    def put(self, body: dict[str, Any], parent: str | None = None) -> dict[str, Any]:
        return self.store.put(f"stripe {body['object']}", body, parent)

    def find(self, kind: str, id: str) -> dict[str, Any]:
        return self.store.get(f"stripe {kind}", id) or _missing(kind, id)

    def all(self, kind: str, parent: str | None = None) -> list[dict[str, Any]]:
        return self.store.all(f"stripe {kind}", parent)

    def show(self, kind: str, id: str) -> dict[str, Any]:
        return self._expanded(_public(self.find(kind, id)), _unfolded(request.args).get("expand", []))

    def page(self, kind: str) -> dict[str, Any]:
        given = _unfolded(request.args)
        expand, limit, after = (
            given.pop("expand", []),
            _limit(given.pop("limit", "10")),
            given.pop("starting_after", ""),
        )
        found = [
            each for each in self.all(kind)[::-1] if all(_fits(each, name, wanted) for name, wanted in given.items())
        ]
        ids = [each["id"] for each in found]
        if after:
            found = found[ids.index(after) + 1 :] if after in ids else _missing(kind, after)
        inner = [path.removeprefix("data.") for path in expand]
        data = [self._expanded(_public(each), inner) for each in found[:limit]]
        return {
            "object": "list",
            "data": data,
            "has_more": len(found) > limit,
            "url": request.path.removeprefix("/sandbox/stripe"),
        }

    def _expanded(self, body: dict[str, Any], paths: list[str]) -> dict[str, Any]:
        for path in paths:
            head, _, rest = path.partition(".")
            kind = _KINDS.get(str(body.get(head)).partition("_")[0])
            if head not in body or (kind is None and isinstance(body[head], str)):
                raise Wrong(f"This property cannot be expanded ({path}).", param="expand[0]")
            if kind and isinstance(body[head], str):
                body |= {head: _public(self.find(kind, body[head]))}
            if rest and body[head]:
                body |= {head: self._expanded(body[head], [rest])}
        return body

    # --- sessions ---

    def make_session(self, given: dict[str, Any]) -> dict[str, Any]:
        now, id = clock.timestamp(), _id("cs_test", 58)
        if given.get("mode") != "payment":
            raise Wrong(
                "Missing required param: mode."
                if "mode" not in given
                else "The sandbox supports only the mode payment.",
                code="parameter_missing",
                param="mode",
            )
        amount, currency, about = _items(given)
        success, email, end = _address(given, "success_url"), given.get("customer_email"), _end(given, now)
        if email is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", str(email)):
            raise Wrong(f"Invalid email address: {email}", code="email_invalid", param="customer_email")
        session = {
            "id": id,
            "object": "checkout.session",
            "amount_subtotal": amount,
            "amount_total": amount,
            "cancel_url": _address(given, "cancel_url", needed=False),
            "client_reference_id": given.get("client_reference_id"),
            "created": now,
            "currency": currency,
            "customer": None,
            "customer_details": {"email": email} if email else None,
            "customer_email": email,
            "expires_at": end,
            "livemode": False,
            "metadata": _inside(given, "metadata"),
            "mode": "payment",
            "payment_intent": None,
            "payment_method_types": ["card"],
            "payment_status": "unpaid",
            "status": "open",
            "success_url": success,
            "url": f"{_origin(success)}/sandbox/stripe/pay/{id}",
            "_about": about,
            "_intent": _inside(given, "payment_intent_data"),
        }
        self.store.soon("stripe lapse", id, end - now, {})
        return self.put(session)

    def expire(self, id: str, how: Mapping[str, Any] | None = None) -> dict[str, Any]:
        with self.store.open():
            session = self.find("checkout.session", id)
            if session["status"] != "open":
                words = 'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of'
                raise Wrong(f"{words} `{session['status']}`.", begun=True)
            expired = self.put(session | {"status": "expired", "url": None})
            self._tell("checkout.session.expired", expired, how or {})
            return _public(expired)

    def keep_time(self) -> None:
        """What comes by itself: a session lapses, a bank answers; looked after by the postman, so that a restart forgets nothing."""
        with self.store.open():
            for id, told in self.store.due("stripe bank"):
                self._settle_late(id, told["then"], told["how"])
            for id, _ in self.store.due("stripe lapse"):
                if self.find("checkout.session", id)["status"] == "open":
                    self.expire(id)

    # --- paying ---

    def attempt(
        self,
        id: str,
        outcome: str,
        how: Mapping[str, Any],
        *,
        card: str = "",
        then: str = "captured",
        after: float = LATE,
    ) -> dict[str, Any]:
        """The payer tries; the bank says captured, failed, or that it takes its time. All of it is written down at once."""
        with self.store.open():
            session = self.find("checkout.session", id)
            if session["status"] != "open":
                raise Wrong(f"This Checkout Session is {session['status']}.")
            session = self._with_intent(session)
            intent = self.find("payment_intent", session["payment_intent"])
            charge = self.put(_new_charge(intent, "us_bank_account" if outcome == "async" else "card"), intent["id"])
            intent = self.put(intent | {"latest_charge": charge["id"]}, session["id"])
            if outcome == "failed":
                return self._fail(intent, charge, card)
            session = self.put(session | {"status": "complete", "url": None})
            if outcome == "captured":
                return self._succeed(session, intent, charge, "checkout.session.completed", how)
            self._tell("checkout.session.completed", session, how)
            self.store.soon("stripe bank", intent["id"], after, {"then": then, "how": dict(how)})
            return self.put(intent | {"status": "processing", "last_payment_error": None}, session["id"])

    def _with_intent(self, session: dict[str, Any]) -> dict[str, Any]:
        if session["payment_intent"]:
            return session
        intent = self.put(_new_intent(session), session["id"])
        return self.put(session | {"payment_intent": intent["id"]})

    def _succeed(
        self, session: dict[str, Any], intent: dict[str, Any], charge: dict[str, Any], kind: str, how: Mapping[str, Any]
    ) -> dict[str, Any]:
        line = self._line(
            "charge", charge["id"], intent["amount"], intent["currency"], fee=intent["amount"] * 29 // 1000
        )
        got = {
            "status": "succeeded",
            "paid": True,
            "captured": True,
            "amount_captured": charge["amount"],
            "balance_transaction": line["id"],
        }
        self.put(charge | got, intent["id"])
        paid = self.put(
            intent | {"status": "succeeded", "amount_received": intent["amount"], "last_payment_error": None},
            session["id"],
        )
        self._tell(kind, self.put(session | {"payment_status": "paid"}), how)
        return paid

    def _fail(self, intent: dict[str, Any], charge: dict[str, Any], card: str) -> dict[str, Any]:
        code, reason, words = _CARDS.get(card, _CARDS["4000000000000002"])
        self.put(charge | {"status": "failed", "failure_code": code, "failure_message": words}, intent["id"])
        error = {"charge": charge["id"], "code": code, "decline_code": reason, "message": words, "type": "card_error"}
        return self.put(intent | {"status": "requires_payment_method", "last_payment_error": error}, intent["_session"])

    def _settle_late(self, intent_id: str, then: str, how: Mapping[str, Any]) -> None:
        intent = self.find("payment_intent", intent_id)
        session, charge = (
            self.find("checkout.session", intent["_session"]),
            self.find("charge", intent["latest_charge"]),
        )
        if then == "captured":
            self._succeed(session, intent, charge, "checkout.session.async_payment_succeeded", how)
            return
        self._fail(intent, charge, "4000000000009995")
        self._tell("checkout.session.async_payment_failed", session, how)

    def _line(self, type: str, source: str, amount: int, currency: str, fee: int = 0) -> dict[str, Any]:
        """One line of the account: the fee, and the tax on the fee."""
        tax = fee * 18 // 100
        details = [
            {"amount": each, "application": None, "currency": currency, "type": kind}
            for kind, each in (("stripe_fee", fee), ("tax", tax))
            if each
        ]
        return self.put(
            {
                "id": _id("txn"),
                "object": "balance_transaction",
                "amount": amount,
                "created": clock.timestamp(),
                "currency": currency,
                "fee": fee + tax,
                "fee_details": details,
                "net": amount - fee - tax,
                "source": source,
                "status": "available",
                "type": type,
                "_payout": "",
            }
        )

    # --- refunds ---

    def make_refund(self, given: dict[str, Any]) -> dict[str, Any]:
        if not given.get("payment_intent"):
            raise Wrong("One of the following params should be provided for this request: payment_intent or charge.")
        if "amount" in given and not re.fullmatch(r"[1-9][0-9]{0,11}", str(given["amount"])):
            raise Wrong("Invalid positive integer", code="parameter_invalid_integer", param="amount")
        amount, planned = int(given["amount"]) if "amount" in given else None, self.store.planned("stripe refund") or {}
        return self.give_back(
            str(given["payment_intent"]), amount, _inside(given, "metadata"), {}, planned.get("refund", "succeeded")
        )

    def give_back(
        self,
        intent_id: str,
        amount: int | None,
        metadata: dict[str, Any],
        how: Mapping[str, Any],
        status: str = "succeeded",
    ) -> dict[str, Any]:
        with self.store.open():
            intent = self.find("payment_intent", intent_id)
            charge = self._refundable(intent)
            left = charge["amount"] - charge["amount_refunded"]
            amount = left if amount is None else amount
            if amount > left:
                shown = [_shown(each, charge["currency"]) for each in (amount, left)]
                raise Wrong(
                    f"Refund amount ({shown[0]}) is greater than unrefunded amount on charge ({shown[1]})",
                    param="amount",
                    begun=True,
                )
            refund = self.put(_new_refund(charge, amount, metadata, status), intent["id"])
            self._line("refund", refund["id"], -amount, charge["currency"])
            back = self._went_back(charge, amount)
            self._tell_all([("refund.created", refund), ("charge.refunded", back)], how)
            return refund

    def _refundable(self, intent: dict[str, Any]) -> dict[str, Any]:
        if intent["status"] != "succeeded":
            raise Wrong(f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.", begun=True)
        charge = self.find("charge", intent["latest_charge"])
        if charge["disputed"]:
            raise Wrong(
                f"Charge {charge['id']} has been charged back; cannot issue a refund.",
                code="charge_disputed",
                begun=True,
            )
        if charge["refunded"]:
            raise Wrong(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded", begun=True)
        return charge

    def _went_back(self, charge: dict[str, Any], amount: int) -> dict[str, Any]:
        total = charge["amount_refunded"] + amount
        return self.put(
            charge | {"amount_refunded": total, "refunded": total == charge["amount"]}, charge["payment_intent"]
        )

    def change_refund_by_verb(self, id: str) -> dict[str, Any]:
        """The payer's bank took it, or sent it back."""
        given = _json()
        if given.get("status") not in ("succeeded", "failed"):
            raise Wrong("status must be succeeded or failed.", param="status")
        with self.store.open():
            refund = self.find("refund", id)
            changed = self.put(refund | {"status": given["status"]}, refund["payment_intent"])
            if given["status"] == "failed":
                self._line("refund_failure", refund["id"], refund["amount"], refund["currency"])
                self._went_back(self.find("charge", refund["charge"]), -refund["amount"])
            self._tell("refund.updated", changed, _how(given))
            return _public(changed)

    # --- disputes and payouts ---

    def dispute_by_verb(self, id: str) -> dict[str, Any]:
        given = _json()
        with self.store.open():
            intent = self.find("payment_intent", id)
            charge = self.find("charge", intent["latest_charge"] or "")
            dispute = _new_dispute(
                charge, int(given.get("amount", charge["amount"])), str(given.get("reason", "fraudulent"))
            )
            dispute["balance_transactions"] = [
                _public(self._line("adjustment", dispute["id"], -dispute["amount"], charge["currency"], fee=1500))
            ]
            self.put(charge | {"disputed": True}, id)
            self._tell("charge.dispute.created", self.put(dispute, id), _how(given))
            return _public(dispute)

    def close_dispute_by_verb(self, id: str) -> dict[str, Any]:
        given = _json()
        if given.get("outcome") not in ("won", "lost"):
            raise Wrong("outcome must be won or lost.", param="outcome")
        with self.store.open():
            dispute = self.find("dispute", id)
            if given["outcome"] == "won":
                dispute["balance_transactions"].append(
                    _public(self._line("adjustment", id, dispute["amount"], dispute["currency"]))
                )
            closed = self.put(dispute | {"status": given["outcome"]}, dispute["payment_intent"])
            self._tell("charge.dispute.closed", closed, _how(given))
            return _public(closed)

    def settle(self) -> dict[str, Any]:
        """Everything that is there goes to the bank, in one payout for each currency; it arrives at the beginning of a day (UTC)."""
        arrives = int(_json().get("arrival_date", clock.timestamp())) // DAY * DAY
        with self.store.open():
            waiting = [each for each in self.all("balance_transaction") if not each["_payout"]]
            made = [
                self._payout(currency, waiting, arrives) for currency in sorted({each["currency"] for each in waiting})
            ]
            return {"payouts": [_public(each) for each in made]}

    def _payout(self, currency: str, waiting: list[dict[str, Any]], arrives: int) -> dict[str, Any]:
        lines = [each for each in waiting if each["currency"] == currency]
        total = sum(each["net"] for each in lines)
        payout = self.put(
            {
                "id": _id("po"),
                "object": "payout",
                "amount": total,
                "arrival_date": arrives,
                "automatic": True,
                "created": clock.timestamp(),
                "currency": currency,
                "metadata": {},
                "method": "standard",
                "status": "paid",
                "trace_id": {"status": "supported", "value": f"{secrets.randbelow(10**15):015d}"},
                "type": "bank_account",
            }
        )
        for each in (*lines, self._line("payout", payout["id"], -total, currency)):
            self.put(each | {"_payout": payout["id"]})
        return payout

    # --- what is told ---

    def _tell_all(self, news: list[tuple[str, dict[str, Any]]], how: Mapping[str, Any]) -> None:
        for kind, thing in news[::-1] if how.get("deliver") == "shuffled" else news:
            self._tell(kind, thing, how)

    def _tell(self, kind: str, thing: dict[str, Any], how: Mapping[str, Any]) -> None:
        event = {
            "id": _id("evt"),
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": clock.timestamp(),
            "data": {"object": _public(thing)},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        planned = {} if "deliver" in how else self.store.planned("stripe deliver") or {}
        if planned.get("deliver") == "shuffled":
            planned = {"deliver": "delayed", "seconds": random.uniform(0, 1.5)}  # noqa: S311  # nobody has to guess it
        self.postman.post(str(event["id"]), event, "stripe", **_delivery({**how, **planned}))

    # --- what the payer sees ---

    def show_checkout(self, id: str) -> Any:
        try:
            return self._checkout(self.find("checkout.session", id))
        except Wrong as wrong:
            return render_template("sandbox/sorry.html", words=wrong.text, away=""), 404

    def _checkout(self, session: dict[str, Any], trouble: str = "") -> Any:
        if session["status"] == "complete":
            return redirect(_back(session), 303)
        if session["status"] == "expired":
            words = "This page has expired. Return to the website and start again."
            return render_template("sandbox/sorry.html", words=words, away=session["cancel_url"] or ""), 410
        page = render_template(
            "sandbox/stripe.html",
            session=session,
            amount=_shown(session["amount_total"], session["currency"]),
            trouble=trouble,
            about=session["_about"],
        )
        return (page, 402) if trouble else page

    def press(self, id: str) -> Any:
        """One of the payer's buttons, on a page of Stripe's own."""
        try:
            session = self.find("checkout.session", id)
            if session["status"] != "open":
                return self._checkout(session)
            return self._press(session, request.form.get("press"), re.sub(r"\s", "", request.form.get("card", "")))
        except Wrong as wrong:
            return render_template("sandbox/sorry.html", words=wrong.text, away=""), 400

    def _press(self, session: dict[str, Any], press: str | None, card: str) -> Any:
        if press == "pay" and not re.fullmatch(r"[0-9]{12,19}", card):
            return self._checkout(session, "Your card number is incomplete.")
        if press == "pay" and card in _CARDS:
            failed = self.attempt(session["id"], "failed", {}, card=card)
            return self._checkout(session, failed["last_payment_error"]["message"])
        if press in ("pay", "async"):
            self.attempt(session["id"], "captured" if press == "pay" else "async", {})
            return redirect(_back(session), 303)
        if not session["cancel_url"]:
            return render_template("sandbox/sorry.html", words="You can close this page.", away="")
        return redirect(session["cancel_url"], 303)

    # --- verbs ---

    def show_sessions(self) -> str:
        sessions = [(each, self.all("payment_intent", each["id"])) for each in self.all("checkout.session")[::-1][:50]]
        return render_template("sandbox/stripe_sessions.html", sessions=sessions, shown=_shown)

    def pay_by_verb(self, id: str) -> Any:
        given = _json() if request.is_json else dict(request.form)
        if given.get("outcome") not in ("captured", "failed", "async") or given.get("then", "captured") not in (
            "captured",
            "failed",
        ):
            raise Wrong("outcome must be captured, failed or async; then must be captured or failed.", param="outcome")
        if not isinstance(given.get("after", LATE), int | float):
            raise Wrong("after must be a number of seconds.", param="after")
        options: dict[str, Any] = {name: given[name] for name in ("then", "after", "card") if name in given}
        intent = self.attempt(id, given["outcome"], _how(given), **options)
        return jsonify(_public(intent)) if request.is_json else redirect("/sandbox/stripe/", 303)

    def refund_by_verb(self, id: str) -> dict[str, Any]:
        """Somebody of the shop presses a button at Stripe's own dashboard."""
        given = _json()
        return _public(self.give_back(id, given.get("amount"), {}, _how(given), given.get("status", "succeeded")))


def _new_intent(session: Mapping[str, Any]) -> dict[str, Any]:
    data = session["_intent"]
    return {
        "id": _id("pi"),
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_received": 0,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "created": clock.timestamp(),
        "currency": session["currency"],
        "description": data.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": data.get("metadata", {}),
        "payment_method_types": ["card"],
        "receipt_email": session["customer_email"],
        "status": "requires_payment_method",
        "_session": session["id"],
    }


def _new_charge(intent: Mapping[str, Any], method: str) -> dict[str, Any]:
    return {
        "id": _id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "captured": False,
        "created": clock.timestamp(),
        "currency": intent["currency"],
        "description": intent["description"],
        "disputed": False,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": intent["metadata"],
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method_details": {"type": method},
        "refunded": False,
        "status": "pending",
    }


def _new_refund(charge: Mapping[str, Any], amount: int, metadata: dict[str, Any], status: str) -> dict[str, Any]:
    return {
        "id": _id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": clock.timestamp(),
        "currency": charge["currency"],
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "reason": None,
        "status": status,
    }


def _new_dispute(charge: Mapping[str, Any], amount: int, reason: str) -> dict[str, Any]:
    due = {
        "due_by": clock.timestamp() // DAY * DAY + 10 * DAY,
        "has_evidence": False,
        "past_due": False,
        "submission_count": 0,
    }
    return {
        "id": _id("du"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": clock.timestamp(),
        "currency": charge["currency"],
        "evidence": {},
        "evidence_details": due,
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": "needs_response",
    }


def _items(given: Mapping[str, Any]) -> tuple[int, str, str]:
    """The sum of the lines, their currency, and the name of the first."""
    lines = given.get("line_items")
    if not isinstance(lines, list) or not lines:
        raise Wrong(
            "The `line_items` parameter is required in payment mode.", code="parameter_missing", param="line_items"
        )
    total, currency = 0, ""
    for at, line in enumerate(lines):
        here = f"line_items[{at}][price_data]"
        price, quantity = _inside(line, "price_data"), str(_inside(line).get("quantity", ""))
        currency = str(price.get("currency", ""))
        if not re.fullmatch(r"[a-z]{3}", currency):
            raise Wrong(f"Invalid currency: {currency}.", param=f"{here}[currency]")
        if not _inside(price, "product_data").get("name"):
            raise Wrong(
                f"Missing required param: {here}[product_data][name].",
                code="parameter_missing",
                param=f"{here}[product_data][name]",
            )
        amount = str(price.get("unit_amount", ""))
        if not re.fullmatch(r"[0-9]{1,12}", amount):
            raise Wrong(f"Invalid integer: {amount}", code="parameter_invalid_integer", param=f"{here}[unit_amount]")
        if not re.fullmatch(r"[1-9][0-9]{0,5}", quantity):
            raise Wrong(
                f"Quantity is required. Add `quantity` to `line_items[{at}]`", param=f"line_items[{at}][quantity]"
            )
        total += int(amount) * int(quantity)
    if total < _LEAST.get(currency, 1):
        words = f"The Checkout Session's total amount due must add up to at least {_shown(_LEAST.get(currency, 1), currency)} {currency}"
        raise Wrong(words, code="amount_too_small")
    if currency in _WITH_THREE and total % 10:
        raise Wrong(
            f"Amounts in {currency} must be divisible by 10.",
            code="parameter_invalid_integer",
            param="line_items[0][price_data][unit_amount]",
        )
    return total, currency, str(lines[0]["price_data"]["product_data"]["name"])


def _inside(thing: Any, *path: str) -> dict[str, Any]:
    """What lies there, and nothing where something else lies."""
    for name in path:
        thing = thing.get(name) if isinstance(thing, dict) else None
    return thing if isinstance(thing, dict) else {}


def _end(given: Mapping[str, Any], now: int) -> int:
    text = str(given.get("expires_at", now + DAY))
    if not re.fullmatch(r"[0-9]{1,11}", text):
        raise Wrong(f"Invalid integer: {text}", code="parameter_invalid_integer", param="expires_at")
    if int(text) < now + 30 * 60:
        raise Wrong(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.", param="expires_at"
        )
    if int(text) > now + DAY:
        raise Wrong(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.", param="expires_at"
        )
    return int(text)


def _address(given: Mapping[str, Any], name: str, *, needed: bool = True) -> str | None:
    """Where the payer goes next; a page is not made to run somebody's script. Unlike Stripe we know our own shop without a host."""
    if name not in given and not needed:
        return None
    if name not in given:
        raise Wrong(f"Missing required param: {name}.", code="parameter_missing", param=name)
    if not re.match(r"https?://[^/]|/(?!/)", str(given[name])):
        raise Wrong("Not a valid URL", code="url_invalid", param=name)
    return str(given[name])


def _origin(address: str | None) -> str:
    """The page is seen at the shop's own address, below /sandbox."""
    parts = urlsplit(address or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _back(session: Mapping[str, Any]) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _unfolded(form: Mapping[str, Any]) -> dict[str, Any]:
    """a[b][0]=c becomes {"a": {"b": ["c"]}}, as Stripe reads a form."""
    whole: dict[str, Any] = {}
    for name, value in form.items():
        *path, last = [part.rstrip("]") for part in name.split("[")]
        here = whole
        for part in path:
            here = here.setdefault(part, {})
            if not isinstance(here, dict):
                raise Wrong(f"Invalid {path[0]}", param=path[0])
        here[last] = value
    return {name: _listed(value) for name, value in whole.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(each) for name, each in value.items()}
    return [*inner.values()] if all(name == "" or name.isdigit() for name in inner) else inner


def _fits(thing: Mapping[str, Any], name: str, wanted: Any) -> bool:
    """One condition of a list: payment_intent=pi_…, created[gte]=…, payout=po_…"""
    value: Any = thing.get("_payout") if name == "payout" else thing.get(name)
    if not isinstance(wanted, dict):
        return bool(str(value) == wanted)
    compare = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
    return all(bool(compare[how](value, int(end))) for how, end in wanted.items() if how in compare)


def _limit(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise Wrong(
            "This value must be less than or equal to 100 (it currently is '{text}').".replace("{text}", text),
            code="parameter_invalid_integer",
            param="limit",
        )
    return int(text)


def _shown(amount: int, currency: str) -> str:
    places = 0 if currency in _WITHOUT_COINS else 3 if currency in _WITH_THREE else 2
    return f"{_SIGNS.get(currency, f'{currency.upper()} ')}{amount / 10**places:,.{places}f}"


def _lose_the_reply(response: Response) -> Response:
    """The effect has happened; the answer never arrives whole."""
    if g.get("fault") == "reply_lost":
        response.data = b""
        response.status_code = 502  # seen only where there is no line to hang up on, as in a test client
        line: socket.socket | None = request.environ.get("werkzeug.socket")
        if line is not None:
            line.shutdown(socket.SHUT_RDWR)
    return response


def _as_stripe(event_id: str, raw: bytes, secret: str) -> dict[str, str]:
    """Dated when it is brought: an old date would be refused, and a repeat has a new one."""
    moment = clock.timestamp()
    return {
        "Stripe-Signature": f"t={moment},v1={sign(f'{moment}.'.encode() + raw, secret)}",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }


def _how(given: Mapping[str, Any]) -> dict[str, Any]:
    how = {name: given[name] for name in ("deliver", "seconds", "wrong_secret", "tampered") if name in given}
    _delivery(how)
    return how


def _delivery(how: Mapping[str, Any]) -> dict[str, Any]:
    """How an event is brought, in the postman's words."""
    way = {True: "now", False: "dropped", "twice": "duplicate"}.get(how.get("deliver", True), how.get("deliver"))
    seconds = how.get("seconds", 10)
    if way not in DELIVERIES or not isinstance(seconds, int | float):
        raise Wrong(f"deliver must be one of {', '.join(DELIVERIES)}, and seconds a number.", param="deliver")
    return {
        "hold": way == "dropped",
        "twice": way == "duplicate",
        "after": float(seconds) if way == "delayed" else 0.0,
        "wrong_secret": way == "wrong_secret" or bool(how.get("wrong_secret")),
        "tampered": way == "tampered" or bool(how.get("tampered")),
    }


def _public(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if not name.startswith("_")}


def _id(kind: str, letters: int = 24) -> str:
    return f"{kind}_{''.join(secrets.choice(_LETTERS) for _ in range(letters))}"


def _json() -> dict[str, Any]:
    given = request.get_json(silent=True)
    return given if isinstance(given, dict) else {}


def _brought(id: str, answer: str | None) -> dict[str, str]:
    return _missing("event", id) if answer is None else {"answer": answer}


def _missing(kind: str, id: str) -> NoReturn:
    raise Wrong(f"No such {kind}: '{id}'", 404, code="resource_missing", param="id")


def _unknown(any: str) -> NoReturn:
    raise Wrong(f"Unrecognized request URL ({request.method}: /v1/{any}). Please see https://stripe.com/docs.", 404)

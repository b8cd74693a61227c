"""Stripe, simulated: checkout sessions, payments, refunds, disputes, payouts, signed webhooks, and faults on demand."""

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
from app.sandbox.webhooks import ANSWER_SECONDS, Target, WebhookSender, sign
from config import Settings

LATE_SECONDS = 20.0  # seconds until the bank decides an async payment
DAY = 24 * 60 * 60
_LETTERS = string.ascii_letters + string.digits
FAULTS = ("none", "reply_lost", "502", "429", "500", "slow", "empty", "list", "in_flight")
DELIVERIES = ("now", "duplicate", "shuffled", "delayed", "dropped", "wrong_secret", "tampered")
REFUNDS = ("succeeded", "pending", "failed")
_is_zero_decimal = re.compile("bif|clp|djf|gnf|jpy|kmf|krw|mga|pyg|rwf|vnd|vuv|xaf|xof|xpf").fullmatch
_THREE_DECIMALS = ("bhd", "jod", "kwd", "omr", "tnd")
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


class ApiError(Exception):
    """An error in Stripe's format. With `begun`, it is stored under the idempotency key and repeated."""

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
        error = {"code": code, "message": text, "param": param, "type": type}
        self.body = {"error": {name: value for name, value in error.items() if value}}


def create_blueprint(settings: Settings, store: Store, sender: WebhookSender) -> Blueprint:
    """Register the API below /v1, the hosted checkout, and the actions of payer and bank for tests and people."""
    bank = Bank(settings, store, sender)
    pages = Blueprint("stripe", __name__, url_prefix="/sandbox/stripe")
    pages.register_error_handler(ApiError, lambda wrong: (jsonify(wrong.body), wrong.status))
    pages.before_request(bank.check_caller)
    pages.after_request(_drop_reply)
    for rule, methods, view in (
        ("/v1/checkout/sessions", ["POST"], lambda: bank.run_once(bank.create_session)),
        ("/v1/checkout/sessions", ["GET"], lambda: bank.list_objects("checkout.session")),
        ("/v1/checkout/sessions/<id>", ["GET"], lambda id: bank.show_object("checkout.session", id)),
        ("/v1/checkout/sessions/<id>/expire", ["POST"], lambda id: bank.run_once(lambda _: bank.expire_session(id))),
        ("/v1/payment_intents", ["GET"], lambda: bank.list_objects("payment_intent")),
        ("/v1/payment_intents/<id>", ["GET"], lambda id: bank.show_object("payment_intent", id)),
        ("/v1/charges", ["GET"], lambda: bank.list_objects("charge")),
        ("/v1/charges/<id>", ["GET"], lambda id: bank.show_object("charge", id)),
        ("/v1/refunds", ["POST"], lambda: bank.run_once(bank.create_refund)),
        ("/v1/refunds", ["GET"], lambda: bank.list_objects("refund")),
        ("/v1/refunds/<id>", ["GET"], lambda id: bank.show_object("refund", id)),
        ("/v1/disputes", ["GET"], lambda: bank.list_objects("dispute")),
        ("/v1/disputes/<id>", ["GET"], lambda id: bank.show_object("dispute", id)),
        ("/v1/payouts", ["GET"], lambda: bank.list_objects("payout")),
        ("/v1/balance_transactions", ["GET"], lambda: bank.list_objects("balance_transaction")),
        ("/v1/<path:any>", ["GET", "POST", "DELETE"], _unknown_url),
        ("/pay/<id>", ["GET"], bank.show_checkout),
        ("/pay/<id>", ["POST"], bank.press_button),
        ("/", ["GET"], bank.show_sessions),
        ("/sessions/<id>/pay", ["POST"], bank.pay_by_action),
        ("/sessions/<id>/expire", ["POST"], lambda id: bank.expire_session(id, _read_delivery(_json_body()))),
        ("/payments/<id>/refund", ["POST"], bank.refund_by_action),
        ("/refunds/<id>/becomes", ["POST"], bank.change_refund_by_action),
        ("/payments/<id>/dispute", ["POST"], bank.dispute_by_action),
        ("/disputes/<id>/close", ["POST"], bank.close_dispute_by_action),
        ("/settle", ["POST"], bank.create_payouts),
        ("/events", ["GET"], lambda: jsonify(events=sender.list_events("stripe"))),
        (
            "/events/<id>/deliver",
            ["POST"],
            lambda id: _delivery_result(id, sender.deliver_first(id, ANSWER_SECONDS - 2)),
        ),
        ("/faults", ["POST"], bank.add_plan),
    ):
        pages.add_url_rule(rule, f"{methods[0]} {rule}".replace(".", ""), view, methods=methods)
    at = sender.targets["razorpay"].address.replace("/webhook/razorpay", "/webhook/stripe")
    sender.targets["stripe"] = Target(at, settings.stripe_webhook_secrets[0], _stripe_headers)
    sender.periodic.append(bank.finish_due)
    return pages


class Bank:
    """Stripe and the payer's bank."""

    def __init__(self, settings: Settings, store: Store, sender: WebhookSender) -> None:
        self.settings, self.store, self.sender = settings, store, sender

    # --- authentication and simulated faults ---

    def check_caller(self) -> Any:
        path = request.path.removeprefix("/sandbox/stripe")
        if not path.startswith("/v1/"):
            return None
        caller = request.authorization
        given = "" if caller is None else caller.token or caller.username or ""
        if not given:
            raise ApiError(
                "You did not provide an API key. "
                "You need to provide your API key in the Authorization header, using Bearer auth.",
                401,
            )
        if given != self.settings.stripe_key:
            raise ApiError(f"Invalid API Key provided: {given[:8]}****{given[-4:]}", 401)
        return self._simulate_fault(path)

    def _simulate_fault(self, path: str) -> Any:
        planned = self.store.use_plan("stripe fault", f"{request.method} {path}") or {}
        g.fault = planned.get("fault", "")
        match g.fault:
            case "502":
                return Response("<html><body><h1>502 Bad Gateway</h1></body></html>", 502, mimetype="text/html")
            case "empty" | "list":
                return Response("[]" if g.fault == "list" else "", 200, mimetype="application/json")
            case "429":
                raise ApiError("Too many requests in a short period of time; please slow down.", 429, code="rate_limit")
            case "500":
                raise ApiError("An unknown error occurred.", 500, type="api_error")
            case "in_flight":
                words = "There is currently another in-progress request using this Idempotency Key."
                raise ApiError(words, 409, type="idempotency_error", code="idempotency_key_in_use")
            case "slow":
                time.sleep(planned["seconds"])
        return None

    def add_plan(self) -> Response:
        """Plan a faulty API response, webhook delivery or refund, for a number of times."""
        given = _json_body()
        times, seconds = given.get("times", 1), given.get("seconds", 12)
        kind, allowed = next(
            (pair for pair in (("deliver", DELIVERIES), ("refund", REFUNDS)) if pair[0] in given), ("fault", FAULTS)
        )
        if str(given.get(kind)) not in allowed:
            raise ApiError(f"{kind} must be one of {', '.join(allowed)}.", param=kind)
        if not isinstance(times, int) or times < 1 or not isinstance(seconds, int | float):
            raise ApiError("times must be a whole number of 1 or more, and seconds a number.", param="times")
        self.store.add_plan(
            f"stripe {kind}", {kind: given[kind], "seconds": seconds, "path": str(given.get("path", ""))}, times
        )
        return jsonify(planned=given)

    def run_once(self, act: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
        """Run an action and store its answer in one transaction; a repeated key is answered from memory."""
        given, key = _parse_form(request.form), request.headers.get("Idempotency-Key", "")
        asked = hashlib.sha256(json.dumps([request.path, given], sort_keys=True).encode()).hexdigest()
        with self.store.open():
            stored = self.store.stored_answer("stripe", key) if key else None
            if stored is None:
                return self._run_first(act, given, key, asked)
            if stored[0] != asked:
                words = (
                    "Keys for idempotent requests can only be used with the same parameters they were first used with."
                )
                raise ApiError(
                    f"{words} Try using a key other than '{key}' if you meant to execute a different request.",
                    type="idempotency_error",
                )
            return jsonify(stored[1]["body"]), stored[1]["status"], {"Idempotent-Replayed": "true"}

    def _run_first(
        self, act: Callable[[dict[str, Any]], dict[str, Any]], given: dict[str, Any], key: str, asked: str
    ) -> Any:
        try:
            body, status = self._expand(_public_fields(act(given)), given.get("expand", [])), 200
        except ApiError as wrong:
            if not wrong.begun:
                raise
            body, status = wrong.body, wrong.status
        if key:
            self.store.store_answer("stripe", key, asked, {"body": body, "status": status})
        return jsonify(body), status

    # --- stored objects ---

    def put_object(self, body: dict[str, Any], parent: str | None = None) -> dict[str, Any]:
        return self.store.put(f"stripe {body['object']}", body, parent)

    def find_object(self, kind: str, id: str) -> dict[str, Any]:
        return self.store.get(f"stripe {kind}", id) or _not_found(kind, id)

    def all_objects(self, kind: str, parent: str | None = None) -> list[dict[str, Any]]:
        return self.store.all(f"stripe {kind}", parent)

    def show_object(self, kind: str, id: str) -> dict[str, Any]:
        return self._expand(_public_fields(self.find_object(kind, id)), _parse_form(request.args).get("expand", []))

    def list_objects(self, kind: str) -> dict[str, Any]:
        given = _parse_form(request.args)
        expand, limit, after = (
            given.pop("expand", []),
            _read_limit(given.pop("limit", "10")),
            given.pop("starting_after", ""),
        )
        found = [
            each
            for each in self.all_objects(kind)[::-1]
            if all(_matches(each, name, wanted) for name, wanted in given.items())
        ]
        ids = [each["id"] for each in found]
        if after:
            found = found[ids.index(after) + 1 :] if after in ids else _not_found(kind, after)
        inner = [path.removeprefix("data.") for path in expand]
        data = [self._expand(_public_fields(each), inner) for each in found[:limit]]
        return {
            "object": "list",
            "data": data,
            "has_more": len(found) > limit,
            "url": request.path.removeprefix("/sandbox/stripe"),
        }

    def _expand(self, body: dict[str, Any], paths: list[str]) -> dict[str, Any]:
        for path in paths:
            head, _, rest = path.partition(".")
            kind = _KINDS.get(str(body.get(head)).partition("_")[0])
            if head not in body or (kind is None and isinstance(body[head], str)):
                raise ApiError(f"This property cannot be expanded ({path}).", param="expand[0]")
            if kind and isinstance(body[head], str):
                body |= {head: _public_fields(self.find_object(kind, body[head]))}
            if rest and body[head]:
                body |= {head: self._expand(body[head], [rest])}
        return body

    # --- checkout sessions ---

    def create_session(self, given: dict[str, Any]) -> dict[str, Any]:
        now, id = clock.timestamp(), _new_id("cs_test", 58)
        if given.get("mode") != "payment":
            raise ApiError(
                "Missing required param: mode."
                if "mode" not in given
                else "The sandbox supports only the mode payment.",
                code="parameter_missing",
                param="mode",
            )
        amount, currency, about = _line_items(given)
        success, email, end = _return_address(given, "success_url"), given.get("customer_email"), _expiry(given, now)
        if email is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", str(email)):
            raise ApiError(f"Invalid email address: {email}", code="email_invalid", param="customer_email")
        session = {
            "id": id,
            "object": "checkout.session",
            "amount_subtotal": amount,
            "amount_total": amount,
            "cancel_url": _return_address(given, "cancel_url", needed=False),
            "client_reference_id": given.get("client_reference_id"),
            "created": now,
            "currency": currency,
            "customer": None,
            "customer_details": {"email": email} if email else None,
            "customer_email": email,
            "expires_at": end,
            "livemode": False,
            "metadata": _nested(given, "metadata"),
            "mode": "payment",
            "payment_intent": None,
            "payment_method_types": ["card"],
            "payment_status": "unpaid",
            "status": "open",
            "success_url": success,
            "url": f"{_origin(success)}/sandbox/stripe/pay/{id}",
            "_about": about,
            "_intent": _nested(given, "payment_intent_data"),
        }
        self.store.schedule("stripe lapse", id, end - now, {})
        return self.put_object(session)

    def expire_session(self, id: str, how: Mapping[str, Any] | None = None) -> dict[str, Any]:
        with self.store.open():
            session = self.find_object("checkout.session", id)
            if session["status"] != "open":
                words = 'Only Checkout Sessions with a status in ["open"] can be expired.'
                raise ApiError(f"{words} This Checkout Session has a status of `{session['status']}`.", begun=True)
            expired = self.put_object(session | {"status": "expired", "url": None})
            self._send_event("checkout.session.expired", expired, how or {})
            return _public_fields(expired)

    def finish_due(self) -> None:
        """Finish async payments and expire sessions that are due.

        Runs in the sender's loop from stored times, so that a restart loses none."""
        with self.store.open():
            for id, task in self.store.take_due("stripe bank"):
                self._finish_late(id, task["then"], task["how"])
            for id, _ in self.store.take_due("stripe lapse"):
                if self.find_object("checkout.session", id)["status"] == "open":
                    self.expire_session(id)

    # --- paying ---

    def attempt_payment(
        self,
        id: str,
        outcome: str,
        how: Mapping[str, Any],
        *,
        card: str = "",
        then: str = "captured",
        after: float = LATE_SECONDS,
    ) -> dict[str, Any]:
        """Pay a session, in one transaction; ends captured, failed or async (decided later)."""
        with self.store.open():
            session = self.find_object("checkout.session", id)
            if session["status"] != "open":
                raise ApiError(f"This Checkout Session is {session['status']}.")
            session = self._with_intent(session)
            intent = self.find_object("payment_intent", session["payment_intent"])
            charge = self.put_object(
                _new_charge(intent, "us_bank_account" if outcome == "async" else "card"), intent["id"]
            )
            intent = self.put_object(intent | {"latest_charge": charge["id"]}, session["id"])
            if outcome == "failed":
                return self._fail(intent, charge, card)
            session = self.put_object(session | {"status": "complete", "url": None})
            if outcome == "captured":
                return self._succeed(session, intent, charge, "checkout.session.completed", how)
            self._send_event("checkout.session.completed", session, how)
            self.store.schedule("stripe bank", intent["id"], after, {"then": then, "how": dict(how)})
            return self.put_object(intent | {"status": "processing", "last_payment_error": None}, session["id"])

    def _with_intent(self, session: dict[str, Any]) -> dict[str, Any]:
        if session["payment_intent"]:
            return session
        intent = self.put_object(_new_intent(session), session["id"])
        return self.put_object(session | {"payment_intent": intent["id"]})

    def _succeed(
        self, session: dict[str, Any], intent: dict[str, Any], charge: dict[str, Any], kind: str, how: Mapping[str, Any]
    ) -> dict[str, Any]:
        line = self._add_balance_line(
            "charge", charge["id"], intent["amount"], intent["currency"], fee=intent["amount"] * 29 // 1000
        )
        got = {
            "status": "succeeded",
            "paid": True,
            "captured": True,
            "amount_captured": charge["amount"],
            "balance_transaction": line["id"],
        }
        self.put_object(charge | got, intent["id"])
        paid = self.put_object(
            intent | {"status": "succeeded", "amount_received": intent["amount"], "last_payment_error": None},
            session["id"],
        )
        self._send_event(kind, self.put_object(session | {"payment_status": "paid"}), how)
        return paid

    def _fail(self, intent: dict[str, Any], charge: dict[str, Any], card: str) -> dict[str, Any]:
        code, reason, words = _CARDS.get(card, _CARDS["4000000000000002"])
        self.put_object(charge | {"status": "failed", "failure_code": code, "failure_message": words}, intent["id"])
        error = {"charge": charge["id"], "code": code, "decline_code": reason, "message": words, "type": "card_error"}
        return self.put_object(
            intent | {"status": "requires_payment_method", "last_payment_error": error}, intent["_session"]
        )

    def _finish_late(self, intent_id: str, then: str, how: Mapping[str, Any]) -> None:
        intent = self.find_object("payment_intent", intent_id)
        session, charge = (
            self.find_object("checkout.session", intent["_session"]),
            self.find_object("charge", intent["latest_charge"]),
        )
        if then == "captured":
            self._succeed(session, intent, charge, "checkout.session.async_payment_succeeded", how)
            return
        self._fail(intent, charge, "4000000000009995")
        self._send_event("checkout.session.async_payment_failed", session, how)

    def _add_balance_line(self, type: str, source: str, amount: int, currency: str, fee: int = 0) -> dict[str, Any]:
        """Add a balance transaction with its fee and the tax on the fee."""
        tax = fee * 18 // 100
        details = [
            {"amount": each, "application": None, "currency": currency, "type": kind}
            for kind, each in (("stripe_fee", fee), ("tax", tax))
            if each
        ]
        return self.put_object(
            {
                "id": _new_id("txn"),
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

    def create_refund(self, given: dict[str, Any]) -> dict[str, Any]:
        if not given.get("payment_intent"):
            raise ApiError("One of the following params should be provided for this request: payment_intent or charge.")
        if "amount" in given and not re.fullmatch(r"[1-9][0-9]{0,11}", str(given["amount"])):
            raise ApiError("Invalid positive integer", code="parameter_invalid_integer", param="amount")
        amount, planned = (
            int(given["amount"]) if "amount" in given else None,
            self.store.use_plan("stripe refund") or {},
        )
        return self.refund_intent(
            str(given["payment_intent"]), amount, _nested(given, "metadata"), {}, planned.get("refund", "succeeded")
        )

    def refund_intent(
        self,
        intent_id: str,
        amount: int | None,
        metadata: dict[str, Any],
        how: Mapping[str, Any],
        status: str = "succeeded",
    ) -> dict[str, Any]:
        with self.store.open():
            intent = self.find_object("payment_intent", intent_id)
            charge = self._refundable_charge(intent)
            left = charge["amount"] - charge["amount_refunded"]
            amount = left if amount is None else amount
            if amount > left:
                amounts = [_format_amount(each, charge["currency"]) for each in (amount, left)]
                raise ApiError(
                    f"Refund amount ({amounts[0]}) is greater than unrefunded amount on charge ({amounts[1]})",
                    param="amount",
                    begun=True,
                )
            refund = self.put_object(_new_refund(charge, amount, metadata, status), intent["id"])
            self._add_balance_line("refund", refund["id"], -amount, charge["currency"])
            back = self._add_refunded(charge, amount)
            self._send_events([("refund.created", refund), ("charge.refunded", back)], how)
            return refund

    def _refundable_charge(self, intent: dict[str, Any]) -> dict[str, Any]:
        if intent["status"] != "succeeded":
            raise ApiError(
                f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.", begun=True
            )
        charge = self.find_object("charge", intent["latest_charge"])
        if charge["disputed"]:
            raise ApiError(
                f"Charge {charge['id']} has been charged back; cannot issue a refund.",
                code="charge_disputed",
                begun=True,
            )
        if charge["refunded"]:
            raise ApiError(
                f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded", begun=True
            )
        return charge

    def _add_refunded(self, charge: dict[str, Any], amount: int) -> dict[str, Any]:
        total = charge["amount_refunded"] + amount
        return self.put_object(
            charge | {"amount_refunded": total, "refunded": total == charge["amount"]}, charge["payment_intent"]
        )

    def change_refund_by_action(self, id: str) -> dict[str, Any]:
        """End a refund: the payer's bank accepted or returned it."""
        given = _json_body()
        if given.get("status") not in ("succeeded", "failed"):
            raise ApiError("status must be succeeded or failed.", param="status")
        with self.store.open():
            refund = self.find_object("refund", id)
            changed = self.put_object(refund | {"status": given["status"]}, refund["payment_intent"])
            if given["status"] == "failed":
                self._add_balance_line("refund_failure", refund["id"], refund["amount"], refund["currency"])
                self._add_refunded(self.find_object("charge", refund["charge"]), -refund["amount"])
            self._send_event("refund.updated", changed, _read_delivery(given))
            return _public_fields(changed)

    # --- disputes and payouts ---

    def dispute_by_action(self, id: str) -> dict[str, Any]:
        given = _json_body()
        with self.store.open():
            intent = self.find_object("payment_intent", id)
            charge = self.find_object("charge", intent["latest_charge"] or "")
            dispute = _new_dispute(
                charge, int(given.get("amount", charge["amount"])), str(given.get("reason", "fraudulent"))
            )
            dispute["balance_transactions"] = [
                _public_fields(
                    self._add_balance_line(
                        "adjustment", dispute["id"], -dispute["amount"], charge["currency"], fee=1500
                    )
                )
            ]
            self.put_object(charge | {"disputed": True}, id)
            self._send_event("charge.dispute.created", self.put_object(dispute, id), _read_delivery(given))
            return _public_fields(dispute)

    def close_dispute_by_action(self, id: str) -> dict[str, Any]:
        given = _json_body()
        if given.get("outcome") not in ("won", "lost"):
            raise ApiError("outcome must be won or lost.", param="outcome")
        with self.store.open():
            dispute = self.find_object("dispute", id)
            if given["outcome"] == "won":
                dispute["balance_transactions"].append(
                    _public_fields(self._add_balance_line("adjustment", id, dispute["amount"], dispute["currency"]))
                )
            closed = self.put_object(dispute | {"status": given["outcome"]}, dispute["payment_intent"])
            self._send_event("charge.dispute.closed", closed, _read_delivery(given))
            return _public_fields(closed)

    def create_payouts(self) -> dict[str, Any]:
        """Pay out the whole balance, one payout per currency, arriving at midnight UTC."""
        arrives = int(_json_body().get("arrival_date", clock.timestamp())) // DAY * DAY
        with self.store.open():
            waiting = [each for each in self.all_objects("balance_transaction") if not each["_payout"]]
            made = [
                self._create_payout(currency, waiting, arrives)
                for currency in sorted({each["currency"] for each in waiting})
            ]
            return {"payouts": [_public_fields(each) for each in made]}

    def _create_payout(self, currency: str, waiting: list[dict[str, Any]], arrives: int) -> dict[str, Any]:
        lines = [each for each in waiting if each["currency"] == currency]
        total = sum(each["net"] for each in lines)
        payout = self.put_object(
            {
                "id": _new_id("po"),
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
        for each in (*lines, self._add_balance_line("payout", payout["id"], -total, currency)):
            self.put_object(each | {"_payout": payout["id"]})
        return payout

    # --- webhooks ---

    def _send_events(self, news: list[tuple[str, dict[str, Any]]], how: Mapping[str, Any]) -> None:
        for kind, thing in news[::-1] if how.get("deliver") == "shuffled" else news:
            self._send_event(kind, thing, how)

    def _send_event(self, kind: str, thing: dict[str, Any], how: Mapping[str, Any]) -> None:
        event = {
            "id": _new_id("evt"),
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": clock.timestamp(),
            "data": {"object": _public_fields(thing)},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        planned = {} if "deliver" in how else self.store.use_plan("stripe deliver") or {}
        if planned.get("deliver") == "shuffled":
            planned = {"deliver": "delayed", "seconds": random.uniform(0, 1.5)}  # noqa: S311  # not a secret
        self.sender.enqueue(str(event["id"]), event, "stripe", **_delivery_options({**how, **planned}))

    # --- hosted checkout ---

    def show_checkout(self, id: str) -> Any:
        try:
            return self._checkout_page(self.find_object("checkout.session", id))
        except ApiError as wrong:
            return render_template("sandbox/sorry.html", words=wrong.text, away=""), 404

    def _checkout_page(self, session: dict[str, Any], trouble: str = "") -> Any:
        if session["status"] == "complete":
            return redirect(_success_address(session), 303)
        if session["status"] == "expired":
            words = "This page has expired. Return to the website and start again."
            return render_template("sandbox/sorry.html", words=words, away=session["cancel_url"] or ""), 410
        page = render_template(
            "sandbox/stripe.html",
            session=session,
            amount=_format_amount(session["amount_total"], session["currency"]),
            trouble=trouble,
            about=session["_about"],
        )
        return (page, 402) if trouble else page

    def press_button(self, id: str) -> Any:
        """Handle a button of the payer on the hosted page."""
        try:
            session = self.find_object("checkout.session", id)
            if session["status"] != "open":
                return self._checkout_page(session)
            return self._handle_press(
                session, request.form.get("press"), re.sub(r"\s", "", request.form.get("card", ""))
            )
        except ApiError as wrong:
            return render_template("sandbox/sorry.html", words=wrong.text, away=""), 400

    def _handle_press(self, session: dict[str, Any], press: str | None, card: str) -> Any:
        if press == "pay" and not re.fullmatch(r"[0-9]{12,19}", card):
            return self._checkout_page(session, "Your card number is incomplete.")
        if press == "pay" and card in _CARDS:
            failed = self.attempt_payment(session["id"], "failed", {}, card=card)
            return self._checkout_page(session, failed["last_payment_error"]["message"])
        if press in ("pay", "async"):
            self.attempt_payment(session["id"], "captured" if press == "pay" else "async", {})
            return redirect(_success_address(session), 303)
        if not session["cancel_url"]:
            return render_template("sandbox/sorry.html", words="You can close this page.", away="")
        return redirect(session["cancel_url"], 303)

    # --- actions for tests and people ---

    def show_sessions(self) -> str:
        sessions = [
            (each, self.all_objects("payment_intent", each["id"]))
            for each in self.all_objects("checkout.session")[::-1][:50]
        ]
        return render_template("sandbox/stripe_sessions.html", sessions=sessions, format_amount=_format_amount)

    def pay_by_action(self, id: str) -> Any:
        given = _json_body() if request.is_json else dict(request.form)
        if given.get("outcome") not in ("captured", "failed", "async") or given.get("then", "captured") not in (
            "captured",
            "failed",
        ):
            raise ApiError(
                "outcome must be captured, failed or async; then must be captured or failed.", param="outcome"
            )
        if not isinstance(given.get("after", LATE_SECONDS), int | float):
            raise ApiError("after must be a number of seconds.", param="after")
        options: dict[str, Any] = {name: given[name] for name in ("then", "after", "card") if name in given}
        intent = self.attempt_payment(id, given["outcome"], _read_delivery(given), **options)
        return jsonify(_public_fields(intent)) if request.is_json else redirect("/sandbox/stripe/", 303)

    def refund_by_action(self, id: str) -> dict[str, Any]:
        """Refund as from Stripe's dashboard."""
        given = _json_body()
        return _public_fields(
            self.refund_intent(id, given.get("amount"), {}, _read_delivery(given), given.get("status", "succeeded"))
        )


def _new_intent(session: Mapping[str, Any]) -> dict[str, Any]:
    data = session["_intent"]
    return {
        "id": _new_id("pi"),
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
        "id": _new_id("ch"),
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
        "id": _new_id("re"),
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
        "id": _new_id("du"),
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


def _line_items(given: Mapping[str, Any]) -> tuple[int, str, str]:
    """Return the total of the line items, their currency, and the first one's name."""
    lines = given.get("line_items")
    if not isinstance(lines, list) or not lines:
        raise ApiError(
            "The `line_items` parameter is required in payment mode.", code="parameter_missing", param="line_items"
        )
    total, currency = 0, ""
    for at, line in enumerate(lines):
        here = f"line_items[{at}][price_data]"
        price, quantity = _nested(line, "price_data"), str(_nested(line).get("quantity", ""))
        currency = str(price.get("currency", ""))
        if not re.fullmatch(r"[a-z]{3}", currency):
            raise ApiError(f"Invalid currency: {currency}.", param=f"{here}[currency]")
        if not _nested(price, "product_data").get("name"):
            raise ApiError(
                f"Missing required param: {here}[product_data][name].",
                code="parameter_missing",
                param=f"{here}[product_data][name]",
            )
        amount = str(price.get("unit_amount", ""))
        if not re.fullmatch(r"[0-9]{1,12}", amount):
            raise ApiError(f"Invalid integer: {amount}", code="parameter_invalid_integer", param=f"{here}[unit_amount]")
        if not re.fullmatch(r"[1-9][0-9]{0,5}", quantity):
            raise ApiError(
                f"Quantity is required. Add `quantity` to `line_items[{at}]`", param=f"line_items[{at}][quantity]"
            )
        total += int(amount) * int(quantity)
    if total < _LEAST.get(currency, 1):
        least = _format_amount(_LEAST.get(currency, 1), currency)
        words = f"The Checkout Session's total amount due must add up to at least {least} {currency}"
        raise ApiError(words, code="amount_too_small")
    if currency in _THREE_DECIMALS and total % 10:
        raise ApiError(
            f"Amounts in {currency} must be divisible by 10.",
            code="parameter_invalid_integer",
            param="line_items[0][price_data][unit_amount]",
        )
    return total, currency, str(lines[0]["price_data"]["product_data"]["name"])


def _nested(thing: Any, *path: str) -> dict[str, Any]:
    """Return the dict at a path, or an empty one."""
    for name in path:
        thing = thing.get(name) if isinstance(thing, dict) else None
    return thing if isinstance(thing, dict) else {}


def _expiry(given: Mapping[str, Any], now: int) -> int:
    text = str(given.get("expires_at", now + DAY))
    if not re.fullmatch(r"[0-9]{1,11}", text):
        raise ApiError(f"Invalid integer: {text}", code="parameter_invalid_integer", param="expires_at")
    if int(text) < now + 30 * 60:
        raise ApiError(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.", param="expires_at"
        )
    if int(text) > now + DAY:
        raise ApiError(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.", param="expires_at"
        )
    return int(text)


def _return_address(given: Mapping[str, Any], name: str, *, needed: bool = True) -> str | None:
    """Return an address of the request; only http(s), or, unlike at Stripe, a path of our own site."""
    if name not in given and not needed:
        return None
    if name not in given:
        raise ApiError(f"Missing required param: {name}.", code="parameter_missing", param=name)
    if not re.match(r"https?://[^/]|/(?!/)", str(given[name])):
        raise ApiError("Not a valid URL", code="url_invalid", param=name)
    return str(given[name])


def _origin(address: str | None) -> str:
    """Return the origin of the shop, where the hosted page is served below /sandbox."""
    parts = urlsplit(address or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _success_address(session: Mapping[str, Any]) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _parse_form(form: Mapping[str, Any]) -> dict[str, Any]:
    """Decode a nested form as Stripe does: a[b][0]=c becomes {"a": {"b": ["c"]}}."""
    whole: dict[str, Any] = {}
    for name, value in form.items():
        *path, last = [part.rstrip("]") for part in name.split("[")]
        here = whole
        for part in path:
            here = here.setdefault(part, {})
            if not isinstance(here, dict):
                raise ApiError(f"Invalid {path[0]}", param=path[0])
        here[last] = value
    return {name: _with_lists(value) for name, value in whole.items()}


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _with_lists(each) for name, each in value.items()}
    return [*inner.values()] if all(name == "" or name.isdigit() for name in inner) else inner


def _matches(thing: Mapping[str, Any], name: str, wanted: Any) -> bool:
    """Check one filter of a list: payment_intent=pi_…, created[gte]=…, payout=po_…"""
    value: Any = thing.get("_payout") if name == "payout" else thing.get(name)
    if not isinstance(wanted, dict):
        return bool(str(value) == wanted)
    compare = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
    return all(bool(compare[how](value, int(end))) for how, end in wanted.items() if how in compare)


def _read_limit(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise ApiError(
            f"This value must be less than or equal to 100 (it currently is '{text}').",
            code="parameter_invalid_integer",
            param="limit",
        )
    return int(text)


def _format_amount(amount: int, currency: str) -> str:
    places = 0 if _is_zero_decimal(currency) else 3 if currency in _THREE_DECIMALS else 2
    return f"{_SIGNS.get(currency, f'{currency.upper()} ')}{amount / 10**places:,.{places}f}"


def _drop_reply(response: Response) -> Response:
    """Cut the connection before the reply is complete; the request has already taken effect."""
    if g.get("fault") == "reply_lost":
        response.data = b""
        response.status_code = 502  # a test client has no socket to close
        connection: socket.socket | None = request.environ.get("werkzeug.socket")
        if connection is not None:
            connection.shutdown(socket.SHUT_RDWR)
    return response


def _stripe_headers(event_id: str, raw: bytes, secret: str) -> dict[str, str]:
    """Sign with the time of delivery, as Stripe does for every retry; receivers refuse an old time."""
    moment = clock.timestamp()
    return {
        "Stripe-Signature": f"t={moment},v1={sign(f'{moment}.'.encode() + raw, secret)}",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }


def _read_delivery(given: Mapping[str, Any]) -> dict[str, Any]:
    how = {name: given[name] for name in ("deliver", "seconds", "wrong_secret", "tampered") if name in given}
    _delivery_options(how)
    return how


def _delivery_options(how: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the options of an action into arguments of WebhookSender.enqueue."""
    way = {True: "now", False: "dropped", "twice": "duplicate"}.get(how.get("deliver", True), how.get("deliver"))
    seconds = how.get("seconds", 10)
    if way not in DELIVERIES or not isinstance(seconds, int | float):
        raise ApiError(f"deliver must be one of {', '.join(DELIVERIES)}, and seconds a number.", param="deliver")
    return {
        "hold": way == "dropped",
        "twice": way == "duplicate",
        "after": float(seconds) if way == "delayed" else 0.0,
        "wrong_secret": way == "wrong_secret" or bool(how.get("wrong_secret")),
        "tampered": way == "tampered" or bool(how.get("tampered")),
    }


def _public_fields(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if not name.startswith("_")}


def _new_id(kind: str, letters: int = 24) -> str:
    return f"{kind}_{''.join(secrets.choice(_LETTERS) for _ in range(letters))}"


def _json_body() -> dict[str, Any]:
    given = request.get_json(silent=True)
    return given if isinstance(given, dict) else {}


def _delivery_result(id: str, answer: str | None) -> dict[str, str]:
    return _not_found("event", id) if answer is None else {"answer": answer}


def _not_found(kind: str, id: str) -> NoReturn:
    raise ApiError(f"No such {kind}: '{id}'", 404, code="resource_missing", param="id")


def _unknown_url(any: str) -> NoReturn:
    raise ApiError(f"Unrecognized request URL ({request.method}: /v1/{any}). Please see https://stripe.com/docs.", 404)

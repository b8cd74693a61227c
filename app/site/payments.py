"""The way through a payment: to the gateway's page, back from it, and what the gateway tells us by itself."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request, url_for

from app.kernel.access import Actor, acting
from app.kernel.db import session
from app.kernel.errors import Invalid, Missing, Refused, Unreadable
from app.kernel.words import ENGLISH, speaking, unsaid
from app.money import gateway, inbox
from app.money.bill import Bill
from app.money.invoice import Invoice, request_for
from app.site.frame import speak_to

pay = Blueprint("pay", __name__, url_prefix="/pay")
papers = Blueprint("paper", __name__, url_prefix="/paper")
api = Blueprint("payment", __name__, url_prefix="/api/payment")

GATEWAY = Actor("the payment gateway", "webhook")


@pay.get("/<token>")
def checkout(token: str) -> Any:
    """One plain form that leads to the gateway; it works without JavaScript."""
    bill = Bill.by_token(token)
    speak_to(bill.person)
    if not bill.wants_money or bill.is_promised or not bill.thing.awaits(bill):
        return redirect(_home(bill))
    return render_template("site/pay.html", bill=bill, checkout=bill.checkout(), home=_home(bill))


@pay.get("/<token>/request.pdf")
def on_paper(token: str) -> Any:
    """What is still to be paid, on paper."""
    bill = Bill.by_token(token)
    if not bill.wants_money:
        raise Missing
    link = current_app.extensions["settings"].base_url.rstrip("/") + url_for("pay.checkout", token=token)
    return _pdf(request_for(bill, link), f"{bill.number}.pdf")


@papers.get("/<token>")
def paper(token: str) -> Any:
    """An invoice, a receipt or a credit note, for whoever holds its link."""
    found = Invoice.by_token(token)
    return _pdf(found.drawn(), found.file_name)


def _pdf(content: bytes, name: str) -> Response:
    answer = Response(content, mimetype="application/pdf")
    answer.headers["Content-Disposition"] = f'inline; filename="{name}"'
    return answer


@pay.route("/<token>/back", methods=["GET", "POST"])
def came_back(token: str) -> Any:
    """The gateway sends the payer's browser back. It brings no cookie; its signature is the proof."""
    bill = Bill.by_token(token)
    try:
        with acting(GATEWAY), speaking(ENGLISH):  # what is written down now is read by others
            wrong = bill.returned(request.values)
    except Refused:
        wrong = "unverified"
    return redirect(_home(bill, payment=wrong or None), 303)


@pay.get("/<token>/away")
def went_away(token: str) -> Any:
    bill = Bill.by_token(token)
    return redirect(_home(bill, payment="left"))


# Said on the page that is loaded next: the gateway's own redirect brings no cookie, and a flash would write a new one over it.
AFTER_PAYING = {
    "failed": unsaid("The payment did not go through."),
    "unverified": unsaid("The payment could not be verified. If money left your account, it is found, and matched or given back."),
    "left": unsaid(
        "No payment has arrived yet. If you left the payment page, nothing was charged; if your bank is still busy, we hear of it and write to you."
    ),
}


def _home(bill: Bill, payment: str | None = None) -> str:
    """The page of whatever this bill is for."""
    return url_for(f"{bill.noun}.show", token=bill.thing.token, payment=payment)  # type: ignore[attr-defined]


# --- for programs -----------------------------------------------------------------------------------------------------


@api.post("/verify")
def verify() -> Any:
    """What the checkout's JavaScript got, handed on: the answer says what the gateway itself says."""
    given = request.get_json(silent=True)
    if not isinstance(given, dict):
        raise Unreadable("Send a JSON object, with Content-Type: application/json.")
    names = ("razorpay_order_id", "razorpay_payment_id", "razorpay_signature")
    wrong = {name: "Please send this." for name in names if not isinstance(given.get(name), str) or not given[name]}
    wrong |= dict.fromkeys(given.keys() - set(names), "Unknown field.")
    if wrong:
        raise Invalid.fields_said(wrong)
    bill = session.query(Bill).filter_by(order_id=given["razorpay_order_id"]).one_or_none()
    if bill is None:
        raise Missing
    with acting(GATEWAY):
        trouble = bill.returned(given)
    if trouble:
        raise Refused(AFTER_PAYING[trouble])
    return jsonify(state=bill.state, thing=bill.noun, thing_state=bill.thing.state)  # type: ignore[attr-defined]


@api.post("/webhook/<name>")
def webhook(name: str) -> Response:
    """Checked, written down, answered: what it means is found out by a worker."""
    gateway.named(name)
    with acting(GATEWAY):
        news = inbox.received(name, request.get_data(cache=False), dict(request.headers))
    return jsonify(received=True, news=news)

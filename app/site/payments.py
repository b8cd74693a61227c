"""The way through a payment: to the gateway's page, back from it, and what the gateway tells us by itself."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, jsonify, redirect, render_template, request, url_for

from app.kernel.access import Actor, acting
from app.kernel.db import session
from app.kernel.errors import Invalid, Missing, Refused, Unreadable
from app.money import gateway, inbox
from app.money.bill import Bill

pay = Blueprint("pay", __name__, url_prefix="/pay")
api = Blueprint("payment", __name__, url_prefix="/api/payment")

GATEWAY = Actor("the payment gateway", "webhook")


@pay.get("/<token>")
def checkout(token: str) -> Any:
    """One plain form that leads to the gateway; it works without JavaScript."""
    bill = Bill.by_token(token)
    if bill.state != "open" or not getattr(bill.thing, "is_payable", True):
        return redirect(_home(bill))
    back = url_for("pay.came_back", token=token, _external=True)
    away = url_for("pay.went_away", token=token, _external=True)
    return render_template("site/pay.html", bill=bill, checkout=bill.checkout(back, away), home=_home(bill))


@pay.route("/<token>/back", methods=["GET", "POST"])
def came_back(token: str) -> Any:
    """The gateway sends the payer's browser back. It brings no cookie; its signature is the proof."""
    bill = Bill.by_token(token)
    if "razorpay_payment_id" not in request.form:
        flash(request.form.get("error[description]", "The payment did not go through. Nothing was charged."), "warning")
        return redirect(_home(bill), 303)
    try:
        with acting(GATEWAY):
            bill.returned(request.form["razorpay_payment_id"], request.form.get("razorpay_signature", ""))
    except Refused as no:
        flash(no.words, "warning")
    return redirect(_home(bill), 303)


@pay.get("/<token>/away")
def went_away(token: str) -> Any:
    bill = Bill.by_token(token)
    flash("You left the payment page, and nothing was charged.", "warning")
    return redirect(_home(bill))


def _home(bill: Bill) -> str:
    """The page of whatever this bill is for."""
    return url_for(f"{bill.noun}.show", token=bill.thing.token)  # type: ignore[attr-defined]


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
        bill.returned(given["razorpay_payment_id"], given["razorpay_signature"])
    return jsonify(state=bill.state, thing=bill.noun, thing_state=bill.thing.state)  # type: ignore[attr-defined]


@api.post("/webhook/<name>")
def webhook(name: str) -> Response:
    """Checked, written down, answered: what it means is found out by a worker."""
    gateway.named(name)
    with acting(GATEWAY):
        news = inbox.received(name, request.get_data(cache=False), dict(request.headers))
    return jsonify(received=True, news=news)

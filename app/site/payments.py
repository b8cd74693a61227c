"""Payment pages: checkout at the gateway, the return from it, PDF documents, and the gateway webhooks."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request, url_for

from app.kernel.access import Actor, acting
from app.kernel.errors import Invalid, Missing, Refused, Unreadable
from app.kernel.translation import ENGLISH, speaking, unsaid
from app.money.bills.basket import MOST, Basket, find_order
from app.money.bills.bill import Bill
from app.money.bills.invoice import Invoice, payment_request_pdf
from app.money.gateways import gateway
from app.money.reconcile import gateway_webhooks
from app.site.frame import speak_language_of
from app.site.owed_page import page_of_bill

pay = Blueprint("pay", __name__, url_prefix="/pay")
papers = Blueprint("paper", __name__, url_prefix="/paper")
api = Blueprint("payment", __name__, url_prefix="/api/payment")

GATEWAY = Actor("Payment gateway", "webhook")
CUSTOMER = Actor("Customer", "public api")


@pay.get("/<token>")
def checkout(token: str) -> Any:
    """Show a plain form that leads to the gateway, and works without JavaScript."""
    order = _order_of(token)
    speak_language_of(order.person)
    if not order.can_be_paid:
        return redirect(_page_of_order(order))
    page = "site/pay.html" if isinstance(order, Bill) else "site/pay_together.html"
    return render_template(page, bill=order, checkout=order.open_checkout(), home=_page_of_order(order))


def _order_of(token: str) -> Bill | Basket:
    """Return the bill or basket with this token."""
    try:
        return Bill.by_token(token)
    except Missing:
        return Basket.by_token(token)


@pay.get("/<token>/request.pdf")
def on_paper(token: str) -> Any:
    """Download the payment request as a PDF, while it is unpaid."""
    bill = Bill.by_token(token)
    if not bill.wants_money:
        raise Missing
    link = current_app.extensions["settings"].base_url.rstrip("/") + url_for("pay.checkout", token=token)
    return _pdf(payment_request_pdf(bill, link), f"{bill.number}.pdf")


@papers.get("/<token>")
def paper(token: str) -> Any:
    """Show an invoice, receipt or credit note as a PDF."""
    found = Invoice.by_token(token)
    return _pdf(found.render_pdf(), found.file_name)


def _pdf(content: bytes, name: str) -> Response:
    answer = Response(content, mimetype="application/pdf")
    answer.headers["Content-Disposition"] = f'inline; filename="{name}"'
    return answer


@pay.route("/<token>/back", methods=["GET", "POST"])
def came_back(token: str) -> Any:
    """Receive the payer's browser from the gateway. It brings no cookie; the gateway's signature is the proof."""
    order = _order_of(token)
    try:
        with acting(GATEWAY), speaking(ENGLISH):  # texts saved now are read by staff
            wrong = order.handle_return(request.values)
    except Refused:
        wrong = "unverified"
    return redirect(_page_of_order(order, payment=wrong or None), 303)


@pay.get("/<token>/away")
def went_away(token: str) -> Any:
    return redirect(_page_of_order(_order_of(token), payment="left"))


# Shown on the page that is loaded next. A flash won't do: the gateway's redirect brings no cookie, so a new one would
# overwrite the session.
AFTER_PAYING = {
    "failed": unsaid("Your payment didn’t go through."),
    "unverified": unsaid(
        "We couldn’t verify your payment. If money has left your account, "
        "we will find the payment and either confirm it or refund it."
    ),
    "left": unsaid(
        "We haven’t received a payment yet. If you left the payment page, you have not been charged. "
        "If your bank is still processing the payment, we will email you when it arrives."
    ),
}


def _page_of_order(order: Bill | Basket, payment: str | None = None) -> str:
    if isinstance(order, Basket):
        return url_for("basket.show", token=order.token, payment=payment)
    return page_of_bill(order, payment=payment)


# --- the public API ---------------------------------------------------------------------------------------------------


@api.post("/verify")
def verify() -> Any:
    """Verify what the gateway's JavaScript returned. The answer is what the gateway itself says."""
    given = request.get_json(silent=True)
    if not isinstance(given, dict):
        raise Unreadable("Send a JSON object, with Content-Type: application/json.")
    names = ("razorpay_order_id", "razorpay_payment_id", "razorpay_signature")
    wrong = {
        name: "This field is required." for name in names if not isinstance(given.get(name), str) or not given[name]
    }
    wrong |= dict.fromkeys(given.keys() - set(names), "Unknown field.")
    if wrong:
        raise Invalid.for_fields(wrong)
    order = find_order("razorpay", given["razorpay_order_id"])
    if order is None:
        raise Missing
    with acting(GATEWAY):
        trouble = order.handle_return(given)
    if trouble:
        raise Refused(AFTER_PAYING[trouble])
    if isinstance(order, Basket):
        return jsonify(_basket_json(order))
    return jsonify(state=order.state, thing=order.noun, thing_state=order.thing.state)  # type: ignore[attr-defined]


@api.post("/baskets")
def put_together() -> Any:
    """Create one order for several bills, given by their tokens. The same bills are the same basket."""
    given = request.get_json(silent=True)
    tokens = given.get("bills") if isinstance(given, dict) and given.keys() == {"bills"} else None
    if not isinstance(tokens, list) or not all(isinstance(each, str) for each in tokens) or len(tokens) > MOST:
        raise Invalid.for_fields({"bills": f"Send a list of at most {MOST} payment request tokens, and nothing else."})
    with acting(CUSTOMER):
        made = Basket.for_bills(Bill.by_token(each) for each in tokens)
    return jsonify(_basket_json(made)), 201


@api.get("/baskets/<token>")
def basket(token: str) -> Any:
    return jsonify(_basket_json(Basket.by_token(token)))


def _basket_json(basket: Basket) -> dict[str, Any]:
    return {
        "token": basket.token,
        "number": basket.number,
        "price": basket.price.as_json(),
        "state": "paid" if basket.is_settled else "open" if basket.can_be_paid else "over",
        "bills": [
            {"number": each.number, "price": each.price.as_json(), "state": each.state, "for": each.thing.said_on_paper}
            for each in basket.bills
        ],
        "pay": gateway.public_url(f"/pay/{basket.token}") if basket.can_be_paid else None,
    }


@api.post("/webhook/<name>")
def webhook(name: str) -> Response:
    """Verify and store the event; a worker processes it."""
    gateway.by_name(name)
    with acting(GATEWAY):
        news = gateway_webhooks.receive_webhook(name, request.get_data(cache=False), dict(request.headers))
    return jsonify(received=True, news=news)

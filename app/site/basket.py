"""Cart pages: the payment requests collected in this browser, paid together, and how each of them went."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask import session as cookie
from sqlalchemy import select

from app.kernel.access import Actor, acting
from app.kernel.db import session
from app.kernel.errors import Refused
from app.kernel.feature import NotOffered, is_on
from app.kernel.translation import say
from app.money.bills.basket import MOST, Basket
from app.money.bills.bill import Bill
from app.money.sums.amount import Money
from app.site.frame import is_framed, speak_language_of
from app.site.payments import AFTER_PAYING

basket = Blueprint("basket", __name__, url_prefix="/basket")

CUSTOMER = Actor("Customer", "site")


def add_to_basket(bill: Bill) -> None:
    """Add a payment request to the cart. Its IDs live in the signed session cookie."""
    if not is_on("baskets"):
        raise NotOffered
    kept = [each for each in cookie.get("basket", []) if each != bill.id]
    if len(kept) >= MOST:
        raise Refused(say("Your cart can hold at most %(n)s items. Please pay for these first.", n=MOST))
    cookie["basket"] = [*kept, bill.id]


def bills_in_basket() -> list[Bill]:
    """Return the payment requests in the cart that can still be paid."""
    kept = cookie.get("basket", []) if is_on("baskets") and not is_framed() else []
    found = session.scalars(select(Bill).where(Bill.id.in_(kept)).order_by(Bill.id)).all() if kept else []
    return [each for each in found if each.can_be_paid]


@basket.get("")
def show_collected() -> str:
    bills = bills_in_basket()
    total = (
        Money.total((each.price for each in bills), bills[0].price.currency)
        if len({each.price.currency for each in bills}) == 1
        else None
    )
    return render_template(
        "site/basket.html",
        bills=bills,
        total=total,
        until=min((each.order_request.until for each in bills if each.order_request.until), default=None),
    )


@basket.post("")
def pay() -> Any:
    """Pay: a single item as usual, several as one basket."""
    bills = bills_in_basket()
    if not bills:
        flash(say("There’s nothing left to pay here."), "warning")
        return redirect(url_for("basket.show_collected"), 303)
    try:
        with acting(CUSTOMER):
            order = Basket.for_bills(bills) if len(bills) > 1 else bills[0]
    except Refused as no:
        session.rollback()
        flash(no.words, "warning")
        return redirect(url_for("basket.show_collected"), 303)
    return redirect(url_for("pay.checkout", token=order.token), 303)


@basket.post("/out/<token>")
def take_out(token: str) -> Any:
    """Remove an item and release what it reserved; the bill's token in the address is the permission."""
    bill = Bill.by_token(token)
    if bill.id in cookie.get("basket", []):
        cookie["basket"] = [each for each in cookie["basket"] if each != bill.id]
        if bill.can_be_paid:
            with acting(CUSTOMER):
                bill.thing.give_up()
            flash(say("Removed from your cart. It is no longer reserved for you."), "success")
    return redirect(url_for("basket.show_collected"), 303)


@basket.get("/<token>")
def show(token: str) -> Any:
    """Show a basket after payment, with the state of each item."""
    asked = Basket.by_token(token)
    speak_language_of(asked.person)
    said = AFTER_PAYING.get(request.args.get("payment", "")) if asked.is_awaited else None
    if asked.is_settled:
        cookie.pop("basket", None)
    promised = any(each.state == "authorized" for bill in asked.bills for each in bill.payments)
    return render_template("site/together.html", asked=asked, warning=said, promised=promised)

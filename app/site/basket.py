"""Several things paid in one go: what somebody has put together on this browser, and what became of it."""

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
from app.site.frame import framed, speak_to
from app.site.payments import AFTER_PAYING

basket = Blueprint("basket", __name__, url_prefix="/basket")

CUSTOMER = Actor("Customer", "site")


def put(bill: Bill) -> None:
    """Beside what is there; the browser keeps which they are, signed, and we keep the rest."""
    if not is_on("baskets"):
        raise NotOffered
    kept = [each for each in cookie.get("basket", []) if each != bill.id]
    if len(kept) >= MOST:
        raise Refused(say("Your cart can hold at most %(n)s items. Please pay for these first.", n=MOST))
    cookie["basket"] = [*kept, bill.id]


def collected() -> list[Bill]:
    """What is in it and can still be paid; what cannot is not in it any more."""
    kept = cookie.get("basket", []) if is_on("baskets") and not framed() else []
    found = session.scalars(select(Bill).where(Bill.id.in_(kept)).order_by(Bill.id)).all() if kept else []
    return [each for each in found if each.can_be_paid]


@basket.get("")
def show_collected() -> str:
    bills = collected()
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
    """One is paid as ever; several are asked for at once."""
    bills = collected()
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
    """Whoever holds the link of a bill may let go of what it is for."""
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
    """What was asked for at once, and how each of it stands."""
    asked = Basket.by_token(token)
    speak_to(asked.person)
    said = AFTER_PAYING.get(request.args.get("payment", "")) if asked.is_awaited else None
    if asked.is_settled:
        cookie.pop("basket", None)
    promised = any(each.state == "authorized" for bill in asked.bills for each in bill.payments)
    return render_template("site/together.html", asked=asked, warning=said, promised=promised)

"""Buying: the pages on which somebody buys a package, and sees what is left of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for

from app.kernel.access import Actor, acting
from app.kernel.db import session, transaction
from app.kernel.errors import Missing, Refused
from app.kernel.people import Person
from app.kernel.translation import say
from app.money.bills.invoice import parse_buyer
from app.money.sums.quote import Quote
from app.money.sums.tax import STATES
from app.packs.bookings.booking.checkout import BUYER, PERSON
from app.packs.bookings.offer.package import Package
from app.packs.bookings.offer.prepaid import Pass
from app.packs.bookings.site.account_cards import SAID
from app.packs.bookings.site.month import zone_asked
from app.site.frame import speak_to
from app.site.payments import AFTER_PAYING

buying = Blueprint("pass", __name__)  # the payment pages lead back to the page of a pass by its noun's name

CUSTOMER = Actor("Customer", "site")


@buying.get("/packages")
def packages() -> str:
    return render_template("bookings/packages.html", packages=Package.all_offered())


@buying.get("/packages/<int:id>")
def form(id: int) -> str:
    return _form(Package.by_id(id), {})


@buying.post("/packages/<int:id>")
def buy(id: int) -> Any:
    """Reads the form, and leads to the payment. A refusal keeps what was typed, and so does another price."""
    package = Package.by_id(id)
    try:
        buyer = parse_buyer({name: request.form.get(name, "") for name in BUYER})
        quote, shown = _price(package, buyer), _shown()
        if shown and shown.total != quote.total:
            says = say(
                "The price has changed from %(before)s to %(now)s. You haven’t been charged. Please check the new price and continue.",
                now=quote.total,
                before=shown.total,
            )
            return _form(package, request.form, says=says, quote=quote), 409
        who = {name: request.form.get(name, "") for name in PERSON} | {"timezone": zone_asked()}
        once = request.form.get("once", "")[:100]
        with acting(CUSTOMER), transaction():
            bought = Pass.sell(package, quote, Person.meet(**who), buyer, key=f"site:{once}" if once else "")
    except Refused as no:
        session.rollback()
        return _form(Package.by_id(id), request.form, no), no.status
    bill = bought.bill
    return redirect(
        url_for("pay.checkout", token=bill.token) if bill else url_for("pass.show", token=bought.token), 303
    )


@buying.get("/pass/<token>")
def show(token: str) -> str:
    bought = Pass.by_token(token)
    speak_to(bought.person)
    papers = [paper for bill in bought.bills for paper in bill.invoices]
    said = AFTER_PAYING.get(request.args.get("payment", "")) if bought.state == "open" else None
    return render_template(
        "bookings/pass.html", bought=bought, bill=bought.bill, papers=papers, called=SAID, warning=said and say(said)
    )


def _price(package: Package, buyer: Mapping[str, str]) -> Quote:
    """The one that was named on the page, if it was for this and still holds; otherwise today's."""
    region, named = buyer.get("region", ""), _shown()
    if named and named.still_holds and named.is_for(package.address, {"state": region}):
        return named
    with transaction():
        return package.quote(region)


def _shown() -> Quote | None:
    try:
        return Quote.by_token(request.form.get("quote", ""))
    except Missing:
        return None


def _form(
    package: Package, typed: Mapping[str, str], no: Refused | None = None, *, says: str = "", quote: Quote | None = None
) -> str:
    if quote is None:
        with transaction():
            quote = package.quote()
    return render_template(
        "bookings/package.html",
        package=package,
        quote=quote,
        typed=typed,
        zone=zone_asked(),
        states=STATES,
        wrong=no.fields if no else {},
        refusal=no.words if no else says,
        once=typed.get("once") or secrets.token_urlsafe(16),
    )

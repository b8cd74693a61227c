"""Package pages: buy a package, and see its code and the sessions left."""

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
from app.packs.bookings.site.account_cards import STATE_LABELS
from app.packs.bookings.site.month import requested_zone
from app.site.frame import speak_language_of
from app.site.payments import AFTER_PAYING

package_pages = Blueprint("pass", __name__)  # the payment pages link back by the name of the noun

CUSTOMER = Actor("Customer", "site")


@package_pages.get("/packages")
def packages() -> str:
    return render_template("bookings/packages.html", packages=Package.all_offered())


@package_pages.get("/packages/<int:id>")
def form(id: int) -> str:
    return _form(Package.by_id(id), {})


@package_pages.post("/packages/<int:id>")
def buy(id: int) -> Any:
    """Sell the package and go on to payment. A refusal or a changed price shows the form again with what was typed."""
    package = Package.by_id(id)
    try:
        buyer = parse_buyer({name: request.form.get(name, "") for name in BUYER})
        quote, shown = _current_quote(package, buyer), _shown_quote()
        if shown and shown.total != quote.total:
            notice = say(
                "The price has changed from %(before)s to %(now)s. You haven’t been charged. "
                "Please check the new price and continue.",
                now=quote.total,
                before=shown.total,
            )
            return _form(package, request.form, notice=notice, quote=quote), 409
        who = {name: request.form.get(name, "") for name in PERSON} | {"timezone": requested_zone()}
        once = request.form.get("once", "")[:100]
        with acting(CUSTOMER), transaction():
            bought = Pass.sell(package, quote, Person.find_or_create(**who), buyer, key=f"site:{once}" if once else "")
    except Refused as no:
        session.rollback()
        return _form(Package.by_id(id), request.form, no), no.status
    bill = bought.bill
    return redirect(
        url_for("pay.checkout", token=bill.token) if bill else url_for("pass.show", token=bought.token), 303
    )


@package_pages.get("/pass/<token>")
def show(token: str) -> str:
    bought = Pass.by_token(token)
    speak_language_of(bought.person)
    papers = [paper for bill in bought.bills for paper in bill.invoices]
    warning = AFTER_PAYING.get(request.args.get("payment", "")) if bought.state == "open" else None
    return render_template(
        "bookings/pass.html",
        bought=bought,
        bill=bought.bill,
        papers=papers,
        state_labels=STATE_LABELS,
        warning=warning and say(warning),
    )


def _current_quote(package: Package, buyer: Mapping[str, str]) -> Quote:
    """The quote that the page showed, if it is for this package and still valid; otherwise a new one."""
    region, shown = buyer.get("region", ""), _shown_quote()
    if shown and shown.still_holds and shown.is_for(package.address, {"state": region}):
        return shown
    with transaction():
        return package.quote(region)


def _shown_quote() -> Quote | None:
    try:
        return Quote.by_token(request.form.get("quote", ""))
    except Missing:
        return None


def _form(
    package: Package,
    typed: Mapping[str, str],
    no: Refused | None = None,
    *,
    notice: str = "",
    quote: Quote | None = None,
) -> str:
    if quote is None:
        with transaction():
            quote = package.quote()
    return render_template(
        "bookings/package.html",
        package=package,
        quote=quote,
        typed=typed,
        zone=requested_zone(),
        states=STATES,
        wrong=no.fields if no else {},
        refusal=no.words if no else notice,
        once=typed.get("once") or secrets.token_urlsafe(16),
    )

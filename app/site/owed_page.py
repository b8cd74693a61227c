"""Payment page of a one-off charge: what it is for, the amount, whether it is paid, and its documents."""

from __future__ import annotations

from typing import Any, cast

from flask import Blueprint, current_app, render_template, request, url_for

from app.kernel.access import Linked
from app.kernel.db import noun_of_table, nouns
from app.kernel.errors import Missing
from app.money.bills.bill import Bill
from app.money.bills.one_off_charge import OneOffCharge
from app.site.frame import speak_language_of

thing = Blueprint("thing", __name__)


@thing.get("/owed/<noun>/<token>")
def show(noun: str, token: str) -> str:
    kind: Any = noun_of_table(noun) if noun in {each.__tablename__ for each in nouns()} else None
    if kind is None or not issubclass(kind, OneOffCharge):
        raise Missing
    charge = kind.by_token(token)
    speak_language_of(charge.person)
    return render_template(
        "site/thing.html",
        it=charge,
        bill=charge.bill,
        payment_error=request.args.get("payment", "") if charge.state == "open" else "",
    )


def page_of_bill(bill: Bill, **more: Any) -> str:
    """Return the address of what this bill is for: its pack's own page, or the one above."""
    own, thing = f"{bill.noun}.show", cast(Linked, bill.thing)  # what customers pay for always has a link
    if own in current_app.view_functions:
        return url_for(own, token=thing.token, **more)
    return url_for("thing.show", noun=bill.noun, token=thing.token, **more)

"""A page for whatever somebody owes: what it is, what it costs, whether it is paid, and its papers; for whoever holds its link."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, render_template, request, url_for

from app.kernel.db import noun_of_table, nouns
from app.kernel.errors import Missing
from app.money.bills.bill import Bill
from app.money.bills.one_off_charge import OneOffCharge
from app.site.frame import speak_to

thing = Blueprint("thing", __name__)


@thing.get("/owed/<noun>/<token>")
def show(noun: str, token: str) -> str:
    kind: Any = noun_of_table(noun) if noun in {each.__tablename__ for each in nouns()} else None
    if kind is None or not issubclass(kind, OneOffCharge):
        raise Missing
    it = kind.by_token(token)
    speak_to(it.person)
    return render_template(
        "site/thing.html",
        it=it,
        bill=it.bill,
        said_before=request.args.get("payment", "") if it.state == "open" else "",
    )


def home_of(bill: Bill, **more: Any) -> str:
    """The page of whatever this bill is for: its pack's own, or this one."""
    own, token = f"{bill.noun}.show", bill.thing.token  # type: ignore[attr-defined]  # what is paid for by the public has a link
    if own in current_app.view_functions:
        return url_for(own, token=token, **more)
    return url_for("thing.show", noun=bill.noun, token=token, **more)

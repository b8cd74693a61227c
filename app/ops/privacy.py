"""What somebody may ask of us about themselves: everything that is held of them, and that it be forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, current_app, render_template, request
from flask import session as cookie

from app.kernel import clock
from app.kernel import privacy as kept
from app.kernel.access import acting
from app.kernel.db import session, transaction
from app.kernel.errors import Refused
from app.kernel.translation import say
from app.site.account import CUSTOMER, Closed, Opened, closed, opened

privacy = Blueprint("privacy", __name__, url_prefix="/account")
privacy.register_error_handler(Closed, closed)


@privacy.get("/everything.json")
def everything() -> Response:
    """One file, under names that can be read."""
    who = opened()
    headers = {"Content-Disposition": 'attachment; filename="everything.json"'}
    return Response(
        "".join(_written(who, current_app.extensions["settings"].business)),
        mimetype="application/json",
        headers=headers,
    )


def _written(who: Opened, business: str) -> Iterator[str]:
    head = {"Held by": business, "About": who.mailbox, "Written": clock.now().isoformat(timespec="seconds")}
    yield json.dumps(head, ensure_ascii=False, indent=2)[:-2]
    for label, rows in kept.told(who.ids):
        yield f",\n  {json.dumps(label)}: {json.dumps(rows, ensure_ascii=False, indent=2)}"
    yield "\n}\n"


@privacy.get("/forget")
def ask() -> Any:
    """What goes, what stays and why, and what stands in the way."""
    who = opened()
    return render_template(
        "site/account_forget.html", who=who, needs=kept.needs(who.ids), left=kept.left(who.ids), refusal=""
    )


@privacy.post("/forget")
def forget() -> Any:
    """Everybody of this mailbox, or nobody; and then it is not theirs any more."""
    who = opened()
    if request.form.get("sure") != "yes":
        return _again(who, Refused(say("Please tick the box to confirm. Deleted data can’t be restored."))), 422
    left = kept.left(who.ids)
    try:
        with acting(CUSTOMER), transaction():
            for person in who.people:
                person.forget()
            who.code.lapse()
    except Refused as no:
        session.rollback()
        return _again(opened(), no), no.status
    cookie.pop("account", None)
    return render_template("site/account_forgotten.html", left=left)


def _again(who: Opened, no: Refused) -> str:
    return render_template(
        "site/account_forget.html", who=who, needs=kept.needs(who.ids), left=kept.left(who.ids), refusal=no.words
    )

"""Personal data requests (GDPR, DPDP): a customer's data export and deletion, from their account."""

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
from app.site.account import CUSTOMER, AccountSession, SignedOut, current_session, redirect_to_sign_in

privacy = Blueprint("privacy", __name__, url_prefix="/account")
privacy.register_error_handler(SignedOut, redirect_to_sign_in)


@privacy.get("/everything.json")
def everything() -> Response:
    """Download all personal data as one JSON file with readable labels."""
    who = current_session()
    headers = {"Content-Disposition": 'attachment; filename="everything.json"'}
    return Response(
        "".join(_json_chunks(who, current_app.extensions["settings"].business)),
        mimetype="application/json",
        headers=headers,
    )


def _json_chunks(who: AccountSession, business: str) -> Iterator[str]:
    head = {"Held by": business, "About": who.mailbox, "Written": clock.now().isoformat(timespec="seconds")}
    yield json.dumps(head, ensure_ascii=False, indent=2)[:-2]
    for label, rows in kept.export_people(who.ids):
        yield f",\n  {json.dumps(label)}: {json.dumps(rows, ensure_ascii=False, indent=2)}"
    yield "\n}\n"


@privacy.get("/forget")
def ask() -> Any:
    """Show what will be deleted, what has to stay and why, and what prevents deletion."""
    who = current_session()
    return render_template(
        "site/account_forget.html",
        who=who,
        needs=kept.reasons_to_keep(who.ids),
        left=kept.describe_kept(who.ids),
        refusal="",
    )


@privacy.post("/forget")
def forget() -> Any:
    """Delete the data of every customer of this mailbox, or of none, and sign out."""
    who = current_session()
    if request.form.get("sure") != "yes":
        return _ask_again(who, Refused(say("Please tick the box to confirm. Deleted data can’t be restored."))), 422
    left = kept.describe_kept(who.ids)
    try:
        with acting(CUSTOMER), transaction():
            for person in who.people:
                person.forget()
            who.code.lapse()
    except Refused as no:
        session.rollback()
        return _ask_again(current_session(), no), no.status
    cookie.pop("account", None)
    return render_template("site/account_forgotten.html", left=left)


def _ask_again(who: AccountSession, no: Refused) -> str:
    return render_template(
        "site/account_forget.html",
        who=who,
        needs=kept.reasons_to_keep(who.ids),
        left=kept.describe_kept(who.ids),
        refusal=no.words,
    )

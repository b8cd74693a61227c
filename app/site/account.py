"""The customer's account: opened by a code that is sent to their mailbox, and showing what is theirs and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask import session as cookie
from sqlalchemy import func, select

from app.kernel import clock
from app.kernel.access import Actor, acting
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid, Refused
from app.kernel.people import Person, mailbox
from app.kernel.translation import languages, say, speak
from app.messages.code import MINUTES, Code
from app.money.bills.bill import Bill
from app.money.bills.invoice import Invoice
from app.money.bills.payment import Payment
from app.money.bills.refund import Refund
from app.money.sums.amount import Money
from app.site.throttle import asking

account = Blueprint("account", __name__, url_prefix="/account")

CUSTOMER = Actor("Customer", "site")
IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)


@dataclass(frozen=True)
class Opened:
    """An account that is open in this browser: one mailbox, and everybody who has it."""

    mailbox: str
    code: Code
    people: Sequence[Person]

    @property
    def ids(self) -> list[int]:
        return [each.id for each in self.people]


class Closed(Refused):
    """Nobody is signed in here, or not any more."""

    status = 401
    code = "closed"


def opened() -> Opened:
    """Whose account is open in this browser; each look keeps it open for another half hour, and twelve hours in all."""
    kept = cookie.get("account") or {}
    code = Code.known_by(str(kept.get("code", "")))
    now = clock.now()
    if code is None or code.state != "used" or code.used_at is None or not code.is_for(str(kept.get("mailbox", ""))):
        raise Closed(say("Please sign in to continue."))
    if now - datetime.fromisoformat(kept["seen"]) > IDLE or now - code.used_at > LONGEST:
        raise Closed(say("Your session has expired. Please sign in again."))
    cookie["account"] = kept | {"seen": now.isoformat()}
    return Opened(kept["mailbox"], code, everybody_at(kept["mailbox"]))


def everybody_at(address: str) -> Sequence[Person]:
    """Two people may share a mailbox; whoever reads it reads what was written to both."""
    return session.scalars(
        select(Person).where(func.lower(Person.email) == address.lower(), Person.state == "known").order_by(Person.id)
    ).all()


@account.errorhandler(Closed)
def closed(no: Closed) -> Any:
    """Back to the way in."""
    if cookie.pop("account", None):
        flash(no.words, "warning")
    return redirect(url_for("account.enter"), 303)


# --- the way in -------------------------------------------------------------------------------------------------------


@account.get("/in")
def enter() -> str:
    return _ask()


@account.post("/in")
def ask() -> Any:
    """The same answer, after the same work, whether anybody here has this mailbox or not."""
    typed = request.form.get("email", "")
    try:
        address = mailbox(typed)
        asking(address)
        with acting(CUSTOMER):
            code = Code.ask(address)
    except Refused as no:
        session.rollback()
        return _ask(typed, no), no.status
    cookie["asking"] = {"code": code.handle, "mailbox": address}
    return redirect(url_for("account.code"), 303)


def _ask(typed: str = "", no: Refused | None = None) -> str:
    return render_template(
        "site/account_in.html", typed=typed, wrong=no.fields if no else {}, refusal=no.words if no else ""
    )


@account.get("/code")
def code() -> Any:
    return _enter() if cookie.get("asking") else redirect(url_for("account.enter"), 303)


@account.post("/code")
def check() -> Any:
    """Only in the browser that asked: a code that was told to somebody else opens nothing."""
    asked = cookie.get("asking") or {}
    found = Code.known_by(str(asked.get("code", "")))
    if found is None:
        return redirect(url_for("account.enter"), 303)
    try:
        with acting(CUSTOMER):
            found.enter(request.form.get("code", ""))
    except Invalid as no:
        session.rollback()
        return _enter(no), no.status
    cookie.pop("asking")
    cookie["account"] = {"code": found.handle, "mailbox": asked["mailbox"], "seen": clock.now().isoformat()}
    if (theirs := everybody_at(asked["mailbox"])) and "lang" not in cookie:
        cookie["lang"] = theirs[-1].locale
    return redirect(url_for("account.show"), 303)


def _enter(no: Refused | None = None) -> str:
    address = (cookie.get("asking") or {}).get("mailbox", "")
    return render_template(
        "site/account_code.html",
        mailbox=address,
        minutes=MINUTES,
        wrong=no.fields if no else {},
        refusal=no.words if no else "",
    )


@account.post("/out")
def leave() -> Any:
    """Closed here, and for every copy of this browser's cookie."""
    with acting(CUSTOMER), transaction():
        opened().code.lapse()
    cookie.pop("account", None)
    flash(say("You have been signed out."), "success")
    return redirect(url_for("account.enter"), 303)


# --- what is theirs ---------------------------------------------------------------------------------------------------


@account.get("")
def show() -> Any:
    return page(opened())


def page(who: Opened, no: Refused | None = None) -> str:
    cards = sorted(
        (card for pack in current_app.extensions["packs"] if pack.mine for card in pack.mine(who.people)),
        key=lambda card: card.at,
    )
    return render_template(
        "site/account.html",
        who=who,
        to_come=[card for card in cards if not card.is_over],
        over=[card for card in reversed(cards) if card.is_over],
        papers=session.scalars(select(Invoice).where(Invoice.person_id.in_(who.ids)).order_by(Invoice.id.desc())).all(),
        sums=_sums(who),
        locales=languages(),
        thing_said=thing_said,
        timezone=who.people[-1].timezone if who.people else current_app.extensions["settings"].timezone,
        refusal=no,
    )


@dataclass(frozen=True)
class Sum:
    """Money that moved: when, how much, and which way."""

    at: datetime
    money: Money
    says: str
    went_back: bool = False


def _sums(who: Opened) -> list[Sum]:
    paid = (
        select(Payment)
        .join(Bill, Payment.bill_id == Bill.id)
        .where(Bill.person_id.in_(who.ids), Payment.captured_at.is_not(None))
    )
    payments = session.scalars(paid.order_by(Payment.id)).unique().all()
    came = [
        Sum(each.captured_at, each.money, say("Payment for %(thing)s", thing=thing_said(each.bill)))
        for each in payments
        if each.captured_at
    ]
    back = [
        _back(each)
        for payment in payments
        for each in payment.refunds
        if each.state in ("owed", "sent", "done", "failed")
    ]
    return sorted(came + back, key=lambda each: each.at, reverse=True)


def thing_said(bill: Bill) -> str:
    return str(getattr(bill.thing, "spoken", bill.thing.said_on_paper))


def _back(refund: Refund) -> Sum:
    says = say("Refunded") if refund.state == "done" else say("Refund on its way")
    return Sum(refund.done_at or refund.created_at, refund.money, f"{says} ({refund.number})", went_back=True)


@account.post("/settings")
def settle() -> Any:
    """The language of what we write, and the zone in which it says the time."""
    who = opened()
    try:
        with acting(CUSTOMER), transaction():
            for person in who.people:
                person.lock().prefer(request.form.get("locale", ""), request.form.get("timezone", ""))
    except Refused as no:
        session.rollback()
        return page(opened(), no), no.status
    cookie["lang"] = request.form["locale"]
    speak(cookie["lang"])
    flash(say("Your preferences have been saved."), "success")
    return redirect(url_for("account.show"), 303)

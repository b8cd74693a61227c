"""Customer account: passwordless sign-in by a code sent by email; bookings, documents, payments and preferences."""

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
from app.kernel.people import Person, parse_email
from app.kernel.translation import languages, say, speak
from app.messages.code import MINUTES, Code
from app.money.bills.bill import Bill
from app.money.bills.invoice import Invoice
from app.money.bills.payment import Payment
from app.money.bills.refund import Refund
from app.money.sums.amount import Money
from app.site.throttle import limit_code_requests

account = Blueprint("account", __name__, url_prefix="/account")

CUSTOMER = Actor("Customer", "site")
IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)


@dataclass(frozen=True)
class AccountSession:
    """A signed-in customer: one mailbox, and the customers who use it."""

    mailbox: str
    code: Code
    people: Sequence[Person]

    @property
    def ids(self) -> list[int]:
        return [each.id for each in self.people]


class SignedOut(Refused):
    """The browser is not signed in, or its session has expired."""

    status = 401
    code = "closed"


def current_session() -> AccountSession:
    """Return the session of this browser: it expires after 30 minutes without activity, and after 12 hours."""
    kept = cookie.get("account") or {}
    code = Code.find_by_handle(str(kept.get("code", "")))
    now = clock.now()
    if code is None or code.state != "used" or code.used_at is None or not code.is_for(str(kept.get("mailbox", ""))):
        raise SignedOut(say("Please sign in to continue."))
    if now - datetime.fromisoformat(kept["seen"]) > IDLE or now - code.used_at > LONGEST:
        raise SignedOut(say("Your session has expired. Please sign in again."))
    cookie["account"] = kept | {"seen": now.isoformat()}
    return AccountSession(kept["mailbox"], code, people_at(kept["mailbox"]))


def people_at(address: str) -> Sequence[Person]:
    """Return every customer with this mailbox: two may share it, and both read what is sent to it."""
    return session.scalars(
        select(Person).where(func.lower(Person.email) == address.lower(), Person.state == "known").order_by(Person.id)
    ).all()


@account.errorhandler(SignedOut)
def redirect_to_sign_in(no: SignedOut) -> Any:
    if cookie.pop("account", None):
        flash(no.words, "warning")
    return redirect(url_for("account.enter"), 303)


# --- signing in -------------------------------------------------------------------------------------------------------


@account.get("/in")
def enter() -> str:
    return _email_form()


@account.post("/in")
def ask() -> Any:
    """Send a code. The answer and its timing don’t reveal whether an account exists."""
    typed = request.form.get("email", "")
    try:
        address = parse_email(typed)
        limit_code_requests(address)
        with acting(CUSTOMER):
            code = Code.request(address)
    except Refused as no:
        session.rollback()
        return _email_form(typed, no), no.status
    cookie["asking"] = {"code": code.handle, "mailbox": address}
    return redirect(url_for("account.code"), 303)


def _email_form(typed: str = "", no: Refused | None = None) -> str:
    return render_template(
        "site/account_in.html", typed=typed, wrong=no.fields if no else {}, refusal=no.words if no else ""
    )


@account.get("/code")
def code() -> Any:
    return _code_form() if cookie.get("asking") else redirect(url_for("account.enter"), 303)


@account.post("/code")
def check() -> Any:
    """Check the code, in the browser that requested it only: a code passed on to another person is useless."""
    asked = cookie.get("asking") or {}
    found = Code.find_by_handle(str(asked.get("code", "")))
    if found is None:
        return redirect(url_for("account.enter"), 303)
    try:
        with acting(CUSTOMER):
            found.verify(request.form.get("code", ""))
    except Invalid as no:
        session.rollback()
        return _code_form(no), no.status
    cookie.pop("asking")
    cookie["account"] = {"code": found.handle, "mailbox": asked["mailbox"], "seen": clock.now().isoformat()}
    if (theirs := people_at(asked["mailbox"])) and "lang" not in cookie:
        cookie["lang"] = theirs[-1].locale
    return redirect(url_for("account.show"), 303)


def _code_form(no: Refused | None = None) -> str:
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
    """Sign out, which also ends every copy of this cookie."""
    with acting(CUSTOMER), transaction():
        current_session().code.lapse()
    cookie.pop("account", None)
    flash(say("You have been signed out."), "success")
    return redirect(url_for("account.enter"), 303)


# --- the account page -------------------------------------------------------------------------------------------------


@account.get("")
def show() -> Any:
    return account_page(current_session())


def account_page(who: AccountSession, no: Refused | None = None) -> str:
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
        sums=_movements(who),
        locales=languages(),
        describe_item=describe_item,
        timezone=who.people[-1].timezone if who.people else current_app.extensions["settings"].timezone,
        refusal=no,
    )


@dataclass(frozen=True)
class MoneyMovement:
    """One payment or refund in the list of the account."""

    at: datetime
    money: Money
    says: str
    went_back: bool = False


def _movements(who: AccountSession) -> list[MoneyMovement]:
    paid = (
        select(Payment)
        .join(Bill, Payment.bill_id == Bill.id)
        .where(Bill.person_id.in_(who.ids), Payment.captured_at.is_not(None))
    )
    payments = session.scalars(paid.order_by(Payment.id)).unique().all()
    came = [
        MoneyMovement(each.captured_at, each.money, say("Payment for %(thing)s", thing=describe_item(each.bill)))
        for each in payments
        if each.captured_at
    ]
    back = [
        _refund_movement(each)
        for payment in payments
        for each in payment.refunds
        if each.state in ("owed", "sent", "done", "failed")
    ]
    return sorted(came + back, key=lambda each: each.at, reverse=True)


def describe_item(bill: Bill) -> str:
    return str(getattr(bill.thing, "spoken", bill.thing.said_on_paper))


def _refund_movement(refund: Refund) -> MoneyMovement:
    says = say("Refunded") if refund.state == "done" else say("Refund on its way")
    return MoneyMovement(refund.done_at or refund.created_at, refund.money, f"{says} ({refund.number})", went_back=True)


@account.post("/settings")
def settle() -> Any:
    """Save the language and time zone of messages to this customer."""
    who = current_session()
    try:
        with acting(CUSTOMER), transaction():
            for person in who.people:
                person.lock().set_preferences(request.form.get("locale", ""), request.form.get("timezone", ""))
    except Refused as no:
        session.rollback()
        return account_page(current_session(), no), no.status
    cookie["lang"] = request.form["locale"]
    speak(cookie["lang"])
    flash(say("Your preferences have been saved."), "success")
    return redirect(url_for("account.show"), 303)

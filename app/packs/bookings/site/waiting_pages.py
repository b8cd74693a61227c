"""Waiting list pages: join with a range of dates, see the position, leave."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from app.kernel import clock
from app.kernel.access import Actor, acting
from app.kernel.db import session
from app.kernel.errors import Invalid, Refused
from app.kernel.translation import say
from app.packs.bookings.booking.checkout import PERSON
from app.packs.bookings.booking.waiting import Waiting
from app.packs.bookings.offer.service import Service
from app.packs.bookings.site.booking_pages import requested_practitioner
from app.packs.bookings.site.month import requested_zone
from app.site.frame import speak_language_of

waiting_list = Blueprint("in_line", __name__)

CUSTOMER = Actor("Customer", "site")


@waiting_list.get("/book/<slug>/wait")
def ask(slug: str) -> str:
    service, today = Service.by_slug(slug), clock.today()
    return _form(service, {"first_day": today.isoformat(), "last_day": clock.ahead(days=28).date().isoformat()})


@waiting_list.post("/book/<slug>/wait")
def join(slug: str) -> Any:
    service = Service.by_slug(slug)
    try:
        first, last = _days()
        who = {name: request.form.get(name, "") for name in PERSON} | {"timezone": requested_zone()}
        with acting(CUSTOMER):
            entry = Waiting.join(service, who, first, last, requested_practitioner())
    except Refused as no:
        session.rollback()
        return _form(Service.by_slug(slug), request.form, no), no.status
    return redirect(url_for("in_line.show", token=entry.token), 303)


@waiting_list.get("/waiting/<token>")
def show(token: str) -> str:
    waiting = Waiting.by_token(token)
    speak_language_of(waiting.person)
    return render_template("bookings/waiting.html", waiting=waiting)


@waiting_list.post("/waiting/<token>")
def leave(token: str) -> Any:
    waiting = Waiting.by_token(token)
    if waiting.state in ("waiting", "offered"):
        with acting(CUSTOMER):
            waiting.leave()
        flash(say("You have left the waiting list."), "success")
    return redirect(url_for("in_line.show", token=token), 303)


def _days() -> tuple[date, date]:
    days, wrong = {}, {}
    for name in ("first_day", "last_day"):
        try:
            days[name] = date.fromisoformat(request.form.get(name, ""))
        except ValueError:
            wrong[name] = say("Enter a valid date.")
    if wrong:
        raise Invalid.for_fields(wrong)
    return days["first_day"], days["last_day"]


def _form(service: Service, typed: Any, no: Refused | None = None) -> str:
    return render_template(
        "bookings/wait.html",
        service=service,
        typed=typed,
        zone=requested_zone(),
        whose=requested_practitioner(),
        wrong=no.fields if no else {},
        refusal=no.words if no else "",
    )

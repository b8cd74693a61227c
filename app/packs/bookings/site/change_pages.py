"""Reschedule and cancel pages: customers change a booking by its link, within the limits of the service."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from app.kernel.access import Actor, acting
from app.kernel.db import session
from app.kernel.errors import Missing, Refused
from app.kernel.translation import say
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.slot import Slot
from app.packs.bookings.site.booking_pages import requested_practitioner
from app.packs.bookings.site.month import ZONES, Month, requested_zone
from app.site.frame import speak_language_of

changing = Blueprint("changing", __name__, url_prefix="/booking/<token>")

CUSTOMER = Actor("Customer", "site")


def _booking(token: str) -> Booking:
    booking = Booking.by_token(token)
    speak_language_of(booking.person)
    return booking


@changing.get("/move")
def move(token: str) -> Any:
    """Show the calendar of the same service, without the current time."""
    booking = _booking(token)
    if no := booking.refuses_change():
        return _too_late(booking, no)
    service, whose = booking.slot.service, requested_practitioner()
    zone = requested_zone() if "tz" in request.args else booking.timezone
    return render_template(
        "bookings/choose.html",
        moving=booking,
        service=service,
        zone=zone,
        zones=ZONES,
        month=Month.from_request(service, whose, besides=booking.slot_id, zone=zone),
        whose=whose,
        givers=[],
        page=lambda **more: url_for("changing.move", token=token, tz=zone, **more),
        form_of=lambda time: url_for("changing.sure", token=token, slot=time.slot.id),
    )


@changing.get("/move/<int:slot>")
def sure(token: str, slot: int) -> Any:
    booking, new = _booking(token), _slot(slot)
    if no := booking.refuses_change():
        return _too_late(booking, no)
    return render_template("bookings/move.html", booking=booking, new=new, zone=booking.timezone)


@changing.post("/move/<int:slot>")
def do_move(token: str, slot: int) -> Any:
    """Move the booking. A refusal leads back to the calendar, and the old time is kept."""
    booking, new = _booking(token), _slot(slot)
    if booking.slot_id == slot:  # a double click
        return redirect(url_for("booking.show", token=token), 303)
    try:
        with acting(CUSTOMER):
            booking.move_to(new)
    except Refused as no:
        session.rollback()
        if booking.refuses_change():
            return _too_late(booking, no.words)
        flash(next(iter(no.fields.values()), no.words), "warning")
        return redirect(url_for("changing.move", token=token), 303)
    flash(say("Your booking has been rescheduled. You’ll get a confirmation by email."), "success")
    return redirect(url_for("booking.show", token=token), 303)


@changing.get("/call-off")
def call_off(token: str) -> Any:
    booking = _booking(token)
    if no := booking.refuses_change():
        return _too_late(booking, no)
    return _ask(booking)


@changing.post("/call-off")
def do_call_off(token: str) -> Any:
    """Cancel, unless the refund differs from the one that the page displayed: then ask again."""
    booking = _booking(token)
    if booking.state == "cancelled":  # a double click
        return redirect(url_for("booking.show", token=token), 303)
    if no := booking.refuses_change():
        return _too_late(booking, no)
    if request.form.get("back", "") != str(booking.refund_by_policy().amount):
        return _ask(
            booking,
            say(
                "Your refund has changed since you opened this page. Your booking has not been cancelled yet. "
                "Please check the refund and try again."
            ),
        ), 409
    with acting(CUSTOMER):
        booking.call_off(request.form.get("why", "").strip()[:300])
    return redirect(url_for("booking.show", token=token), 303)


def _ask(booking: Booking, refusal: str = "") -> str:
    return render_template(
        "bookings/call_off.html", booking=booking, zone=booking.timezone, refund=booking.refundable(), refusal=refusal
    )


def _too_late(booking: Booking, no: str) -> tuple[str, int]:
    """Show why the booking can’t be changed online, and how to contact the practice."""
    return render_template("bookings/too_late.html", booking=booking, zone=booking.timezone, no=no), 409


def _slot(id: int) -> Slot:
    slot = session.get(Slot, id) if id < 2**31 else None
    if slot is None:
        raise Missing
    return slot

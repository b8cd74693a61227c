"""Booking pages of the website: services, calendar, the booking form (checkout) and the page of a booking."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, send_file, url_for
from flask import session as cookie
from sqlalchemy import select

from app.kernel import clock
from app.kernel.access import Actor, acting
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid, Missing, Refused
from app.kernel.feature import is_on
from app.kernel.translation import language, say
from app.messages import channel
from app.messages.opt_in import OptIn
from app.money.bills.bill import Bill, paid_for
from app.money.bills.invoice import Invoice
from app.money.bills.payment import Payment
from app.money.bills.refund import Refund
from app.money.gateways import gateway
from app.money.sums import refund_policy
from app.money.sums.amount import Money
from app.money.sums.quote import Quote
from app.money.sums.tax import STATES
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.checkout import PERSON, Checkout, PriceSummary, Typed, request_key
from app.packs.bookings.booking.waiting import Waiting
from app.packs.bookings.offer.package import Package
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import GONE, Slot
from app.packs.bookings.site.month import ZONES, Month, requested_zone
from app.site.basket import add_to_basket, bills_in_basket
from app.site.files import read_answers
from app.site.frame import accepts_files, is_framed, speak_language_of
from app.site.payments import AFTER_PAYING
from app.site.throttle import limit_wrong_guesses

site = Blueprint("booking", __name__)

CUSTOMER = Actor("Customer", "site")


@site.app_template_filter()
def policy_text(tiers: str, begins: datetime | None = None) -> str:
    """Describe a cancellation policy; for an upcoming appointment, only the tiers that still apply."""
    return refund_policy.policy_in_words(tiers, begins - clock.now() if begins else None)


@site.get("/")
def home() -> str:
    return render_template("bookings/home.html", services=Service.all_offered(), practitioners=_practitioners())


@site.get("/services")
def services() -> str:
    return render_template(
        "bookings/services.html",
        services=Service.all_offered(),
        packages=Package.all_offered(),
        practitioners=_practitioners(),
    )


@site.get("/practitioners/<int:id>/photo")
def photo(id: int) -> Any:
    practitioner = session.get(Practitioner, id)
    if practitioner is None or practitioner.photo is None or not practitioner.photo.path.exists():
        raise Missing
    return send_file(practitioner.photo.path, mimetype="image/webp", max_age=3600)


# --- choosing a time --------------------------------------------------------------------------------------------------


@site.get("/book/<slug>")
def choose(slug: str) -> str:
    service, zone = Service.by_slug(slug), requested_zone()
    whose = requested_practitioner()
    month, available = Month.from_request(service, whose), Booking.practitioners_with_slots(service)
    with_: dict[str, Any] = {"with": whose or None}
    return render_template(
        "bookings/choose.html",
        service=service,
        zone=zone,
        zones=ZONES,
        packages=Package.all_offered(service),
        month=month,
        whose=whose,
        givers=[each for each in _practitioners() if each.id == whose or each.id in available],
        page=lambda **more: url_for(".choose", slug=slug, tz=zone, **with_, **more),
        form_of=lambda time: url_for(".form", slug=slug, slot=time.slot.id, tz=zone, **with_),
    )


def requested_practitioner() -> int:
    """ID of the practitioner that the visitor chose; 0 if they have no preference."""
    asked = request.values.get("with", "")
    return int(asked) if asked.isdecimal() and len(asked) < 10 else 0


# --- booking it -------------------------------------------------------------------------------------------------------


@site.get("/book/<slug>/<int:slot>")
def form(slug: str, slot: int) -> Any:
    service = Service.by_slug(slug)
    chosen = _slot(service, slot)
    if own := _own_hold(chosen):
        return _form(Checkout(service, chosen, own))
    if waiting := Waiting.by_offer(request.values.get("offer", ""), chosen):
        who = {name: getattr(waiting.person, name) for name in PERSON}
        return _form(Checkout(service, chosen, Typed(who | {"offer": waiting.token})))
    if (no := chosen.refuses()) or not _is_available(chosen):
        return _back_to_times(service, chosen, no or say(GONE))
    return _form(Checkout(service, chosen, Typed(_details_from_cart())))


@site.post("/book/<slug>/<int:slot>")
@accepts_files
def book(slug: str, slot: int) -> Any:
    """Hold the slot and go on to payment. A refusal, or a changed price, shows the form again with everything typed."""
    service = Service.by_slug(slug)
    checkout = Checkout(service, _slot(service, slot), Typed(request.form, _ticked_extras()))
    try:
        if wrong := read_answers(service.asks, service.hold_minutes)[1]:
            raise Invalid.for_fields(wrong)
        with limit_wrong_guesses("coupon", checkout.typed.choices.coupon):
            quote, shown = checkout.current_quote(), checkout.shown_quote
            if "apply" in request.form:
                return _form(checkout, summary=checkout.summarize(quote))
            if shown and shown.total != quote.total:
                return _form(checkout, summary=checkout.summarize(quote, _price_notice(shown, quote))), 409
            booking = _hold(checkout, quote)
    except Refused as no:
        session.rollback()
        checkout = replace(checkout, slot=_slot(service, slot))
        if no.status in (422, 429):
            only_applied = "apply" in request.form and no.status == 422
            return _form(checkout, no), 200 if only_applied else no.status
        return _back_to_times(service, checkout.slot, no.words)
    return _go_on(booking)


def _ticked_extras() -> list[int]:
    """IDs of the ticked extras; an ID that is no number becomes 0, which no extra has."""
    return [int(each) if each.isdecimal() and len(each) < 10 else 0 for each in request.form.getlist("extra")[:50]]


def _details_from_cart() -> dict[str, str]:
    """Name, email and phone of a customer who reserved another time in this browser a moment ago."""
    for bill in bills_in_basket()[:1]:
        return {name: getattr(bill.person, name) for name in PERSON}
    return {}


def _price_notice(before: Quote, now: Quote) -> str:
    return say(
        "The price has changed from %(before)s to %(now)s. Nothing has been reserved or charged yet. "
        "Please check the new price and continue.",
        before=before.total or say("zero"),
        now=now.total or say("zero"),
    )


def _go_on(booking: Booking) -> Any:
    """Redirect to the payment of this booking or of the whole cart, or to the booking if nothing is due now."""
    bill = booking.bill if booking.is_payable else None
    if is_framed():
        return render_template("bookings/embed.html", booking=booking, bill=bill)
    if bill and is_on("baskets") and ("more" in request.form or bills_in_basket()):
        return _add_to_cart(booking, bill)
    return redirect(
        url_for("pay.checkout", token=bill.token) if bill else url_for("booking.show", token=booking.token), 303
    )


def _add_to_cart(booking: Booking, bill: Bill) -> Any:
    """Put the bill in the cart; the other reservations in it now last as long as this one."""
    add_to_basket(bill)
    with acting(CUSTOMER):
        for each in bills_in_basket():
            if isinstance(each.thing, Booking):
                each.thing.extend_hold(booking.hold_expires_at)
    if "more" in request.form:
        flash(
            say(
                "%(thing)s is reserved for you. Choose another service, then pay for everything together.",
                thing=booking.slot.service.name,
            ),
            "success",
        )
        return redirect(url_for("booking.services"), 303)
    return redirect(url_for("basket.show_collected"), 303)


def _hold(checkout: Checkout, quote: Quote) -> Booking:
    once = checkout.typed.once
    own = bool(once) and (cookie.get("held") or {}).get("once") == once  # another browser's hold is never let go
    with acting(CUSTOMER):
        booking = checkout.hold(
            quote,
            requested_zone(),
            _answers(checkout.service),
            correcting=own,
            any_practitioner=not requested_practitioner(),
        )
    _opt_in_by_form(booking)
    cookie["held"], cookie["lang"] = {"slot": booking.slot_id, "once": once}, language()
    return booking


def _own_hold(slot: Slot) -> Typed | None:
    """The form of a hold that this browser made on the slot, for a customer who comes back to correct something."""
    held = cookie.get("held") or {}
    booking = Booking.by_request_key(request_key(held.get("once"))) if held.get("slot") == slot.id else None
    return Typed.from_hold(booking, held["once"]) if booking and booking.is_payable else None


def _answers(service: Service) -> dict[str, Any]:
    return read_answers(service.asks, service.hold_minutes)[0]


def _opt_in_by_form(booking: Booking) -> None:
    """Record the consent to messages beside email that was ticked on the form."""
    wanted = set(request.form.getlist("by")) & {
        each.name for each in channel.all_channels() if each.name != "email" and each.address(booking.person)
    }
    with acting(CUSTOMER), transaction():
        for by in sorted(wanted):
            OptIn.give(booking.person, by, "Ticked on the form")


def _form(checkout: Checkout, no: Refused | None = None, *, summary: PriceSummary | None = None) -> str:
    wrong = no.fields if no else {}
    if summary is None:
        try:
            summary = _summary_without(checkout, wrong)
        except Refused as also:  # a coupon that has ended since it was typed, or one wrong code too many
            wrong = (also.fields or {"coupon": also.words}) | wrong
            summary = _summary_without(checkout, wrong)
    service, typed = checkout.service, checkout.typed
    return render_template(
        "bookings/form.html",
        service=service,
        slot=checkout.slot,
        zone=requested_zone(),
        asked=service.asks.parsed_questions if service.asks else [],
        answers=_answers(service),
        typed=typed.fields,
        extras=checkout.extras,
        ticked=typed.extras,
        summary=summary,
        states=STATES,
        wrong=wrong,
        refusal=no.words if no else summary.notice,
        once=typed.fields.get("once") or secrets.token_urlsafe(16),
        whose=requested_practitioner(),
        channels=[each for each in channel.all_channels() if each.name != "email"],
        by=request.form.getlist("by"),
    )


def _summary_without(checkout: Checkout, wrong: Mapping[str, str]) -> PriceSummary:
    """Price the form without the fields that were refused."""
    choices = checkout.valid_choices(wrong)
    with limit_wrong_guesses("coupon", choices.coupon):
        return checkout.summarize(checkout.quote_for(choices))


def _slot(service: Service, id: int) -> Slot:
    slot = session.get(Slot, id) if id < 2**31 else None
    if slot is None or slot.service_id != service.id:
        raise Missing
    return slot


def _is_available(slot: Slot) -> bool:
    return any(
        each.id == slot.id
        for each, _ in Booking.free_slots(slot.service, slot.starts_at, slot.starts_at + timedelta(seconds=1))
    )


def _back_to_times(service: Service, slot: Slot, why: str) -> Any:
    """Show the times of that day, with the reason.

    An embedded page has no cookie that could carry the reason across a redirect, so it renders the calendar at once.
    """
    flash(why, "warning")
    if is_framed():
        return choose(service.slug), 409
    day = slot.starts_at.astimezone(ZoneInfo(requested_zone())).date()
    who: dict[str, Any] = {"with": requested_practitioner() or None}
    return redirect(url_for("booking.choose", slug=service.slug, day=day.isoformat(), tz=requested_zone(), **who))


# --- the booking ------------------------------------------------------------------------------------------------------


@site.get("/booking/<token>")
def show(token: str) -> str:
    booking = Booking.by_token(token)
    speak_language_of(booking.person)
    if notice := AFTER_PAYING.get(request.args.get("payment", "")) if booking.state == "held" else None:
        flash(say(notice), "warning")
    return render_template(
        "bookings/booking.html", booking=booking, bill=booking.bill, money=MoneyStory.of_booking(booking)
    )


@dataclass(frozen=True)
class MoneyStory:
    """Payments, refunds and documents of a booking, as its page shows them."""

    bills: Sequence[Bill]
    refunds: Sequence[Refund]
    promised: Sequence[Payment]  # authorized by a bank or recorded by staff, and not final yet
    noted: bool  # recorded by staff
    open: Sequence[Bill]  # payable now
    papers: Sequence[Invoice]
    paid: Money
    back: Money

    @classmethod
    def of_booking(cls, booking: Booking) -> MoneyStory:
        bills, refunds = booking.bills, booking.going_back
        promised = [each for bill in bills for each in bill.payments if each.state == "authorized"]
        noted = any(gateway.by_name(each.gateway).by_hand for each in promised)
        waits = {each.bill_id for each in promised}
        payable = [each for each in bills if each.wants_money and each.id not in waits and booking.awaits(each)]
        papers = [each for bill in bills for each in bill.invoices]
        paid, _ = paid_for(booking, booking.price.currency)
        back = Money.total(
            (each.money for each in refunds if each.payment.pays and each.state != "to_approve"), booking.price.currency
        )
        return cls(bills, refunds, promised, noted, payable, papers, paid, back)

    @property
    def kept(self) -> Money:
        return self.paid - min(self.paid, self.back)

    @property
    def failed(self) -> bool:
        """Whether the last payment attempt failed."""
        attempts = [each for bill in self.bills for each in bill.payments]
        return bool(attempts) and attempts[-1].state == "failed"


def _practitioners() -> Sequence[Practitioner]:
    return session.scalars(select(Practitioner).where(Practitioner.state == "active").order_by(Practitioner.name)).all()

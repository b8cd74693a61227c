"""The public pages of a practice: what it offers, when, the form, and the booking itself."""

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
from app.packs.bookings.booking.choices import Choices
from app.packs.bookings.booking.waiting import Waiting
from app.packs.bookings.offer.package import Package
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import GONE, Slot
from app.packs.bookings.site.month import ZONES, Month, zone_asked
from app.site.basket import collected, put
from app.site.files import answers_sent
from app.site.frame import framed, speak_to, takes_files
from app.site.payments import AFTER_PAYING
from app.site.throttle import guessing

site = Blueprint("booking", __name__)

CUSTOMER = Actor("Customer", "site")
WHO = ("name", "email", "phone")
BUYER = ("tax_number", "region", "address")


@site.app_template_filter()
def local(instant: datetime, zone: str) -> datetime:
    """The same instant on the wall of another zone, for pages that say its day and its hour apart."""
    return instant.astimezone(ZoneInfo(zone))


@site.app_template_filter()
def policy_said(tiers: str, begins: datetime | None = None) -> str:
    """What goes back when it is called off; for a time to come, as far as that can still be reached."""
    return refund_policy.in_words(tiers, begins - clock.now() if begins else None)


@site.get("/")
def home() -> str:
    return render_template("bookings/home.html", services=Service.offered(), practitioners=_practitioners())


@site.get("/services")
def services() -> str:
    return render_template(
        "bookings/services.html", services=Service.offered(), packages=Package.offered(), practitioners=_practitioners()
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
    service, zone = Service.called(slug), zone_asked()
    whose = whose_asked()
    month, to_come = Month.asked_for(service, whose), Booking.givers_to_come(service)
    who: dict[str, Any] = {"with": whose or None}
    return render_template(
        "bookings/choose.html",
        service=service,
        zone=zone,
        zones=ZONES,
        packages=Package.offered(service),
        month=month,
        whose=whose,
        givers=[each for each in _practitioners() if each.id == whose or each.id in to_come],
        page=lambda **more: url_for(".choose", slug=slug, tz=zone, **who, **more),
        form_of=lambda time: url_for(".form", slug=slug, slot=time.slot.id, tz=zone, **who),
    )


def whose_asked() -> int:
    """The practitioner that somebody wants to see; 0 for whoever's turn it is."""
    asked = request.values.get("with", "")
    return int(asked) if asked.isdecimal() and len(asked) < 10 else 0


# --- booking it -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Typed:
    """What stands in the form: every field as it was typed, so that nothing is lost, and what was ticked."""

    fields: Mapping[str, str]
    extras: Sequence[int] = ()

    @property
    def buyer(self) -> dict[str, str]:
        return {name: self.fields.get(name, "") for name in BUYER}

    @property
    def choices(self) -> Choices:
        return Choices(self.extras, self.fields.get("coupon", ""), self.buyer)


@dataclass(frozen=True)
class Offer:
    """What the form says that it costs: now, and later."""

    quote: Quote
    now: Money
    says: str = ""  # that it is another price than the page showed before

    @property
    def later(self) -> Money:
        return self.quote.total - self.now


@site.get("/book/<slug>/<int:slot>")
def form(slug: str, slot: int) -> Any:
    service = Service.called(slug)
    chosen = _slot(service, slot)
    if mine := _held_from_here(chosen):
        return _form(service, chosen, mine)
    if kept := _kept(chosen):
        who = kept.person
        return _form(
            service, chosen, Typed({"name": who.name, "email": who.email, "phone": who.phone, "offer": kept.token})
        )
    if (no := chosen.refuses()) or not _has_room(chosen):
        return _back(service, chosen, no or say(GONE))
    return _form(service, chosen, Typed(_who_before()))


def _who_before() -> dict[str, str]:
    """Whoever has kept another time a moment ago need not say again who they are."""
    for bill in collected()[:1]:
        return {"name": bill.person.name, "email": bill.person.email, "phone": bill.person.phone}
    return {}


@site.post("/book/<slug>/<int:slot>")
@takes_files
def book(slug: str, slot: int) -> Any:
    """Reads the form, holds the seat, and leads to the payment. A refusal keeps what was typed, and so does another price."""
    service = Service.called(slug)
    chosen = _slot(service, slot)
    typed = Typed(
        request.form,
        [int(each) if each.isdecimal() and len(each) < 10 else 0 for each in request.form.getlist("extra")[:50]],
    )
    try:
        if wrong := answers_sent(service.asks, service.hold_minutes)[1]:
            raise Invalid.fields_said(wrong)
        with guessing("coupon", typed.choices.coupon):
            quote, shown = _price(service, typed), _shown(service)
            if "apply" in request.form:
                return _form(service, chosen, typed, offer=_offer(service, quote))
            if shown and shown.total != quote.total:
                costs = {"now": quote.total or say("zero"), "before": shown.total or say("zero")}
                says = say(
                    "The price has changed from %(before)s to %(now)s. Nothing has been reserved or charged yet. Please check the new price and continue.",
                    **costs,
                )
                return _form(service, chosen, typed, offer=_offer(service, quote, says)), 409
            booking = _hold(chosen, typed, quote)
    except Refused as no:
        session.rollback()
        chosen = _slot(service, slot)
        if no.status in (422, 429):
            asked_only = "apply" in request.form and no.status == 422
            return _form(service, chosen, typed, no), 200 if asked_only else no.status
        return _back(service, chosen, no.words)
    return _onward(booking)


def _onward(booking: Booking) -> Any:
    """To the payment, by itself or with what is kept already; or to the booking, when there is nothing to pay now."""
    bill = booking.bill if booking.is_payable else None
    if framed():
        return render_template("bookings/embed.html", booking=booking, bill=bill)
    if bill and is_on("baskets") and ("more" in request.form or collected()):
        return _together(booking, bill)
    return redirect(
        url_for("pay.checkout", token=bill.token) if bill else url_for("booking.show", token=booking.token), 303
    )


def _together(booking: Booking, bill: Bill) -> Any:
    """To be paid with others: those wait as long as this one does."""
    put(bill)
    with acting(CUSTOMER):
        for each in collected():
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


def _hold(slot: Slot, typed: Typed, quote: Quote) -> Booking:
    who = {name: typed.fields.get(name, "") for name in WHO} | {"timezone": zone_asked()}
    answers = _answered(slot.service)
    once = typed.fields.get("once", "")[:64]
    corrects = bool(once) and (cookie.get("held") or {}).get("once") == once  # only one's own hold can be let go
    with acting(CUSTOMER):
        choices = replace(typed.choices, quote=quote.token)
        key, kept = f"site:{once}" if once else "", _kept(slot)
        if kept:
            with transaction():
                kept.lock()
                booking = Booking.hold_once(
                    key, slot, who, answers, choices, correcting=corrects, replaces=kept.booking
                )
                kept.take(booking)
        else:
            booking = Booking.hold_once(key, slot, who, answers, choices, correcting=corrects, any_practitioner=not whose_asked())
    _write_also_by(booking)
    cookie["held"], cookie["lang"] = {"slot": booking.slot_id, "once": once}, language()
    return booking


def _answered(service: Service) -> dict[str, Any]:
    """What stands in the fields of the service's form."""
    return answers_sent(service.asks, service.hold_minutes)[0]


def _write_also_by(booking: Booking) -> None:
    """Where they have ticked that they want to be written to, beside their mailbox."""
    wanted = set(request.form.getlist("by")) & {
        each.name for each in channel.every() if each.name != "email" and each.address(booking.person)
    }
    with acting(CUSTOMER), transaction():
        for by in sorted(wanted):
            OptIn.give(booking.person, by, "Ticked on the form")


# --- what it costs ----------------------------------------------------------------------------------------------------


def _price(service: Service, typed: Typed) -> Quote:
    """The price that the page named, if it still holds and was named for just these choices; else today's."""
    named = _shown(service)
    if named and named.still_holds and typed.choices.matches(named, service):
        return named
    with transaction():
        return typed.choices.new_quote(service)


def _shown(service: Service) -> Quote | None:
    """What the page said it costs, if it was this page that said it."""
    try:
        named = Quote.by_token(request.form.get("quote", ""))
    except Missing:
        return None
    return named if named.about == service.slug else None


def _offer(service: Service, quote: Quote, says: str = "") -> Offer:
    return Offer(quote, service.deposit_of(quote.total), says)


def _some_price(service: Service, typed: Typed, wrong: Mapping[str, str]) -> Quote:
    """A price for the page in any case: of everything that can be had."""
    offered = {each.id for each in service.extras if each.state == "offered"}
    coupon = "" if "coupon" in wrong else typed.choices.coupon
    buyer = {} if wrong.keys() & set(BUYER) else typed.buyer
    with guessing("coupon", coupon), transaction():
        return Choices([each for each in typed.extras if each in offered], coupon, buyer).new_quote(service)


def _held_from_here(slot: Slot) -> Typed | None:
    """Whoever goes back to correct something finds what they typed, not a time that is "taken" by their own hold."""
    held = cookie.get("held") or {}
    booking = Booking.by_request_key(f"site:{held.get('once')}") if held.get("slot") == slot.id else None
    if booking is None or not booking.is_payable:
        return None
    who, chosen = booking.person, booking.quote.basis["asked"] if booking.quote else {}
    typed = {
        "once": held["once"],
        "name": who.name,
        "email": who.email,
        "phone": who.phone,
        "timezone": booking.timezone,
    }
    return Typed(typed | booking.buyer | {"coupon": chosen.get("coupon", "")}, chosen.get("extras", ()))


def _form(service: Service, slot: Slot, typed: Typed, no: Refused | None = None, *, offer: Offer | None = None) -> str:
    wrong = no.fields if no else {}
    if offer is None:
        try:
            offer = _offer(service, _some_price(service, typed, wrong))
        except Refused as also:  # a coupon that has ended since it was typed, or a guess too many
            wrong = (also.fields or {"coupon": also.words}) | wrong
            offer = _offer(service, _some_price(service, typed, wrong))
    return render_template(
        "bookings/form.html",
        service=service,
        slot=slot,
        zone=zone_asked(),
        asked=service.asks.asked if service.asks else [],
        answers=_answered(service),
        typed=typed.fields,
        extras=[each for each in service.extras if each.state == "offered"],
        ticked=typed.extras,
        offer=offer,
        states=STATES,
        wrong=wrong,
        refusal=no.words if no else offer.says,
        once=typed.fields.get("once") or secrets.token_urlsafe(16),
        whose=whose_asked(),
        channels=[each for each in channel.every() if each.name != "email"],
        by=request.form.getlist("by"),
    )


def _kept(slot: Slot) -> Waiting | None:
    """What came free for somebody in the line, and is kept for them."""
    try:
        kept = Waiting.by_token(request.values.get("offer", ""))
    except Missing:
        return None
    return kept if kept.is_kept and kept.booking and kept.booking.slot_id == slot.id else None


def _slot(service: Service, id: int) -> Slot:
    slot = session.get(Slot, id) if id < 2**31 else None
    if slot is None or slot.service_id != service.id:
        raise Missing
    return slot


def _has_room(slot: Slot) -> bool:
    return any(
        each.id == slot.id
        for each, _ in Booking.free_slots(slot.service, slot.starts_at, slot.starts_at + timedelta(seconds=1))
    )


def _back(service: Service, slot: Slot, why: str) -> Any:
    """To the times of that day. Within somebody else's page there is no cookie to carry the words there, so the calendar comes at once."""
    flash(why, "warning")
    if framed():
        return choose(service.slug), 409
    day = slot.starts_at.astimezone(ZoneInfo(zone_asked())).date()
    who: dict[str, Any] = {"with": whose_asked() or None}
    return redirect(url_for("booking.choose", slug=service.slug, day=day.isoformat(), tz=zone_asked(), **who))


# --- the booking ------------------------------------------------------------------------------------------------------


@site.get("/booking/<token>")
def show(token: str) -> str:
    booking = Booking.by_token(token)
    speak_to(booking.person)
    if said := AFTER_PAYING.get(request.args.get("payment", "")) if booking.state == "held" else None:
        flash(say(said), "warning")
    return render_template("bookings/booking.html", booking=booking, bill=booking.bill, money=Story.of(booking))


@dataclass(frozen=True)
class Story:
    """What became of the money of one booking, as its page tells it."""

    bills: Sequence[Bill]
    refunds: Sequence[Refund]
    promised: Sequence[Payment]  # said to be here, by a bank or over the counter, and not counted yet
    noted: bool  # it was over the counter
    open: Sequence[Bill]  # can be paid now
    papers: Sequence[Invoice]
    paid: Money
    back: Money

    @classmethod
    def of(cls, booking: Booking) -> Story:
        bills, refunds = booking.bills, booking.going_back
        promised = [each for bill in bills for each in bill.payments if each.state == "authorized"]
        noted = any(gateway.named(each.gateway).by_hand for each in promised)
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
        """Was the last attempt in vain?"""
        attempts = [each for bill in self.bills for each in bill.payments]
        return bool(attempts) and attempts[-1].state == "failed"


def _practitioners() -> Sequence[Practitioner]:
    return session.scalars(select(Practitioner).where(Practitioner.state == "active").order_by(Practitioner.name)).all()

"""Checkout: one customer's attempt to book a slot on the public form: the price shown, price changes, and the hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from app.kernel.db import transaction
from app.kernel.errors import Missing
from app.money.sums.amount import Money
from app.money.sums.quote import Quote
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.choices import Choices
from app.packs.bookings.booking.waiting import Waiting
from app.packs.bookings.offer.extra import Extra
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot

PERSON = ("name", "email", "phone")
BUYER = ("tax_number", "region", "address")


@dataclass(frozen=True)
class Typed:
    """The form's fields exactly as typed, so that a form shown again loses nothing, and the extras that were ticked."""

    fields: Mapping[str, str]
    extras: Sequence[int] = ()

    @classmethod
    def from_hold(cls, booking: Booking, once: str) -> Self:
        """Fill the form from a hold that its customer comes back to correct."""
        person, chosen = booking.person, booking.quote.basis["asked"] if booking.quote else {}
        fields = {"once": once, "timezone": booking.timezone} | {name: getattr(person, name) for name in PERSON}
        return cls(fields | booking.buyer | {"coupon": chosen.get("coupon", "")}, chosen.get("extras", ()))

    @property
    def buyer(self) -> dict[str, str]:
        return {name: self.fields.get(name, "") for name in BUYER}

    @property
    def choices(self) -> Choices:
        return Choices(self.extras, self.fields.get("coupon", ""), self.buyer)

    @property
    def once(self) -> str:
        """The form's random key, which makes a double click one booking."""
        return self.fields.get("once", "")[:64]


@dataclass(frozen=True)
class PriceSummary:
    """A quote as the form displays it: what is due now, and what is due later."""

    quote: Quote
    due_now: Money
    notice: str = ""  # that the price has changed since the form was opened

    @property
    def due_later(self) -> Money:
        return self.quote.total - self.due_now


@dataclass(frozen=True)
class Checkout:
    """A service, one of its slots, and the form as its customer has filled it in."""

    service: Service
    slot: Slot
    typed: Typed

    @property
    def extras(self) -> list[Extra]:
        return [each for each in self.service.extras if each.state == "offered"]

    @property
    def shown_quote(self) -> Quote | None:
        """The quote that the form displayed, unless it is for another service."""
        try:
            quote = Quote.by_token(self.typed.fields.get("quote", ""))
        except Missing:
            return None
        return quote if quote.about == self.service.slug else None

    @property
    def offered_place(self) -> Waiting | None:
        """The waiting list entry for which this slot is reserved, if the form belongs to one."""
        return Waiting.by_offer(self.typed.fields.get("offer", ""), self.slot)

    def current_quote(self) -> Quote:
        """The displayed quote while it is valid for what is chosen now; otherwise a new one."""
        shown, choices = self.shown_quote, self.typed.choices
        if shown and shown.still_holds and choices.matches(shown, self.service):
            return shown
        return self.quote_for(choices)

    def quote_for(self, choices: Choices) -> Quote:
        with transaction():
            return choices.new_quote(self.service)

    def valid_choices(self, wrong: Mapping[str, str]) -> Choices:
        """Leave out what was refused or is no longer offered, so that a form shown again always has a price."""
        offered, typed = {each.id for each in self.extras}, self.typed.choices
        return Choices(
            [each for each in typed.extras if each in offered],
            "" if "coupon" in wrong else typed.coupon,
            {} if wrong.keys() & set(BUYER) else typed.buyer,
        )

    def summarize(self, quote: Quote, notice: str = "") -> PriceSummary:
        return PriceSummary(quote, self.service.deposit_of(quote.total), notice)

    def hold(
        self,
        quote: Quote,
        timezone: str,
        answers: dict[str, Any],
        *,
        correcting: bool = False,
        any_practitioner: bool = False,
    ) -> Booking:
        """Hold the slot at the quoted price, in place of the offer to the waiting list if there was one."""
        person = {name: self.typed.fields.get(name, "") for name in PERSON} | {"timezone": timezone}
        choices, key = replace(self.typed.choices, quote=quote.token), request_key(self.typed.once)
        waiting = self.offered_place
        if waiting is None:
            return Booking.hold_once(
                key, self.slot, person, answers, choices, correcting=correcting, any_practitioner=any_practitioner
            )
        with transaction():
            waiting.lock()
            booking = Booking.hold_once(
                key, self.slot, person, answers, choices, correcting=correcting, replaces=waiting.booking
            )
            waiting.take(booking)
        return booking


def request_key(once: str | None) -> str:
    """Key under which a hold made on the public form is found again."""
    return f"site:{once}" if once else ""

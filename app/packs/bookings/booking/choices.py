"""Choices: the extras, coupon or package code and buyer's details of a booking, and the price quote for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.money.bills.invoice import parse_buyer
from app.money.sums.quote import Quote
from app.packs.bookings.offer.prepaid import Pass
from app.packs.bookings.offer.service import Service


@dataclass(frozen=True)
class Choices:
    """What a customer chooses besides the time. Nothing in here is a price: prices are computed on the server."""

    extras: Sequence[int] = ()
    coupon: str = ""  # or the code of a package
    buyer: Mapping[str, str] = field(default_factory=dict)  # for the invoice: tax number, state, address
    quote: str = ""  # token of a quote that the customer was shown

    @property
    def buyer_state(self) -> str:
        """State of the buyer, which decides between IGST and CGST + SGST."""
        return parse_buyer(self.buyer).get("region", "")

    def new_quote(self, service: Service) -> Quote:
        """Quote these choices at today's prices, with the base price covered if the code belongs to a package."""
        state = self.buyer_state
        service.check_extras(self.extras)  # refused before any code is looked up, so that it tells nothing about a code
        package = Pass.valid_for(self.coupon, service)
        return service.quote(self.extras, self.coupon, state, package=package.code if package else "")

    def matches(self, quote: Quote, service: Service) -> bool:
        """Check that a quote was made for exactly these choices."""
        return service.is_price(quote, self.extras, self.coupon, self.buyer_state)

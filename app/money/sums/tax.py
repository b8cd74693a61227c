"""Tax (GST): splits a price into net and CGST, SGST or IGST; Indian states, and the check of a GSTIN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.money.sums.amount import Money

STATES = {
    "01": "Jammu and Kashmir",
    "02": "Himachal Pradesh",
    "03": "Punjab",
    "04": "Chandigarh",
    "05": "Uttarakhand",
    "06": "Haryana",
    "07": "Delhi",
    "08": "Rajasthan",
    "09": "Uttar Pradesh",
    "10": "Bihar",
    "11": "Sikkim",
    "12": "Arunachal Pradesh",
    "13": "Nagaland",
    "14": "Manipur",
    "15": "Mizoram",
    "16": "Tripura",
    "17": "Meghalaya",
    "18": "Assam",
    "19": "West Bengal",
    "20": "Jharkhand",
    "21": "Odisha",
    "22": "Chhattisgarh",
    "23": "Madhya Pradesh",
    "24": "Gujarat",
    "26": "Dadra and Nagar Haveli and Daman and Diu",
    "27": "Maharashtra",
    "29": "Karnataka",
    "30": "Goa",
    "31": "Lakshadweep",
    "32": "Kerala",
    "33": "Tamil Nadu",
    "34": "Puducherry",
    "35": "Andaman and Nicobar Islands",
    "36": "Telangana",
    "37": "Andhra Pradesh",
    "38": "Ladakh",
    "97": "Other Territory",
    "96": "Outside India",
}

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Place:
    """Seller's and buyer's states, as GST state codes; empty if not registered or not known."""

    seller: str = ""
    buyer: str = ""

    @property
    def within_one_state(self) -> bool:
        return not self.buyer or self.buyer == self.seller

    @property
    def place_of_supply(self) -> str:
        code = self.buyer or self.seller
        return f"{code} {STATES[code]}" if code in STATES else ""


@dataclass(frozen=True)
class TaxSplit:
    """A price split into net and taxes, which add up to it exactly."""

    net: Money
    taxes: Mapping[str, Money]
    rates: Mapping[str, int]

    @property
    def total(self) -> Money:
        return Money.total([self.net, *self.taxes.values()], self.net.currency)


def split_tax(price: Money, rate: int, *, included: bool, place: Place) -> TaxSplit:
    """Split a price, with `rate` in basis points. CGST and SGST are equal by law, so each is rounded on its own."""
    if not rate:
        return TaxSplit(price, {}, {})
    base = 10_000 + rate if included else 10_000
    if place.seller and place.within_one_state:
        half = price.fraction(rate, 2 * base)
        taxes, rates = {"CGST": half, "SGST": half}, {"CGST": rate // 2, "SGST": rate - rate // 2}
    else:
        name = "IGST" if place.seller else "Tax"
        taxes, rates = {name: price.fraction(rate, base)}, {name: rate}
    net = price - Money.total(taxes.values(), price.currency) if included else price
    return TaxSplit(net, taxes, rates)


def is_gstin(text: str) -> bool:
    """Check a GSTIN: 15 characters, a known state, and the check character (base 36, weights 1 and 2 in turn)."""
    if len(text) != 15 or text[:2] not in STATES or any(each not in _LETTERS for each in text):
        return False
    sums = [divmod(_LETTERS.index(each) * (1 + at % 2), 36) for at, each in enumerate(text[:14])]
    return text[14] == _LETTERS[-sum(a + b for a, b in sums) % 36]

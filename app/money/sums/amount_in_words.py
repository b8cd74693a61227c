"""Amounts in words, for invoices: “Rupees one lakh only”, with Indian or Western grouping."""

from __future__ import annotations

from app.money.sums.amount import Money

_ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_SMALL = _ONES + _TEENS
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_INDIAN = (10**12, "lakh crore"), (10_000_000, "crore"), (100_000, "lakh"), (1_000, "thousand"), (100, "hundred")
_WESTERN = (
    (10**18, "quintillion"),
    (10**15, "quadrillion"),
    (10**12, "trillion"),
    (10**9, "billion"),
    (10**6, "million"),
    (1_000, "thousand"),
    (100, "hundred"),
)
_COINS = {
    "INR": ("Rupees", "paise"),
    "USD": ("US dollars", "cents"),
    "EUR": ("Euros", "cents"),
    "GBP": ("Pounds sterling", "pence"),
    "JPY": ("Yen", ""),
    "KRW": ("Won", ""),
    "VND": ("Dong", ""),
    "KWD": ("Kuwaiti dinars", "fils"),
    "BHD": ("Bahraini dinars", "fils"),
    "OMR": ("Omani rials", "baisa"),
    "JOD": ("Jordanian dinars", "fils"),
    "TND": ("Tunisian dinars", "millimes"),
    "AED": ("UAE dirhams", "fils"),
    "SAR": ("Saudi riyals", "halalas"),
    "QAR": ("Qatari riyals", "dirhams"),
    "SGD": ("Singapore dollars", "cents"),
    "AUD": ("Australian dollars", "cents"),
    "CAD": ("Canadian dollars", "cents"),
    "CHF": ("Swiss francs", "centimes"),
    "LKR": ("Sri Lankan rupees", "cents"),
    "NPR": ("Nepalese rupees", "paisa"),
    "MYR": ("Malaysian ringgit", "sen"),
}


def amount_in_words(money: Money) -> str:
    """Write out an amount: Rupees one lakh twenty-three thousand and paise seventy-eight only."""
    if money.amount < 0:
        raise ValueError("An amount below zero is not written in words.")
    major, minor = _COINS.get(money.currency, (money.currency, "fraction"))
    whole, _, coins = money.plain.partition(".")
    steps = _INDIAN if money.currency == "INR" else _WESTERN
    words = f"{major} {number_in_words(int(whole), steps)}"
    return f"{words} and {minor} {number_in_words(int(coins), steps)} only" if coins.strip("0") else f"{words} only"


def number_in_words(number: int, steps: tuple[tuple[int, str], ...] = _WESTERN) -> str:
    """Write out a number. “Lakh crore” is a step of its own, because “one crore crore” would be ambiguous."""
    if number < 20:
        return _SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return f"{_TENS[tens]}-{_SMALL[ones]}" if ones else _TENS[tens]
    size, name = next(each for each in steps if number >= each[0])
    many, left = divmod(number, size)
    words = f"{number_in_words(many, steps)} {name}"
    return f"{words} {number_in_words(left, steps)}" if left else words

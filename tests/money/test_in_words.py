"""Tests of amounts in words, which are read back to the same figure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.money.sums.amount import Money
from app.money.sums.amount_in_words import amount_in_words

UNITS = {
    "zero": 0,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "thirteen": 13,
    "fourteen": 14,
    "fifteen": 15,
    "sixteen": 16,
    "seventeen": 17,
    "eighteen": 18,
    "nineteen": 19,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
}
SCALES = {
    "hundred": 100,
    "thousand": 10**3,
    "lakh": 10**5,
    "crore": 10**7,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "quadrillion": 10**15,
    "quintillion": 10**18,
}
HEADS = {
    "INR": ("Rupees", "paise", 100),
    "USD": ("US dollars", "cents", 100),
    "JPY": ("Yen", "", 1),
    "KWD": ("Kuwaiti dinars", "fils", 1000),
}


def heard(words: str) -> int:
    """Parse words with a stack: a scale multiplies everything smaller before it."""
    pile: list[int] = []
    for word in words.replace("-", " ").split():
        if word in UNITS:
            pile.append(UNITS[word])
            continue
        scale, smaller = SCALES[word], 0
        while pile and pile[-1] < scale:
            smaller += pile.pop()
        if smaller == 0:
            smaller = pile.pop()
        pile.append(smaller * scale)
    return sum(pile)


def read_back(said: str, currency: str) -> Money:
    major, minor, coins = HEADS[currency]
    assert said.endswith(" only")
    whole, _, fraction = said.removesuffix(" only").removeprefix(f"{major} ").partition(f" and {minor} ")
    return Money(heard(whole) * coins + (heard(fraction) if fraction else 0), currency)


@pytest.mark.parametrize(
    ("money", "said"),
    [
        (
            Money(12345678, "INR"),
            "Rupees one lakh twenty-three thousand four hundred fifty-six and paise seventy-eight only",
        ),
        (Money(99900, "INR"), "Rupees nine hundred ninety-nine only"),
        (Money(0, "INR"), "Rupees zero only"),
        (Money(5, "INR"), "Rupees zero and paise five only"),
        (Money(1_000_000_000_00, "INR"), "Rupees one hundred crore only"),
        (Money(10_00_000_00_00_000_00, "INR"), "Rupees ten lakh crore only"),
        (Money(10_000_001_000_000_000, "INR"), "Rupees one hundred lakh crore one crore only"),
        (
            Money(123456789, "USD"),
            (
                "US dollars one million two hundred thirty-four thousand five hundred sixty-seven "
                "and cents eighty-nine only"
            ),
        ),
        (Money(1234567, "JPY"), "Yen one million two hundred thirty-four thousand five hundred sixty-seven only"),
        (Money(1500, "KWD"), "Kuwaiti dinars one and fils five hundred only"),
        (Money(1001, "XTS"), "XTS ten and fraction one only"),
    ],
)
def test_an_amount_is_said_as_a_bank_says_it(money: Money, said: str) -> None:
    assert amount_in_words(money) == said


@given(st.integers(0, 10**17), st.sampled_from(sorted(HEADS)))
def test_who_hears_the_words_knows_the_amount(amount: int, currency: str) -> None:
    assert read_back(amount_in_words(Money(amount, currency)), currency) == Money(amount, currency)


@given(st.integers(10**17, 10**24))
def test_no_amount_is_too_large_for_words(amount: int) -> None:
    assert amount_in_words(Money(amount, "INR")).startswith("Rupees ")
    assert amount_in_words(Money(amount, "USD")).startswith("US dollars ")


def test_less_than_nothing_is_not_written_in_words() -> None:
    with pytest.raises(ValueError, match="below zero"):
        amount_in_words(Money(-1, "INR"))

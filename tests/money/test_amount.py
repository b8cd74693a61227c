"""Tests of money amounts: rounding, splitting, parsing and formatting in minor units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.money.sums.amount import Money

currencies = st.sampled_from(["INR", "USD", "JPY", "KWD"])


@pytest.mark.parametrize(
    ("money", "said"),
    [
        (Money(99900, "INR"), "₹999.00"),
        (Money(123456789, "INR"), "₹12,34,567.89"),
        (Money(5, "INR"), "₹0.05"),
        (Money(-150, "USD"), "-$1.50"),
        (Money(1234567, "JPY"), "¥1,234,567"),
        (Money(1500, "KWD"), "KWD 1.500"),
        (Money(10000000, "INR"), "₹1,00,000.00"),
    ],
)
def test_money_is_said_as_people_say_it(money: Money, said: str) -> None:
    assert str(money) == said


@given(st.integers(-(10**15), 10**15), currencies)
def test_what_is_typed_back_is_the_same_money(amount: int, currency: str) -> None:
    assert Money.parse(Money(amount, currency).plain, currency) == Money(amount, currency)


@given(st.integers(), st.integers(), currencies)
def test_adding_and_taking_away_are_exact(a: int, b: int, currency: str) -> None:
    assert Money(a, currency) + Money(b, currency) - Money(b, currency) == Money(a, currency)


def test_currencies_do_not_mix() -> None:
    with pytest.raises(ValueError, match="not the same currency"):
        Money(1, "INR") + Money(1, "USD")


@pytest.mark.parametrize("typed", ["9.999", "abc", "", "1e999999", "NaN", "Infinity", "1.5.5"])
def test_a_fraction_of_a_coin_or_no_number_at_all_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        Money.parse(typed, "INR")


@pytest.mark.parametrize(
    ("typed", "coins"),
    [
        ("1,250.50", 125050),
        ("100,000", 10000000),
        ("1,00,000", 10000000),
        ("12,34,567.89", 123456789),
        ("1,234,567", 123456700),
        ("-1,250", -125000),
    ],
)
def test_commas_group_digits_as_people_here_and_elsewhere_do(typed: str, coins: int) -> None:
    assert Money.parse(typed, "INR") == Money(coins, "INR")


@pytest.mark.parametrize(
    "typed",
    [
        "100,50",
        "1,5",
        "1,0000",
        ",500",
        "500,",
        "1,,000",
        "1,00,00",
        "1000,000",
        "1,234.5,6",
        "1.250,50",
        "12,34,567,890.5,0",
    ],
)
def test_a_comma_anywhere_else_is_never_dropped_in_silence(typed: str) -> None:
    with pytest.raises(ValueError, match="such as 1,250.50."):
        Money.parse(typed, "INR")

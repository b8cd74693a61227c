"""Tests of price calculation, tax and refund policies: nothing is lost when amounts are split."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.errors import Invalid
from app.money.sums.amount import Money, round_half_away
from app.money.sums.price import Item, Price, price_of_items
from app.money.sums.refund_policy import parse_steps, refund_percent
from app.money.sums.tax import Place, is_gstin, split_tax

CURRENCIES = st.sampled_from(["INR", "USD", "JPY", "KWD"])
AMOUNTS = st.integers(min_value=0, max_value=10**11)
RATES = st.sampled_from([0, 25, 300, 500, 1200, 1800, 2800, 1, 9999])
PLACES = st.sampled_from([Place(), Place("29", "29"), Place("29", "27"), Place("29", "")])


def inr(amount: int) -> Money:
    return Money(amount, "INR")


@st.composite
def items(draw: Any) -> list[Item]:
    return [
        Item(f"item {n}", inr(draw(AMOUNTS)), draw(st.integers(1, 5)), draw(RATES), draw(st.booleans()))
        for n in range(draw(st.integers(1, 5)))
    ]


@given(st.integers(-(10**12), 10**12), CURRENCIES, st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any))
def test_a_split_adds_up_and_nobody_is_off_by_a_whole_coin(amount: int, currency: str, weights: list[int]) -> None:
    parts = Money(amount, currency).split(weights)
    assert sum(each.amount for each in parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part.amount * sum(weights) - amount * weight) < sum(weights)


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_a_half_goes_away_from_zero_and_nothing_else_is_far(amount: int, whole: int) -> None:
    got = round_half_away(amount, whole)
    assert abs(2 * (got * whole - amount)) <= whole
    assert round_half_away(-amount, whole) == -got


def test_money_of_two_currencies_never_meets() -> None:
    for mix in (
        lambda: inr(1) + Money(1, "USD"),
        lambda: inr(1) - Money(1, "USD"),
        lambda: inr(1) < Money(1, "USD"),
        lambda: inr(1) >= Money(1, "USD"),
        lambda: Money.total([inr(1), Money(1, "USD")], "INR"),
        lambda: min(inr(1), Money(1, "USD")),
    ):
        with pytest.raises(ValueError, match="not the same currency"):
            mix()


@given(AMOUNTS, RATES, st.booleans(), PLACES)
def test_net_and_taxes_are_the_price_and_the_two_halves_are_equal(
    amount: int, rate: int, included: bool, place: Place
) -> None:
    parts = split_tax(inr(amount), rate, included=included, place=place)
    if included:
        assert parts.total == inr(amount)
    else:
        assert parts.net == inr(amount)
    assert parts.taxes.get("CGST") == parts.taxes.get("SGST")
    assert sum(parts.rates.values()) == rate
    exact = amount * rate / (10_000 + rate if included else 10_000)
    assert abs(sum(each.amount for each in parts.taxes.values()) - exact) <= len(parts.taxes) / 2 + amount * 1e-15


@pytest.mark.parametrize(
    ("price", "rate", "included", "place", "net", "taxes"),
    [
        (118_00, 1800, True, Place("29", "29"), 100_00, {"CGST": 9_00, "SGST": 9_00}),
        (118_00, 1800, True, Place("29", "27"), 100_00, {"IGST": 18_00}),
        (100_00, 1800, False, Place("29", ""), 100_00, {"CGST": 9_00, "SGST": 9_00}),
        (99_900, 1800, True, Place("29", "29"), 84_662, {"CGST": 7_619, "SGST": 7_619}),
        (100_00, 2000, True, Place(), 83_33, {"Tax": 16_67}),
        (100_00, 0, True, Place("29", "29"), 100_00, {}),
    ],
)
def test_gst_by_place_of_supply(
    price: int, rate: int, included: bool, place: Place, net: int, taxes: dict[str, int]
) -> None:
    parts = split_tax(inr(price), rate, included=included, place=place)
    assert (parts.net.amount, {name: each.amount for name, each in parts.taxes.items()}) == (net, taxes)


@given(items(), AMOUNTS, PLACES)
def test_a_price_is_the_sum_of_its_lines_and_never_below_zero(asked: list[Item], off: int, place: Place) -> None:
    price = price_of_items(asked, off=inr(off), place=place)
    assert price.total == price.net + price.tax == Money.total((each.total for each in price.lines), "INR")
    assert price.total.amount >= 0
    assert price.off == min(inr(off), Money.total((each.listed for each in asked), "INR"))
    assert Price.from_json(price.as_json(), "INR") == price


@given(items(), st.lists(st.integers(0, 10**12), max_size=6), PLACES)
def test_whatever_is_cut_off_in_whatever_steps_adds_up_line_by_line(
    asked: list[Item], cuts: list[int], place: Place
) -> None:
    whole = price_of_items(asked, place=place)
    left, parts = whole, []
    for cut in cuts:
        part, left = left.cut(inr(cut % (left.total.amount + 1)))
        assert part.total == inr(cut % (part.total.amount + left.total.amount + 1))
        parts.append(part)
    for figure in ("total", "net", "tax"):
        together = [getattr(each, figure) for each in (*parts, left)]
        assert Money.total(together, "INR") == getattr(whole, figure)
        assert all(each.amount >= 0 for each in together)
    for part in (*parts, left):
        assert part.taxes.get("CGST") == part.taxes.get("SGST")


def test_no_more_can_be_cut_off_than_there_is() -> None:
    for wrong in (-1, 101):
        with pytest.raises(Invalid):
            Price.untaxed("x", inr(100)).cut(inr(wrong))


def test_a_gstin_is_known_by_its_last_character() -> None:
    assert is_gstin("27AAPFU0939F1ZV")
    assert is_gstin("29AAGCB7383J1Z4")
    for wrong in (
        "27AAPFU0939F1ZW",
        "27AAPFU0939F1Z",
        "00AAPFU0939F1ZV",
        "27aapfu0939f1zv",
        "",
        "27AAPFU0939F1Z\u00e9",
    ):
        assert not is_gstin(wrong)


@pytest.mark.parametrize(("hours", "share"), [(72, 100), (48, 100), (47.99, 50), (24, 50), (23.99, 0), (-5, 0)])
def test_exactly_at_a_step_counts_as_in_time(hours: float, share: int) -> None:
    assert refund_percent("24h: 50%, 48h: 100%", timedelta(hours=hours)) == share


@pytest.mark.parametrize(
    "wrong",
    ["", "soon", "48h", "48h: 101%", "48h: 50%, 48h: 40%", "48h: 10%, 24h: 50%", "-1h: 5%", "48h: 100%;24h: 50%"],
)
def test_a_policy_that_cannot_be_read_or_rewards_waiting_is_refused(wrong: str) -> None:
    with pytest.raises(Invalid):
        parse_steps(wrong)

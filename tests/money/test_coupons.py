"""Tests of coupons: usage limits, discounts that are never more than the price, and releases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid, Refused
from app.money.gateways.gateway import Charge
from app.money.sums.amount import Money
from app.money.sums.coupon import Coupon, CouponUse
from app.money.sums.quote import Quote
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.booking.choices import Choices
from app.packs.bookings.offer.extra import Extra
from app.packs.bookings.offer.slot import Slot
from tests.conftest import MEERA
from tests.money.conftest import booking_of, books, inr


@pytest.fixture
def coupon(app: Flask) -> Callable[..., Coupon]:
    def coupon(code: str = "WELCOME", **rest: Any) -> Coupon:
        with transaction():
            made = Coupon(code=code, **({"percent": 10} if "amount" not in rest else {}), **rest)
            session.add(made)
        return made

    return coupon


@pytest.fixture
def book(open_slot: Any) -> Callable[..., Booking]:
    """Book with a coupon: book("welcome"), book("welcome", email="kabir@example.com")."""
    hours = iter(range(48, 500, 2))
    return lambda code, **who: Booking.hold(open_slot(hours=next(hours)), MEERA | who, {}, Choices(coupon=code))


def test_it_takes_off_and_is_on_every_line(coupon: Any, book: Any) -> None:
    coupon()
    booking = book(" welcome ")
    assert (booking.price, booking.bill.price, booking.bill.whole_price.off) == (inr(89910), inr(89910), inr(9990))
    assert booking.quote.basis["coupon"] == "WELCOME"


def test_it_never_makes_anything_cheaper_than_free(coupon: Any, book: Any) -> None:
    coupon(amount=inr(500_000))
    booking = book("WELCOME")
    assert (booking.price, booking.state, booking.bill) == (inr(0), "confirmed", None)


def test_a_cap_and_a_minimum_hold(coupon: Any, book: Any) -> None:
    coupon("CAP", off_at_most=inr(5_000))
    assert book("cap").price == inr(94_900)
    coupon("LARGE", minimum=inr(100_000))
    with pytest.raises(Invalid) as no:
        book("large")
    assert no.value.fields == {"coupon": "This coupon requires a minimum price of ₹1,000.00."}


def test_outside_its_window_it_is_a_sentence(coupon: Any, book: Any) -> None:
    for code, window in {"SOON": {"since": clock.ahead(days=1)}, "OVER": {"until": clock.ahead(days=-1)}}.items():
        coupon(code, **window)
        with pytest.raises(Invalid, match="can’t be used"):
            book(code)
    coupon("ENDED").end()
    with pytest.raises(Invalid):
        book("ended")
    with pytest.raises(Invalid):
        book("nosuch")
    assert session.scalar(select(Booking.id)) is None


def test_the_last_use_is_taken_once_by_a_crowd(coupon: Any, open_slot: Any, app: Flask) -> None:
    coupon(uses_at_most=3)
    slots = [open_slot(hours=48 + 2 * n).id for n in range(8)]

    def ask(n: int) -> bool:
        with app.app_context():
            try:
                Booking.hold(Slot.get(slots[n]), MEERA | {"email": f"m{n}@example.com"}, {}, Choices(coupon="WELCOME"))
            except Refused:
                return False
            else:
                return True
            finally:
                session.remove()

    with ThreadPoolExecutor(6) as crowd:
        assert sum(crowd.map(ask, range(8))) == 3
    session.expire_all()
    assert session.scalars(select(Coupon)).one().used == 3


def test_one_mailbox_uses_it_so_often(coupon: Any, book: Any) -> None:
    coupon(uses_each=1)
    book("welcome")
    with pytest.raises(Invalid, match="can’t be used"):
        book("welcome", email="MEERA@example.com")
    assert book("welcome", email="kabir@example.com").price == inr(89910)


def test_a_use_comes_back_once_when_nobody_pays(coupon: Any, book: Any, later: Any, work_off: Any) -> None:
    it = coupon(uses_at_most=1)
    first = book("welcome")
    with later(minutes=16):
        work_off()
        work_off()
        session.expire_all()
        assert (Booking.get(first.id).state, Coupon.get(it.id).used) == ("expired", 0)
        book("welcome", email="kabir@example.com")
        assert Coupon.get(it.id).used == 1


def test_late_money_takes_the_use_again_or_goes_back_when_it_is_gone(
    coupon: Any, book: Any, later: Any, work_off: Any
) -> None:
    it = coupon(uses_at_most=1)
    first = book("welcome")
    bill = first.bill
    with later(minutes=16):
        work_off()
        other = book("welcome", email="kabir@example.com")
        bill = type(bill).get(bill.id)
        bill.apply_charges([Charge("pay_late", "captured", bill.price)])
        assert (booking_of(bill).state, bill.payments[0].pays) == ("expired", False)
        assert "coupon" in bill.payments[0].owed_back
        other.lapse()
        bill.apply_charges([Charge("pay_later", "captured", bill.price)])
        session.expire_all()
        assert (booking_of(bill).state, Coupon.get(it.id).used) == ("confirmed", 1)


def test_a_cancelled_hold_gives_its_use_back_and_a_paid_booking_does_not(coupon: Any, book: Any) -> None:
    it = coupon()
    book("welcome").cancel(CallOff("Changed their mind"))
    assert Coupon.get(it.id).used == 0
    paid = book("welcome")
    paid.bill.apply_charges([Charge("pay_1", "captured", paid.bill.price)])
    Booking.get(paid.id).cancel(CallOff("Ill"))
    session.expire_all()
    assert Coupon.get(it.id).used == 1
    assert session.scalars(select(CouponUse.state).order_by(CouponUse.id)).all() == ["given_back", "taken"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"percent": 101},
        {"percent": 0},
        {"percent": 5, "amount": Money(100, "INR")},
        {"percent": 5, "uses_at_most": 0},
        {"code": "A B"},
        {"code": ""},
    ],
)
def test_a_coupon_that_makes_no_sense_is_refused_in_words(app: Flask, wrong: dict[str, Any]) -> None:
    with pytest.raises(Refused) as no, transaction():
        session.add(Coupon(**{"code": "X1"} | wrong))
    assert "." in no.value.words


# --- quotes -----------------------------------------------------------------------------------------------------------


def test_a_price_that_was_named_holds_for_half_an_hour_whatever_the_list_says(
    service: Any, open_slot: Any, later: Any
) -> None:
    with transaction():
        early, late = service.quote(), service.quote()
    with transaction():
        service.price = inr(199_900)
    assert Booking.hold(open_slot(hours=48), MEERA, {}, Choices(quote=early.token)).price == inr(99_900)
    with later(minutes=31), pytest.raises(Refused, match="has expired"):
        Booking.hold(open_slot(hours=50), MEERA, {}, Choices(quote=late.token))


def test_a_price_is_taken_once_and_for_its_own_service_only(service: Any, open_slot: Any) -> None:
    with transaction():
        quote, other = service.quote(), Quote.name_price("something else", [service.item("x", inr(1))])
    Booking.hold(open_slot(hours=48), MEERA, {}, Choices(quote=quote.token))
    slot = open_slot(hours=50)
    for token in (quote.token, other.token):
        with pytest.raises(Refused):
            Booking.hold(slot, MEERA, {}, Choices(quote=token))


def test_extras_are_on_the_bill_and_only_what_is_offered(service: Any, open_slot: Any) -> None:
    with transaction():
        recording, gone = (
            Extra(service=service, name="Recording", price=inr(20_000)),
            Extra(service=service, name="Tape", price=inr(1)),
        )
        session.add_all([recording, gone])
    gone.retire()
    booking = Booking.hold(open_slot(hours=48), MEERA, {}, Choices(extras=[recording.id]))
    assert [each.label for each in booking.bill.whole_price.lines] == ["First consultation", "Recording"]
    assert booking.price == inr(119_900)
    slot = open_slot(hours=50)
    for wrong in ([gone.id], [10**6]):
        with pytest.raises(Invalid):
            Booking.hold(slot, MEERA, {}, Choices(extras=wrong))


def test_a_deposit_now_and_the_rest_later_are_two_bills_of_one_price(service: Any, open_slot: Any, later: Any) -> None:
    with transaction():
        service.deposit_percent, service.tax_rate = 30, 1800
    booking = Booking.hold(open_slot(hours=48), MEERA, {}, Choices())
    deposit = booking.bill
    assert (deposit.part, deposit.price) == ("deposit", inr(29_970))
    deposit.apply_charges([Charge("pay_1", "captured", deposit.price)])
    rest = Booking.get(booking.id).bill
    assert (booking_of(deposit).state, rest.part, rest.price, rest.state) == ("confirmed", "rest", inr(69_930), "open")
    with later(hours=49):
        booking_of(deposit).complete()
        rest.apply_charges([Charge("pay_2", "captured", rest.price)])
        assert [each.state for each in booking_of(deposit).bills] == ["paid", "paid"]
    assert books("deposits", "income", "tax Tax") == {"deposits": 0, "income": -84661, "tax Tax": -15239}

"""Tests of packages: bought once, used session by session, earned as used; a session returns at most once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.kernel import db
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid, Refused
from app.messages.message import Message
from app.money.bills.bill import ByHand
from app.money.bills.ledger import balance_of
from app.money.bills.payment import Bounce
from app.money.gateways.gateway import Charge
from app.money.sums.amount import Money
from app.money.sums.refund_policy import RefundPolicy
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff as Cancel
from app.packs.bookings.booking.choices import Choices
from app.packs.bookings.offer import prepaid
from app.packs.bookings.offer.extra import Extra
from app.packs.bookings.offer.package import Buyer, Package
from app.packs.bookings.offer.prepaid import CallOff, Pass
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.conftest import MEERA
from tests.proof.invariants import broken
from tests.proof.test_races import at_once, without_locks

WHO = {name: MEERA[name] for name in ("name", "email", "phone")}

OpenSlot = Callable[..., Slot]
Use = Callable[..., Booking]
Sold = Callable[..., Pass]


@pytest.fixture(autouse=True)
def books_hold(app: Any) -> Any:
    """Whatever a test did, the tables tell no lie at its end."""
    yield
    session.rollback()
    with db.engine().connect() as connection:
        assert broken(connection) == []


@pytest.fixture
def package(service: Service) -> Package:
    with transaction():
        service.tax_rate, service.tax_included = 1800, True
        made = Package(name="Three at once", service=service, uses=3, price=Money(250000, "INR"), valid_days=90)
        session.add(made)
    return made


@pytest.fixture
def sold(package: Package) -> Sold:
    """Sells a package and records its payment: sold(), sold(how="cheque")."""

    def sold(how: str = "cash", *, paid: bool = True) -> Pass:
        package.sell(Buyer(MEERA["name"], MEERA["email"], MEERA["phone"]))
        bought = session.scalars(select(Pass).order_by(Pass.id.desc())).first()
        assert bought
        if paid:
            bought.mark_paid(ByHand(how, "R-1"))
        return bought

    return sold


@pytest.fixture
def use(open_slot: OpenSlot) -> Use:
    """A booking with a code: use(bought), use(bought, hours=30)."""

    def use(bought: Pass, *, hours: float = 48, slot: Slot | None = None, **choices: Any) -> Booking:
        return Booking.hold(
            slot or open_slot(hours=hours), MEERA, {}, Choices(coupon=bought.code.lower().replace("-", " "), **choices)
        )

    return use


def net(account: str, of: Pass) -> int:
    return -balance_of(account, "INR", about=of.bill).amount


def anew(it: Any) -> Any:
    """Reads it again: others may have changed it in sessions of their own."""
    session.expire_all()
    return type(it).get(it.id)


def state(it: Any) -> str:
    return str(anew(it).state)


# --- buying it ---


def test_it_is_bought_on_its_page_and_its_code_comes_with_the_money(
    client: FlaskClient, package: Package, work_off: Any, sandbox: str
) -> None:
    assert "Three at once" in client.get("/packages").text
    assert "/packages/1" in client.get("/services").text
    assert "/packages/1" in client.get("/book/first").text
    sent = {**MEERA, "once": "o-1"}
    first, second = (client.post("/packages/1", data=sent) for _ in range(2))
    assert first.status_code == 303
    assert first.location == second.location
    assert "₹2,500.00" in client.get(first.location).text
    (bought,) = session.scalars(select(Pass))
    page = client.get(f"/pass/{bought.token}").text
    assert "awaiting payment" in page
    assert bought.code not in page
    bought.mark_paid(ByHand("cash", "R-1"))
    work_off()
    letters = {each.template: each for each in session.scalars(select(Message))}
    assert bought.code in letters["bookings/pass_bought"].body
    assert letters["bookings/pass_ends"].due_at == bought.expires_at - timedelta(days=14)
    page = client.get(f"/pass/{bought.token}").text
    assert bought.code in page
    assert "3 of 3 sessions left" in page
    assert [each.kind for each in bought.bills[0].invoices] == ["invoice", "receipt"]


def test_a_form_that_is_wrong_keeps_what_was_typed(client: FlaskClient, package: Package) -> None:
    answer = client.post("/packages/1", data={"name": "Meera Iyer", "email": "nowhere", "tax_number": "29"})
    assert answer.status_code == 422
    assert 'value="Meera Iyer"' in answer.text
    assert "Enter a valid 15-character GSTIN" in answer.text


def test_one_that_nobody_pays_for_is_forgotten_and_late_money_goes_back(
    sold: Sold, later: Any, work_off: Any, sandbox: str
) -> None:
    bought = sold(paid=False)
    with later(days=15):
        work_off()
    assert state(bought) == "cancelled"
    bought = anew(bought)
    with pytest.raises(Invalid):
        bought.check_valid_for(bought.service)
    bought.bills[0].apply_charges([Charge("pay_late", "captured", bought.price, "upi")])
    assert [each.money for each in bought.going_back] == [bought.price]


# --- using it ---


def test_a_code_pays_for_the_hour_and_confirms_it_at_once(client: FlaskClient, sold: Sold, slot: Slot) -> None:
    bought = sold()
    answer = client.post("/api/bookings", json={"slot": slot.id, "coupon": bought.code, "tz": "Asia/Kolkata"} | WHO)
    assert answer.status_code == 201
    assert (answer.json["state"], answer.json["price"]["amount"]) == ("confirmed", 0)
    assert f"(package {bought.code})" in answer.json["lines"][0]["label"]
    session.expire_all()
    assert (bought.uses_left, [each.number for each in bought.bookings]) == (2, [answer.json["number"]])
    assert answer.json["number"] in client.get(f"/pass/{bought.token}").text


def test_extras_are_still_to_be_paid_with_their_tax(sold: Sold, use: Use, service: Service) -> None:
    with transaction():
        extra = Extra(service=service, name="Recording", price=Money(11800, "INR"))
        session.add(extra)
    booking = use(sold(), extras=[extra.id])
    assert (booking.state, booking.price.amount, booking.bills[0].whole_price.tax.amount) == ("held", 11800, 1800)


def test_each_use_is_earned_when_it_has_happened_and_the_last_one_takes_the_rest(
    sold: Sold, use: Use, later: Any
) -> None:
    bought = sold()
    whole, earned = net("deposits", bought), []
    for hours, how in ((24, Booking.complete), (48, Booking.miss), (72, Booking.complete)):
        booking = use(bought, hours=hours)
        with later(hours=hours + 1):
            how(booking)
        earned.append(net("income", bought))
    assert whole == 211864
    assert earned == [70622, 141243, 211864]
    assert (state(bought), net("deposits", bought), bought.bills[0].delivered_at is not None) == ("used_up", 0, True)


def test_a_use_comes_back_once_in_time_and_not_after_it_nor_for_who_did_not_come(
    sold: Sold, use: Use, service: Service, later: Any
) -> None:
    with transaction():
        service.policy, service.change_hours = RefundPolicy(name="A day", tiers="24h: 100%"), 0
    bought = sold()
    early, late, missed = use(bought, hours=72), use(bought, hours=96), use(bought, hours=24)
    early.call_off()
    with pytest.raises(Refused):
        early.call_off()
    assert (bought.uses_left, state(bought)) == (1, "active")
    with later(hours=25):
        missed.miss()
    with later(hours=80):
        late.call_off()
    assert (bought.uses_left, [each.state for each in bought.used]) == (1, ["given_back", "spent", "spent"])
    assert net("income", bought) == 141243


def test_a_hold_that_lapses_gives_it_back_and_late_money_takes_it_again(
    sold: Sold, use: Use, service: Service, later: Any, work_off: Any, sandbox: str
) -> None:
    with transaction():
        extra = Extra(service=service, name="Recording", price=Money(11800, "INR"))
        session.add(extra)
    bought = sold()
    booking = use(bought, extras=[extra.id])
    with later(minutes=16):
        work_off()
        assert (state(booking), anew(bought).uses_left) == ("expired", 3)
        booking = anew(booking)
        booking.bills[0].apply_charges([Charge("pay_late", "captured", booking.bills[0].price, "upi")])
    assert (state(booking), anew(bought).uses_left) == ("confirmed", 2)


def test_what_cannot_be_used_is_said_in_a_sentence(sold: Sold, use: Use, later: Any, client: FlaskClient) -> None:
    unpaid, bought = sold(paid=False), sold()
    with transaction():
        other = Service(name="Follow-up", slug="follow-up", minutes=30, price=Money(49900, "INR"))
        session.add(other)

    def says(code: str, **more: Any) -> str:
        answer = client.post("/api/bookings/quote", json={"service": "first", "coupon": code} | more)
        return str(answer.json["error"]["fields"]["coupon"])

    assert says(bought.code, service="follow-up") == "This package is only valid for First consultation."
    assert says(unpaid.code) == "This coupon doesn’t exist or isn’t valid today."
    with later(days=91):
        assert says(bought.code).startswith("This package expired on")
    for hours in (24, 48, 72):
        use(bought, hours=hours)
    assert says(bought.code) == "All sessions in this package have been used."
    for n in range(9):
        client.post("/api/bookings/quote", json={"service": "first", "coupon": f"AAAA-AAA{n}"})
    assert client.post("/api/bookings/quote", json={"service": "first", "coupon": bought.code}).status_code == 429


def test_the_last_use_is_given_once_to_two_who_come_at_once(sold: Sold, use: Use, open_slot: OpenSlot) -> None:
    bought = sold()
    use(bought, hours=24)
    use(bought, hours=48)
    slots, code = [open_slot(hours=hours).id for hours in (72, 96)], bought.code

    def book(slot: int) -> Callable[[], Any]:
        return lambda: Booking.hold(Slot.get(slot), MEERA, {}, Choices(coupon=code))

    session.commit()
    with without_locks(meet_at=Pass):
        assert at_once(*map(book, slots)) == [None, None]
    session.expire_all()
    assert (bought.uses_left, len(bought.used)) == (0, 4)  # one of them came in for nothing
    for each in (bought.used[-1], bought.used[-2]):
        each.booking.cancel(Cancel("Once more, with the lock.", back="nothing" if each is bought.used[-1] else "all"))
    with transaction():
        session.delete(bought.used[-1])
    session.commit()
    (no,) = [each for each in at_once(*map(book, slots)) if each]
    assert isinstance(no, Invalid)
    assert no.fields["coupon"] == "All sessions in this package have been used."
    session.expire_all()
    assert (bought.uses_left, bought.state) == (0, "used_up")


# --- the end of it ---


def test_what_is_unused_at_its_end_is_earned_and_what_is_booked_waits_until_it_has_happened(
    sold: Sold, use: Use, later: Any, work_off: Any, sandbox: str
) -> None:
    bought = sold()
    with later(days=89):
        booking = use(bought, hours=72)
    with later(days=91):
        work_off()
        assert (state(bought), net("income", bought)) == ("expired", 141243)
    with later(days=93):
        anew(booking).complete()
    assert (net("income", bought), net("deposits", bought)) == (211864, 0)


def test_a_use_that_comes_back_after_the_end_is_earned_too(
    sold: Sold, use: Use, later: Any, work_off: Any, sandbox: str
) -> None:
    bought = sold()
    with later(days=89):
        booking = use(bought, hours=72)
    with later(days=91):
        work_off()
        anew(booking).cancel(Cancel("Ill."))
    assert (state(bought), anew(bought).uses_left, net("deposits", bought), net("income", bought)) == (
        "expired",
        3,
        0,
        211864,
    )


def test_calling_it_off_gives_back_at_most_what_is_unused(sold: Sold, use: Use, later: Any) -> None:
    bought = sold()
    booking = use(bought, hours=24)
    with pytest.raises(Refused, match=f"{booking.number} still uses this package"):
        bought.call_off(CallOff("They moved away."))
    with later(hours=25):
        booking.complete()
    assert "₹1,666.66 of ₹2,500.00 can be refunded" in prepaid._refund_preview(bought)
    bought.call_off(CallOff("They moved away."))
    (refund,) = bought.going_back
    assert (refund.money.amount, state(bought), net("deposits", bought)) == (166666, "cancelled", 0)
    with pytest.raises(Invalid):
        use(bought, hours=72)


def test_a_cheque_that_bounces_stops_it_and_paid_again_what_was_used_is_earned_again(
    sold: Sold, use: Use, later: Any, by: Any, work_off: Any, sandbox: str
) -> None:
    bought = sold("cheque")
    booking = use(bought, hours=24)
    with later(hours=25):
        booking.complete()
    bought.bills[0].payments[0].bounce(Bounce("No funds."))
    assert (net("income", bought), net("deposits", bought)) == (0, 0)
    with pytest.raises(Invalid) as no:
        use(bought, hours=72)
    assert "hasn’t been paid for" in no.value.fields["coupon"]
    bought.bills[0].take_by_hand(ByHand("cash", "R-9"))
    work_off()
    bought = anew(bought)
    assert (net("income", bought), net("deposits", bought)) == (70622, 141242)
    bought.check_valid_for(bought.service)

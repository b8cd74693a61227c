"""Tests of today's appointments, the new booking page and the reports, with figures worked out by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.people import Person
from app.money.bills.bill import ByHand
from app.money.bills.payment import GiveBack, Payment
from app.money.sums.amount import Money
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.conftest import MEERA, PATIENCE

Enter = Callable[[str], FlaskClient]
NOON = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)  # of a Friday in Kolkata
KABIR = {"name": "Kabir Shah", "email": "kabir@example.com", "phone": "+919845067890"}


@pytest.fixture
def paid(hold: Any, by: Any) -> Callable[..., Booking]:
    """A booking that is paid in cash: paid(slot)."""

    def paid(slot: Slot, **who: str) -> Booking:
        booking: Booking = hold(slot, **who)
        with by("dina"), transaction():
            booking.mark_paid(ByHand("cash", "R-1"))
        return booking

    return paid


# --- who comes today --------------------------------------------------------------------------------------------------


def guests(page: str) -> list[str]:
    found = re.findall(r'<li class="guest.*?</li>', page, re.DOTALL)
    return [" ".join(re.sub("<[^>]*>", " ", each).split()) for each in found]


def test_the_day_is_in_order_and_the_next_one_stands_out(
    paid: Any, hold: Any, open_slot: Any, dev: Any, enter: Enter
) -> None:
    with clock.frozen_at(NOON):
        paid(open_slot(hours=3, of=dev), **KABIR)
        paid(open_slot(hours=1))
        hold(open_slot(hours=5), name="Priya Nair")
        paid(open_slot(hours=30), name="Somebody Tomorrow")
    with clock.frozen_at(NOON + timedelta(minutes=20)):
        page = enter("dina").get("/desk/today/").text
        told = guests(page)
        assert [each.split(" until")[0] for each in told] == ["12:30", "14:30", "16:30"]
        assert "Next Meera Iyer Confirmed First consultation with Asha Rao" in told[0]
        assert "Held" in told[2]
        assert "is awaited" not in page, "the hold is over"
        assert page.count("is-next") == 1
        mine = guests(enter("dev").get("/desk/today/").text)
        assert len(mine) == 1
        assert "Kabir Shah" in mine[0]
        assert enter("anil").get("/desk/today/").status_code == 403
        assert "Somebody Tomorrow" in enter("dina").get("/desk/today/?day=2026-11-21").text
        assert "No appointments on this day" in enter("dina").get("/desk/today/?day=2026-12-24").text
        assert enter("dina").get("/desk/today/?day=2026-13-24").status_code == 400


def test_check_in_complete_and_no_show_are_the_declared_moves_and_lead_back(
    paid: Any, open_slot: Any, enter: Enter
) -> None:
    with clock.frozen_at(NOON):
        booking = paid(open_slot(hours=1))
        asha = enter("asha")
        assert "Check in" in guests(asha.get("/desk/today/").text)[0]
        assert "Mark as completed" not in guests(asha.get("/desk/today/").text)[0], "it has not begun"
        answer = asha.post(f"/desk/booking/{booking.id}/do/arrive", data={"back": "/desk/today/"})
        assert answer.location == "/desk/today/"
        assert asha.post(f"/desk/booking/{booking.id}/do/arrive").status_code == 409
    with clock.frozen_at(NOON + timedelta(hours=1)):
        told = guests(asha.get("/desk/today/").text)[0]
        assert "Arrived 12:00" in told
        assert "Check in" not in told
        asha.post(f"/desk/booking/{booking.id}/do/complete", data={"back": "/desk/today/"})
        assert "Completed" in guests(asha.get("/desk/today/").text)[0]


def test_what_is_not_paid_yet_is_said_and_the_queries_do_not_grow(
    service: Service, paid: Any, hold: Any, open_slot: Any, enter: Enter, count_queries: Any
) -> None:
    with transaction():
        service.deposit_percent = 40
    dina = enter("dina")
    with clock.frozen_at(NOON):
        paid(open_slot(hours=1))
        hold(open_slot(hours=2), **KABIR)
        page = dina.get("/desk/today/").text
        assert "₹599.40 due" in page
        assert "₹399.60 due by 12:15" in page
        few = count_queries(lambda: dina.get("/desk/today/"))
        for hours in (3, 4, 5):
            paid(open_slot(hours=hours), name=f"Guest {hours}")
        assert count_queries(lambda: dina.get("/desk/today/")) <= few


# --- by telephone -----------------------------------------------------------------------------------------------------


def call(who: FlaskClient, slot: Slot, **said: Any) -> Any:
    typed = (
        {"book": "yes", "once": "once-1", "service": slot.service.slug, "slot": slot.id, "pay": "link"} | KABIR | said
    )
    return who.post("/desk/by_phone/", data=typed)


def test_a_caller_is_held_a_time_and_sent_the_link(slot: Slot, enter: Enter, work_off: Any) -> None:
    answer = call(enter("dina"), slot)
    booking = session.query(Booking).one()
    assert (answer.status_code, answer.location) == (303, f"/desk/booking/{booking.id}")
    assert (booking.state, booking.person.name, booking.person.phone) == ("held", "Kabir Shah", "+919845067890")
    page = enter("dina").get(answer.location).text
    assert "Booking awaiting payment" in page


def test_cash_on_the_table_is_paid_in_the_same_step(slot: Slot, enter: Enter) -> None:
    no = call(enter("dina"), slot, pay="cash", reference="")
    assert no.status_code == 422
    assert 'value="Kabir Shah"' in no.text, "what was typed is kept"
    assert session.query(Booking).count() == 0
    assert call(enter("dina"), slot, pay="cash", reference="R-7").status_code == 303
    booking = session.query(Booking).one()
    assert (booking.state, booking.bills[0].payments[0].gateway) == ("confirmed", "cash")


def told(who: FlaskClient, answer: Any) -> str:
    """What the desk says of it, once."""
    (words,) = re.findall(r"BK-\d{4}-\d{6} for Kabir Shah ([^<]*)\.<", who.get(answer.location).text)
    return str(words)


def letters(sandbox: str) -> set[str]:
    return {each["subject"] for each in requests.get(f"{sandbox}/mail.json?to=kabir", timeout=PATIENCE).json()}


def test_what_a_booking_waits_for_is_said_as_it_is(slot: Slot, enter: Enter) -> None:
    dina = enter("dina")
    assert told(dina, call(dina, slot)) == "is waiting for payment. The link was sent to kabir@example.com"


def test_money_that_somebody_else_has_to_see_is_not_asked_for_again(
    service: Service, slot: Slot, enter: Enter, by: Any, sandbox: str, work_off: Any
) -> None:
    with transaction():
        service.price = Money(2_500_000, "INR")
    requests.delete(f"{sandbox}/mail", timeout=PATIENCE)
    dina = enter("dina")
    assert told(dina, call(dina, slot, pay="cash", reference="R-7")) == "is waiting for a second approval of ₹25,000.00"
    bill = session.query(Booking).one().bill
    assert bill
    assert dina.post(f"/desk/bill/{bill.id}/do/send_link").status_code == 409
    work_off()
    assert letters(sandbox) == set()
    with by("ada"):
        session.query(Payment).one().approve()
    work_off()
    assert any(each.startswith("Confirmed") for each in letters(sandbox))


def test_a_deposit_and_a_cheque_are_not_called_paid(service: Service, open_slot: Any, enter: Enter) -> None:
    with transaction():
        service.deposit_percent = 40
    dina, cheque = enter("dina"), "the cheque for ₹399.60 has not cleared yet"
    assert told(dina, call(dina, open_slot(), pay="cash", reference="R-7")) == "is confirmed; ₹599.40 is still due"
    assert (
        told(dina, call(dina, open_slot(hours=50), once="2", pay="cheque", reference="123"))
        == f"is confirmed; {cheque} and ₹599.40 is still due"
    )
    with transaction():
        Service.get(service.id).deposit_percent = 100
    assert (
        told(dina, call(dina, open_slot(hours=52), once="3", pay="bank", reference="UTR-1")) == "is confirmed and paid"
    )


def test_what_somebody_looks_at_first_is_not_paid_before(service: Service, slot: Slot, enter: Enter) -> None:
    with transaction():
        service.by_approval = True
    dina = enter("dina")
    assert told(dina, call(dina, slot, pay="cash", reference="R-7")) == "is waiting for approval. No payment is due yet"


def test_what_costs_nothing_is_not_called_paid(service: Service, slot: Slot, enter: Enter) -> None:
    with transaction():
        service.price = Money(0, "INR")
    dina = enter("dina")
    assert told(dina, call(dina, slot)) == "is confirmed (free of charge)"


def test_a_double_click_is_one_booking_and_another_one_wants_a_page_of_its_own(open_slot: Any, enter: Enter) -> None:
    first, second = open_slot(), open_slot(hours=50)
    for _ in range(2):
        assert call(enter("dina"), first, pay="bank", reference="UTR-1").status_code == 303
    assert session.query(Booking).count() == 1
    again = call(enter("dina"), second, pay="bank", reference="UTR-1")
    assert again.status_code == 409
    assert f"{session.query(Booking).one().number} was already created" in again.text
    assert session.query(Booking).count() == 1


def test_the_refusals_are_those_of_the_public_page(slot: Slot, hold: Any, enter: Enter, open_slot: Any) -> None:
    hold(slot)
    taken = call(enter("dina"), slot)
    assert taken.status_code == 409
    assert "This time has just been taken." in taken.text
    for said, words in (
        ({"name": "", "email": "nobody"}, "Enter a valid email address."),
        ({"coupon": "NOSUCH"}, "This coupon doesn’t exist"),
    ):
        wrong = call(enter("dina"), open_slot(hours=50 + len(said)), **said)
        assert wrong.status_code == 422
        assert words in wrong.text
    assert enter("dina").post("/desk/by_phone/", data=KABIR | {"book": "yes", "slot": "x"}).status_code == 422
    assert call(enter("dina"), slot, pay="gold").status_code == 422
    assert session.query(Booking).count() == 1
    assert enter("asha").get("/desk/by_phone/").status_code == 403


def test_somebody_known_is_found_by_parts_and_stays_one_person(slot: Slot, enter: Enter) -> None:
    with transaction():
        known = Person.find_or_create(**MEERA)
        Person.find_or_create(**KABIR, timezone="Europe/Rome")
    dina = enter("dina")

    def found(words: str) -> list[str]:
        page = dina.post("/desk/by_phone/", data={"look": "people", "q": words}).text
        return re.findall(r"<strong>(.*?)</strong>", page.partition('id="people"')[2].partition('class="anew"')[0])

    assert found("meer iy") == ["Meera Iyer", "New customer"]
    assert found("kabir@") == ["Kabir Shah", "New customer"]
    assert found("98450-678") == ["Kabir Shah", "New customer"]
    assert found("100%") == found("nobody of that name") == []
    assert call(dina, slot, person=known.id, name="", email="", phone="").status_code == 303
    booking = session.query(Booking).one()
    assert (booking.person_id, session.query(Person).filter(Person.name == "Meera Iyer").count()) == (known.id, 1)


def test_the_next_free_times_come_first_and_the_one_that_was_clicked_is_chosen(
    open_slot: Any, enter: Enter, dev: Any
) -> None:
    later, soon = open_slot(hours=100), open_slot(hours=30, of=dev)
    page = enter("dina").get(f"/desk/by_phone/?slot={later.id}").text
    assert re.findall(r'name="slot" value="(\d+)"', page) == [str(soon.id), str(later.id)]
    assert f'name="slot" value="{later.id}" checked' in page
    only = enter("dina").post("/desk/by_phone/", data={"whose": dev.id}).text
    assert re.findall(r'name="slot" value="(\d+)"', only) == [str(soon.id)]
    assert (
        "No times available from this date" in enter("dina").post("/desk/by_phone/", data={"since": "2150-01-01"}).text
    )
    assert "Enter a valid date." in enter("dina").post("/desk/by_phone/", data={"since": "tomorrow"}).text


def test_a_time_that_is_gone_is_said_to_be_gone(open_slot: Any, hold: Any, enter: Enter) -> None:
    taken, free = open_slot(hours=50), open_slot(hours=52)
    hold(taken)
    gone = "This time is no longer available. Choose another one."
    for slot in (taken.id, "nonsense", 2_000_000):
        assert gone in enter("dina").get(f"/desk/by_phone/?slot={slot}").text, slot
    for asked in (f"?slot={free.id}", ""):
        assert gone not in enter("dina").get(f"/desk/by_phone/{asked}").text


def test_booking_by_telephone_stands_first_among_what_can_be_added(app: object, enter: Enter) -> None:
    adds = enter("dina").get("/desk/").text.partition('id="adding"')[2]
    assert re.findall(r"<li><a href=\"([^\"]+)\">", adds)[:1] == ["/desk/by_phone/"]
    assert "/desk/by_phone/" not in enter("asha").get("/desk/").text.partition('id="adding"')[2]


# --- figures ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def ask(client: FlaskClient, token: Any) -> Callable[..., Any]:
    def ask(report: str, **asked: Any) -> Any:
        known = {"since": "2026-11-01", "until": "2026-11-30"} | asked
        answer = client.get(f"/api/v1/report/{report}", query_string=known, headers=token("omar"))
        assert answer.status_code == 200, answer.text
        return [{name: _plain(value) for name, value in row.items()} for row in answer.get_json()["result"]]

    return ask


def _plain(value: Any) -> Any:
    return (value["amount"] / 100 if "amount" in value else value["name"]) if isinstance(value, dict) else value


@pytest.fixture
def a_week(service: Service, paid: Any, hold: Any, open_slot: Any, dev: Any, by: Any) -> dict[str, Booking]:
    """A week with two completed bookings, a no-show, one cancelled with half refunded, one expired and one held."""
    with transaction():
        service.price = Money(100000, "INR")
    with clock.frozen_at(NOON):
        who = {
            name: paid(open_slot(hours=hours, of=of), name=name)
            for name, hours, of in (("Ann", 2, None), ("Ben", 3, None), ("Cem", 2, dev))
        }
        off, lapsed, free = (
            paid(open_slot(hours=4), name="Dia"),
            hold(open_slot(hours=5), name="Eve"),
            open_slot(hours=6),
        )
        stands = hold(open_slot(hours=7), name="Fay")
        with by("dina"), transaction():
            off.bills[0].payments[0].give_back(GiveBack(amount="500", why="Half of it was enough."))
            off.cancel(CallOff("Ill", "nothing"))
            lapsed.lapse()
    with clock.frozen_at(NOON + timedelta(hours=9)), transaction():
        who["Ann"].complete()
        who["Ben"].complete()
        who["Cem"].miss()
    return who | {"off": off, "lapsed": lapsed, "stands": stands, "free": free}


def test_the_figures_of_a_week_are_those_worked_out_by_hand(a_week: dict[str, Any], ask: Any, dev: Any) -> None:
    with clock.frozen_at(NOON + timedelta(hours=9)):
        assert ask("revenue") == [
            {"week": "2026-11-16", "service": "First consultation", "bookings": 4, "net": 3500, "tax": 0, "total": 3500}
        ]
        assert ask("occupancy") == [
            {"practitioner": "Asha Rao", "open": 360, "booked": 120, "free": 240, "rate": 33.33},
            {"practitioner": "Dev Mehta", "open": 60, "booked": 60, "free": 0, "rate": 100.0},
        ]
        assert [(row["bookings"], row["today"], row["median"]) for row in ask("lead_time")] == [(3, 3, 0)]
        assert ask("conversion") == [
            {
                "service": "First consultation",
                "held": 6,
                "paid": 4,
                "lapsed": 1,
                "called_off": 0,
                "waiting": 1,
                "rate": 80.0,
            },
        ]
        assert ask("no_shows") == [
            {"practitioner": "Asha Rao", "came": 2, "missed": 0, "unsaid": 0, "rate": 0},
            {"practitioner": "Dev Mehta", "came": 0, "missed": 1, "unsaid": 0, "rate": 100.0},
        ]
        assert ask("given_back") == [
            {"service": "First consultation", "payments": 4, "given_back": 1, "paid": 4000, "back": 500, "rate": 12.5}
        ]
        assert (
            ask("revenue", since="2026-11-21")
            == ask("no_shows", since="2026-11-21")
            == ask("occupancy", since="2026-11-21")
            == []
        )


def test_an_hour_that_two_services_offer_is_open_once(
    service: Service, paid: Any, open_slot: Any, asha: Any, ask: Any
) -> None:
    with clock.frozen_at(NOON):
        slot = open_slot(hours=2)
        with transaction():
            other = Service(name="Follow-up", slug="follow-up", minutes=30, price=Money(0, "INR"), notice_minutes=0)
            session.add(other)
            session.add(Slot.starting_at(asha, other, slot.starts_at))
            session.add(Slot.starting_at(asha, other, slot.starts_at + timedelta(minutes=30)))
        assert [(row["open"], row["booked"]) for row in ask("occupancy")] == [(60, 0)]
        paid(slot)
        assert [(row["open"], row["booked"], row["rate"]) for row in ask("occupancy")] == [(60, 60, 100.0)]


def test_reminders_that_were_needed_and_that_were_not(
    paid: Any, open_slot: Any, ask: Any, by: Any, work_off: Any
) -> None:
    with clock.frozen_at(NOON - timedelta(days=2)):
        paid(open_slot(hours=48))
        off = paid(open_slot(hours=50), name="Kabir Shah")
        with by("dina"), transaction():
            off.cancel(CallOff("Ill", "all"))
        assert [(row["what"], row["to_come"], row["rate"]) for row in ask("reminders")] == [("1 day before", 2, None)]
    with clock.frozen_at(NOON):
        assert [(row["late"], row["rate"]) for row in ask("reminders")] == [(2, 0)]

"""Tests of related lists below a record: which relations they show, and within whose scope."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.desk.declare.resource import Resource
from app.desk.records.related import FEW
from app.kernel.access import everything
from app.kernel.db import session, transaction
from app.kernel.people import Person
from app.money.bills.bill import ByHand
from app.money.sums.amount import Money
from app.packs.bookings.hours.hours import WEEKDAYS, Hours
from app.packs.bookings.offer.extra import Extra
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service

Enter = Callable[[str], FlaskClient]


def headings(page: str) -> list[str]:
    return re.findall(r'<h2 id="related-\d+">([^<]+)</h2>', page)


def extras(service: Service, count: int) -> None:
    with transaction():
        for at in range(count):
            session.add(Extra(service=service, name=f"Chart {at}", price=Money(10_000, "INR")))


def hours(whose: Practitioner) -> Hours:
    with transaction():
        found = Hours(practitioner=whose, weekday=WEEKDAYS[0], opens=time(9), closes=time(12))
        session.add(found)
    return found


def test_a_person_shows_what_every_pack_has_of_them(slot: Any, hold: Any, enter: Enter) -> None:
    booking = hold(slot)
    page = enter("dina").get(f"/desk/person/{booking.person_id}").text
    assert headings(page) == ["Bookings", "Messages", "Payment requests"]
    assert f'data-href="/desk/booking/{booking.id}"' in page
    assert f'data-href="/desk/bill/{booking.bill.id}"' in page
    assert "None yet: Waiting list, Packages sold, Payments, Invoices." in page


def test_a_payment_stands_below_whoever_paid_its_bill(slot: Any, hold: Any, by: Any, enter: Enter) -> None:
    booking = hold(slot)
    with by("dina"), transaction():
        booking.mark_paid(ByHand("cash", "R-1"))
    page = enter("dina").get(f"/desk/person/{booking.person_id}").text
    assert f'data-href="/desk/payment/{booking.bills[0].payments[0].id}"' in page


def test_somebody_elses_are_not_there(open_slot: Any, hold: Any, enter: Enter) -> None:
    hold(open_slot(), name="Meera Iyer", email="meera@example.com")
    other = hold(open_slot(hours=60), name="Kabir Rao", email="kabir@example.com")
    page = enter("dina").get(f"/desk/person/{other.person_id}").text
    assert re.findall(r'data-href="/desk/booking/(\d+)"', page) == [f"{other.id}"]


def test_only_nouns_that_the_reader_may_read_are_named(slot: Any, hold: Any, enter: Enter) -> None:
    page = enter("anil").get(f"/desk/person/{hold(slot).person_id}").text
    assert "Waiting list" not in page
    assert "Bookings" in headings(page)


def test_what_is_of_others_stays_with_them(asha: Practitioner, dev: Practitioner, enter: Enter) -> None:
    mine, theirs = hours(asha), hours(dev)
    assert f'data-href="/desk/hours/{mine.id}"' in enter("asha").get(f"/desk/practitioner/{asha.id}").text
    assert f'data-href="/desk/hours/{theirs.id}"' in enter("dina").get(f"/desk/practitioner/{dev.id}").text
    assert enter("asha").get(f"/desk/practitioner/{dev.id}").status_code == 404


def test_the_newest_few_come_first_and_all_of_them_are_a_click_away(service: Service, enter: Enter) -> None:
    extras(service, FEW + 1)
    dina = enter("dina")
    page = dina.get(f"/desk/service/{service.id}").text
    assert re.findall(r"Chart (\d+)<", page) == [f"{at}" for at in range(FEW, 0, -1)]
    (all,) = re.findall(r'<a class="button is-bare" href="([^"]+)">View all', page)
    assert dina.get(all.replace("&amp;", "&")).text.count('data-href="/desk/extra/') == FEW + 1


def test_one_more_is_added_from_there_for_whoever_may(service: Service, enter: Enter) -> None:
    page = enter("dina").get(f"/desk/service/{service.id}").text
    assert headings(page) == ["Extras", "Service assignments"], "where one can be added, its place is shown"
    assert f'href="/desk/extra/new?service={service.id}"' in page
    assert f'<option value="{service.id}" selected>' in enter("dina").get(f"/desk/extra/new?service={service.id}").text
    assert (
        "/desk/extra/new" not in enter("omar").get(f"/desk/service/{service.id}").text.partition('class="belongs"')[2]
    )


def test_the_number_of_questions_does_not_grow_with_the_rows(
    service: Service, asha: Practitioner, enter: Enter, count_queries: Any
) -> None:
    extras(service, 1)
    dina = enter("dina")
    dina.get(f"/desk/service/{service.id}")
    few = count_queries(lambda: dina.get(f"/desk/service/{service.id}"))
    extras(service, 5)
    assert count_queries(lambda: dina.get(f"/desk/service/{service.id}")) <= few


def test_a_noun_stands_below_a_relation_that_its_list_can_be_narrowed_by() -> None:
    for path in ("notes", "created_at"):
        with pytest.raises(TypeError, match="below"):
            Resource(
                Person, list="name", show="name notes created_at", below=path, roles={"Desk": "read"}, scope=everything
            )
    with pytest.raises(TypeError, match="below"):
        Resource(Extra, list="name price", below="service", roles={"Desk": "read"}, scope=everything)


# --- what makes a row theirs ------------------------------------------------------------------------------------------


def test_whoever_can_choose_only_themselves_is_chosen_already(
    asha: Practitioner, dev: Practitioner, enter: Enter
) -> None:
    def offered(name: str) -> str:
        return (
            enter(name)
            .get("/desk/closure/new")
            .text.partition('<select class="control" id="f-practitioner"')[2]
            .partition("</select>")[0]
        )

    assert f'<option value="{asha.id}" selected>' in offered("asha")
    assert '<option value="">–</option>' not in offered("asha")
    assert " selected" not in offered("dina")
    assert '<option value="">–</option>' in offered("dina"), "the desk may close the whole house"


def test_what_makes_a_row_theirs_cannot_be_left_empty(asha: Practitioner, enter: Enter) -> None:
    typed = {"practitioner": "", "starts_at": "2027-01-04T09:00", "ends_at": "2027-01-04T12:00"}
    page = enter("asha").post("/desk/closure/new", data=typed)
    assert page.status_code == 422
    assert "This field is required." in page.text
    assert enter("dina").post("/desk/closure/new", data=typed).status_code == 302
    assert enter("asha").post("/desk/closure/new", data=typed | {"practitioner": str(asha.id)}).status_code == 302

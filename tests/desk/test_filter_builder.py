"""Tests of the filter builder: conditions in the address and in its form, only on declared columns and in scope."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient

from app.desk.lists.filters import filter_text, parse_filter
from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.people import Person
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot

Enter = Callable[[str], FlaskClient]
TUESDAY = datetime(2026, 11, 24, 12, 0, tzinfo=ZoneInfo("Asia/Kolkata"))


@pytest.fixture(autouse=True)
def at_noon() -> Iterator[None]:
    with clock.frozen_at(TUESDAY):
        yield


@pytest.fixture
def slots(service: Service, asha: Practitioner, dev: Practitioner) -> None:
    """Asha has one today at 23:30, tomorrow and in forty days; Dev had one a week ago and has two seats next month."""
    midnight = TUESDAY.replace(hour=0)
    plan = [
        (asha, timedelta(hours=23, minutes=30), 1),
        (asha, timedelta(days=1, hours=9), 1),
        (asha, timedelta(days=40), 3),
    ]
    plan += [(dev, timedelta(days=-7, hours=9), 1), (dev, timedelta(days=8), 2)]
    with transaction():
        for who, after, seats in plan:
            slot = Slot.starting_at(who, service, midnight + after)
            slot.seats = seats
            session.add(slot)


def ids(desk: FlaskClient, noun: str, question: str) -> list[int]:
    answer = desk.get(f"/desk/{noun}/", query_string={"w": question, "order": "id"})
    assert answer.status_code == 200, answer.text
    return [int(each) for each in re.findall(rf'data-href="/desk/{noun}/(\d+)"', answer.text)]


def test_an_address_says_what_it_asks_and_is_read_as_it_was_written() -> None:
    asked = "state:is:held;price:between:5,10(or)name:has:50%25 %28a%3B b) (or%29"
    assert [[each.value for each in group] for group in parse_filter(asked)] == [["held", "5,10"], ["50% (a; b) (or)"]]
    assert parse_filter(filter_text(parse_filter(asked))) == parse_filter(asked)
    assert parse_filter(";(or);") == ()


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("starts_at:within:today", [1]),
        ("starts_at:within:tomorrow", [2]),
        ("starts_at:within:this-week", [1, 2]),
        ("starts_at:within:last-week", [4]),
        ("starts_at:within:next-week", [5]),
        ("starts_at:within:next-month", [5]),
        ("starts_at:within:this-year", [1, 2, 4, 5]),
        ("starts_at:last:7", [1]),
        ("starts_at:last:8", [1, 4]),
        ("starts_at:next:2", [1, 2]),
        ("starts_at:older:6", [4]),
        ("starts_at:later:39", [3]),
        ("starts_at:is:2026-11-24", [1]),
        ("starts_at:between:2026-11-25,2026-12-02", [2, 5]),
        ("seats:from:2", [3, 5]),
        ("seats:between:2,2", [5]),
        ("seats:is-not:1", [3, 5]),
        ("seats:among:2,3", [3, 5]),
        ("practitioner:is:1;seats:is:1", [1, 2]),
        ("practitioner:is-not:1", [4, 5]),
        ("practitioner:among:1,2;seats:from:3(or)practitioner:is:2;starts_at:older:1", [3, 4]),
        ("state:is-not:open", []),
        ("practitioner:filled", [1, 2, 3, 4, 5]),
        ("practitioner:empty", []),
    ],
)
def test_days_numbers_and_neighbours_are_compared(slots: None, enter: Enter, question: str, found: list[int]) -> None:
    assert ids(enter("dina"), "slot", question) == found


def test_words_are_compared_as_they_stand(enter: Enter) -> None:
    with transaction():
        for name, phone in (("Asha 100%", "+919845012345"), ("asha rao", ""), ("Dev; (or) so", "")):
            session.add(Person(name=name, email=f"{len(name)}@example.com", phone=phone))
    dina = enter("dina")
    assert ids(dina, "person", "name:begins:asha") == [1, 2]
    assert ids(dina, "person", "name:has:100%25") == [1]
    assert ids(dina, "person", "name:has:%28or) so") == [3]
    assert ids(dina, "person", "name:is:asha rao(or)phone:filled") == [1, 2]
    assert ids(dina, "person", "phone:empty;name:is-not:asha rao") == [3]


def test_the_question_narrows_what_somebody_sees_and_never_widens_it(slots: None, enter: Enter) -> None:
    assert ids(enter("asha"), "slot", "practitioner:is:2(or)seats:from:1") == [1, 2, 3]
    assert (
        enter("asha").get("/desk/slot/export.csv", query_string={"w": "seats:from:1(or)seats:to:9"}).text.count("\n")
        == 4
    )


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("password:is:x", "can’t be filtered by"),
        ("service.price:is:5", "can’t be filtered by"),
        ("starts_at:is:yesterday", "such as 2026-11-24."),
        ("starts_at:within:sometime", "Choose one of: today"),
        ("starts_at:last:0", "number of days: 1 or more"),
        ("starts_at:last:99999", "number of days: 1 or more"),
        ("seats:from:many", "enter its ID"),
        ("seats:between:1", "separated by a comma"),
        ("seats:has:1", "not with"),
        ("state:is:asleep", "Choose one of: open"),
        ("state", "not with"),
        (";".join(["seats:is:1"] * 31), "Use at most 30 conditions"),
    ],
)
def test_what_cannot_be_asked_is_a_clear_no(slots: None, enter: Enter, question: str, words: str) -> None:
    answer = enter("dina").get("/desk/slot/", query_string={"w": question})
    assert answer.status_code == 400
    assert words in answer.text


def test_a_bad_address_offers_the_list_without_its_filters(slots: None, enter: Enter) -> None:
    dina = enter("dina")
    (way,) = re.findall(r'href="([^"]+)">Show list without filters', dina.get("/desk/slot/?w=foo:bar").text)
    assert dina.get(way).status_code == 200
    assert "Show list without filters" not in dina.get("/desk/nowhere/?w=foo:bar").text


def test_the_form_builds_the_address_line_by_line(slots: None, enter: Enter) -> None:
    dina = enter("dina")
    page = dina.get("/desk/slot/filter?f.state=open").text
    assert 'name="1.1.column"' in page
    typed = {"f.state": "open", "1.1.column": "seats", "1.1.how": "between", "1.1.value": "2", "1.1.until": "3"}
    more = dina.get("/desk/slot/filter", query_string=typed | {"do": "and:1"}).text
    assert 'name="1.2.column"' in more
    assert 'name="2.1.column"' in dina.get("/desk/slot/filter", query_string=typed | {"do": "or"}).text
    assert 'value="3"' not in dina.get("/desk/slot/filter", query_string=typed | {"do": "drop:1.1"}).text
    whole = typed | {"2.1.column": "practitioner", "2.1.how": "is", "2.1.value": "2 · Dev Mehta", "do": "show"}
    shown = dina.get("/desk/slot/filter", query_string=whole)
    assert shown.status_code == 302
    page = dina.get(shown.location).text
    assert "Places is between 2 and 3" in page
    assert "Practitioner is Dev Mehta" in page
    assert page.count("data-href") == 3
    changed = dina.get(shown.location.replace("/slot/?", "/slot/filter?")).text
    assert 'name="2.1.column"' in changed


def test_a_line_that_cannot_be_asked_is_said_beside_it_and_kept(slots: None, enter: Enter) -> None:
    wrong = {"1.1.column": "seats", "1.1.how": "from", "1.1.value": "many", "do": "show"}
    answer = enter("dina").get("/desk/slot/filter", query_string=wrong)
    assert answer.status_code == 400
    assert 'value="many"' in answer.text
    assert 'id="w-1.1"' in answer.text
    assert enter("asha").get("/desk/job/filter").status_code == 403


def test_choosing_days_or_states_asks_for_what_fits(slots: None, enter: Enter) -> None:
    dina = enter("dina")
    for column, how, control in (
        ("starts_at", "within", "this month</option>"),
        ("starts_at", "last", 'type="number"'),
        ("state", "among", 'type="checkbox" name="1.1.value" value="open"'),
        ("practitioner", "is", "Dev Mehta</option>"),
        ("starts_at", "from", 'type="date"'),
        ("seats", "begins", 'value="is" selected'),
    ):
        page: Any = dina.get("/desk/slot/filter", query_string={"1.1.column": column, "1.1.how": how})
        assert control in page.text, (column, how)

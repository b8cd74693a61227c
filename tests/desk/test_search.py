"""Tests of the search over all nouns: spelling, scripts and access."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select

from app.desk.attention import search
from app.desk.attention.search import Finding
from app.kernel.db import session, transaction
from app.kernel.people import Person
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.slot import Slot

Enter = Callable[[str], FlaskClient]
Hits = Callable[..., list[str]]


@pytest.fixture
def hits(enter: Enter) -> Hits:
    """hits("meera"): what the palette offers, kind by kind; hits("meera", by="asha")."""

    def hits(words: str, by: str = "dina") -> list[str]:
        answer = enter(by).get("/desk/search/", query_string={"q": words}, headers={"Accept": "application/json"})
        assert answer.status_code == 200, answer.text
        return [f"{group['label']}: {hit['title']}" for group in answer.get_json()["groups"] for hit in group["hits"]]

    return hits


@pytest.fixture
def booking(hold: Callable[..., Booking], slot: Slot) -> Booking:
    return hold(slot)


@pytest.mark.parametrize(
    "words",
    [
        "Meera Iyer",
        "meera",
        "iyer mee",
        "MEERA@example.com",
        "example.com meera",
        "98450 12345",
        "098450-12345",
        "+91 (98450) 12345",
        "0091 9845012345",
        "12345",
        "Mera Iyer",
        "meerra",
    ],
)
def test_somebody_is_found_by_name_mailbox_and_telephone_however_they_are_written(
    booking: Booking, hits: Hits, words: str
) -> None:
    assert hits(words)[0] == "Customers: Meera Iyer"


def test_a_number_comes_first_in_full_or_as_people_say_it(
    booking: Booking, hold: Callable[..., Booking], open_slot: Callable[..., Slot], hits: Hits
) -> None:
    another = hold(open_slot(hours=60), name=f"Room {booking.number[-1]}", email="kabir@example.com")
    for words in booking.number, booking.number.lower(), f"BK {int(booking.number.rpartition('-')[2])}":
        assert hits(words)[0] == f"Bookings: {booking.number}", words
    assert f"Bookings: {another.number}" in hits("kabir")


def test_letters_that_mean_something_elsewhere_mean_themselves(booking: Booking, hits: Hits) -> None:
    for words in "%%%", "___", "'; drop table", "zz & | !", "\\\\", "((", "*:*", "x", "", "é" * 300:
        assert hits(words) == []


def test_nobody_finds_what_is_not_theirs(
    hold: Callable[..., Booking], open_slot: Callable[..., Slot], dev: Practitioner, enter: Enter, hits: Hits
) -> None:
    hers, his = hold(open_slot()), hold(open_slot(of=dev), name="Kabir Shah", email="kabir@example.com")
    assert hits("BK-", by="asha") == [f"Bookings: {hers.number}"]
    assert hits(his.number, by="asha") == hits("kabir", by="asha") == []
    assert hits("kabir", by="dev") == [f"Bookings: {his.number}"]
    assert "Customers: Kabir Shah" in hits("kabir", by="omar")
    assert enter("nobody").get("/desk/search/?q=kabir").status_code == 403
    seen = (
        enter("asha")
        .get(f"/desk/search/seen?rows=booking-{hers.id},booking-{his.id},person-1,job-1,nosuch-1,booking-x")
        .get_json()
    )
    assert [each["title"] for each in seen["hits"]] == [hers.number]


def test_a_stranger_is_asked_to_sign_in(client: FlaskClient) -> None:
    assert client.get("/desk/search/?q=meera").status_code == 302


def test_the_index_follows_each_change_and_no_change_that_was_taken_back(booking: Booking, hits: Hits) -> None:
    person = booking.person
    with transaction():
        person.name = "Leela Menon"
    assert {"Customers: Leela Menon", f"Bookings: {booking.number}"} <= {*hits("leela")}
    assert hits("iyer") == []
    with pytest.raises(RuntimeError), transaction():
        person.name = "Never Kept"
        session.flush()
        raise RuntimeError
    assert hits("never kept") == []


def test_whoever_is_forgotten_is_not_found_any_more(app: Flask, hits: Hits) -> None:
    with transaction():
        person = Person(name="Meera Iyer", email="meera@example.com", phone="+919845012345")
        session.add(person)
    assert hits("iyer")
    with transaction():
        person.forget()
    assert hits("iyer") == hits("meera") == hits("9845012345") == []
    assert not [each for each in session.scalars(select(Finding.letters)) if "iyer" in each or "98450" in each]


def test_what_is_removed_is_not_found_and_what_came_past_the_program_is_written_down_anew(
    booking: Booking, hits: Hits
) -> None:
    session.execute(delete(Finding.__table__))
    session.commit()
    assert hits("meera") == []
    assert search.rebuild_index() > 0
    assert "Customers: Meera Iyer" in hits("meera")


def test_no_secret_is_kept_in_the_index(booking: Booking, app: Flask) -> None:
    assert all(not column.secret for entry in search._entries.values() for column in entry.resource.search)
    kept = " ".join(session.scalars(select(Finding.letters)))
    assert booking.token[:22].lower() not in kept


def test_a_search_asks_the_database_as_often_for_many_as_for_one(
    hold: Callable[..., Booking],
    open_slot: Callable[..., Slot],
    enter: Enter,
    count_queries: Callable[[Callable[[], Any]], int],
) -> None:
    hold(open_slot())
    who = enter("dina")
    who.get("/desk/search/?q=meera")
    one = count_queries(lambda: who.get("/desk/search/?q=meera"))
    for nth in range(4):
        hold(open_slot(hours=50 + nth))
    assert count_queries(lambda: who.get("/desk/search/?q=meera")) == one


def test_the_page_says_what_fits_and_what_to_do_when_nothing_does(booking: Booking, enter: Enter) -> None:
    assert booking.number in enter("dina").get("/desk/search/?q=meera").text
    assert "No results for “zzzz”" in enter("dina").get("/desk/search/?q=zzzz").text
    assert "Type at least two characters" in enter("dina").get("/desk/search/").text

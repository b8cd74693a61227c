"""Tests of masked columns: screens, search, filters, sorting, export, history, calendar and API reveal nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.desk.declare.resource import Resource
from app.kernel import access
from app.kernel.access import everything
from app.kernel.db import transaction
from app.kernel.people import Person

Enter = Callable[[str], FlaskClient]
Token = Callable[[str], dict[str, str]]
Hold = Callable[..., Any]

PHONE = "98450 12345"


@pytest.fixture
def meera(app: Flask, slot: object, hold: Hold) -> Person:
    """Somebody with a booking, a telephone that an accountant need not know, and notes that are none of theirs."""
    person: Person = hold(slot).person
    with transaction():
        person.lock()
        person.phone, person.notes = PHONE, "Pays late."
    return person


def doors(person: Person) -> list[str]:
    asked = (
        "/desk/person/",
        "/desk/person/?cols=name,phone",
        "/desk/person/export.csv?cols=name,phone",
        f"/desk/person/{person.id}",
    )
    return [
        *asked,
        "/desk/person/?q=meera",
        "/desk/search/?q=meera",
        "/desk/booking/?cols=number,person",
        f"/desk/person/{person.id}?only=changes",
    ]


def test_a_masked_column_says_that_there_is_something_and_not_what(
    meera: Person, enter: Enter, token: Token, client: FlaskClient
) -> None:
    digits = meera.phone.removeprefix("+91")[-10:]
    assert any(digits in enter("dina").get(path).text for path in doors(meera))
    for path in doors(meera):
        page = enter("anil").get(path)
        assert (page.status_code, digits in page.text, digits[-5:] in page.text) == (200, False, False), path
    assert "•••" in enter("anil").get(f"/desk/person/{meera.id}").text
    for path in (f"/api/v1/person/{meera.id}", "/api/v1/person/"):
        told = client.get(path, headers=token("anil")).get_json()["result"]
        assert (told if isinstance(told, dict) else told[0])["phone"] == "•••"
        told = client.get(path, headers=token("dina")).get_json()["result"]
        assert digits in (told if isinstance(told, dict) else told[0])["phone"]


def test_a_hidden_column_is_not_there(meera: Person, enter: Enter, token: Token, client: FlaskClient) -> None:
    assert "Pays late." in enter("dina").get(f"/desk/person/{meera.id}").text
    page = enter("anil").get(f"/desk/person/{meera.id}").text
    assert ("Pays late." in page, "<dt>Notes</dt>" in page) == (False, False)
    assert "notes" not in client.get(f"/api/v1/person/{meera.id}", headers=token("anil")).get_json()["result"]
    assert client.get("/api/v1/person/_info", headers=token("anil")).get_json()["show"].count("notes") == 0
    assert "<dt>Notes</dt>" in enter("omar").get(f"/desk/person/{meera.id}").text
    assert "Pays late." not in enter("omar").get(f"/desk/person/{meera.id}").text


def test_nobody_guesses_it_digit_by_digit(meera: Person, enter: Enter, token: Token, client: FlaskClient) -> None:
    anil, dina = enter("anil"), enter("dina")
    for words in ("98450", "12345"):
        assert meera.email in dina.get(f"/desk/person/?q={words}").text
        assert meera.email not in anil.get(f"/desk/person/?q={words}").text
        assert meera.name in dina.get(f"/desk/search/?q={words}").text
        assert meera.name not in anil.get(f"/desk/search/?q={words}").text
        assert client.get(f"/api/v1/person/?q={words}", headers=token("anil")).get_json()["ids"] == []
    for asked in ("w=phone:begins:%2B9198", "order=phone", "order=-phone", "w=notes:has:late", "cols=name,notes"):
        assert anil.get(f"/desk/person/?{asked}").status_code == 400, asked
        assert anil.get(f"/desk/person/export.csv?{asked}").status_code == 400, asked
    assert meera.email in anil.get(f"/desk/person/?q={meera.email[:8]}").text


def test_its_history_keeps_it_too(meera: Person, enter: Enter, token: Token, client: FlaskClient) -> None:
    ids = client.get("/api/v1/change/?size=100", headers=token("omar")).get_json()["ids"]
    lines = "".join(
        client.get(f"/api/v1/change/{id}", headers=token("omar")).text + enter("omar").get(f"/desk/change/{id}").text
        for id in ids
    )
    assert ("98450" in lines, "Pays late" in lines) == (True, False)
    shown = enter("omar").get(f"/desk/person/{meera.id}").text
    assert ("98450" in shown, "Pays late" in shown) == (True, False)


def test_an_administrator_who_looks_with_their_eyes_sees_what_they_see(meera: Person, enter: Enter, app: Flask) -> None:
    desk, anil = enter("ada"), app.extensions["appbuilder"].sm.find_user(username="anil")
    assert "Pays late." in desk.get(f"/desk/person/{meera.id}").text
    assert desk.post("/desk/see-as/", data={"user": anil.id}).status_code == 302
    assert "Pays late." not in desk.get(f"/desk/person/{meera.id}").text


def test_the_table_of_rights_says_it(enter: Enter) -> None:
    assert "phone masked, notes hidden" in enter("ada").get("/desk/rights/").text


ROLES = {"Desk": "read write", "Auditor": "read"}
Guards = dict[str, dict[str, str]]


def guarded(guards: Guards, list: str = "name email", order: str = "name") -> Resource:
    return Resource(
        Person,
        list=list,
        add="name email phone",
        search="name email",
        order=order,
        guards=guards,
        roles=ROLES,
        scope=everything,
    )


@pytest.mark.parametrize(
    ("guards", "said"),
    [
        ({"email": {"Desk": "secret"}}, "is masked, read or hidden"),
        ({"name": {"Desk": "masked"}}, "is ordered by name"),
    ],
)
def test_a_guard_that_says_nothing_sensible_is_refused_at_the_start(guards: Guards, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        guarded(guards)


def test_the_most_that_one_of_their_roles_allows_is_what_they_may(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    it = guarded({"phone": {"Desk": "read"}, "email": {"Auditor": "masked", "Desk": "hidden"}})
    monkeypatch.setitem(access._guards, Person, it.guards)
    seen = {}
    for roles in ("Desk", "Auditor", "Auditor Desk", "Admin"):
        with access.acting(access.Actor("somebody", "desk", 1, frozenset(roles.split()))):
            seen[roles] = [" ".join(each.path for each in its) for its in (it.list, it.edit, it.search)]
    assert seen == {
        "Desk": ["name", "name", "name"],
        "Auditor": ["name email", "name phone", "name"],
        "Auditor Desk": ["name email", "name phone", "name"],
        "Admin": ["name email", "name email phone", "name email"],
    }

"""A field that an administrator adds is a column like any other: in forms, lists, filters, exports, imports, the history and the API, at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.desk.field import KEPT, Field
from app.kernel import board
from app.kernel.audit import Change
from app.kernel.db import session, transaction
from app.kernel.people import Person

Enter = Callable[[str], FlaskClient]
Token = Callable[[str], dict[str, str]]
Hold = Callable[..., Any]


def add(desk: FlaskClient, status: int = 302, **typed: str) -> str:
    page = desk.post("/desk/field/new", data={"noun": "person", "kind": "text", "label": "Shoe size", "place": "10"} | typed)
    assert page.status_code == status, page.text
    return page.text


def somebody(**more: Any) -> Person:
    with transaction():
        session.add(person := Person(name="Meera Iyer", email="meera@example.com", more=more or None))
    return person


TYPED = {
    "text": ("On the left", "On the left"), "long": ("One\r\nTwo", "One\r\nTwo"), "number": ("42", 42), "money": ("999.50", {"amount": 99950, "currency": "INR"}),
    "yesno": ("on", True), "day": ("2026-11-24", "2026-11-24"), "time": ("09:30", "09:30:00"), "moment": ("2026-11-24T09:30", "2026-11-24T04:00:00+00:00"),
    "choice": ("WhatsApp, mostly", "WhatsApp, mostly"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KEPT)
def test_every_kind_is_typed_shown_asked_for_ordered_exported_and_read_by_programs(kind: str, enter: Enter, token: Token, client: FlaskClient) -> None:
    desk, (typed, told) = enter("ada"), TYPED[kind]
    add(desk, label="Much more", kind=kind, listed="on", **({"options": "WhatsApp, mostly\nA letter"} if kind == "choice" else {}))
    meera, other = somebody(), somebody()
    form = desk.get(f"/desk/person/{meera.id}/edit").text
    assert 'name="more.much_more"' in form
    given = {"name": "Meera Iyer", "email": "meera@example.com", "timezone": "Asia/Kolkata", "version": "1", "more.much_more": typed}
    assert desk.post(f"/desk/person/{meera.id}/edit", data=given).status_code == 302
    first_line = typed.split("\r\n")[0]
    said = {"money": "₹999.50", "yesno": "Yes", "day": "24 Nov 2026", "moment": "24 Nov 2026", "time": "09:30"}.get(kind, first_line)
    for path in (f"/desk/person/{meera.id}", "/desk/person/", "/desk/person/?order=more.much_more", "/desk/person/?order=-more.much_more&size=1&page=2"):
        page = desk.get(path)
        assert page.status_code == 200, page.text
        assert "Much more" in page.text
    assert said in desk.get(f"/desk/person/{meera.id}").text
    asked = {"long": f"w=more.much_more:has:{first_line}", "moment": "f.more.much_more.from=2026-11-24"}.get(kind, f"f.more.much_more={typed}")
    rows = client.get(f"/api/v1/person/?{asked}", headers=token("ada")).get_json()
    assert (rows["ids"], rows["result"][0]["more.much_more"]) == ([meera.id], told)
    nothing = "f.more.much_more=off" if kind == "yesno" else "w=more.much_more:empty"
    assert f"/desk/person/{other.id}" in desk.get(f"/desk/person/?{nothing}").text
    assert "Much more" in desk.get("/desk/person/export.csv").text.splitlines()[0]
    assert client.put(f"/api/v1/person/{other.id}", json={"more.much_more": told}, headers=token("ada")).status_code == 200
    session.rollback()
    session.refresh(other)
    assert other.more == ({"much_more": told})


def test_what_was_typed_wrongly_is_refused_and_kept(enter: Enter) -> None:
    desk = enter("ada")
    add(desk, kind="number", required="on")
    meera = somebody()
    given = {"name": "Meera Iyer", "email": "meera@example.com", "timezone": "Asia/Kolkata", "version": "1"}
    assert "Please fill this in." in desk.post(f"/desk/person/{meera.id}/edit", data=given).text
    page = desk.post(f"/desk/person/{meera.id}/edit", data=given | {"more.shoe_size": "forty"})
    assert (page.status_code, "This is not a whole number." in page.text, 'value="forty"' in page.text) == (422, True, True)


def test_it_is_in_the_description_and_in_what_may_be_asked(enter: Enter, token: Token, client: FlaskClient) -> None:
    assert "more.shoe_size" not in client.get("/api/v1/_openapi", headers=token("ada")).text
    add(enter("ada"), kind="number")
    described = client.get("/api/v1/_openapi", headers=token("ada")).get_json()["components"]["schemas"]
    assert described["Person.put"]["properties"]["more.shoe_size"] == {"type": "integer", "title": "Shoe size"}
    assert "more.shoe_size" in client.get("/api/v1/person/_info", headers=token("dina")).get_json()["edit"]


def test_the_history_says_it_field_by_field_and_a_change_of_many_can_be_taken_back(enter: Enter) -> None:
    desk = enter("ada")
    add(desk)
    people = [somebody(shoe_size="41"), somebody()]
    page = desk.post("/desk/person/change", data={"id": [each.id for each in people], "path": "more.shoe_size", "more.shoe_size": "42", "done": "1"}).text
    assert session.scalars(select(Person.more)).all() == [{"shoe_size": "42"}, {"shoe_size": "42"}]
    session.rollback()
    shown = desk.get(f"/desk/person/{people[0].id}").text
    assert re.search(r"Shoe size.{0,200}41.{0,200}42", shown, re.DOTALL)
    undo = re.search(r'action="(/desk/person/undo/\d+)"', page)
    assert undo
    desk.post(undo[1])
    session.rollback()
    assert session.scalars(select(Person.more).order_by(Person.id)).all() == [{"shoe_size": "41"}, None]


def test_two_people_who_fill_in_different_fields_lose_nothing(enter: Enter, token: Token, client: FlaskClient) -> None:
    desk = enter("ada")
    add(desk)
    add(desk, label="Heard of us")
    meera = somebody()
    for name, said in (("shoe_size", "42"), ("heard_of_us", "A friend")):
        assert client.put(f"/api/v1/person/{meera.id}", json={f"more.{name}": said}, headers=token("dina")).status_code == 200
    late = client.put(f"/api/v1/person/{meera.id}", json={"more.shoe_size": "43", "version": 1}, headers=token("dina"))
    assert (late.status_code, late.get_json()["error"]["code"]) == (409, "overtaken")
    session.rollback()
    session.refresh(meera)
    assert meera.more == {"shoe_size": "42", "heard_of_us": "A friend"}


def test_where_nothing_can_be_edited_whoever_makes_its_moves_fills_it_in(enter: Enter, token: Token, client: FlaskClient, slot: object, hold: Hold) -> None:
    booking = hold(slot)
    for name, status in (("dina", 422), ("anil", 403), ("omar", 403)):
        assert client.put(f"/api/v1/booking/{booking.id}", json={"more.referred_by": "Dr Rao"}, headers=token(name)).status_code == status, name
    add(enter("ada"), noun="booking", label="Referred by")
    for name, status in (("dina", 200), ("anil", 403), ("omar", 403)):
        assert client.put(f"/api/v1/booking/{booking.id}", json={"more.referred_by": "Dr Rao"}, headers=token(name)).status_code == status, name
    assert client.put(f"/api/v1/booking/{booking.id}", json={"price": 1}, headers=token("dina")).status_code == 422
    assert "Dr Rao" in enter("anil").get(f"/desk/booking/{booking.id}").text


def test_it_is_put_away_with_what_it_holds_and_comes_back_with_it(enter: Enter) -> None:
    desk = enter("ada")
    add(desk, listed="on")
    meera = somebody(shoe_size="42")
    field = session.scalars(select(Field)).one()
    session.rollback()
    for move, shown in (("put_away", False), ("bring_back", True)):
        assert desk.post(f"/desk/field/{field.id}/do/{move}", follow_redirects=True).status_code == 200
        assert ("Shoe size" in desk.get(f"/desk/person/{meera.id}/edit").text) is shown
        assert desk.get("/desk/person/?f.more.shoe_size=42").status_code == (200 if shown else 400)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"kind": "choice"}, "Say what can be chosen"),
        ({"options": "One\nTwo"}, "Only a choice has something to choose from"),
        ({"label": "–––"}, "with letters in it"),
        ({"noun": "invoice"}, "One of:"),
        ({"noun": "finding"}, "One of:"),
        ({"label": "shoe  SIZE"}, "There is a field of this name on it already"),
    ],
)
def test_a_field_that_cannot_be_is_refused_in_words(typed: dict[str, str], said: str, enter: Enter) -> None:
    desk = enter("ada")
    add(desk)
    page = desk.post("/desk/field/new", data={"noun": "person", "kind": "text", "label": "Another", "place": "10"} | typed)
    assert (page.status_code in (409, 422), said in page.text) == (True, True), page.text


@pytest.mark.parametrize("name", ["dina", "asha", "anil", "omar"])
def test_only_an_administrator_adds_one(name: str, enter: Enter, token: Token, client: FlaskClient) -> None:
    assert enter(name).post("/desk/field/new", data={"noun": "person", "kind": "text", "label": "Shoe size"}).status_code == 403
    assert client.post("/api/v1/field/", json={"noun": "person", "kind": "text", "label": "Shoe size"}, headers=token(name)).status_code == 403


def test_another_process_knows_it_within_seconds(enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = enter("ada")
    desk.get("/desk/person/")
    with transaction():
        session.add(Field(noun="person", label="Shoe size", key="shoe_size", kind="text", listed=True))
    assert "Shoe size" not in desk.get("/desk/person/").text
    monkeypatch.setattr(board, "ANYWAY", 0)
    monkeypatch.setattr(board, "_looked", 0.0)
    assert "Shoe size" in desk.get("/desk/person/").text


def test_a_table_that_comes_in_may_hold_it(enter: Enter, work_off: Callable[[], int]) -> None:
    desk = enter("ada")
    add(desk, label="Shoe size", kind="number")
    file = BytesIO(b"Name,Email,Shoe size\nAsha Rao,asha@example.com,38\n")
    sent = desk.post("/desk/person/import", data={"file": (file, "people.csv"), "once": "1"}, content_type="multipart/form-data")
    assert sent.status_code == 302, sent.text
    page = desk.get(sent.location).text
    assert re.search(r'<option value="more.shoe_size" selected', page), page


def test_a_line_of_history_is_one_change(enter: Enter, token: Token, client: FlaskClient) -> None:
    add(enter("ada"))
    meera = somebody()
    client.put(f"/api/v1/person/{meera.id}", json={"more.shoe_size": "42"}, headers=token("dina"))
    session.rollback()
    line = session.scalars(select(Change).where(*Change.of(meera)).order_by(Change.id.desc()).limit(1)).one()
    assert (line.before, line.after) == ({"more": None}, {"more": {"shoe_size": "42"}})

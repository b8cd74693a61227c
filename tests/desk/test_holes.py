"""Tests of security holes that generated Flask-AppBuilder apps have, each by its name."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from app.desk.declare.resource import registered_resources
from app.kernel import db
from app.kernel.db import session, transaction
from app.kernel.people import Person
from app.money.bills.bill import ByHand
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import NewTime
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.slot import Slot
from tests.conftest import MEERA, PASSWORD, ROOT

Token = Callable[[str], dict[str, str]]
Enter = Callable[[str], FlaskClient]


def test_password_hashes_never_leave_through_any_column(client: FlaskClient, token: Token, asha: Practitioner) -> None:
    for resource in registered_resources():
        body = client.get(f"/api/v1/{resource.name}/?size=100", headers=token("ada")).text
        assert "scrypt:" not in body
        assert "pbkdf2:" not in body
        assert "$2b$" not in body
    assert "scrypt:" not in client.get(f"/api/v1/practitioner/{asha.id}", headers=token("ada")).text


def test_a_move_never_passes_the_row_filter(
    client: FlaskClient, token: Token, enter: Enter, open_slot: Any, dev: Practitioner
) -> None:
    foreign = open_slot(of=dev)
    assert client.post(f"/api/v1/slot/{foreign.id}/close", headers=token("asha")).status_code == 404
    assert enter("asha").post(f"/desk/slot/{foreign.id}/do/close").status_code == 404
    enter("asha").post("/desk/slot/bulk", data={"move": "close", "id": [foreign.id]})
    session.expire_all()
    assert session.get(Slot, foreign.id, populate_existing=True).state == "open"  # type: ignore[union-attr]


def test_foreign_rows_are_neither_offered_nor_taken(
    client: FlaskClient, token: Token, enter: Enter, slot: Slot, app: Flask, dev: Practitioner
) -> None:
    """Rights of a practitioner are widened in the database, as an administrator could: rows must hold all the same."""
    with granted(app, "Practitioner", "Slot", "add", "edit"):
        choices = enter("asha").get("/desk/slot/choices/practitioner").get_json()["choices"]
        assert [each["name"] for each in choices] == ["Asha Rao"]
        for pointing in (dev.id, f"{dev.id} · Dev Mehta", 10**6):
            new = {"practitioner": pointing, "service": slot.service_id, "starts_at": "2031-01-01T09:00"}
            refused = client.post("/api/v1/slot/", json=new, headers=token("asha"))
            assert (refused.status_code, list(refused.get_json()["error"]["fields"])) == (422, ["practitioner"])


def test_what_is_not_declared_cannot_be_asked_about(client: FlaskClient, token: Token, slot: Slot) -> None:
    """A filter on a hidden column answers questions about it, one letter at a time."""
    Booking.hold(slot, MEERA, {"birth_place": "Mysuru"})
    for question in (
        "f.answers=Mysuru",
        "f.sealed_answers=Mysuru",
        "f.person.notes=x",
        "q=(filters:!((col:answers,opr:eq,value:Mysuru)))",
        "order=answers",
        "f.practitioner.user.password=s",
    ):
        assert client.get(f"/api/v1/booking/?{question}", headers=token("ada")).status_code == 400
    assert client.get("/api/v1/booking/?q=Mysuru", headers=token("ada")).get_json()["count"] == 0


def test_a_state_is_never_written_by_put_post_or_form(
    client: FlaskClient, token: Token, enter: Enter, slot: Slot
) -> None:
    assert client.put(f"/api/v1/slot/{slot.id}", json={"state": "closed"}, headers=token("ada")).status_code == 422
    enter("ada").post(f"/desk/slot/{slot.id}/edit", data={"seats": "2", "state": "closed", "version": slot.version})
    fresh = session.get(Slot, slot.id, populate_existing=True)
    assert fresh is not None
    assert (fresh.seats, fresh.state) == (2, "open")


def test_a_link_that_is_followed_changes_nothing(enter: Enter, slot: Slot) -> None:
    desk = enter("ada")
    before = state_of_everything()
    for rule in desk.application.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and rule.rule.startswith("/desk/"):
            path = (
                rule.rule.replace("<int:pk>", str(slot.id)).replace("<name>", "close").replace("<path>", "practitioner")
            )
            assert desk.get(path).status_code < 500, path
    assert state_of_everything() == before


def state_of_everything() -> dict[str, int]:
    session.rollback()
    with db.engine().connect() as connection:
        tables = [
            each.name for each in db.metadata.sorted_tables if not each.name.startswith("ab_") and each.name != "quote"
        ]  # a price that was named holds for a while
        return {
            name: int(connection.execute(text(f"select coalesce(sum(version), 0) + count(*) from {name}")).scalar_one())
            for name in tables
        }


def test_a_form_of_somebody_elses_page_is_refused(enter: Enter, slot: Slot) -> None:
    """The suite switches tokens off for its own forms; here they are on."""
    desk = enter("ada")
    desk.application.config["WTF_CSRF_ENABLED"] = True
    try:
        for path in (
            f"/desk/slot/{slot.id}/do/close",
            f"/desk/slot/{slot.id}/edit",
            "/desk/slot/bulk",
            "/desk/slot/new",
            "/login/",
            f"/book/first/{slot.id}",
        ):
            assert desk.post(path, data={"move": "close", "id": slot.id}).status_code == 400, path
    finally:
        desk.application.config["WTF_CSRF_ENABLED"] = False


def test_a_cookie_opens_no_door_of_the_api(enter: Enter, slot: Slot) -> None:
    """The API asks for no form token, so a cookie that somebody's page borrows must count for nothing there."""
    desk = enter("ada")
    assert desk.get("/api/v1/slot/").status_code == 401
    assert desk.post(f"/api/v1/slot/{slot.id}/close").status_code == 401


def test_a_token_and_a_cookie_do_not_mix(enter: Enter, token: Token, slot: Slot) -> None:
    desk = enter("ada")  # an administrator's browser with an auditor's token has an auditor's rights
    assert desk.post(f"/api/v1/slot/{slot.id}/close", headers=token("omar")).status_code == 403


@pytest.mark.parametrize("door", ["/login/", "/api/v1/security/login"])
def test_guessing_passwords_is_slow_at_every_door(client: FlaskClient, door: str) -> None:
    tries = [guess(client, door, "ada", "wrong").status_code for _ in range(7)]
    assert tries == [401] * 5 + [429] * 2
    assert (
        guess(client, "/api/v1/security/login" if door == "/login/" else "/login/", "ada", PASSWORD).status_code == 429
    )


def guess(client: FlaskClient, door: str, name: str, password: str) -> Any:
    given = {"username": name, "password": password, "provider": "db"}
    return client.post(door, json=given) if door.startswith("/api") else client.post(door, data=given)


def test_what_was_typed_is_still_there_after_a_refusal(enter: Enter, slot: Slot, service: Any) -> None:
    desk = enter("dina")
    typed = {
        "name": "Copy of it",
        "slug": "first",
        "minutes": "45",
        "price": "12.50",
        "description": "typed for ten minutes",
    }
    answer = desk.post("/desk/service/new", data=typed)
    assert answer.status_code == 409
    assert "Another service already uses this page address." in answer.text
    for value in ("Copy of it", "12.50", "typed for ten minutes"):
        assert value in answer.text


def test_two_people_editing_the_same_record_do_not_overwrite_each_other(enter: Enter, service: Any) -> None:
    first, second = service.version, service.version
    form = {
        "name": "Mine",
        "slug": "first",
        "minutes": "60",
        "price": "999.00",
        "seats": "1",
        "hold_minutes": "15",
        "notice_minutes": "0",
        "days_ahead": "60",
    }
    assert enter("dina").post(f"/desk/service/{service.id}/edit", data=form | {"version": first}).status_code == 302
    late = enter("ada").post(f"/desk/service/{service.id}/edit", data=form | {"name": "Theirs", "version": second})
    assert late.status_code == 409
    assert "Someone else changed this" in late.text
    assert "Theirs" in late.text
    assert "Current values" in late.text
    assert "<dd>Mine <span" in late.text
    again = form | {"name": "Theirs", "version": re.search(r'name="version" value="(\d+)"', late.text)[1]}  # type: ignore[index]
    assert enter("ada").post(f"/desk/service/{service.id}/edit", data=again).status_code == 302


def test_what_the_second_did_not_touch_is_what_the_first_has_written(enter: Enter) -> None:
    """Two windows change a record: one a note, the other phone and name. Only a name changed in both is a conflict."""
    with transaction():
        session.add(
            person := Person(
                name="Meera Iyer", email="meera@example.com", notes="Slow\nwalker", timezone="Asia/Kolkata"
            )
        )
    address = f"/desk/person/{person.id}/edit"

    def loaded(page: str) -> dict[str, str]:
        found = re.findall(r'<input[^>]* name="(\w+)" value="([^"]*)"', page) + re.findall(
            r'<textarea[^>]* name="(\w+)"[^>]*>([^<]*)<', page
        )
        return {
            name: html.unescape(value).replace("\n", "\r\n") if name == "notes" else html.unescape(value)
            for name, value in found
        }

    first, second = (loaded(enter(name).get(address).text) for name in ("dina", "ada"))
    assert (
        enter("dina").post(address, data=first | {"notes": "Walks with a stick", "name": "Meera S. Iyer"}).status_code
        == 302
    )
    late = enter("ada").post(address, data=second | {"phone": "+919845012345", "name": "Meera R. Iyer"})
    assert late.status_code == 409
    assert re.findall("<dt>([^<]+)</dt><dd>([^<]+?) ?<", late.text) == [
        ("Name", "Meera S. Iyer"),
        ("Notes", "Walks with a stick"),
    ]
    assert late.text.count("your value differs and will replace it") == 1
    assert enter("ada").post(address, data=loaded(late.text)).status_code == 302
    session.expire_all()
    assert (person.name, person.phone, person.notes) == ("Meera R. Iyer", "+919845012345", "Walks with a stick")


def test_whoever_decides_has_seen_what_they_decide_on(enter: Enter, slot: Slot, hold: Any, open_slot: Any) -> None:
    booking = hold(slot)
    booking.mark_paid(ByHand("cash", "R-1"))
    dina, address = enter("dina"), f"/desk/booking/{booking.id}/do/cancel"
    seen = re.search(r'name="version" value="(\d+)"', dina.get(address).text)
    booking.reschedule(NewTime(open_slot(hours=200).id))
    late = dina.post(address, data={"why": "Ill.", "back": "all", "version": seen[1]})  # type: ignore[index]
    assert (late.status_code, booking.state) == (409, "confirmed")
    assert "was changed while this page was open" in late.text
    now = re.search(r'name="version" value="(\d+)"', late.text)
    assert dina.post(address, data={"why": "Ill.", "back": "all", "version": now[1]}).status_code == 302  # type: ignore[index]


def test_rights_are_asked_once_a_request_however_many_buttons(enter: Enter, open_slot: Any, count_queries: Any) -> None:
    for hours in range(48, 60):
        open_slot(hours=hours)
    desk = enter("dina")
    desk.get("/desk/slot/")
    assert count_queries(lambda: desk.get("/desk/slot/")) <= 8


def test_a_long_list_of_people_is_searched_and_never_put_into_a_select(enter: Enter, app: Flask) -> None:
    with transaction():
        session.add_all(Practitioner(name=f"Practitioner {n:03d}") for n in range(300))
    page = enter("dina").get("/desk/slot/new").text
    assert page.count("Practitioner 2") < 60
    found = enter("dina").get("/desk/slot/choices/practitioner?q=Practitioner 29").get_json()["choices"]
    assert len(found) == 10


def test_lists_of_two_readers_at_once_do_not_borrow_each_others_filters(app: Flask, token: Token) -> None:
    """Flask-AppBuilder keeps one filter object for each view and clears it at every request."""
    with transaction():
        session.add_all(Person(name=f"Person {n:02d}", email=f"p{n}@example.com") for n in range(20))
    wrong: list[Any] = []

    def ask(n: int) -> None:
        visitor = app.test_client()
        for _ in range(15):
            names = [
                each["name"]
                for each in visitor.get(f"/api/v1/person/?q=Person {n:02d}", headers=headers).get_json()["result"]
            ]
            if names != [f"Person {n:02d}"]:
                wrong.append(names)

    headers = token("dina")
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    [each.start() for each in threads]  # type: ignore[func-returns-value]
    [each.join() for each in threads]  # type: ignore[func-returns-value]
    assert wrong == []


START = """
from sqlalchemy import Engine, event
asked = []
event.listen(Engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
from app import create_app
create_app()
print(asked)
"""


def test_a_web_process_that_starts_writes_no_permission_makes_no_table_and_asks_nothing(
    built: Flask, environment: dict[str, str]
) -> None:
    told = subprocess.run(
        [sys.executable, "-c", START],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "[]\n", told.stdout


def test_the_description_of_the_api_is_made_once(client: FlaskClient, token: Token, count_queries: Any) -> None:
    assert client.get("/api/v1/_openapi").status_code == 401
    first = client.get("/api/v1/_openapi", headers=token("dina"))
    assert first.get_json()["openapi"].startswith("3.")
    assert client.get("/api/v1/_openapi", headers=token("dina")).data == first.data


def test_no_schema_is_checked_anew_at_every_request(
    client: FlaskClient, token: Token, slot: Slot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flask-AppBuilder validates its constant rison schema on each call: nearly half of the time that a list takes."""

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a schema was checked")

    monkeypatch.setattr("jsonschema.validate", never)
    for path in ("", f"{slot.id}", "_info", "?q=(page_size:10,order_column:starts_at,order_direction:desc)"):
        assert client.get(f"/api/v1/slot/{path}", headers=token("dina")).status_code == 200


def test_a_user_who_was_switched_off_is_out_at_once(
    app: Flask, client: FlaskClient, token: Token, enter: Enter
) -> None:
    sm = app.extensions["appbuilder"].sm
    headers, desk = token("omar"), enter("omar")
    user = sm.find_user(username="omar")
    user.active = False
    sm.update_user(user)
    try:
        assert client.get("/api/v1/slot/", headers=headers).status_code == 401
        assert desk.get("/desk/slot/").status_code == 302
    finally:
        user.active = True
        sm.update_user(user)


class granted:
    """Rights that an administrator gave a role by hand, for as long as a test lasts."""

    def __init__(self, app: Flask, role: str, view: str, *verbs: str) -> None:
        self.sm = app.extensions["appbuilder"].sm
        self.role = self.sm.find_role(role)
        self.rights = [self.sm.find_permission_view_menu(f"can_{verb}", view) for verb in verbs]

    def __enter__(self) -> None:
        for right in self.rights:
            self.sm.add_permission_role(self.role, right)

    def __exit__(self, *_: object) -> None:
        for right in self.rights:
            self.sm.del_permission_role(self.role, right)


def test_the_role_of_a_stranger_opens_nothing(enter: Enter) -> None:
    assert session.scalar(select(text("1"))) == 1
    for resource in registered_resources():
        assert enter("nobody").get(f"/desk/{resource.name}/").status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        "f.starts_at.to=9999-12-31",
        "f.starts_at.from=0001-01-01",
        "f.starts_at=abc",
        "f.practitioner=abc",
        "f.practitioner=99999999999999",
    ],
)
def test_a_filter_that_makes_no_sense_says_so_in_words(enter: Enter, slot: Slot, query: str) -> None:
    answer = enter("ada").get(f"/desk/slot/?{query}")
    assert answer.status_code == 400
    assert "invalid literal" not in answer.text.lower()
    assert "isoformat" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/users/list/?page_Users=abc",
        "/users/list/?psize_Users=abc",
        "/users/list/?_oc_Users=nosuch&_od_Users=asc",
        "/users/show/99999",
        "/roles/list/",
        "/users/list/",
    ],
)
def test_the_pages_of_flask_appbuilder_do_not_break_either(enter: Enter, path: str) -> None:
    answer = enter("ada").get(path)
    assert answer.status_code in (200, 400, 404), answer.status_code
    assert "Browse services" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/desk/nope/",
        "/desk/booking/abc",
        "/desk/booking/-1",
        "/desk/booking/new",
        "/desk/booking/1/edit",
        "/desk/person/add",
        "/desk/booking/99999999999999999999",
    ],
)
def test_a_wrong_address_on_the_desk_is_a_kind_page(enter: Enter, path: str) -> None:
    answer = enter("ada").get(path)
    assert answer.status_code in (404, 405)
    assert "/desk/" in answer.text


def test_what_cannot_be_kept_is_refused_at_every_door(client: FlaskClient, enter: Enter, slot: Slot) -> None:
    nul = "a\x00b"
    answers = [
        client.post(f"/book/first/{slot.id}", data={"name": nul, "email": "a@example.com"}),
        client.post("/login/", data={"username": nul, "password": "x"}),
        client.post("/api/v1/security/login", json={"username": nul, "password": "x", "provider": "db"}),
        client.post("/api/bookings", json={"slot": slot.id, "name": nul, "email": "a@example.com"}),
        enter("ada").get("/desk/slot/?q=%00"),
        enter("ada").post(f"/desk/slot/{slot.id}/edit", data={"seats": nul}),
    ]
    assert {each.status_code for each in answers} == {400}


def test_a_short_password_and_a_wrong_address_make_no_user(enter: Enter, app: Flask) -> None:
    sm = app.extensions["appbuilder"].sm
    user = {
        "first_name": "New",
        "last_name": "User",
        "username": "newu",
        "email": "new@example.com",
        "roles": [sm.find_role("Auditor").id],
        "active": "y",
    }
    for wrong in (
        {"password": "short", "conf_password": "short"},
        {"password": PASSWORD, "conf_password": PASSWORD, "email": "bad"},
    ):
        enter("ada").post("/users/add", data=user | wrong)
        assert sm.find_user(username="newu") is None

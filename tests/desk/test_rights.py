"""Tests of roles and permissions: the table matches the routes, custom roles, and impersonation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.desk.declare.resource import registered_resources
from app.desk.sign_in import security
from app.desk.staff.roles import rights_lines
from app.kernel.access import Actor
from app.kernel.audit import Change
from app.kernel.db import session, stable_name
from tests.conftest import user_id

Enter = Callable[[str], FlaskClient]
Token = Callable[[str], dict[str, str]]


def test_the_table_says_what_the_doors_answer(enter: Enter, token: Token, client: FlaskClient) -> None:
    page = enter("ada").get("/desk/rights/").text
    for role, name in (("Desk", "dina"), ("Auditor", "omar"), ("Practitioner", "asha")):
        rights = security.rights_by_role()[role]
        for resource in registered_resources()[::4]:
            may = f"{stable_name(resource.noun)}.can_read" in rights
            assert client.get(f"/api/v1/{resource.name}/", headers=token(name)).status_code == (200 if may else 403), (
                role,
                resource.name,
            )
        assert role in page
    assert page.count("Built in") >= 4
    for name in ("dina", "omar"):
        assert enter(name).get("/desk/rights/").status_code == 403
    assert client.get("/desk/rights/").status_code == 302


def test_everything_that_can_be_ticked_is_a_right_of_the_enforcement(app: Flask) -> None:
    known = set().union(*security.rights_by_role().values())
    offered = {line.right(verb) for line in rights_lines() for verb in line.verbs}
    every = {
        f"{stable_name(resource.noun)}.can_{verb}" for resource in registered_resources() for verb in resource.verbs
    }
    assert every <= offered
    assert {
        right
        for right in known
        if right.partition(".")[0] in {stable_name(resource.noun) for resource in registered_resources()}
    } <= offered


@pytest.fixture
def helping(app: Flask, enter: Enter) -> Iterator[tuple[FlaskClient, int]]:
    """A role that an administrator made, like Practitioner, and that Asha has instead of her own."""
    desk, sm = enter("ada"), app.extensions["appbuilder"].sm
    made = int(
        re.findall(
            r"\d+", desk.post("/desk/rights/new", data={"name": "Helping hand", "like": "Practitioner"}).location
        )[-1]
    )
    asha = sm.find_user(username="asha")
    before, asha.roles = [*asha.roles], [sm.find_role("Helping hand")]
    sm.update_user(asha)
    yield desk, made
    asha = sm.find_user(username="asha")
    asha.roles = [sm.find_role(each.name) for each in before]
    sm.update_user(asha)
    desk.post(f"/desk/rights/{made}/delete")


def test_a_role_that_was_made_may_what_is_ticked_in_the_rows_it_may_see(
    helping: tuple[FlaskClient, int], client: FlaskClient, token: Token, open_slot: Any, dev: Any
) -> None:
    desk, made = helping
    hers, his = open_slot(), open_slot(of=dev)
    assert client.get("/api/v1/slot/", headers=token("asha")).status_code == 403
    assert desk.post(f"/desk/rights/{made}", data={"right": ["Slot.can_read"]}).status_code == 302
    assert client.get("/api/v1/slot/", headers=token("asha")).get_json()["ids"] == [hers.id]
    assert client.get(f"/api/v1/slot/{his.id}", headers=token("asha")).status_code == 404
    assert client.post(f"/api/v1/slot/{hers.id}/close", headers=token("asha")).status_code == 403
    desk.post(f"/desk/rights/{made}", data={"right": ["Slot.can_read", "Slot.can_close"]})
    assert client.post(f"/api/v1/slot/{his.id}/close", headers=token("asha")).status_code == 404
    assert client.post(f"/api/v1/slot/{hers.id}/close", headers=token("asha")).status_code == 200
    assert client.get("/api/v1/person/", headers=token("asha")).status_code == 403
    assert "<small>Custom</small>" in desk.get("/desk/rights/").text
    told = session.scalars(
        select(Change).where(Change.noun == "ab_role", Change.row_id == made).order_by(Change.id.desc())
    ).first()
    assert told is not None
    assert any("close" in each for each in told.after["permissions"])


def test_a_role_is_not_made_wrongly_and_a_declared_one_is_not_touched(
    helping: tuple[FlaskClient, int], app: Flask, enter: Enter
) -> None:
    desk, made = helping
    for wrong in (
        {"name": "desk", "like": "Desk"},
        {"name": "", "like": "Desk"},
        {"name": "Other", "like": "Admin"},
        {"name": "helping  HAND", "like": "Desk"},
    ):
        assert desk.post("/desk/rights/new", data=wrong).status_code == 422, wrong
    declared = app.extensions["appbuilder"].sm.find_role("Desk").id
    assert desk.get(f"/desk/rights/{declared}").status_code == 403
    assert desk.post(f"/desk/rights/{declared}/delete").status_code == 403
    assert desk.post(f"/desk/rights/{made}", data={"right": ["Users.can_add"]}).status_code == 422
    assert desk.post(f"/desk/rights/{made}/delete").status_code == 409, "somebody has it"
    for path in ("/desk/rights/new", f"/desk/rights/{made}", f"/desk/rights/{made}/delete"):
        assert enter("dina").post(path, data={"name": "x", "like": "Desk"}).status_code == 403


# --- seen as somebody else --------------------------------------------------------------------------------------------


def see_as(desk: FlaskClient, app: Flask, name: str) -> int:
    return desk.post("/desk/see-as/", data={"user": user_id(app, name)}).status_code


def test_an_administrator_sees_what_somebody_sees_and_is_written_down_under_both_names(
    enter: Enter, app: Flask, open_slot: Any, dev: Any
) -> None:
    desk, hers, his = enter("ada"), open_slot(), open_slot(of=dev)
    assert see_as(desk, app, "asha") == 302
    page = desk.get("/desk/slot/").text
    assert "You are viewing as Asha" in page
    assert desk.get(f"/desk/slot/{his.id}").status_code == 404
    assert desk.get("/ops/").status_code == 403
    assert desk.get("/desk/rights/").status_code == 403
    assert desk.post(f"/desk/slot/{hers.id}/do/close").status_code == 302
    assert desk.post("/desk/see-as/end").status_code == 302
    assert desk.get(f"/desk/slot/{his.id}").status_code == 200
    assert "You are viewing as" not in desk.get("/desk/slot/").text
    told = [
        (each.verb, each.name)
        for each in session.scalars(select(Change).order_by(Change.id))
        if each.verb in ("seen_as", "close", "seen_as_ended")
    ]
    assert told == [("seen_as", "Ada"), ("close", "Ada as Asha"), ("seen_as_ended", "Ada as Asha")] or told[:2] == [
        ("seen_as", "Ada"),
        ("close", "Ada as Asha"),
    ]


def test_nobody_else_borrows_eyes_and_nobody_borrows_an_administrators(
    enter: Enter, app: Flask, client: FlaskClient
) -> None:
    assert see_as(enter("dina"), app, "omar") == 403
    assert see_as(client, app, "omar") == 302
    assert see_as(enter("ada"), app, "ada") == 403
    assert enter("ada").post("/desk/see-as/", data={"user": "99999"}).status_code == 404
    desk = enter("ada")
    assert see_as(desk, app, "dina") == 302
    assert see_as(desk, app, "omar") == 403, "from one pair of eyes into another"


def test_it_ends_by_itself(enter: Enter, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "IMPERSONATION_SECONDS", -1)
    desk = enter("ada")
    see_as(desk, app, "omar")
    assert desk.get("/desk/rights/").status_code == 200


def test_what_is_marked_for_a_made_role_means_nothing_by_itself() -> None:
    who = Actor("x", "desk", 1, frozenset({"Made"}), frozenset({"Rows.can_be_those_of_Desk"}))
    assert not any(who.inherited_roles(resource.noun) for resource in registered_resources())

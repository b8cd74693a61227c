"""Tests of user groups, and of sign-in methods that an administrator manages for others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_appbuilder.security.sqla.models import Group
from sqlalchemy import select

from app.desk.declare.resource import registered_resources
from app.desk.notices.notice import Notice
from app.desk.sign_in import security
from app.desk.sign_in.api_token import ApiToken
from app.desk.sign_in.passkey import Passkey
from app.desk.sign_in.session import StaffSession
from app.desk.sign_in.totp import TwoFactor, code_at
from app.desk.staff.roles import rights_lines
from app.kernel import clock
from app.kernel.access import actor
from app.kernel.audit import Change
from app.kernel.db import session, transaction
from tests.conftest import user_id

Enter = Callable[[str], FlaskClient]
Headers = Callable[[str], dict[str, str]]


def role_id(app: Flask, name: str) -> int:
    return int(app.extensions["appbuilder"].sm.find_role(name).id)


def keep(
    desk: FlaskClient,
    app: Flask,
    at: str = "new",
    *,
    name: str = "Front of house",
    roles: tuple[str, ...] = ("Auditor",),
    who: tuple[str, ...] = (),
) -> Any:
    given = {
        "name": name,
        "note": "The counter",
        "role": [role_id(app, each) for each in roles],
        "user": [user_id(app, each) for each in who],
    }
    return desk.post(f"/desk/groups/{at}", data=given)


def made(name: str = "Front of house") -> Group | None:
    session.expire_all()
    return session.scalar(select(Group).where(Group.name == name))


@pytest.fixture(autouse=True)
def none_left(app: Flask) -> Iterator[None]:
    yield
    with transaction():
        for group in session.scalars(select(Group)):
            group.users, group.roles = [], []
            session.flush()
            session.delete(group)


@contextmanager
def only_by_groups(app: Flask) -> Iterator[None]:
    """Nobody is an administrator by themselves."""
    admin = app.extensions["appbuilder"].sm.find_role("Admin")
    before = [*admin.user]
    with transaction():
        admin.user = []
    yield
    session.expire_all()
    with transaction():
        admin.user = before


def test_who_is_in_a_group_may_what_its_roles_may_until_they_are_taken_out(
    enter: Enter, app: Flask, client: FlaskClient, token: Headers
) -> None:
    desk, reads = enter("ada"), lambda: client.get("/api/v1/person/", headers=token("nobody")).status_code
    assert reads() == 403
    assert keep(desk, app, who=("nobody",)).status_code == 302
    group = made()
    assert group
    assert reads() == 200
    assert client.post("/api/v1/person/", headers=token("nobody"), json={"name": "x"}).status_code == 403, (
        "an auditor only reads"
    )
    theirs = enter("nobody")
    assert theirs.get("/desk/person/").status_code == 200
    assert "Auditor" in theirs.get("/desk/").text
    assert keep(desk, app, str(group.id)).status_code == 302
    assert (reads(), theirs.get("/desk/person/").status_code) == (403, 403)
    told = session.scalars(select(Change).where(Change.noun == "ab_group").order_by(Change.id)).all()
    assert [(each.verb, each.name, each.after.get("users")) for each in told] == [
        ("added", "Ada", ["Nobody "]),
        ("changed", "Ada", []),
    ]


def test_the_table_of_rights_says_of_a_group_what_the_enforcement_answers(enter: Enter, app: Flask, by: Any) -> None:
    desk = enter("ada")
    keep(desk, app, roles=("Auditor", "Practitioner"), who=("nobody",))
    page = desk.get("/desk/rights/").text
    assert "Front of house" in page
    assert "Group: Auditor, Practitioner" in page
    (said,) = security.actors_by_group().values()
    with by("nobody"):
        asked = actor()
    for line in rights_lines():
        for verb in line.verbs:
            assert said.has(line.right(verb)) == asked.has(line.right(verb)), line.right(verb)
    assert any(said.may(each.noun, "read") for each in registered_resources())


def test_a_group_of_administrators_may_everything_and_the_last_one_stays(enter: Enter, app: Flask) -> None:
    desk = enter("ada")
    keep(desk, app, name="Owners", roles=("Admin",), who=("omar",))
    owners = made("Owners")
    assert owners
    assert enter("omar").get("/desk/rights/").status_code == 200
    assert "Everything" in desk.get("/desk/rights/").text
    with only_by_groups(app):
        others = enter("omar")
        last = keep(others, app, str(owners.id), name="Owners", roles=("Admin",), who=("dina",))
        assert last.status_code == 302
        gone = enter("dina").post(f"/desk/groups/{owners.id}/delete")
        assert (gone.status_code, "at least one active administrator" in gone.text) == (409, True)
        assert (
            keep(enter("dina"), app, str(owners.id), name="Owners", roles=("Desk",), who=("dina",)).status_code == 409
        )
        assert enter("dina").get("/desk/rights/").status_code == 200


def test_the_last_administrator_is_not_switched_off_either(enter: Enter, app: Flask) -> None:
    keep(enter("ada"), app, name="Owners", roles=("Admin",), who=("dina",))
    dina, desk = user_id(app, "dina"), enter("dina")
    given = {
        "first_name": "Dina",
        "last_name": "B",
        "username": "dina",
        "email": "dina@example.com",
        "roles": role_id(app, "Desk"),
    }
    with only_by_groups(app):
        assert (
            "at least one active administrator"
            in desk.post(f"/users/edit/{dina}", data=given, follow_redirects=True).text
        )
    session.expire_all()
    kept = app.extensions["appbuilder"].sm.get_user_by_id(dina)
    assert (kept.active, [it.name for it in kept.groups], kept.last_name) == (True, ["Owners"], "")


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"name": "x" * 61}, {"roles": ()}, {"name": "front  OF house"}],
    ids=["no name", "a long one", "no role", "one that is there"],
)
def test_a_group_is_not_made_wrongly_and_what_was_typed_stays(enter: Enter, app: Flask, wrong: dict[str, Any]) -> None:
    desk = enter("ada")
    keep(desk, app)
    page = keep(desk, app, **{"name": "Another", "who": ("dina",)} | wrong)
    assert (page.status_code, 'value="The counter"' in page.text) == (422, True)
    assert f'name="user" value="{user_id(app, "dina")}" checked' in page.text
    assert made("Another") is None


def test_what_is_no_role_and_nobody_is_refused(enter: Enter, app: Flask) -> None:
    for stray in (
        {"role": ["99999"], "user": []},
        {"role": [role_id(app, "Desk")], "user": ["99999"]},
        {"role": ["x"], "user": []},
    ):
        assert enter("ada").post("/desk/groups/new", data={"name": "Stray", **stray}).status_code == 422
    assert enter("ada").get("/desk/groups/99999").status_code == 404


def test_groups_and_ways_in_are_for_administrators_alone(enter: Enter, app: Flask, client: FlaskClient) -> None:
    keep(enter("ada"), app)
    group = made()
    assert group
    paths = ["/desk/groups/", "/desk/groups/new", f"/desk/groups/{group.id}", f"/desk/ways-in/{user_id(app, 'dina')}"]
    assert [client.get(each).status_code for each in paths] == [302] * 4
    assert [enter("dina").get(each).status_code for each in paths] == [403] * 4
    assert [enter("ada").get(each).status_code for each in paths] == [200] * 4
    dina = user_id(app, "dina")
    for path in (
        f"/desk/groups/{group.id}/delete",
        f"/desk/ways-in/{dina}/sittings/end",
        f"/desk/ways-in/{dina}/second/end",
    ):
        assert enter("dina").post(path).status_code == 403
    assert enter("ada").get("/groups/list/").location == "/desk/groups/"
    assert enter("ada").get("/groups/add").status_code == 404
    assert "Sign-in methods" in enter("ada").get(f"/users/show/{dina}").text


def test_a_role_that_a_group_has_is_not_deleted_under_it(enter: Enter, app: Flask) -> None:
    desk = enter("ada")
    desk.post("/desk/rights/new", data={"name": "Of the group", "like": "Desk"})
    keep(desk, app, roles=("Of the group",))
    made_role = role_id(app, "Of the group")
    assert desk.post(f"/desk/rights/{made_role}/delete").status_code == 409
    group = made()
    assert group
    assert desk.post(f"/desk/groups/{group.id}/delete").status_code == 302
    assert made() is None
    assert desk.post(f"/desk/rights/{made_role}/delete").status_code == 302


def test_a_second_factor_that_a_role_asks_for_is_asked_for_in_a_group_too(
    enter: Enter, app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(enter("ada"), app, who=("nobody",))
    monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], second_factor_for=("Auditor",)))
    assert (
        client.post("/login/", data={"username": "nobody", "password": "a long enough password"}).location
        == "/login/second"
    )


# --- ways in ----------------------------------------------------------------------------------------------------------


def test_an_administrator_signs_somebody_out_there_or_everywhere_and_it_is_written_down(
    enter: Enter, app: Flask
) -> None:
    desk, first, second = enter("ada"), enter("dina"), enter("dina")
    dina = user_id(app, "dina")
    page = desk.get(f"/desk/ways-in/{dina}").text
    assert page.count("Signed in with a password from 127.0.0.1 on") == 2
    ended = min(each.id for each in StaffSession.list_for(dina))
    assert desk.post(f"/desk/ways-in/{dina}/sittings/{ended}/end").status_code == 302
    assert sorted(each.get("/desk/slot/").status_code for each in (first, second)) == [200, 302]
    assert desk.post(f"/desk/ways-in/{dina}/sittings/end").status_code == 302
    assert [each.get("/desk/slot/").status_code for each in (first, second)] == [302, 302]
    assert desk.get("/desk/slot/").status_code == 200
    told = [
        (each.noun, each.row_id, each.verb, each.name) for each in session.scalars(select(Change).order_by(Change.id))
    ]
    assert ("ab_user", dina, "signed_out", "Ada") in told
    assert ("ab_user", dina, "signed_out_everywhere", "Ada") in told
    assert [each[2:] for each in told if each[0] == "sitting"] == [("ended", "Ada")] * 2


def test_an_administrator_does_not_end_what_is_not_theirs(enter: Enter, app: Flask) -> None:
    enter("omar")
    (his,) = StaffSession.list_for(user_id(app, "omar"))
    assert enter("ada").post(f"/desk/ways-in/{user_id(app, 'dina')}/sittings/{his.id}/end").status_code == 404
    assert enter("ada").post("/desk/ways-in/99999/sittings/end").status_code == 404
    assert enter("ada").post(f"/desk/ways-in/{user_id(app, 'dina')}/second/end").status_code == 404


def test_whoever_lost_the_telephone_is_helped(enter: Enter, app: Flask, client: FlaskClient) -> None:
    dina, desk = user_id(app, "dina"), enter("ada")
    second = TwoFactor.begin_setup(dina)
    second.switch_on(code_at(second.secret, int(clock.now().timestamp()) // 30))
    with transaction():
        session.add(Passkey(user_id=dina, name="Old telephone", credential=b"1", public_key=b"2", handle=b"3"))
    token, shown = ApiToken.create(dina, name="The till", scopes=["Slot.can_read"], days=9)
    (passkey,) = Passkey.list_for(dina)
    page = desk.get(f"/desk/ways-in/{dina}").text
    assert all(each in page for each in ("Old telephone", "The till", "10 recovery codes left"))
    assert shown not in page
    for path in "second", f"passkeys/{passkey.id}", f"tokens/{token.id}":
        assert desk.post(f"/desk/ways-in/{dina}/{path}/end").status_code == 302
    assert client.post("/login/", data={"username": "dina", "password": "a long enough password"}).location == "/desk/"
    assert (Passkey.list_for(dina), ApiToken.list_for(dina)) == ([], [])
    told = [
        *session.scalars(select(Change.verb).where(Change.noun == "ab_user", Change.row_id == dina).order_by(Change.id))
    ]
    assert told == ["lost_second_factor", "lost_passkey", "lost_token"]
    heard = [*session.scalars(select(Notice.words).where(Notice.user_id == dina).order_by(Notice.id))]
    assert heard == [
        "Ada turned off your two-factor authentication.",
        "Ada removed one of your passkeys.",
        "Ada revoked one of your API tokens.",
    ]
    first = session.scalars(select(Notice.id).where(Notice.user_id == dina).order_by(Notice.id)).first()
    assert enter("dina").get(f"/desk/notices/{first}").location == "/users/userinfo/"

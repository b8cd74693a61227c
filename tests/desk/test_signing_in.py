"""Tests of signing in: passwords, two-factor, throttling, and what a stranger can learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from limits import parse_many
from sqlalchemy import select
from werkzeug.security import generate_password_hash

from app.desk.sign_in import password, sign_in_page, throttle
from app.desk.sign_in.password import DUMMY_HASH, check_password, hash_password
from app.desk.sign_in.session import StaffSession
from app.desk.sign_in.totp import TwoFactor, code_at
from app.kernel import clock
from app.kernel.audit import Change
from app.kernel.db import session, transaction
from tests.conftest import PASSWORD, ROUNDS, user_id

Enter = Callable[[str], FlaskClient]

DOORS = "/login/", "/api/v1/security/login"


def knock(client: FlaskClient, door: str, name: str, password: str = PASSWORD, **more: str) -> Any:
    given = {"username": name, "password": password, "provider": "db"} | more
    return client.post(door, json=given) if door.startswith("/api") else client.post(door, data=given)


def test_whoever_guessed_often_waits_longer_each_time_and_a_right_one_then_sounds_like_a_wrong_one(
    client: FlaskClient,
) -> None:
    for _ in range(5):
        assert knock(client, DOORS[0], "dina", "wrong").status_code == 401
    waits = knock(client, DOORS[1], "dina")
    assert waits.status_code == 429
    assert 0 < int(waits.headers["Retry-After"]) <= 60
    for _ in range(5):
        waits = knock(client, DOORS[1], "Dina ")
    assert int(waits.headers["Retry-After"]) > 600
    page = knock(client, DOORS[0], "dina")
    assert page.status_code == 429
    assert "Please wait 15 minutes" in page.text
    assert 'value="dina"' in page.text


@pytest.mark.parametrize("door", DOORS)
def test_a_name_that_nobody_has_is_answered_like_any_other(client: FlaskClient, door: str) -> None:
    known, unknown = ([knock(client, door, name, "wrong") for _ in range(6)] for name in ("omar", "no such person"))
    assert [each.status_code for each in known] == [each.status_code for each in unknown] == [401] * 5 + [429]
    assert known[0].text.replace("omar", "") == unknown[0].text.replace("no such person", "")


def test_an_email_address_is_no_second_chance(client: FlaskClient) -> None:
    for name in ("dina", "dina@example.com", "dina", "dina@example.com", "dina"):
        knock(client, DOORS[0], name, "wrong")
    assert knock(client, DOORS[0], "dina@example.com").status_code == 429


def test_what_was_right_is_forgotten(client: FlaskClient) -> None:
    for _ in range(3):
        assert knock(client, DOORS[1], "dina", "wrong").status_code == 401
        assert knock(client, DOORS[1], "dina").status_code == 200


def test_one_address_does_not_try_a_password_on_everybody(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "LIMITS_PER_ADDRESS", parse_many("4 per minute"))
    told = [knock(client, DOORS[1], f"name {n}", "wrong").status_code for n in range(5)]
    assert told == [401] * 4 + [429]


def test_an_old_password_is_kept_anew_and_a_long_one_counts_to_its_end(
    client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(password, "ROUNDS", ROUNDS)
    sm = app.extensions["appbuilder"].sm
    dina = sm.find_user(username="dina")
    dina.password = generate_password_hash(PASSWORD)
    sm.update_user(dina)
    assert knock(client, DOORS[1], "dina").status_code == 200
    session.expire_all()
    kept = sm.find_user(username="dina").password
    assert kept.startswith("sha256+$2b$12$")
    long = "ä" * 60
    assert check_password(hash_password(long), long)
    assert not check_password(hash_password(long), long[:-1])
    assert not any(check_password(DUMMY_HASH, typed) for typed in ("", "password"))


# --- the second factor ------------------------------------------------------------------------------------------------


def test_codes_are_those_of_rfc_6238() -> None:
    secret = b"12345678901234567890".hex()
    assert [code_at(secret, at // 30) for at in (59, 1111111109, 20000000000)] == ["287082", "081804", "353130"]


@pytest.fixture
def second(app: Flask) -> tuple[TwoFactor, list[str]]:
    """Dina's, switched on a minute ago, with its sheet."""
    made = TwoFactor.begin_setup(user_id(app, "dina"))
    with clock.frozen_at(clock.now() - timedelta(minutes=1)):
        return made, made.switch_on(code_of(made))


def code_of(it: TwoFactor) -> str:
    return code_at(it.secret, int(clock.now().timestamp()) // 30)


def test_a_password_alone_lets_nobody_in_where_a_second_factor_is_on(
    client: FlaskClient, second: tuple[TwoFactor, list[str]]
) -> None:
    it, sheet = second
    assert knock(client, DOORS[0], "dina").location == "/login/second"
    assert client.get("/desk/slot/").status_code == 302
    assert client.post("/login/second", data={"code": "000000"}).status_code == 422
    assert knock(client, DOORS[1], "dina").status_code == 401
    code = code_of(it)
    assert client.post("/login/second", data={"code": f"{code[:3]} {code[3:]}"}).status_code == 302
    assert client.get("/desk/slot/").status_code == 200
    assert knock(client, DOORS[1], "dina", code=code).status_code == 422, "a code was good twice"
    assert knock(client, DOORS[1], "dina", code=sheet[0].upper()).status_code == 200
    assert knock(client, DOORS[1], "dina", code=sheet[0]).status_code == 422


def test_a_code_is_not_to_be_guessed(client: FlaskClient, second: tuple[TwoFactor, list[str]]) -> None:
    assert knock(client, DOORS[0], "dina").status_code == 302
    told = [client.post("/login/second", data={"code": f"00000{n}"}).status_code for n in range(6)]
    assert told == [422] * 5 + [429]
    assert client.post("/login/second", data={"code": code_of(second[0])}).status_code == 429


def test_half_an_entry_does_not_last(
    client: FlaskClient, second: tuple[TwoFactor, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in_page, "SECOND_FACTOR_SECONDS", -1)
    knock(client, DOORS[0], "dina")
    assert client.post("/login/second", data={"code": code_of(second[0])}).location == "/login/"
    assert client.get("/desk/slot/").status_code == 302


def test_whose_role_asks_for_a_second_factor_sets_it_up_before_coming_in(
    client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = replace(app.extensions["settings"], second_factor_for=("Desk",))
    monkeypatch.setitem(app.extensions, "settings", asking)
    assert knock(client, DOORS[1], "dina").status_code == 401
    assert knock(client, DOORS[0], "dina").location == "/login/second"
    assert "<svg" in client.post("/login/second", data={"do": "begin"}).text
    assert client.get("/desk/slot/").status_code == 302
    made = TwoFactor.get_for(user_id(app, "dina"))
    assert made
    page = client.post("/login/second", data={"code": code_of(made)}).text
    assert page.count("<li><code>") == 10
    assert client.get("/desk/slot/").status_code == 200
    off = client.post("/desk/second/", data={"do": "off", "code": "x"})
    assert (off.status_code, "you can’t turn it off" in off.text) == (409, True)
    assert knock(client, DOORS[1], "omar").status_code == 200


def test_everybody_sets_up_renews_and_switches_off_their_own(enter: Enter, app: Flask) -> None:
    desk = enter("dina")
    assert ">Set up two-factor authentication</button>" in desk.get("/desk/second/").text
    desk.post("/desk/second/", data={"do": "begin"})
    made = TwoFactor.get_for(user_id(app, "dina"))
    assert made
    with clock.frozen_at(clock.now() - timedelta(minutes=2)):
        first = made.switch_on(code_of(made))
    page = desk.post("/desk/second/", data={"do": "sheet", "code": code_of(made)}).text
    assert page.count("<li><code>") == 10
    assert first[0] not in page
    assert desk.post("/desk/second/", data={"do": "off", "code": first[0]}).status_code == 422
    newer = page.split("<li><code>")[1][:19]
    assert desk.post("/desk/second/", data={"do": "off", "code": newer}).status_code == 302
    assert not TwoFactor.is_on_for(user_id(app, "dina"))
    told = session.scalars(select(Change.verb).where(Change.noun == "second").order_by(Change.id)).all()
    assert told == ["wrote_new_sheet", "switched_off"]
    assert app.test_client().get("/desk/second/").status_code == 302


# --- where somebody is signed in --------------------------------------------------------------------------------------


def test_signed_out_from_elsewhere_is_out_at_the_next_click(app: Flask, client: FlaskClient) -> None:
    other = app.test_client()
    other.post(
        DOORS[0],
        data={"username": "dina", "password": PASSWORD},
        headers={"User-Agent": "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0"},
    )
    knock(client, DOORS[0], "dina")
    page = client.get("/desk/sittings/").text
    assert "Firefox on Windows" in page
    mine, theirs = sorted(StaffSession.list_for(user_id(app, "dina")), key=lambda each: "Firefox" in each.device)
    assert other.get("/desk/slot/").status_code == 200
    assert client.post(f"/desk/sittings/{theirs.id}/end").status_code == 302
    assert other.get("/desk/slot/").status_code == 302
    assert client.get("/desk/slot/").status_code == 200
    assert [each.id for each in StaffSession.list_for(user_id(app, "dina"))] == [mine.id]


def test_nobody_signs_somebody_else_out(enter: Enter, app: Flask) -> None:
    desk, other = enter("dina"), enter("omar")
    (theirs,) = StaffSession.list_for(user_id(app, "omar"))
    assert desk.post(f"/desk/sittings/{theirs.id}/end").status_code == 404
    assert desk.post("/desk/sittings/others").status_code == 302
    assert other.get("/desk/sittings/").status_code == 200


def test_a_cookie_from_before_the_sign_out_opens_nothing(client: FlaskClient, app: Flask) -> None:
    knock(client, DOORS[0], "dina")
    with client.session_transaction() as cookie:
        kept = dict(cookie)
    client.get("/logout/")
    thief = app.test_client()
    with thief.session_transaction() as cookie:
        cookie.update(kept)
    assert thief.get("/desk/slot/").status_code == 302


@pytest.mark.parametrize("past", ["good_until", "ends_at"])
def test_whoever_stays_away_or_stays_for_too_long_signs_in_again(enter: Enter, app: Flask, past: str) -> None:
    desk = enter("dina")
    (sitting,) = StaffSession.list_for(user_id(app, "dina"))
    ago = timedelta(minutes=6)
    with transaction():
        sitting.seen_at, sitting.good_until = sitting.seen_at - ago, clock.now() + timedelta(minutes=1)
        setattr(sitting, past, clock.now() - timedelta(seconds=1))
    first = desk.get("/desk/slot/").status_code
    assert (first, desk.get("/desk/slot/").status_code) == ((302, 302) if past == "good_until" else (200, 302)), (
        "a look at six minutes moves the end, never past the last"
    )


def test_a_new_password_ends_every_other_sitting(enter: Enter, app: Flask) -> None:
    desk, thief = enter("dina"), enter("dina")
    wrong = desk.post(
        "/resetmypassword/form", data={"present": "somebody else’s", "password": PASSWORD, "conf_password": PASSWORD}
    )
    assert "Incorrect password." in wrong.text
    assert (
        "Current password"
        in desk.post("/resetmypassword/form", data={"password": PASSWORD, "conf_password": PASSWORD}).text
    )
    assert thief.get("/desk/slot/").status_code == 200
    assert (
        desk.post(
            "/resetmypassword/form", data={"present": PASSWORD, "password": PASSWORD, "conf_password": PASSWORD}
        ).status_code
        == 302
    )
    assert thief.get("/desk/slot/").status_code == 302
    assert desk.get("/desk/slot/").status_code == 200


def test_looking_after_sittings_costs_no_query(enter: Enter, count_queries: Any) -> None:
    desk = enter("dina")
    desk.get("/desk/sittings/")
    assert count_queries(lambda: desk.get("/desk/sittings/")) <= 4


def renewed(client: FlaskClient, token: str) -> Any:
    return client.post("/api/v1/security/refresh", headers={"Authorization": f"Bearer {token}"})


def test_a_refresh_token_is_good_once_and_one_that_comes_twice_ends_all_of_its_kind(client: FlaskClient) -> None:
    first = client.post(
        DOORS[1], json={"username": "dina", "password": PASSWORD, "provider": "db", "refresh": True}
    ).get_json()
    second = renewed(client, first["refresh_token"]).get_json()
    headers = {"Authorization": f"Bearer {second['access_token']}"}
    assert client.get("/api/v1/slot/", headers=headers).status_code == 200
    assert renewed(client, second["access_token"]).status_code == 401
    assert renewed(client, first["refresh_token"]).status_code == 401
    assert renewed(client, second["refresh_token"]).status_code == 401
    assert client.get("/api/v1/slot/", headers=headers).status_code == 401
    assert [*session.scalars(select(Change.verb).where(Change.noun == "sitting"))] == ["used_twice"]


@pytest.mark.parametrize("path", ["/resetmypassword/form", "/resetpassword/form?pk=2"])
def test_the_pages_for_passwords_have_the_menu_of_the_desk(enter: Callable[[str], FlaskClient], path: str) -> None:
    page = enter("ada").get(path)
    assert page.status_code == 200
    assert 'href="/desk/booking/"' in page.text


def test_a_refusal_about_a_colleagues_password_comes_in_the_frame_of_the_desk(
    enter: Callable[[str], FlaskClient],
) -> None:
    page = enter("dina").get("/resetpassword/form?pk=2", follow_redirects=True)
    assert 'href="/desk/booking/"' in page.text


@pytest.mark.parametrize("path", ["/back", "/lang/en", "/userinfoeditview/form"])
def test_pages_of_flask_appbuilder_that_nothing_links_to_are_closed(
    enter: Callable[[str], FlaskClient], path: str
) -> None:
    assert enter("ada").get(path).status_code == 404


def test_an_administrator_sets_a_password_only_with_their_own(enter: Callable[[str], FlaskClient], app: Flask) -> None:
    ada, dina = enter("ada"), app.extensions["appbuilder"].sm.find_user(username="dina")
    address, before = f"/resetpassword/form?pk={dina.id}", dina.password
    typed = {"password": "a new long password", "conf_password": "a new long password"}
    for present, words in (("", "This field is required."), ("not mine at all", "Incorrect password.")):
        assert words in ada.post(address, data=typed | {"present": present}).text
    session.expire_all()
    assert dina.password == before
    try:
        assert ada.post(address, data=typed | {"present": PASSWORD}).status_code == 302
        session.expire_all()
        assert dina.password != before
    finally:  # users stay from one test to the next
        dina.password = before
        session.commit()

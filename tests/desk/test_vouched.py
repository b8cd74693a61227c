"""Tests of single sign-on (OpenID Connect): who gets in, and which tokens are rejected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.desk.sign_in import oidc
from app.desk.sign_in.session import StaffSession
from app.desk.sign_in.totp import TwoFactor, code_at
from app.kernel import clock
from app.kernel.audit import Change
from app.kernel.db import session
from config import Settings, Unsafe
from tests.conftest import PATIENCE, user_id
from tests.house.test_papers import SAFE


@pytest.fixture(autouse=True)
def provider(sandbox: str) -> str:
    oidc.clear_cache()
    return f"{sandbox}/openid"


def asked(client: FlaskClient, there: str = "/desk/slot/") -> dict[str, str]:
    """What the browser takes to the provider."""
    gone = client.get(f"/login/with/sandbox?next={there}")
    assert gone.status_code == 302, gone.text
    return {name: its[0] for name, its in parse_qs(urlsplit(gone.location).query).items()}


def answered(provider: str, asked: dict[str, str], email: str = "dina@example.com", **more: Any) -> str:
    """Where the provider sends the browser afterwards, without the host."""
    told = requests.post(
        f"{provider}/authorize",
        data=asked | {"email": email, "verified": "yes"} | more,
        timeout=PATIENCE,
        allow_redirects=False,
    )
    assert told.status_code == 303, told.text
    return told.headers["Location"].partition("/login/")[2]


def come(client: FlaskClient, provider: str, email: str = "dina@example.com", **more: Any) -> Any:
    return client.get("/login/" + answered(provider, asked(client), email, **more))


def is_out(client: FlaskClient) -> bool:
    return client.get("/desk/slot/").status_code == 302


def test_whom_the_provider_and_the_desk_both_know_comes_in(client: FlaskClient, provider: str, app: Flask) -> None:
    assert "Sign in with SSO (demo)" in client.get("/login/").text
    came = come(client, provider, "Dina@Example.com")
    assert (came.status_code, came.location) == (302, "/desk/slot/")
    assert client.get("/desk/slot/").status_code == 200
    assert "with SSO (demo)" in client.get("/desk/sittings/").text
    assert [*session.execute(select(Change.noun, Change.name, Change.why))] == [
        ("sitting", "Dina", "Signed in with SSO (demo)")
    ]


def test_what_is_asked_is_asked_for_this_browser_alone(client: FlaskClient, app: Flask) -> None:
    first, second = asked(client), asked(app.test_client())
    assert (first["response_type"], first["scope"], first["code_challenge_method"]) == (
        "code",
        "openid email profile",
        "S256",
    )
    assert first["redirect_uri"] == f"{app.extensions['settings'].base_url}/login/with/sandbox/back"
    assert not {first[each] for each in ("state", "nonce", "code_challenge")} & {
        second[each] for each in ("state", "nonce", "code_challenge")
    }


@pytest.mark.parametrize("email", ["stranger@example.com", "dina@example.com.evil.example", "", "nobody-at-all"])
def test_nobody_is_added_by_coming(client: FlaskClient, provider: str, app: Flask, email: str) -> None:
    before = len(app.extensions["appbuilder"].sm.get_all_users())
    came = come(client, provider, email)
    assert (came.status_code, 'class="notice is-bad"' in came.text, is_out(client)) == (401, True, True)
    assert len(app.extensions["appbuilder"].sm.get_all_users()) == before


def test_an_address_that_is_not_confirmed_is_nobodys(client: FlaskClient, provider: str) -> None:
    came = come(client, provider, verified="")
    assert (came.status_code, "isn’t verified" in came.text, is_out(client)) == (401, True, True)


def test_only_addresses_of_ones_own_domains_where_that_is_set(
    client: FlaskClient, provider: str, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        app.extensions, "settings", replace(app.extensions["settings"], oauth_domains=("practice.example",))
    )
    came = come(client, provider)
    assert (came.status_code, "Only email addresses at practice.example" in came.text, is_out(client)) == (
        401,
        True,
        True,
    )
    monkeypatch.setitem(
        app.extensions,
        "settings",
        replace(app.extensions["settings"], oauth_domains=("practice.example", "EXAMPLE.com")),
    )
    assert come(client, provider).status_code == 302


def test_somebody_who_left_stays_outside(client: FlaskClient, provider: str, app: Flask) -> None:
    sm = app.extensions["appbuilder"].sm
    try:
        dina = sm.find_user(username="dina")
        dina.active = False
        sm.update_user(dina)
        came = come(client, provider)
    finally:
        dina = sm.find_user(username="dina")
        dina.active = True
        sm.update_user(dina)
    assert (came.status_code, "There is no account for" in came.text) == (401, True)


@pytest.mark.parametrize("fault", ["nonce", "other_key", "alg_none", "by_our_secret", "aud", "iss", "exp", "503"])
def test_a_word_that_is_not_the_providers_or_not_for_us_is_not_believed(
    client: FlaskClient, provider: str, fault: str
) -> None:
    assert requests.post(f"{provider}/faults", json={"fault": fault}, timeout=PATIENCE).ok
    came = come(client, provider)
    assert (came.status_code, "Signing in with SSO (demo) failed" in came.text, is_out(client)) == (401, True, True), (
        came.text
    )
    assert come(client, provider).status_code == 302


def test_a_key_that_is_new_is_looked_up_and_an_address_that_comes_later_is_asked_for(
    client: FlaskClient, provider: str
) -> None:
    assert come(client, provider).status_code == 302
    for fault in "new_key", "late_email":
        client.get("/logout/")
        requests.post(f"{provider}/faults", json={"fault": fault}, timeout=PATIENCE)
        assert come(client, provider).status_code == 302, fault


def test_a_forged_state_and_an_answer_to_another_browser_open_nothing(
    client: FlaskClient, provider: str, app: Flask
) -> None:
    back = answered(provider, asked(client))
    forged = client.get("/login/" + back.replace("state=", "state=x"))
    assert (forged.status_code, "was started in another window" in forged.text) == (401, True)
    victim = app.test_client()
    assert victim.get("/login/" + back).status_code == 401, "somebody else's account, by a link"
    asked(victim)
    assert victim.get("/login/" + back).status_code == 401
    assert is_out(victim)


def test_an_answer_is_good_once_though_the_cookie_comes_again(client: FlaskClient, provider: str, app: Flask) -> None:
    back = answered(provider, asked(client))
    with client.session_transaction() as cookie:
        kept = dict(cookie)
    assert client.get("/login/" + back).status_code == 302
    thief = app.test_client()
    with thief.session_transaction() as cookie:
        cookie.update(kept)
    assert thief.get("/login/" + back).status_code == 401
    assert is_out(thief)


def test_a_code_is_good_once_and_only_with_the_proof_that_we_asked(
    client: FlaskClient, provider: str, app: Flask
) -> None:
    stolen = parse_qs(urlsplit(answered(provider, asked(client))).query)["code"][0]
    thief = app.test_client()
    state = asked(thief)["state"]
    issuer = oidc.configured_providers(app.extensions["settings"])[0].issuer
    taken = thief.get(f"/login/with/sandbox/back?code={stolen}&state={state}&iss={issuer}")
    assert (taken.status_code, is_out(thief)) == (401, True)
    back = answered(provider, asked(client))
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert client.get("/login/" + back).status_code == 302
    client.get("/logout/")
    again = asked(client)["state"]
    assert client.get(f"/login/with/sandbox/back?code={code}&state={again}&iss={issuer}").status_code == 401


def test_an_answer_from_another_issuer_or_from_none_is_not_taken(client: FlaskClient, provider: str) -> None:
    for wrong in "iss=https%3A%2F%2Fevil.example", "is=":
        back = answered(provider, asked(client)).replace("iss=", wrong + "&was=")
        assert client.get("/login/" + back).status_code == 401


def test_whoever_says_no_there_hears_it_here(client: FlaskClient, provider: str) -> None:
    came = come(client, provider, do="refuse")
    assert (came.status_code, "SSO (demo) did not confirm your identity" in came.text) == (401, True)
    assert 'name="login" action="/login/?next=/desk/slot/"' in came.text


def test_a_second_factor_of_ours_is_asked_for_afterwards(client: FlaskClient, provider: str, app: Flask) -> None:
    second = TwoFactor.begin_setup(user_id(app, "dina"))
    sheet = second.switch_on(code_at(second.secret, int(clock.now().timestamp()) // 30))
    assert come(client, provider).location == "/login/second"
    assert is_out(client)
    assert client.post("/login/second", data={"code": sheet[0]}).location == "/desk/slot/"
    assert [each.how for each in StaffSession.list_for(user_id(app, "dina"))] == ["SSO (demo) and a code"]


def test_wrong_words_wait_like_wrong_passwords(client: FlaskClient) -> None:
    told = [client.get("/login/with/sandbox/back?code=x&state=y").status_code for _ in range(6)]
    assert told == [401] * 5 + [429]


def test_a_provider_that_does_not_answer_or_says_something_else_is_a_sentence(
    client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = app.extensions["settings"]
    for issuer in "http://127.0.0.1:9", settings.oauth_issuers[0] + "/", "http://[", settings.base_url:
        monkeypatch.setitem(app.extensions, "settings", replace(settings, oauth_issuers=(issuer,)))
        gone = client.get("/login/with/sandbox")
        assert (gone.status_code, "Signing in with SSO (demo) failed" in gone.text) == (401, True), issuer
    assert client.get("/login/with/nobody").status_code == 404
    assert client.get("/login/with/nobody/back").status_code == 404


OURS = {
    "OAUTH_NAME": "Google, My Company",
    "OAUTH_ISSUER": "https://a.example, https://b.example",
    "OAUTH_CLIENT_ID": "1, 2",
    "OAUTH_CLIENT_SECRET": "x, y",
}


def test_several_are_set_up_side_by_side() -> None:
    assert [each.key for each in oidc.configured_providers(Settings.from_environment(SAFE | OURS))] == [
        "google",
        "my-company",
    ]
    assert oidc.configured_providers(Settings.from_environment(SAFE)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"OAUTH_ISSUER": "https://a.example"},
        {"OAUTH_NAME": "My Company, my company"},
        {"OAUTH_NAME": "!, ?"},
        {"OAUTH_ISSUER": "http://a.example, https://b"},
    ],
)
def test_half_a_provider_is_refused_at_the_start(wrong: dict[str, str]) -> None:
    with pytest.raises(Unsafe, match="OAUTH_"):
        Settings.from_environment(SAFE | OURS | wrong)

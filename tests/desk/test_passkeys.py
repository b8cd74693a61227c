"""Tests of passkeys (WebAuthn): who can sign in, and which answers of a browser are rejected."""

from __future__ import annotations

import json
import struct
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.desk.notices.notice import Notice
from app.desk.notices.preference import Preference
from app.desk.sign_in import sign_in_page
from app.desk.sign_in.passkey import Passkey, browser_origin
from app.desk.sign_in.session import StaffSession
from app.desk.sign_in.totp import TwoFactor, code_at
from app.desk.sign_in.used_token import UsedToken
from app.desk.staff import passkeys
from app.kernel import clock
from app.kernel.audit import Change
from app.kernel.db import session, transaction
from app.messages.message import Message
from tests.conftest import PASSWORD, user_id

Enter = Callable[[str], FlaskClient]
HOME = "http://localhost:8000"


def text(it: bytes) -> str:
    return urlsafe_b64encode(it).rstrip(b"=").decode()


def raw(it: str) -> bytes:
    return urlsafe_b64decode(it + "=" * (-len(it) % 4))


@dataclass
class Stick:
    """An authenticator with its browser, simulated: signs any request, for any origin."""

    at: str = HOME
    host: str = "localhost"
    flags: int = 0b101  # somebody was there, and it saw who
    count: int = 0
    credential: bytes = b"a credential of sixteen and more"
    handle: bytes = b""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def told(self, kind: str, challenge: str) -> bytes:
        return json.dumps(
            {"type": f"webauthn.{kind}", "challenge": challenge, "origin": self.at, "crossOrigin": False}
        ).encode()

    def seen(self, flags: int = 0) -> bytes:
        return sha256(self.host.encode()).digest() + struct.pack(">BI", self.flags | flags, self.count)

    def make(self, asked: Any) -> str:
        self.handle, point = raw(asked["user"]["id"]), self.key.public_key().public_numbers()
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)})
        seen = self.seen(0x40) + bytes(16) + struct.pack(">H", len(self.credential)) + self.credential + cose
        told = {
            "attestationObject": text(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": seen})),
            "transports": ["internal", "by pigeon"],
        }
        return self.said(told | {"clientDataJSON": text(self.told("create", asked["challenge"]))})

    def sign(self, asked: Any) -> str:
        seen, told = self.seen(), self.told("get", asked["challenge"])
        signed = self.key.sign(seen + sha256(told).digest(), ec.ECDSA(SHA256()))
        return self.said(
            {
                "clientDataJSON": text(told),
                "authenticatorData": text(seen),
                "signature": text(signed),
                "userHandle": text(self.handle),
            }
        )

    def said(self, response: dict[str, Any]) -> str:
        return json.dumps(
            {"id": text(self.credential), "rawId": text(self.credential), "type": "public-key", "response": response}
        )


@pytest.fixture(autouse=True)
def named(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite is at an address of figures, for which there are no passkeys."""
    monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], base_url=HOME))


def proved(desk: FlaskClient) -> FlaskClient:
    assert desk.post("/desk/passkeys/prove", data={"password": PASSWORD}).status_code == 302
    return desk


def add(desk: FlaskClient, stick: Stick, name: str = "My telephone") -> Any:
    asked = desk.post("/desk/passkeys/asked", data={"name": name}).get_json()
    return desk.post("/desk/passkeys/", data={"name": name, "answer": stick.make(asked)})


def come(client: FlaskClient, stick: Stick) -> Any:
    return client.post("/login/passkey/", data={"answer": stick.sign(client.post("/login/passkey/asked").get_json())})


@pytest.fixture
def stick(enter: Enter) -> Stick:
    """Dina's."""
    stick = Stick()
    assert add(proved(enter("dina")), stick).status_code == 302
    return stick


def test_a_passkey_lets_its_owner_in_and_is_written_down_like_any_sign_in(
    stick: Stick, client: FlaskClient, app: Flask
) -> None:
    assert come(client, stick).status_code == 302
    assert client.get("/desk/slot/").status_code == 200
    assert "with the passkey “My telephone”" in client.get("/desk/sittings/").text
    (mine,) = Passkey.list_for(user_id(app, "dina"))
    assert (mine.transports, mine.used_at is not None, len(mine.handle)) == (["internal"], True, 32)
    lines = session.scalars(select(Change).where(Change.noun.in_(("passkey", "sitting"))).order_by(Change.id))
    told = [(each.noun, each.verb, each.name, each.why) for each in lines]
    assert told == [
        ("passkey", "added", "Dina", ""),
        ("sitting", "added", "Dina", "Signed in with the passkey “My telephone”"),
    ]
    kept = str([each.after for each in session.scalars(select(Change))])
    assert StaffSession.list_for(user_id(app, "dina"))[0].digest not in kept
    assert "credential of" not in kept


def test_it_is_both_factors(stick: Stick, client: FlaskClient, app: Flask) -> None:
    second = TwoFactor.begin_setup(user_id(app, "dina"))
    second.switch_on(code_at(second.secret, int(clock.now().timestamp()) // 30))
    assert client.post("/login/", data={"username": "dina", "password": PASSWORD}).location == "/login/second"
    assert come(client, stick).location == "/desk/"
    assert client.get("/desk/slot/").status_code == 200


def test_where_somebody_wanted_to_go_is_kept_and_another_house_is_not_gone_to(
    stick: Stick, client: FlaskClient
) -> None:
    asked = client.post("/login/passkey/asked").get_json()
    assert client.post("/login/passkey/?next=/desk/slot/", data={"answer": stick.sign(asked)}).location == "/desk/slot/"
    client.get("/logout/")
    asked = client.post("/login/passkey/asked").get_json()
    assert (
        client.post("/login/passkey/?next=https://elsewhere.example/", data={"answer": stick.sign(asked)}).location
        == "/desk/"
    )


def test_an_answer_is_good_once_though_the_cookie_comes_again(stick: Stick, client: FlaskClient, app: Flask) -> None:
    asked = client.post("/login/passkey/asked").get_json()
    with client.session_transaction() as cookie:
        kept = dict(cookie)
    answer = stick.sign(asked)
    assert client.post("/login/passkey/", data={"answer": answer}).status_code == 302
    thief = app.test_client()
    with thief.session_transaction() as cookie:
        cookie.update(kept)
    again = thief.post("/login/passkey/", data={"answer": answer})
    assert (again.status_code, "or was sent twice" in again.text) == (401, True)
    assert thief.get("/desk/slot/").status_code == 302


def test_a_question_is_for_five_minutes_and_for_one_thing(
    stick: Stick, client: FlaskClient, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = proved(enter("omar"))
    other = Stick(credential=b"another one of sixteen and more")
    made = other.make(desk.post("/desk/passkeys/asked", data={"name": "x"}).get_json())
    desk.post("/login/passkey/asked")
    assert desk.post("/desk/passkeys/", data={"name": "x", "answer": made}).status_code == 401, (
        "a question at the door is none on the desk"
    )
    late = client.post("/login/passkey/asked").get_json()
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 301)
    assert client.post("/login/passkey/", data={"answer": stick.sign(late)}).status_code == 401
    assert come(client, stick).status_code == 302


def test_what_is_spent_is_forgotten_when_it_would_be_no_good_anyway(stick: Stick, client: FlaskClient) -> None:
    with transaction():
        for each in session.scalars(select(UsedToken)):
            each.good_until = clock.ahead(minutes=-1)
    come(client, stick)
    assert len(session.scalars(select(UsedToken)).all()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": "http://localhost:8001"},
        {"at": "https://localhost:8000"},
        {"host": "evil.example"},
        {"flags": 0b001},
        {"flags": 0b100},
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"handle": b"somebody else"},
        {"credential": b"nobody ever added this one here."},
    ],
    ids=[
        "another port",
        "another scheme",
        "another host",
        "nobody looked who",
        "nobody was there",
        "another key",
        "somebody else's",
        "unknown",
    ],
)
def test_what_was_signed_elsewhere_or_by_another_or_for_nobody_opens_nothing(
    stick: Stick, client: FlaskClient, wrong: dict[str, Any]
) -> None:
    answer = come(client, replace(stick, **wrong))
    assert answer.status_code == 401
    assert 'class="notice is-bad"' in answer.text
    assert client.get("/desk/slot/").status_code == 302


def test_somebody_elses_credential_with_ones_own_signature_opens_nothing(
    stick: Stick, client: FlaskClient, enter: Enter, app: Flask
) -> None:
    mine = Stick(credential=b"the auditor's own, as long as it is")
    add(proved(enter("omar")), mine)
    assert come(client, replace(mine, credential=stick.credential)).status_code == 401
    assert come(client, replace(mine, handle=stick.handle)).status_code == 401
    assert come(client, mine).status_code == 302
    assert [each.user_id for each in StaffSession.list_for(user_id(app, "dina")) if each.how != "a password"] == []


def test_one_that_counts_backwards_is_refused_and_written_down(stick: Stick, client: FlaskClient, app: Flask) -> None:
    stick.count = 7
    assert come(client, stick).status_code == 302
    client.get("/logout/")
    for count in 7, 6, 0:
        stick.count = count
        page = come(client, stick)
        assert (page.status_code, "may have been copied" in page.text) == (401, True)
    stick.count = 8
    assert come(client, stick).status_code == 302
    assert [*session.scalars(select(Change.verb).where(Change.noun == "passkey").order_by(Change.id))] == [
        "added",
        *["counted_backwards"] * 3,
    ]


def test_a_removed_one_and_one_of_somebody_who_left_open_nothing(
    stick: Stick, client: FlaskClient, enter: Enter, app: Flask
) -> None:
    sm = app.extensions["appbuilder"].sm
    dina = sm.find_user(username="dina")
    try:
        dina.active = False
        sm.update_user(dina)
        gone = come(client, stick)
    finally:
        dina = sm.find_user(username="dina")
        dina.active = True
        sm.update_user(dina)
    desk = proved(enter("dina"))
    (mine,) = Passkey.list_for(user_id(app, "dina"))
    assert desk.post(f"/desk/passkeys/{mine.id}/remove").status_code == 302
    removed = come(client, stick)
    assert (gone.status_code, removed.status_code) == (401, 401)
    assert "This passkey isn’t registered here" in gone.text
    assert "This passkey isn’t registered here" in removed.text


def test_guesses_wait_like_those_of_a_password(stick: Stick, client: FlaskClient) -> None:
    wrong = replace(stick, key=ec.generate_private_key(ec.SECP256R1()))
    assert [come(client, wrong).status_code for _ in range(6)] == [401] * 5 + [429]
    waits = come(client, stick)
    assert (waits.status_code, int(waits.headers["Retry-After"]) > 0, "Please wait" in waits.text) == (429, True, True)


@pytest.mark.parametrize(
    "said",
    ["", "{}", "[]", "nothing", '{"response": {}}', '{"rawId": 7, "response": {}}', '{"rawId": "ü", "response": {}}'],
)
def test_what_no_browser_says_is_a_sentence(client: FlaskClient, said: str) -> None:
    client.post("/login/passkey/asked")
    answer = client.post("/login/passkey/", data={"answer": said})
    assert answer.status_code in (401, 422)
    assert 'class="notice is-bad"' in answer.text


def test_no_part_of_an_answer_that_is_broken_breaks_the_door(stick: Stick, enter: Enter, client: FlaskClient) -> None:
    desk = proved(enter("omar"))
    for broken in "", "AAAA", "A" * 200, {}:
        for part in "clientDataJSON", "authenticatorData", "signature", "userHandle", "attestationObject", "transports":
            told = json.loads(stick.sign(client.post("/login/passkey/asked").get_json()))
            told["response"][part] = broken
            client.post("/login/passkey/", data={"answer": json.dumps(told)})
            other = replace(stick, credential=f"{part}{broken}".encode())
            made = json.loads(other.make(desk.post("/desk/passkeys/asked", data={"name": "x"}).get_json()))
            made["response"][part] = broken
            assert desk.post("/desk/passkeys/", data={"name": "x", "answer": json.dumps(made)}).status_code in (
                302,
                409,
                422,
            )


# --- one's own --------------------------------------------------------------------------------------------------------


def test_a_password_is_asked_for_before_one_is_added_or_removed(enter: Enter, app: Flask, stick: Stick) -> None:
    desk, (mine,) = enter("dina"), Passkey.list_for(user_id(app, "dina"))
    assert desk.post("/desk/passkeys/asked", data={"name": "x"}).status_code == 403
    assert desk.post(f"/desk/passkeys/{mine.id}/remove").status_code == 403
    wrong = desk.post("/desk/passkeys/prove", data={"password": "a wrong password"})
    assert (wrong.status_code, "Incorrect password" in wrong.text) == (422, True)
    assert "Remove<span" not in desk.get("/desk/passkeys/").text
    assert "Remove<span" in proved(desk).get("/desk/passkeys/").text
    elsewhere = enter("dina")
    with desk.session_transaction() as cookie:
        kept = cookie["proved"]
    with elsewhere.session_transaction() as cookie:
        cookie["proved"] = kept
    assert elsewhere.post("/desk/passkeys/asked", data={"name": "x"}).status_code == 403, (
        "it was shown in another sitting"
    )


def test_its_owner_hears_of_it_by_email_too_unless_they_want_it_otherwise(
    enter: Enter, app: Flask, stick: Stick
) -> None:
    desk, dina = proved(enter("dina")), user_id(app, "dina")
    desk.post("/desk/notices/preferences", data={"ways_in": "desk"})
    desk.post(f"/desk/passkeys/{Passkey.list_for(dina)[0].id}/remove")
    told = session.scalars(select(Notice).where(Notice.user_id == dina).order_by(Notice.id)).all()
    assert [each.words for each in told] == [
        f"The passkey “My telephone” was {verb} your account." for verb in ("added to", "removed from")
    ]
    assert [each.row_id for each in session.scalars(select(Message).where(Message.template == "house/notice"))] == [
        told[0].id
    ]
    assert Preference.ways_of(dina)["ways_in"] == "desk"


def test_everybody_names_and_removes_their_own_alone(enter: Enter, app: Flask, stick: Stick) -> None:
    (mine,) = Passkey.list_for(user_id(app, "dina"))
    other, desk = proved(enter("omar")), enter("dina")
    for verb in "name", "remove":
        assert other.post(f"/desk/passkeys/{mine.id}/{verb}", data={"name": "x"}).status_code == 404
    assert desk.post(f"/desk/passkeys/{mine.id}/name", data={"name": " "}).status_code == 422
    assert desk.post(f"/desk/passkeys/{mine.id}/name", data={"name": "Key  of the drawer"}).status_code == 302
    assert "Key of the drawer" in desk.get("/desk/passkeys/").text
    assert app.test_client().get("/desk/passkeys/").status_code == 302
    assert app.test_client().post("/desk/passkeys/asked").status_code in (302, 401)


def test_one_is_not_added_twice_nor_without_a_name_nor_unchecked(enter: Enter, stick: Stick) -> None:
    desk = proved(enter("dina"))
    asked = desk.post("/desk/passkeys/asked", data={"name": "Again"}).get_json()
    assert [raw(each["id"]) for each in asked["excludeCredentials"]] == [stick.credential]
    assert raw(asked["user"]["id"]) == stick.handle
    assert asked["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    assert add(desk, stick).status_code == 409
    assert desk.post("/desk/passkeys/asked", data={"name": ""}).status_code == 422
    for wrong in {"at": "http://evil.example"}, {"host": "evil.example"}, {"flags": 0b001}:
        assert add(desk, replace(stick, credential=b"yet another one of sixteen bytes", **wrong)).status_code == 422


def test_there_are_none_where_the_house_has_no_name(
    client: FlaskClient, enter: Enter, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "data-passkey" in client.get("/login/").text
    monkeypatch.setitem(
        app.extensions, "settings", replace(app.extensions["settings"], base_url="http://127.0.0.1:8000")
    )
    assert "data-passkey" not in client.get("/login/").text
    assert client.post("/login/passkey/asked").status_code == 409
    assert "BASE_URL" in enter("dina").get("/desk/passkeys/").text


def test_the_address_is_written_as_a_browser_writes_it() -> None:
    assert [
        browser_origin(each) for each in ("https://Desk.Example:443/", "http://localhost:8000", "https://a.example")
    ] == [
        "https://desk.example",
        "http://localhost:8000",
        "https://a.example",
    ]


def test_five_minutes_and_ten_are_what_the_page_says() -> None:
    assert (passkeys.CHALLENGE_LIFETIME.total_seconds(), sign_in_page.VERIFIED_SECONDS) == (300, 600)


def test_whoever_has_just_signed_in_is_not_asked_again(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    client.post("/login/", data={"username": "dina", "password": PASSWORD})
    assert client.post("/desk/passkeys/asked", data={"name": "x"}).status_code == 200
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 601)
    assert client.post("/desk/passkeys/asked", data={"name": "x"}).status_code == 403


def test_after_a_refusal_the_password_still_goes_to_its_own_door(stick: Stick, client: FlaskClient) -> None:
    asked = client.post("/login/passkey/asked").get_json()
    page = client.post(
        "/login/passkey/?next=/desk/slot/", data={"answer": replace(stick, at="http://evil.example").sign(asked)}
    ).text
    assert 'name="login" action="/login/?next=/desk/slot/"' in page
    assert (
        client.post("/login/?next=/desk/slot/", data={"username": "dina", "password": PASSWORD}).location
        == "/desk/slot/"
    )

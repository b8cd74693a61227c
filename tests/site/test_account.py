"""Tests of the customer account: sign-in by an emailed code, and nothing of other customers."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from sqlalchemy import func, select, text

from app.kernel import clock, db
from app.kernel.db import session, transaction
from app.kernel.jobs import Job
from app.messages import code as codes
from app.messages.code import Code
from app.money.bills.bill import ByHand
from app.money.bills.payment import GiveBack
from app.packs.bookings.booking.booking import Booking
from tests.conftest import MEERA, PATIENCE

KABIR = {"name": "Kabir Shah", "email": "kabir@example.com", "phone": "+919845067890"}


def last() -> Code:
    session.rollback()
    session.expire_all()
    return session.scalars(select(Code).order_by(Code.id.desc())).first()  # type: ignore[return-value]


@pytest.fixture
def sign_in(client: FlaskClient) -> Callable[..., FlaskClient]:
    def sign_in(email: str = MEERA["email"], by: FlaskClient = client) -> FlaskClient:
        assert by.post("/account/in", data={"email": email}).status_code == 303
        answer = by.post("/account/code", data={"code": last().digits})
        assert answer.headers["Location"] == "/account"
        return by

    return sign_in


@pytest.fixture
def booking(slot: Any, hold: Any) -> Booking:
    made: Booking = hold(slot)
    made.mark_paid(ByHand("cash", "R-1"))
    return made


def test_six_digits_by_email_open_it_and_sign_out_closes_every_copy(
    booking: Booking, client: FlaskClient, sandbox: str, work_off: Any, app: Any
) -> None:
    work_off()
    client.post("/account/in", data={"email": "MEERA@example.com"})
    work_off()
    (mail, *_) = requests.get(f"{sandbox}/mail.json?to=meera@example.com", timeout=PATIENCE).json()
    (digits,) = re.findall(r"\b\d{6}\b", mail["subject"])
    assert client.post("/account/code", data={"code": f" {digits[:3]} {digits[3:]} "}).status_code == 303
    page = client.get("/account").text
    assert booking.number in page
    thief = app.test_client()
    thief.set_cookie("frontdesk", client.get_cookie("frontdesk").value)  # type: ignore[union-attr]
    assert booking.number in thief.get("/account").text
    assert client.post("/account/out").status_code == 303
    assert thief.get("/account").status_code == 303


def test_it_shows_bookings_papers_and_money_of_this_mailbox_alone(
    booking: Booking, open_slot: Any, hold: Any, sign_in: Any
) -> None:
    theirs = hold(open_slot(hours=60), **KABIR)
    theirs.mark_paid(ByHand("cash", "R-2"))
    gone = hold(open_slot(hours=70))
    gone.lapse()
    booking.bills[0].payments[0].give_back(GiveBack(amount="100", why="Sorry."))
    page = sign_in().get("/account").text
    assert f"/booking/{booking.token}" in page
    assert "IST" in page
    assert all(each.number in page and f"/paper/{each.token}" in page for each in booking.bills[0].invoices)
    assert "−₹100.00" in page
    assert page.index(booking.number) < page.index(">Past<") < page.index(gone.number)
    assert not re.search(f"{theirs.number}|Kabir|{theirs.bills[0].invoices[0].number}", page)


def test_two_people_who_share_a_mailbox_share_its_account(
    booking: Booking, open_slot: Any, hold: Any, sign_in: Any
) -> None:
    other = hold(open_slot(hours=60), name="Ravi Iyer")
    page = sign_in().get("/account").text
    assert booking.number in page
    assert other.number in page
    assert "Ravi Iyer" in page


def test_a_mailbox_that_nobody_has_gets_the_same_answer_after_the_same_work(
    booking: Booking, client: FlaskClient, app: Any, count_queries: Any, work_off: Any
) -> None:
    work_off()
    answers = []
    for email in ("meera@example.com", "nobody@example.com"):
        fresh = app.test_client()
        asked = count_queries(lambda: answers.append(fresh.post("/account/in", data={"email": email})))  # noqa: B023  # called at once
        page = fresh.get("/account/code")
        answers.append((asked, page.status_code, re.sub(rf"{email}|csrf_token. value=\S+", "", page.text)))
    assert answers[1] == answers[3]
    assert (answers[0].status_code, answers[0].headers["Location"]) == (
        answers[2].status_code,
        answers[2].headers["Location"],
    )
    assert (
        session.scalar(select(func.count()).where(Job.name == codes.send.__module__.removeprefix("app.") + ".send"))
        == 2
    )
    with pytest.raises(Exception, match="highlighted fields"):
        last().verify(last().digits)  # nor do the right digits open what nobody has


def test_five_tries_one_use_ten_minutes_and_only_where_it_was_asked_for(
    booking: Booking, client: FlaskClient, app: Any, sign_in: Any
) -> None:
    client.post("/account/in", data={"email": MEERA["email"]})
    right = last().digits
    assert app.test_client().post("/account/code", data={"code": right}).headers["Location"] == "/account/in"
    wrong = "000000" if right != "000000" else "111111"
    for _ in range(codes.TRIES):
        assert client.post("/account/code", data={"code": wrong}).status_code == 422
    assert client.post("/account/code", data={"code": right}).status_code == 422
    sign_in()
    used = last()
    with pytest.raises(Exception, match="highlighted fields"):
        used.verify(used.digits)
    client.post("/account/in", data={"email": MEERA["email"]})
    with clock.frozen_at(clock.now() + timedelta(minutes=11)):
        assert client.post("/account/code", data={"code": last().digits}).status_code == 422


def test_the_last_code_counts_and_the_ones_before_do_not(booking: Booking, client: FlaskClient, app: Any) -> None:
    first = app.test_client()
    first.post("/account/in", data={"email": MEERA["email"]})
    digits = last().digits
    client.post("/account/in", data={"email": MEERA["email"]})
    assert first.post("/account/code", data={"code": digits}).status_code == 422
    assert client.post("/account/code", data={"code": last().digits}).status_code == 303


def test_neither_the_digits_nor_the_mailbox_stand_in_the_table(
    booking: Booking, client: FlaskClient, work_off: Any, sandbox: str
) -> None:
    client.post("/account/in", data={"email": "nobody@example.com"})
    client.post("/account/in", data={"email": MEERA["email"]})
    digits = last().digits
    work_off()
    with db.engine().connect() as connection:
        rows = str(connection.execute(text("select * from code")).all()) + str(
            connection.execute(text("select subject, body from message")).all()
        )
    assert not re.search(rf"{digits}|nobody@", rows)


def test_a_mailbox_and_an_address_ask_for_only_so_many(booking: Booking, client: FlaskClient) -> None:
    for email in ("meera@example.com", "nobody@example.com"):
        codes_asked = [client.post("/account/in", data={"email": email}).status_code for _ in range(4)]
        assert codes_asked == [303, 303, 303, 429]
    for nth in range(12):
        client.post("/account/in", data={"email": f"a{nth}@example.com"})
    assert client.post("/account/in", data={"email": "b@example.com"}).status_code == 429


def test_half_an_hour_of_quiet_closes_it(booking: Booking, sign_in: Any) -> None:
    client = sign_in()
    begun = clock.now()
    for minutes in (20, 45):
        with clock.frozen_at(begun + timedelta(minutes=minutes)):
            assert client.get("/account").status_code == 200
    with clock.frozen_at(begun + timedelta(minutes=80)):
        assert client.get("/account").status_code == 303
    assert client.get("/account").status_code == 303


@pytest.mark.parametrize("path", ["/account", "/account/everything.json", "/account/forget"])
def test_a_stranger_is_led_to_the_way_in(client: FlaskClient, path: str) -> None:
    assert client.get(path).headers["Location"] == "/account/in"
    with client.session_transaction() as cookie:
        cookie["account"] = {"code": "made up", "mailbox": "meera@example.com", "seen": clock.now().isoformat()}
    assert client.get(path).status_code == 303


def test_an_account_cannot_be_turned_into_another_ones(
    booking: Booking, open_slot: Any, hold: Any, sign_in: Any
) -> None:
    """Not even with a forged cookie: the code is for one mailbox."""
    hold(open_slot(hours=60), **KABIR)
    client = sign_in()
    with client.session_transaction() as cookie:
        cookie["account"] |= {"mailbox": KABIR["email"]}
    assert client.get("/account").status_code == 303


def test_language_and_zone_are_theirs_to_choose(booking: Booking, sign_in: Any) -> None:
    client = sign_in()
    assert client.post("/account/settings", data={"locale": "hi", "timezone": "Europe/Rome"}).status_code == 303
    for wrong in ({"locale": "xx", "timezone": "Europe/Rome"}, {"locale": "en", "timezone": "Mars/Phobos"}):
        assert client.post("/account/settings", data=wrong).status_code == 422
    session.expire_all()
    assert (booking.person.locale, booking.person.timezone) == ("hi", "Europe/Rome")


def test_what_is_no_email_address_is_said_beside_the_field(client: FlaskClient) -> None:
    answer = client.post("/account/in", data={"email": "not one"})
    assert answer.status_code == 422
    assert "Enter a valid email address." in answer.text
    assert 'value="not one"' in answer.text


def test_two_who_type_the_same_code_at_once_do_not_both_get_in(booking: Booking, client: FlaskClient) -> None:
    client.post("/account/in", data={"email": MEERA["email"]})
    code = last()
    with transaction():
        code.verify(code.digits)
    with db.separate_session() as other:
        assert other.get(Code, code.id).state == "used"  # type: ignore[union-attr]
    assert client.post("/account/code", data={"code": code.digits}).status_code == 422

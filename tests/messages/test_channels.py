"""Tests of WhatsApp and SMS: sent once, tracked by delivery reports, and only with consent."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.jobs import Job
from app.kernel.people import Person
from app.messages import channel
from app.messages.message import Message, remind, tell
from app.messages.opt_in import OptIn
from app.packs.bookings.booking.booking import Booking
from app.sandbox.webhooks import sign
from config import Settings
from tests.messages.conftest import Telephones

Hold = Callable[..., Booking]
Report = Callable[..., int]
WorkOff = Callable[[], int]


def by(name: str, template: str = "bookings/received") -> Message:
    session.expire_all()
    return session.scalars(
        select(Message).where(Message.channel == name, Message.template == template).order_by(Message.id.desc())
    ).one()


@pytest.fixture
def booked(meera: Person, hold: Hold, slot: Any) -> Booking:
    return hold(slot)


def test_it_is_owed_by_mail_and_wherever_else_they_want_it_and_there_are_words(booked: Booking) -> None:
    owed = session.scalars(select(Message).where(Message.template == "bookings/received")).all()
    assert sorted(each.channel for each in owed) == ["email", "whatsapp"]  # nobody has written an SMS for this one


def test_nobody_who_did_not_ask_for_it_is_written_to_by_telephone(hold: Hold, slot: Any) -> None:
    hold(slot, name="Kabir Shah")
    assert {each.channel for each in session.scalars(select(Message))} == {"email"}


def test_a_template_goes_out_with_its_places_filled_and_is_followed_until_it_is_read(
    booked: Booking, phones: Telephones, work_off: WorkOff, report: Report
) -> None:
    work_off()
    [text] = phones.texts()
    assert (text["to"], text["template"], text["language"]) == ("+919845012345", "booking_received", "en")
    assert text["places"][:2] == ["Meera Iyer", "First consultation"]
    assert text["ours"] == str(by("whatsapp").id)
    assert (by("whatsapp").state, by("whatsapp").provider_id, by("whatsapp").subject) == (
        "sent",
        text["id"],
        "booking_received",
    )
    for status in ("delivered", "read", "delivered", "sent", "failed"):
        assert report(text, status) == 200
    it = by("whatsapp")
    assert (it.state, it.trouble) == ("read", "")
    assert it.delivered_at
    assert it.read_at


def test_a_lost_answer_is_no_second_message_and_the_report_says_what_became_of_it(
    booked: Booking, phones: Telephones, work_off: WorkOff, report: Report, later: Any
) -> None:
    phones.wrong("reply_lost", "whatsapp")
    work_off()
    it = by("whatsapp")
    assert (it.state, it.provider_id) == ("handed", None)
    assert "did not respond" in it.trouble
    [text] = phones.texts()
    assert report(text, "delivered") == 200
    with later(minutes=20):
        work_off()
    assert (by("whatsapp").state, by("whatsapp").provider_id) == ("delivered", text["id"])
    assert len(phones.texts()) == 1


def test_what_whatsapp_never_took_is_brought_once_more_and_then_somebody_decides(
    meera: Person, hold: Hold, slot: Any, phones: Telephones, work_off: WorkOff, later: Any
) -> None:
    booking = hold(slot)
    work_off()
    before = len(phones.texts())
    with transaction():
        tell(meera, "bookings/cancelled", booking=booking)
    phones.wrong("swallowed", "whatsapp", 2)
    for minutes, seen in ((0, ("handed", 1)), (10, ("handed", 1)), (16, ("handed", 2)), (40, ("failed", 2))):
        with later(minutes=minutes):
            work_off()
        it = by("whatsapp", "bookings/cancelled")
        assert (it.state, it.tries) == seen
    assert "never confirmed it" in it.trouble
    assert len([each for each in phones.texts() if each["carrier"] == "whatsapp"]) == before


def test_a_text_message_that_may_have_gone_is_held_until_somebody_decides(
    meera: Person, hold: Hold, slot: Any, phones: Telephones, work_off: WorkOff, later: Any, enter: Any
) -> None:
    booking = hold(slot)
    with transaction():
        tell(meera, "bookings/cancelled", booking=booking)
    phones.wrong("500", "sms")
    work_off()
    with later(days=2):
        work_off()
    it = by("sms", "bookings/cancelled")
    assert it.state == "handed"
    assert "500" in it.trouble
    desk = enter("dina")
    assert "may be received twice" in desk.get(f"/desk/message/{it.id}/do/send_again").text
    assert desk.post(f"/desk/message/{it.id}/do/send_again").status_code == 302
    session.expire_all()
    work_off()
    assert by("sms", "bookings/cancelled").state == "sent"
    [text] = [each for each in phones.texts() if each["carrier"] == "sms"]
    assert text["body"].startswith("Asha & Dev: your First consultation on")


def test_a_report_finds_its_text_message_though_the_answer_was_lost(
    meera: Person, hold: Hold, slot: Any, phones: Telephones, work_off: WorkOff, report: Report
) -> None:
    booking = hold(slot)
    with transaction():
        tell(meera, "bookings/cancelled", booking=booking)
    phones.wrong("reply_lost", "sms")
    work_off()
    [text] = [each for each in phones.texts() if each["carrier"] == "sms"]
    assert report(text, "sent") == report(text, "delivered") == 200
    assert by("sms", "bookings/cancelled").state == "delivered"


def test_too_many_at_once_are_brought_later(booked: Booking, phones: Telephones, work_off: WorkOff, later: Any) -> None:
    phones.wrong("429", "whatsapp")
    work_off()
    assert (by("whatsapp").state, by("whatsapp").tries) == ("waiting", 0)
    assert (
        session.scalars(
            select(Job.attempts).where(Job.row_id == by("whatsapp").id, Job.name == "messages.message.send")
        ).one()
        == 1
    )
    with later(seconds=30):
        work_off()
    assert by("whatsapp").state == "sent"
    assert len(phones.texts()) == 1


def test_a_number_that_is_none_fails_at_once_and_staff_see_why(
    booked: Booking, phones: Telephones, work_off: WorkOff, enter: Any
) -> None:
    phones.wrong("refused", "whatsapp")
    work_off()
    assert by("whatsapp").state == "failed"
    assert "131026" in by("whatsapp").trouble
    desk = enter("dina")
    assert "Failed messages" in desk.get("/desk/").text
    assert "131026" in desk.get(f"/desk/booking/{booked.id}").text


def test_a_report_that_it_failed_says_nothing_of_a_later_try(
    booked: Booking, phones: Telephones, work_off: WorkOff, report: Report, enter: Any
) -> None:
    work_off()
    [first] = phones.texts()
    assert report(first, "failed") == 200
    assert by("whatsapp").state == "failed"
    enter("dina").post(f"/desk/message/{by('whatsapp').id}/do/send_again")
    session.expire_all()
    work_off()
    assert report(first, "failed") == 200
    assert by("whatsapp").state == "sent"
    assert len(phones.texts()) == 2


def test_what_is_not_signed_is_not_believed(
    booked: Booking, phones: Telephones, work_off: WorkOff, report: Report, client: FlaskClient
) -> None:
    work_off()
    [text] = phones.texts()
    assert report(text, "delivered", wrong_signature=True) == 403
    for name in ("whatsapp", "sms"):
        for headers in (
            {},
            {"X-Hub-Signature-256": "sha256=ä", "X-Twilio-Signature": "ä"},
            {"X-Hub-Signature-256": "", "X-Twilio-Signature": ""},
        ):
            assert client.post(f"/api/messages/webhook/{name}", data=b"{}", headers=headers).status_code == 403
    assert client.post("/api/messages/webhook/email", data=b"{}").status_code == 404
    assert client.post("/api/messages/webhook/pigeon", data=b"{}").status_code == 404
    assert by("whatsapp").state == "sent"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"nothing",
        b'{"entry": 1}',
        b'{"entry": [{"changes": [{"field": "messages", "value": {"statuses": [{}]}}]}]}',
    ],
)
def test_what_is_signed_and_cannot_be_read_is_refused_and_never_crashes(
    body: bytes, app: Flask, client: FlaskClient, settings: Settings
) -> None:
    signed = {
        "X-Hub-Signature-256": f"sha256={sign(body, settings.whatsapp_app_secrets[0])}",
        "Content-Type": "application/json",
    }
    assert client.post("/api/messages/webhook/whatsapp", data=body, headers=signed).status_code == 400


def test_news_of_what_we_never_sent_is_taken_quietly(app: Flask, report: Report) -> None:
    known = {"carrier": "whatsapp", "id": "wamid.unknown", "to": "+919845012345"}
    assert (
        report(known | {"ours": "4711"}, "delivered")
        == report(known, "delivered")
        == report(known | {"ours": "x"}, "read")
        == 200
    )


def test_the_address_is_ours_for_whoever_knows_the_word(client: FlaskClient, settings: Settings) -> None:
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": settings.whatsapp_verify_token}
    assert client.get("/api/messages/webhook/whatsapp", query_string=asked).text == "1158201444"
    assert (
        client.get("/api/messages/webhook/whatsapp", query_string=asked | {"hub.verify_token": "x"}).status_code == 403
    )
    assert client.get("/api/messages/webhook/sms", query_string=asked).status_code == 404


@pytest.mark.parametrize("name", ["sms", "whatsapp"])
def test_stop_takes_it_back_and_what_waits_is_not_sent_any_more(
    name: str, booked: Booking, meera: Person, phones: Telephones, work_off: WorkOff, answer: Callable[..., int]
) -> None:
    with transaction():
        tell(meera, "bookings/cancelled", booking=booked)
    assert answer(name, meera.phone, "Stop.") == 200
    work_off()
    session.expire_all()
    assert {each.channel for each in session.scalars(select(OptIn).where(OptIn.state == "given"))} == {
        "sms",
        "whatsapp",
    } - {name}
    assert by(name, "bookings/cancelled").state == "dropped"
    assert {each["carrier"] for each in phones.texts()} == {"sms", "whatsapp"} - {name}
    with transaction():
        OptIn.give(meera, name, "Changed her mind on the telephone")
    assert session.scalars(select(OptIn).where(OptIn.channel == name)).one().taken_back_at is None


def test_other_words_stop_nothing(meera: Person, answer: Callable[..., int]) -> None:
    assert answer("sms", meera.phone, "Please do not stop, I am on my way") == 200
    assert OptIn.channels_of(meera) == {"sms", "whatsapp"}


def test_without_a_telephone_there_is_nothing_to_opt_into(app: Flask, token: Any, client: FlaskClient) -> None:
    with transaction():
        person = Person.find_or_create(name="Sofia Rossi", email="sofia@example.com", phone="", timezone="Europe/Rome")
    answer = client.post(
        "/api/v1/opt_in/", json={"person": person.id, "channel": "sms", "how": "By letter"}, headers=token("dina")
    )
    assert answer.status_code == 422
    assert "phone number" in answer.get_json()["error"]["fields"]["person"]


def test_a_channel_that_was_switched_off_says_so(booked: Booking, work_off: WorkOff) -> None:
    kept = channel.all_channels()
    channel.configure(*(each for each in kept if each.name == "email"))
    try:
        work_off()
    finally:
        channel.configure(*kept)
    assert by("whatsapp").state == "failed"
    assert "can no longer be reached by WhatsApp" in by("whatsapp").trouble


# --- reminders --------------------------------------------------------------------------------------------------------


def test_a_reminder_of_a_former_time_is_dropped_and_the_old_time_come_back_has_its_own(
    hold: Hold, slot: Any, sandbox: str, work_off: WorkOff, later: Any
) -> None:
    booking = hold(slot)
    at = slot.starts_at - timedelta(hours=24)
    for edition in (booking.edition, booking.edition + 1, booking.edition + 2):
        with transaction():
            booking.edition = edition
            remind(booking.person, "bookings/reminder", at=at, kind="24h", booking=booking)
            remind(booking.person, "bookings/reminder", at=at, kind="24h", booking=booking)
            remind(booking.person, "bookings/reminder", at=at + timedelta(hours=23), kind="1h", booking=booking)
    with transaction():
        booking.confirm("free of charge")
    reminders = (
        select(Message)
        .where(Message.template == "bookings/reminder", Message.kind.in_(["24h", "1h"]))
        .order_by(Message.id)
    )
    assert len(session.scalars(reminders).all()) == 6
    with later(hours=25):
        work_off()
    session.expire_all()
    assert [(each.edition, each.state) for each in session.scalars(reminders) if each.kind == "24h"] == [
        (edition, state)
        for edition, state in zip(
            range(booking.edition - 2, booking.edition + 1), ("dropped", "dropped", "sent"), strict=True
        )
    ]


def test_a_reminder_for_a_time_that_is_over_is_not_owed(hold: Hold, slot: Any) -> None:
    booking = hold(slot)
    with transaction():
        remind(booking.person, "bookings/reminder", at=clock.ahead(minutes=-1), booking=booking)
    assert session.scalar(select(Message.id).where(Message.template == "bookings/reminder")) is None


def test_one_key_is_said_once_on_each_channel(booked: Booking, meera: Person) -> None:
    for _ in range(2):
        with transaction():
            tell(meera, "bookings/cancelled", key="once", booking=booked)
    assert sorted(session.scalars(select(Message.channel).where(Message.key == "once"))) == ["email", "sms", "whatsapp"]


# --- the same over the wire, both ways --------------------------------------------------------------------------------


def test_a_carrier_tells_of_it_by_itself_even_twice_and_out_of_order(
    web: str, meera: Person, hold: Hold, slot: Any, phones: Telephones, work_off: WorkOff, eventually: Any
) -> None:
    phones.wrong("twice", "whatsapp")
    hold(slot)
    work_off()
    assert eventually(lambda: by("whatsapp").state == "delivered")
    assert json.dumps(phones.texts()).count("wamid") == 1

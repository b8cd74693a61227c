"""Tests of message templates by staff: checked before saving, sandboxed, and replaced by the default if they fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.kernel.db import session, transaction
from app.kernel.errors import Invalid
from app.kernel.people import Person
from app.messages import safe_template, template
from app.messages.message import Message, tell
from app.messages.safe_template import SampleValue
from app.messages.wording import Wording, check_wording
from app.packs.bookings.booking.booking import Booking
from tests.conftest import PATIENCE
from tests.messages.conftest import Telephones

Enter = Callable[[str], FlaskClient]
WorkOff = Callable[[], int]
SUBJECT, BODY = (
    "Yours: {{ booking.slot.service.name }}",
    "Dear {{ person.name }},\n\nit is yours.\n\n[See it]({{ base_url }}/booking/{{ booking.token }})",
)
PAGE = "/desk/words/bookings/received/email/en"


@pytest.fixture
def booking(hold: Any, slot: Any) -> Booking:
    return hold(slot)  # type: ignore[no-any-return]


def wrote(sandbox: str, to: str = "meera@example.com") -> dict[str, Any]:
    """The latest letter to somebody."""
    return dict(requests.get(f"{sandbox}/mail.json", params={"to": to}, timeout=PATIENCE).json()[0])


def put_to_use(
    subject: str = SUBJECT, body: str = BODY, name: str = "bookings/received", locale: str = "en", by: str = "email"
) -> Wording:
    with transaction():
        made = Wording.save_version(name, locale, by, subject, body)
        made.use()
    return made


# --- which words are said ---------------------------------------------------------------------------------------------


def test_the_words_in_use_are_said_and_the_message_knows_which_they_were(
    booking: Booking, sandbox: str, work_off: WorkOff
) -> None:
    made = put_to_use()
    work_off()
    letter = wrote(sandbox)
    assert (letter["subject"], letter["text"].splitlines()[0]) == ("Yours: First consultation", "Dear Meera Iyer,")
    assert 'href="http' in letter["html"]
    message = session.scalars(select(Message).where(Message.template == "bookings/received")).one()
    assert (message.state, message.wording_id) == ("sent", made.id)


def test_the_language_of_the_person_goes_before_the_houses_and_the_file_comes_last(booking: Booking) -> None:
    assert Wording.published_version("bookings/received", "hi", "email") is None
    english = put_to_use()
    assert Wording.published_version("bookings/received", "hi", "email") is None, "the program itself speaks Hindi"
    hindi = put_to_use("आपका समय", "नमस्ते {{ person.name }}", locale="hi")
    assert Wording.published_version("bookings/received", "hi", "email") == hindi
    assert Wording.published_version("bookings/received", "kn", "email") == english
    assert Wording.published_version("bookings/received", "hi", "sms") is None


def test_one_edition_is_in_use_and_any_former_one_can_be_again(booking: Booking, by: Any) -> None:
    first, second = put_to_use(), put_to_use(body="Second")
    assert (first.state, second.state, second.edition) == ("retired", "used", 2)
    with transaction():
        first.use()
    assert (first.state, second.state) == ("used", "retired")
    with transaction():
        first.retire()
    assert Wording.published_version("bookings/received", "en", "email") is None


def test_words_that_cannot_be_said_of_this_one_stop_nothing_and_staff_hear_of_it_once(
    booking: Booking, meera: Person, sandbox: str, work_off: WorkOff
) -> None:
    made = put_to_use()
    with transaction():
        session.execute(
            Wording.__table__.update().values(body="{{ booking.nosuch.thing }}"),
            execution_options={"unaudited": "a thing that was there is gone"},
        )
        for key in ("a", "b"):
            tell(meera, "bookings/received", key=key, booking=booking)
    session.expire_all()
    work_off()
    assert wrote(sandbox)["subject"].startswith("Complete your booking by")
    states = session.execute(
        select(Message.state, Message.wording_id).where(
            Message.template == "bookings/received", Message.channel == "email"
        )
    ).all()
    assert set(states) == {("sent", None)}
    assert session.scalars(select(Message).where(Message.template == "house/words_broken")).one().state == "sent"
    assert f"version {made.edition}" in wrote(sandbox, "hello@frontdesk.example")["text"]


# --- what may be written ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["email", "whatsapp", "sms"])
@pytest.mark.parametrize("with_a_booking", [True, False])
def test_every_original_can_be_taken_over_as_it_is(
    app: Flask, channel: str, request: pytest.FixtureRequest, *, with_a_booking: bool
) -> None:
    if with_a_booking:
        request.getfixturevalue("booking")
    for name in template.template_names():
        if source := template.default_text(name, channel):
            subject, body = template.split_heading(source, channel)
            assert template.join_heading(subject, body, channel).split() == source.split(), name
            check_wording(name, channel, subject, body)


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ booking._row }}",
    "{{ booking['_row'] }}",
    "{{ booking | attr('_row') }}",
    "{{ booking.metadata.bind }}",
    "{{ booking.registry }}",
    "{{ booking.query }}",
    "{{ booking.answers }}",
    "{{ booking.person.notes }}",
    "{{ booking.cancel() }}",
    "{{ booking.lock() }}",
    "{{ booking.practitioner.user.password }}",
    "{{ person.metadata }}",
    "{{ when.__globals__ }}",
    "{{ when.__closure__[0] }}",
    "{{ self.__init__ }}",
    "{{ config }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ lipsum(100) }}",
    "{{ range(10 ** 9) | list }}",
    "{{ 'x' * 10 ** 9 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '{0.__class__}'.format(person) }}",
    "{% for a in 'xx' %}{% for b in 'xx' %}{% for c in 'xx' %}x{% endfor %}{% endfor %}{% endfor %}",
    "{% set a = 'x' ~ 'x' %}{{ a }}",
    "{% set a = [1, 1] %}{% set b = [a, a] %}{{ b }}",
    "{{ 'a' | replace('a', 'aaaaaaaaaaaaaaaa') }}",
    "{{ 'x' | center(1000000000) }}",
    "{{ booking.created_at.strftime('%999999999d') }}",
    "{% include 'desk/shell.html' %}",
    "{% extends 'desk/shell.html' %}",
    "{% import 'desk/pieces.html' as p %}{{ p }}",
    "{% from 'desk/pieces.html' import icon %}{{ icon('x') }}",
    "{% from '../config.py' import x %}",
    "{% from booking.number import x %}",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% filter upper %}x{% endfilter %}",
    "{% with a = 1 %}{% endwith %}",
    "{% block a %}{% endblock %}",
    "{{ booking.nosuch }}",
    "{{ nosuch }}",
    "{{ invoice.number }}",
    "{% if %}",
    "{{ 1 / 0 }}",
    "x" * 20_001,
]


def test_words_reach_nothing_but_what_they_are_given(booking: Booking) -> None:
    taken = []
    for body in ESCAPES:
        for said in (
            lambda it: check_wording("bookings/received", "email", "Hello {{ booking.number }}", it),
            lambda it: safe_template.render_safely(it, booking.person, {"booking": booking}),
        ):
            try:
                said(body)
            except Exception:  # noqa: BLE001  # which one it is matters to whoever wrote it; here, that it is one
                continue
            taken.append(body)
    assert taken == []


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("{{ booking.nosuch }}", "nosuch"),
        ("{% if %}", "Line 1"),
        ("{% include 'x' %}", "Line 1: “include”"),
        ("Hi\n{{ x.y }", "Line 2"),
    ],
)
def test_whoever_writes_them_hears_what_is_wrong(booking: Booking, body: str, why: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_wording("bookings/received", "email", "Hello {{ booking.number }}", body)
    assert why in refused.value.fields["body"]


def test_what_is_shown_of_a_thing_is_never_the_thing(booking: Booking) -> None:
    view = safe_template.RowView(booking)
    assert isinstance(view.slot, safe_template.RowView)
    assert isinstance(view.bills[0], safe_template.RowView)
    assert view.price == booking.price
    for name in ("answers", "handle", "request_key", "metadata", "lock", "cancel", "_sa_instance_state"):
        with pytest.raises(AttributeError):
            getattr(view, name)
    assert "answers" not in safe_template.readable_names(Booking)


def test_something_made_up_answers_to_the_same_names() -> None:
    made = SampleValue(Booking, "booking")
    assert isinstance(made.slot.service, SampleValue)
    assert str(made.slot.service.name) == "[Name]"
    with pytest.raises(AttributeError):
        made.nosuch  # noqa: B018


@pytest.mark.parametrize(
    ("channel", "subject", "body", "field"),
    [
        ("email", "", "x", "subject"),
        ("email", "a\nb", "x", "subject"),
        ("email", "a", " ", "body"),
        ("email", "x" * 501, "x", "subject"),
        ("whatsapp", "Not A Name", "x", "subject"),
        ("sms", "", "x" * 1601, "body"),
    ],
)
def test_what_a_channel_would_refuse_is_refused_before_it_is_kept(
    app: Flask, channel: str, subject: str, body: str, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        check_wording("bookings/received", channel, subject, body)
    assert field in refused.value.fields


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_desk_writes_the_auditor_reads_and_others_do_neither(booking: Booking, enter: Enter) -> None:
    typed = {"subject": SUBJECT, "body": BODY}
    made = put_to_use()
    for name, reads, writes in (
        ("ada", 200, 302),
        ("dina", 200, 302),
        ("omar", 200, 403),
        ("asha", 403, 403),
        ("anil", 403, 403),
    ):
        desk = enter(name)
        assert desk.get("/desk/words/").status_code == reads
        assert desk.get(PAGE).status_code == desk.get(f"{PAGE}/look").status_code == reads
        assert desk.post(PAGE, data=typed).status_code == writes
        assert desk.post(f"{PAGE}/preview", data=typed).status_code == (200 if writes == 302 else 403)
        for door in ("try", "original", "use"):
            assert desk.post(f"{PAGE}/{door}/{made.id}").status_code == writes
    assert enter("omar").get(PAGE).text.count("<textarea") == 0


def test_words_are_written_looked_at_and_put_to_use(booking: Booking, enter: Enter) -> None:
    desk = enter("dina")
    assert "Complete your booking by" in desk.get(PAGE).text
    seen = desk.post(f"{PAGE}/preview", data={"subject": SUBJECT, "body": BODY})
    assert "Dear Meera Iyer," in seen.text
    assert seen.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert seen.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert session.scalar(select(Wording.id)) is None
    saved = desk.post(PAGE, data={"subject": SUBJECT, "body": BODY.replace("\n", "\r\n")}, follow_redirects=True)
    assert "Version 1 saved" in saved.text
    made = session.scalars(select(Wording)).one()
    assert (made.state, made.body) == ("draft", BODY)
    assert "Version 1 published." in desk.post(f"{PAGE}/use/{made.id}", follow_redirects=True).text
    assert "version 1" in desk.get("/desk/words/").text
    assert "Dear Meera Iyer," in desk.get(f"{PAGE}/look").text
    assert "Complete your booking by" in desk.get(f"{PAGE}/look?edition=original").text
    assert "The default is used again" in desk.post(f"{PAGE}/original/{made.id}", follow_redirects=True).text


def test_words_that_cannot_be_said_come_back_as_they_were_typed(booking: Booking, enter: Enter) -> None:
    desk, typed = enter("dina"), {"subject": "Hello", "body": "{{ booking.nosuch }} <b>"}
    answer = desk.post(PAGE, data=typed)
    assert answer.status_code == 422
    assert "{{ booking.nosuch }} &lt;b&gt;" in answer.text
    assert "nosuch" in desk.post(f"{PAGE}/preview", data=typed).text
    assert session.scalar(select(Wording.id)) is None


def test_a_place_that_is_none_is_not_there(app: Flask, enter: Enter) -> None:
    desk = enter("dina")
    for path in (
        "bookings/nosuch/email/en",
        "bookings/received/pigeon/en",
        "bookings/received/email/xx",
        "../config/email/en",
    ):
        assert desk.get(f"/desk/words/{path}").status_code == 404
    assert desk.post(f"{PAGE}/use/4711").status_code == 404


def test_a_look_at_oneself_goes_by_mail_to_ones_own_address(
    booking: Booking, enter: Enter, sandbox: str, work_off: WorkOff
) -> None:
    with transaction():
        made = Wording.save_version("bookings/received", "en", "email", SUBJECT, BODY)
    assert "on its way" in enter("dina").post(f"{PAGE}/try/{made.id}", follow_redirects=True).text
    work_off()
    assert wrote(sandbox, "dina@example.com")["subject"] == "Yours: First consultation"


def test_a_look_at_a_telephone_needs_no_more_than_its_number(
    booking: Booking, enter: Enter, phones: Telephones, work_off: WorkOff
) -> None:
    with transaction():
        made = Wording.save_version("bookings/received", "en", "sms", "", "{{ business }}: {{ booking.number }}")
    page = "/desk/words/bookings/received/sms/en"
    assert (
        "Enter a valid phone number"
        in enter("dina").post(f"{page}/try/{made.id}", data={"phone": "x"}, follow_redirects=True).text
    )
    assert (
        "on its way"
        in enter("dina").post(f"{page}/try/{made.id}", data={"phone": "+919845099999"}, follow_redirects=True).text
    )
    work_off()
    [text] = phones.texts()
    assert (text["to"], text["body"]) == ("+919845099999", f"Asha & Dev: {booking.number}")

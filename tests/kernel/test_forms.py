"""Tests of the form builder: questions, versions, validation of answers, encryption of sensitive ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.kernel import clock, db
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid, Refused
from app.kernel.forms import Edition, Form
from app.kernel.question import Question
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.conftest import MEERA


def q(kind: str, **facts: Any) -> Question:
    return Question("it", kind, {"en": "It?"}, **facts)


THREE = [{"en": "Past", "hi": "अतीत"}, {"en": "Present"}, {"en": "Future"}]


@pytest.mark.parametrize(
    ("question", "typed", "kept"),
    [
        (q("text"), "  two   words ", "two words"),
        (q("text"), "   ", None),
        (q("long"), "one\r\ntwo", "one\ntwo"),
        (q("place"), "Ōsaka", "Ōsaka"),
        (q("number"), " 42 ", 42),
        (q("number"), 0, 0),
        (q("number", least=-5), "-5", -5),
        (q("date", latest="today"), "1900-01-01", "1900-01-01"),
        (q("date"), "2024-02-29", "2024-02-29"),
        (q("date"), "", None),
        (q("time"), "23:59", "23:59"),
        (q("time"), "00:00:30", "00:00"),
        (q("time", unknown=True), "unknown", "unknown"),
        (q("choice", options=THREE), "Past", "Past"),
        (q("many", options=THREE), ["Future", "Past"], ["Past", "Future"]),
        (q("many", options=THREE), "Past", ["Past"]),
        (q("many", options=THREE), [], None),
        (q("yes_no"), "no", False),
        (q("yes_no"), True, True),
        (q("yes_no"), "", None),
        (q("consent"), "on", True),
        (q("consent"), False, None),
    ],
)
def test_an_answer_is_kept_as_what_it_is(question: Question, typed: Any, kept: Any) -> None:
    assert question.parse(typed) == kept


@pytest.mark.parametrize(
    ("question", "typed", "words"),
    [
        (q("text"), "x" * 10_000, "Use at most 200"),
        (q("text", longest=3), "four", "Use at most 3"),
        (q("text"), "a\x00b", "can’t be saved"),
        (q("text"), "\ud800", "can’t be saved"),
        (q("text"), 7, "Enter text"),
        (q("long"), {"a": 1}, "Enter text"),
        (q("long"), "x" * 10_000, "Use at most 2000"),
        (q("place"), ["x"], "Enter text"),
        (q("number"), "4.5", "whole number"),
        (q("number"), True, "whole number"),
        (q("number"), "9" * 5000, "whole number"),
        (q("number", most=9), 10, "Enter 9 or less"),
        (q("number", least=1), "0", "Enter 1 or more"),
        (q("number"), [1], "whole number"),
        (q("date", latest="today"), "2999-01-01", "to today"),
        (q("date"), "0001-01-01", "from 1 Jan 1900"),
        (q("date"), "2023-02-29", "a valid date"),
        (q("date"), "20240101", "a valid date"),
        (q("date"), "soon", "a valid date"),
        (q("date", earliest="2020-05-05"), "2020-05-04", "5 May 2020"),
        (q("time"), "25:00", "such as 14:30"),
        (q("time"), "unknown", "such as 14:30"),
        (q("time"), "9am", "such as 14:30"),
        (q("time"), 900, "such as 14:30"),
        (q("choice", options=THREE), "Never", "from the list"),
        (q("choice", options=THREE), ["Past"], "from the list"),
        (q("choice", options=THREE), "अतीत", "from the list"),
        (q("many", options=THREE), ["Past", "Never"], "from the list"),
        (q("many", options=THREE), [["Past"]], "from the list"),
        (q("yes_no"), "perhaps", "Choose yes or no"),
        (q("yes_no"), [True], "Choose yes or no"),
        (q("consent", required=True), False, "tick this box"),
        (q("consent", required=True), None, "tick this box"),
        (q("text", required=True), " \n ", "is required"),
        (q("time", required=True, unknown=True), "", "is required"),
        (q("yes_no", required=True), "", "is required"),
    ],
)
def test_what_cannot_be_taken_is_said_in_a_sentence(question: Question, typed: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        question.parse(typed)


# --- editions ---------------------------------------------------------------------------------------------------------

TOPIC = {"label": "What is it about?", "kind": "choice", "options": "Work\nHealth | स्वास्थ्य", "required": "on"}
DETAIL = {
    "label": "Since when?",
    "kind": "text",
    "asked_if": "what_is_it_about",
    "equals": "Health",
    "required": "on",
    "secret": "on",
}
HOUR = {"label": "Best hour", "kind": "time", "unknown": "on"}


def written(*questions: dict[str, str]) -> Form:
    with transaction():
        form = Form(name="Before you come")
        session.add(form)
        session.flush()
        for each in questions:
            form.save_question(each)
        form.publish()
    return form


def edition(form: Form) -> Edition:
    assert form.current
    return form.current


def test_everything_that_is_wrong_is_said_at_once(app: Flask) -> None:
    form = written(TOPIC, DETAIL, HOUR)
    with pytest.raises(Invalid) as no:
        edition(form).parse({"what_is_it_about": "Love", "best_hour": "25:00", "price": 1})
    assert no.value.fields.keys() == {"what_is_it_about", "best_hour", "price"}


def test_a_question_is_asked_only_after_the_answer_it_depends_on(app: Flask) -> None:
    asked = edition(written(TOPIC, DETAIL, HOUR))
    assert asked.parse({"what_is_it_about": "Work", "since_when": "let go"}).columns["sealed_answers"] is None
    with pytest.raises(Invalid, match="highlighted") as no:
        asked.parse({"what_is_it_about": "Health"})
    assert no.value.fields.keys() == {"since_when"}
    given = asked.parse({"what_is_it_about": "Health", "since_when": "May", "best_hour": "unknown"})
    assert (given.plain, given.secret) == (
        {"what_is_it_about": "Health", "best_hour": "unknown"},
        {"since_when": "May"},
    )
    assert "May" not in repr(given)


def test_what_depends_on_something_that_is_not_asked_is_not_asked_either(app: Flask) -> None:
    more = {"label": "Sure?", "kind": "yes_no", "asked_if": "what_is_it_about", "equals": "Health"}
    last = {"label": "How sure?", "kind": "text", "required": "on", "asked_if": "sure", "equals": "yes"}
    asked = edition(written(TOPIC, more, last))
    assert asked.parse({"what_is_it_about": "Work", "sure": "yes", "how_sure": "very"}).plain == {
        "what_is_it_about": "Work"
    }


def test_old_answers_keep_their_questions_for_ever(app: Flask, slot: Slot, service: Service) -> None:
    form = written(TOPIC)
    with transaction():
        service.form = form
    before = Booking.hold(slot, MEERA, {"what_is_it_about": "Work"})
    form.save_question(TOPIC | {"label": "Which matter?", "options": "Love\nHealth"}, instead="what_is_it_about")
    assert form.changes == ["“Which matter?” has changed: label, options."]
    assert edition(form).parsed_questions[0].text() == "What is it about?"
    form.publish()
    session.expire_all()
    assert [*before.displayed_answers()] == [("What is it about?", "Work", False)]
    assert (edition(form).number, edition(form).parsed_questions[0].text("hi")) == (2, "Which matter?")
    with pytest.raises(DBAPIError, match="written once"), db.engine().begin() as connection:
        connection.execute(text("update edition set questions = '[]'"))


def test_nothing_new_is_not_published_and_nothing_at_all_neither(app: Flask) -> None:
    with pytest.raises(Refused, match="has no questions"):
        written()
    session.rollback()
    with pytest.raises(Refused, match="no changes since version 1"):
        written(HOUR).publish()


def test_a_retired_form_asks_nothing(app: Flask, slot: Slot, service: Service, client: FlaskClient) -> None:
    with transaction():
        service.form = written(TOPIC)
    service.form.retire()
    assert client.get("/api/services").get_json()["services"][0]["questions"] == []
    with pytest.raises(Invalid):
        Booking.hold(slot, MEERA, {"what_is_it_about": "Work"})
    session.rollback()
    assert [*Booking.hold(slot, MEERA, {}).displayed_answers()] == []


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"label": ""}, "label"),
        ({"label": "x" * 501}, "label"),
        ({"label": "a\x00"}, "label"),
        ({"label": "प्रश्न"}, "name"),
        ({"name": "Birth Place"}, "name"),
        ({"name": "email"}, "name"),
        ({"name": "best_hour"}, "name"),
        ({"kind": "film"}, "kind"),
        ({"longest": "0"}, "longest"),
        ({"longest": "many"}, "longest"),
        ({"kind": "number", "least": "5", "most": "4"}, "most"),
        ({"kind": "date", "earliest": "soon"}, "earliest"),
        ({"kind": "date", "latest": "0001-01-01"}, "latest"),
        ({"kind": "date", "earliest": "today", "latest": "2020-01-01"}, "latest"),
        ({"kind": "choice", "options": "Only one"}, "options"),
        ({"kind": "choice", "options": "Same\nSame"}, "options"),
        ({"kind": "many", "options": "\n".join(map(str, range(60)))}, "options"),
        ({"asked_if": "best_hour", "equals": "10:00"}, "asked_if"),
        ({"asked_if": "nosuch", "equals": "x"}, "asked_if"),
        ({"asked_if": "sure", "equals": "maybe"}, "equals"),
    ],
)
def test_a_question_that_could_not_be_asked_is_not_written(typed: dict[str, str], field: str) -> None:
    beside = [Question("best_hour", "time", {"en": "Hour"}), Question("sure", "yes_no", {"en": "Sure?"})]
    with pytest.raises(Invalid) as no:
        Question.from_page({"label": "It?", "kind": "text"} | typed, beside)
    assert field in no.value.fields


def test_what_others_depend_on_stays_before_them(app: Flask) -> None:
    form = written(TOPIC, DETAIL)
    for change in (
        lambda: form.remove_question("what_is_it_about"),
        lambda: form.move_question("since_when", -1),
        lambda: form.save_question(TOPIC | {"options": "A\nB"}, instead="what_is_it_about"),
    ):
        with pytest.raises(Refused, match="Change (its|the) condition first"):
            change()
        session.rollback()
    form.remove_question("since_when")
    assert form.changes == ["“Since when?” has been removed."]


# --- nothing secret lies open -----------------------------------------------------------------------------------------

PLANTED = {"birth_place": "Plantedville", "birth_date": "1987-06-05", "birth_time": "04:32"}
TELLING = ("Plantedville", "1987-06-05", "5 Jun 1987", "04:32")


def test_what_is_sealed_stands_nowhere_in_the_database(slot: Slot, work_off: Callable[[], int]) -> None:
    booking = Booking.hold_once("once", slot, MEERA, PLANTED)
    booking.lapse()
    work_off()
    with db.engine().connect() as connection:
        for table in db.metadata.tables:
            rows = str(connection.execute(text(f'select * from "{table}"')).all())
            assert not [each for each in TELLING if each in rows], table
        assert b"Plantedville" not in bytes(connection.scalar(text("select sealed_answers from booking")))
    assert {asked: answer for asked, answer, sealed in Booking.get(booking.id).displayed_answers() if sealed} == {
        "Date of birth": "5 Jun 1987",
        "Time of birth": "04:32",
        "Place of birth": "Plantedville",
    }


def test_births_are_on_the_bookings_own_page_and_nowhere_else(
    slot: Slot,
    client: FlaskClient,
    enter: Callable[[str], FlaskClient],
    token: Callable[[str], dict[str, str]],
    sandbox: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    booking = Booking.hold(slot, MEERA, PLANTED)
    desk = enter("dina")
    own = desk.get(f"/desk/booking/{booking.id}").text
    assert all(each in own for each in ("Plantedville", "5 Jun 1987", "04:32", "Date of birth"))
    assert "Plantedville" not in own[own.index('id="history"') :]
    bill = booking.bill
    assert bill
    pages = [
        desk.get(path)
        for path in ("/desk/", "/desk/booking/", "/desk/booking/export.csv", f"/desk/person/{booking.person_id}")
    ]
    pages += [enter("omar").get("/desk/change/"), enter("omar").get("/desk/change/export.csv")]
    pages += [client.get(f"/api/v1/booking/{path}", headers=token("ada")) for path in ("", booking.id, "_info")]
    pages += [
        client.get(path)
        for path in (
            f"/booking/{booking.token}",
            f"/api/bookings/{booking.token}",
            f"/pay/{bill.token}",
            f"/book/first/{slot.id}",
            "/api/services",
        )
    ]
    for page in pages:
        assert page.status_code < 400
        assert not [each for each in TELLING if each in page.text], page.request.path
    assert not [each for each in TELLING if each in caplog.text]


def test_the_clock_of_the_house_says_what_today_is(app: Flask) -> None:
    today = clock.today()
    assert q("date", latest="today").parse(today.isoformat()) == today.isoformat()

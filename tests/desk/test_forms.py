"""Tests of the form designer: writing, arranging, previewing and publishing a form, and who has the right."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.kernel.db import session
from app.kernel.forms import Form
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot

Enter = Callable[[str], FlaskClient]
TOPIC = {
    "label": "What is it <about>?",
    "kind": "choice",
    "options": "Work\nHealth | स्वास्थ्य",
    "required": "on",
    "name": "topic",
}
DETAIL = {
    "label": "Since when?",
    "label_hi": "कब से?",
    "kind": "text",
    "asked_if": "topic",
    "equals": "Health",
    "required": "on",
    "secret": "on",
}


@pytest.fixture
def design(app: Flask, enter: Enter) -> str:
    """A form that was just made: the address of its page."""
    made = enter("dina").post("/desk/forms/", data={"name": "Before you come"})
    assert made.status_code == 302
    return str(made.headers["Location"])


def test_a_form_is_made_asked_and_answered_without_a_line_of_code(
    design: str, enter: Enter, client: FlaskClient, slot: Slot, service: Service
) -> None:
    desk = enter("dina")
    for question in (TOPIC, DETAIL, {"label": "Anything else?", "kind": "long"}):
        assert desk.post(f"{design}/question", data=question).status_code == 302
    page = desk.get(design).text
    assert "What is it &lt;about&gt;?" in page
    assert "“Since when?” has been added." in page
    desk.post(f"{design}/question/anything_else/up")
    desk.post(f"{design}/question/anything_else/remove")
    id = int(design.rpartition("/")[2])
    assert "This replaces version" not in client.get("/api/services").text
    told = desk.get(f"/desk/form/{id}/do/publish").text
    assert "will be asked wherever this form is used" in told
    assert desk.post(f"/desk/form/{id}/do/publish", data={"back": design}).headers["Location"] == design
    service = session.get_one(Service, service.id)
    form = {
        "name": service.name,
        "slug": "first",
        "minutes": "60",
        "price": "999",
        "seats": "1",
        "hold_minutes": "15",
        "notice_minutes": "0",
        "days_ahead": "60",
    }
    assert (
        desk.post(
            f"/desk/service/{service.id}/edit", data=form | {"form": str(id), "version": service.version}
        ).status_code
        == 302
    )
    public = client.get(f"/book/first/{slot.id}", headers={"Accept-Language": "hi"}).text
    assert '<html lang="hi">' in public
    assert "कब से?" in public
    assert 'data-if="topic" data-equals="Health"' in public
    who = {"name": "Meera Iyer", "email": "meera@example.com", "timezone": "Asia/Kolkata"}
    no = client.post(f"/book/first/{slot.id}", data=who | {"topic": "Health"})
    assert (no.status_code, "Since when?: This field is required." in no.text) == (422, True)
    kept = client.post(f"/book/first/{slot.id}", data=who | {"topic": "Love", "since_when": "since the <monsoon>"}).text
    assert "since the &lt;monsoon&gt;" in kept
    assert client.post(f"/book/first/{slot.id}", data=who | {"topic": "Work", "since_when": ""}).status_code == 303


def test_a_question_that_cannot_be_asked_is_refused_with_what_was_typed(design: str, enter: Enter) -> None:
    no = enter("dina").post(f"{design}/question", data={"label": "Which?", "kind": "choice", "options": "Only <one>"})
    assert no.status_code == 422
    assert "Enter 2 to 50 different options, one per line." in no.text
    assert "Only &lt;one&gt;</textarea>" in no.text


def test_what_is_written_is_looked_at_before_it_is_kept(design: str, enter: Enter) -> None:
    desk = enter("dina")
    seen = desk.post(f"{design}/look", data=TOPIC)
    assert "What is it &lt;about&gt;?" in seen.text
    assert seen.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "form-action 'none'" in seen.headers["Content-Security-Policy"]
    assert "This question has errors" in desk.post(f"{design}/look", data={"label": "", "kind": "text"}).text
    assert "No questions yet." in desk.get(f"{design}/look").text


def test_two_who_write_at_the_same_time_hear_of_each_other(design: str, enter: Enter) -> None:
    version = session.get_one(Form, int(design.rpartition("/")[2])).version
    assert enter("dina").post(f"{design}/question", data=TOPIC | {"version": version}).status_code == 302
    late = enter("ada").post(f"{design}/question", data=TOPIC | {"name": "matter", "version": version})
    assert (late.status_code, "Someone else changed this while you were editing" in late.text) == (409, True)


def test_only_desk_and_admin_write_and_the_auditor_reads(design: str, enter: Enter) -> None:
    assert enter("omar").get(design).status_code == 200
    assert "Add question" not in enter("omar").get(design).text
    for name in ("omar", "anil", "asha"):
        for path in ("/question", "/question/topic/up", "/look"):
            assert enter(name).post(f"{design}{path}", data=TOPIC).status_code == 403, (name, path)
        assert enter(name).post("/desk/forms/", data={"name": "Mine"}).status_code == 403
    for name in ("anil", "asha"):
        assert enter(name).get(design).status_code == 403


@pytest.mark.parametrize(
    "path", ["/question/nosuch", "/question/nosuch/up", "/look?edition=7", "/question/nosuch/sideways"]
)
def test_what_is_not_there_is_a_plain_no(design: str, enter: Enter, path: str) -> None:
    desk = enter("dina")
    answer = desk.post(f"{design}{path}") if path.count("/") > 2 else desk.get(f"{design}{path}")
    assert answer.status_code == 404

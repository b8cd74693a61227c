"""Tests of labels of states, choices and moves on every screen and in every file; APIs keep the names."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from openpyxl import load_workbook

from app.desk.declare import markup
from app.desk.declare.column import Column
from app.desk.declare.resource import resource_of
from app.desk.imports.csv_table import cell_to_form_value
from app.kernel.audit import Change
from app.kernel.db import session, within_a_sentence
from app.kernel.workflow import past_tense
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.slot import Slot

Enter = Callable[[str], FlaskClient]


@pytest.fixture
def booking(slot: Slot, hold: Callable[..., Booking]) -> Booking:
    return hold(slot)


@pytest.fixture
def labelled(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(Booking, "state_labels", {"held": "On hold for you"})
    return "On hold for you"


def test_a_state_is_said_in_the_words_of_its_noun_everywhere(
    labelled: str, booking: Booking, enter: Enter, client: FlaskClient, token: Any
) -> None:
    dina = enter("dina")
    badge = f'<span class="badge is-warn">{labelled}</span>'
    for page in ("/desk/booking/", f"/desk/booking/{booking.id}", f"/desk/search/?q={booking.number}"):
        assert badge in dina.get(page).text, page
    assert f">{labelled}</a></li>" in dina.get("/desk/booking/").text  # a tab above the list
    assert labelled in dina.get("/desk/").text
    assert labelled in dina.get("/desk/booking/calendar/").text
    hits = dina.get(f"/desk/search/?q={booking.number}", headers={"Accept": "application/json"}).get_json()["groups"]
    assert {hit["state"] for group in hits for hit in group["hits"] if hit["kind"] == "Booking"} == {labelled}
    assert labelled in dina.get("/desk/booking/export.csv").text
    sheet = load_workbook(BytesIO(dina.get("/desk/booking/export.xlsx").data)).active
    assert labelled in [cell.value for row in sheet.iter_rows() for cell in row]
    told = client.get(f"/api/v1/booking/{booking.id}", headers=token("dina")).get_json()["result"]
    assert told["state"] == "held"


def test_a_badge_that_is_no_state_of_a_noun_has_its_own_colours(app: object) -> None:
    assert markup.badge("off", {"off": "quiet"}) == '<span class="badge is-quiet">Off</span>'
    assert markup.badge(None) == '<span class="badge is-quiet">–</span>'
    assert markup.badge("no_show", resource_of(Booking)) == markup.badge("no_show", Booking)


def test_an_import_hears_a_choice_by_its_name_and_by_its_label(app: object) -> None:
    place = Column(Practitioner, "meets_by")
    assert [
        cell_to_form_value(place, cell) for cell in ("in_person", "In person", place.option_label("in_person").upper())
    ] == ["in_person"] * 3


def test_a_noun_has_a_singular_and_a_plural_within_a_sentence(app: object, enter: Enter) -> None:
    assert [within_a_sentence(each) for each in ("Gateway events", "API tokens", "WhatsApp messages")] == [
        "gateway events",
        "API tokens",
        "WhatsApp messages",
    ]
    bookings = resource_of(Booking)
    assert bookings
    assert [bookings.count_text(many) for many in (0, 1, 1500)] == ["0 bookings", "1 booking", "1,500 bookings"]
    assert "No bookings yet" in enter("dina").get("/desk/booking/").text


@pytest.mark.parametrize(
    ("label", "after"),
    [
        ("Check in", "Checked in"),
        ("Cancel booking", "Cancelled booking"),
        ("Mark as paid", "Marked as paid"),
        ("Send again", "Sent again"),
        ("Retry", "Retried"),
        ("Archive", "Archived"),
        ("Pay out", "Paid out"),
    ],
)
def test_what_was_done_is_the_button_in_the_past(label: str, after: str) -> None:
    assert past_tense(label) == after


def test_the_history_is_read_by_people(booking: Booking, enter: Enter) -> None:
    line = Change(noun="busy_calendar", row_id=3, verb="added", name="the command line", door="command")
    assert (line.event, line.who, line.source, line.attribution) == (
        "Created",
        "System",
        "Command line",
        "by the system",
    )
    theirs = Change(noun="booking", row_id=3, verb="cancel", name="Customer", door="site")
    assert (theirs.who, theirs.attribution) == ("Customer", "by the customer")
    itself = Change(noun="booking", row_id=3, verb="cancel", name="Automation “Thank them”", door="worker")
    assert (itself.who, itself.attribution) == ("Automation “Thank them”", "by the automation “Thank them”")
    gone = Change(noun="of_a_pack_that_went", row_id=3, verb="blew_up", name="Dina", door="api", user_id=2)
    assert (gone.event, gone.who, gone.source, gone.attribution) == (
        "Blew up",
        "Dina",
        "REST API",
        "by Dina via the API",
    )
    page = enter("omar").get("/desk/change/").text
    for head in ("Time", "User", "Source", "Event", "Record", "ID"):
        assert f">{head}<" in page, head
    assert session.query(Change).count()
    assert "command line" not in page

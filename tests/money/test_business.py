"""Tests of business details: edited on the desk, shown on every page, unchanged on existing documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import func, select, text

from app import _with_own_details
from app.desk.declare import column
from app.kernel import clock, jobs, people, process_cache
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid
from app.money.bills.business import Business
from app.money.sums import working_hours
from app.packs.bookings.hours.hours import Hours
from app.packs.bookings.offer.slot import Slot
from config import Settings
from tests.money.conftest import Hold, captured

Enter = Callable[[str], FlaskClient]
NONE = dict.fromkeys(
    ("name", "email", "phone", "address", "tax_number", "region", "upi", "hours", "timezone", "currency"), ""
)


@pytest.fixture(autouse=True)
def as_it_was(app: Flask) -> Iterator[None]:
    """Reset the details before and after each test."""

    def anew() -> None:
        session.rollback()
        with transaction():
            session.execute(text("truncate business"), execution_options={"unaudited": "A test begins."})
        Business.create_row()
        process_cache.clear_all()
        process_cache.refresh_all()

    anew()
    yield
    anew()


def write(desk: FlaskClient, **typed: str | tuple[BytesIO, str]) -> int:
    version = session.scalar(text("select version from business"))
    session.rollback()
    return desk.post(
        "/desk/business/1/edit", data=NONE | {"version": str(version)} | typed, content_type="multipart/form-data"
    ).status_code


def test_what_is_written_is_said_on_the_next_page_and_on_the_next_paper(
    enter: Enter, client: FlaskClient, slot: object, hold: Hold
) -> None:
    assert "Rao &amp;" not in client.get("/").text
    assert (
        write(enter("ada"), name="Rao & Mehta", address="12 Church Street, Bengaluru", tax_number="29aagcb7383j1z4")
        == 302
    )
    page = client.get("/").text
    assert "Rao &amp; Mehta" in page
    bill = hold(slot).bill
    assert bill
    bill.apply_charges([captured(bill)])
    seller = bill.invoices[0].seller
    assert (seller["name"], seller["tax_number"], seller["region"][:2]) == ("Rao & Mehta", "29AAGCB7383J1Z4", "29")


def test_what_is_taken_away_is_as_it_was_set_up(enter: Enter, client: FlaskClient) -> None:
    desk = enter("ada")
    write(desk, name="Rao & Mehta")
    write(desk, name="")
    assert "Rao &amp;" not in client.get("/").text


def test_another_process_hears_of_it_within_seconds(
    enter: Enter, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction():
        session.execute(
            text("update business set name = 'Written elsewhere', version = 99"),
            execution_options={"unaudited": "Another process."},
        )
    jobs.set_note("business", "99")
    monkeypatch.setattr(process_cache, "_checked_at", 0.0)
    assert "Written elsewhere" in client.get("/").text


def test_a_wiped_board_changes_nothing(enter: Enter, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    write(enter("ada"), name="Rao & Mehta")
    jobs.set_note("business", "")
    monkeypatch.setattr(process_cache, "_checked_at", 0.0)
    assert "Rao &amp; Mehta" in client.get("/").text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"tax_number": "29AAGCB7383J1Z5", "region": "29"}, "Enter a valid 15-character GSTIN"),
        (
            {"tax_number": "29AAGCB7383J1Z4", "region": "27"},
            "The tax number begins with 29, so the state must be Karnataka.",
        ),
        ({"tax_number": "DE811569869", "region": ""}, "Enter a valid 15-character GSTIN"),
        ({"tax_number": "29AAGCB7383J1Z5", "region": "Karnataka"}, "Choose one of: "),
        ({"upi": "practice at upi"}, "Enter a valid UPI address"),
        ({"name": "K"}, "Enter a name of 2 to 100 characters"),
        ({"email": "hello@nowhere@x"}, "Enter a valid email address"),
        ({"hours": "Mon-Fri"}, "such as Mon–Fri 10:00–18:00"),
        ({"hours": "Mon 18:00-10:00"}, "the closing time must be after the opening time"),
        ({"hours": "Mon-Fri 9:00-17:00; Tue 16:00-18:00"}, "The hours on Tuesday overlap"),
        ({"timezone": "Kolkata"}, "Enter a valid time zone"),
        ({"currency": "XYZ"}, "Choose one of these currencies: INR, USD"),
    ],
)
def test_what_would_stand_wrongly_on_a_paper_is_refused(enter: Enter, typed: dict[str, str], said: str) -> None:
    desk = enter("ada")
    page = desk.post("/desk/business/1/edit", data=NONE | {"name": "Kept", "version": "1"} | typed)
    assert (page.status_code, said in page.text, 'value="K' in page.text) == (422, True, True)


def test_a_state_that_was_written_as_a_word_switches_nothing_off(enter: Enter) -> None:
    with transaction():
        session.execute(
            text("update business set region = 'Karnataka'"),
            execution_options={"unaudited": "As it could be written before."},
        )
    ours = Business.current()
    assert ours
    ours.tax_number = "29AAGCB7383J1Z5"
    with pytest.raises(Invalid), session.no_autoflush:
        ours.tidy()
    session.rollback()
    assert '<option value="29">29 Karnataka</option>' in enter("ada").get("/desk/business/1/edit").text
    assert write(enter("ada"), tax_number="29AAGCB7383J1Z4") == 302
    assert Business.current().region == "29"  # type: ignore[union-attr]


def test_a_house_elsewhere_has_the_tax_number_of_its_country(enter: Enter) -> None:
    people.configure("DE")
    try:
        assert write(enter("ada"), tax_number="DE811569869") == 302
    finally:
        people.configure("IN")


@pytest.mark.parametrize(("written", "state"), [({}, "29"), ({"business_tax_number": "27AAGCB7383J1Z8"}, "27")])
def test_a_state_alone_does_not_stand_above_that_of_the_tax_number(
    settings: Settings, written: dict[str, str], state: str
) -> None:
    set_up = replace(settings, business_tax_number="29AAGCB7383J1Z4", business_region="29")
    assert _with_own_details(set_up, {"business_region": "27", "logo": ""} | written).business_region == state


def test_its_sign_hangs_on_every_public_page(enter: Enter, client: FlaskClient) -> None:
    assert client.get("/logo").status_code == 404
    picture = BytesIO()
    Image.new("RGB", (200, 100), "teal").save(picture, "PNG")
    picture.seek(0)
    assert write(enter("ada"), logo=(picture, "logo.png")) == 302
    assert 'src="/logo?v=' in client.get("/").text
    assert client.get("/logo").mimetype == "image/webp"


def test_only_an_administrator_writes_it(enter: Enter) -> None:
    assert enter("dina").get("/desk/business/1").status_code == 200
    assert write(enter("dina"), name="Ours now") == 403


# --- its hours, its zone and its currency -----------------------------------------------------------------------------


def test_hours_are_read_as_somebody_writes_them() -> None:
    read = [
        (each.weekday, f"{each.opens:%H:%M}", f"{each.closes:%H:%M}")
        for each in working_hours.parse_hours("Sat–Sun 10.00 to 13:00\nwed, fri: 9:00-12:00, 14:00–24:00")
    ]
    assert read == [
        (2, "09:00", "12:00"),
        (2, "14:00", "00:00"),
        (4, "09:00", "12:00"),
        (4, "14:00", "00:00"),
        (5, "10:00", "13:00"),
        (6, "10:00", "13:00"),
    ]


def test_working_hours_stand_on_public_pages_and_whoever_is_new_begins_with_them(
    enter: Enter, client: FlaskClient
) -> None:
    desk = enter("ada")
    assert write(desk, hours="Mon–Tue 10:00–18:00\nSat 10:00–13:00") == 302
    page = client.get("/").text
    assert "Mon–Tue 10:00–18:00 · Sat 10:00–13:00" in page
    assert '"openingHours": ["Mo 10:00-18:00", "Tu 10:00-18:00", "Sa 10:00-13:00"]' in page
    typed = {"name": "Nila Sen", "timezone": "Asia/Kolkata", "meets_by": "in_person"}
    assert desk.post("/desk/practitioner/new", data=typed).status_code == 302
    assert [str(each) for each in session.scalars(select(Hours).order_by(Hours.id))] == [
        "Monday 10:00–18:00 · Nila Sen",
        "Tuesday 10:00–18:00 · Nila Sen",
        "Saturday 10:00–13:00 · Nila Sen",
    ]
    assert desk.post("/desk/practitioner/1/edit", data=typed | {"title": "Dr."}).status_code == 302
    assert session.scalar(select(func.count()).select_from(Hours)) == 3


def test_the_zone_is_chosen_until_something_is_numbered_by_its_days(enter: Enter, slot: Slot, hold: Hold) -> None:
    desk = enter("ada")
    assert write(desk, timezone="Europe/Berlin") == 302
    assert (clock.zone(), column.staff_locale.timezone) == ("Europe/Berlin", "Europe/Berlin")
    assert "Europe/Berlin" in desk.get("/").text
    hold(slot)
    assert write(desk, timezone="Europe/Paris") == 422
    assert write(desk, timezone="Europe/Berlin", name="Still ours") == 302
    assert clock.zone() == "Europe/Berlin"


def test_the_currency_is_chosen_until_an_amount_is_written_down(enter: Enter, request: pytest.FixtureRequest) -> None:
    desk = enter("ada")
    assert write(desk, currency="eur") == 302
    assert column.staff_locale.currency == "EUR"
    assert write(desk, currency="INR") == 302
    request.getfixturevalue("service")
    page = desk.post("/desk/business/1/edit", data=NONE | {"version": "3", "currency": "EUR"})
    assert (page.status_code, "The currency can’t be changed, because amounts already exist in INR." in page.text) == (
        422,
        True,
    )
    assert column.staff_locale.currency == "INR"

"""Who we are is written on the desk, and said on every page and paper from then on; what stands on older papers stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import text

from app.kernel import board, jobs
from app.kernel.db import session, transaction
from app.money.business import Business
from tests.money.conftest import Hold, captured

Enter = Callable[[str], FlaskClient]
NONE = dict.fromkeys(("name", "email", "phone", "address", "tax_number", "region", "upi"), "")


@pytest.fixture(autouse=True)
def as_it_was(app: Flask) -> Iterator[None]:
    """The row is there from the first day, and everybody hears it when a test is over."""

    def anew() -> None:
        session.rollback()
        with transaction():
            session.execute(text("truncate business"), execution_options={"unaudited": "A test begins."})
        Business.begin()
        board.forget_all()
        board.catch_up()

    anew()
    yield
    anew()


def write(desk: FlaskClient, **typed: str | tuple[BytesIO, str]) -> int:
    version = session.scalar(text("select version from business"))
    session.rollback()
    return desk.post("/desk/business/1/edit", data=NONE | {"version": str(version)} | typed, content_type="multipart/form-data").status_code


def test_what_is_written_is_said_on_the_next_page_and_on_the_next_paper(enter: Enter, client: FlaskClient, slot: object, hold: Hold) -> None:
    assert "Rao &amp;" not in client.get("/").text
    assert write(enter("ada"), name="Rao & Mehta", address="12 Church Street, Bengaluru", tax_number="29aagcb7383j1z4") == 302
    page = client.get("/").text
    assert "Rao &amp; Mehta" in page
    bill = hold(slot).bill
    assert bill
    bill.heard([captured(bill)])
    seller = bill.invoices[0].seller
    assert (seller["name"], seller["tax_number"], seller["region"][:2]) == ("Rao & Mehta", "29AAGCB7383J1Z4", "29")


def test_what_is_taken_away_is_as_it_was_set_up(enter: Enter, client: FlaskClient) -> None:
    desk = enter("ada")
    write(desk, name="Rao & Mehta")
    write(desk, name="")
    assert "Rao &amp;" not in client.get("/").text


def test_another_process_hears_of_it_within_seconds(enter: Enter, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction():
        session.execute(text("update business set name = 'Written elsewhere', version = 99"), execution_options={"unaudited": "Another process."})
    jobs.pin("business", "99")
    monkeypatch.setattr(board, "_looked", 0.0)
    assert "Written elsewhere" in client.get("/").text


def test_a_wiped_board_changes_nothing(enter: Enter, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    write(enter("ada"), name="Rao & Mehta")
    jobs.pin("business", "")
    monkeypatch.setattr(board, "_looked", 0.0)
    assert "Rao &amp; Mehta" in client.get("/").text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"tax_number": "29AAGCB7383J1Z5", "region": "29"}, "This is not a GSTIN"),
        ({"tax_number": "29AAGCB7383J1Z4", "region": "27"}, "The tax number begins with 29"),
        ({"upi": "practice at upi"}, "This is not a UPI address"),
        ({"name": "K"}, "A name has 2 to 100 characters"),
        ({"email": "hello@nowhere@x"}, "This is not an email address"),
    ],
)
def test_what_would_stand_wrongly_on_a_paper_is_refused(enter: Enter, typed: dict[str, str], said: str) -> None:
    desk = enter("ada")
    page = desk.post("/desk/business/1/edit", data=NONE | {"name": "Kept", "version": "1"} | typed)
    assert (page.status_code, said in page.text, 'value="K' in page.text) == (422, True, True)


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

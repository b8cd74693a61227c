"""Tests of uploaded files: what is accepted, who can download it, how long it is kept, and that it is erased."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image

from app.kernel import privacy
from app.kernel.db import session, transaction
from app.kernel.files import Upload, delete_unused_uploads
from app.kernel.forms import Form
from app.money.bills.bill import ByHand
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot

PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
MEERA = {"name": "Meera Iyer", "email": "meera@example.com", "phone": "", "once": "a-page"}


def picture() -> bytes:
    out = BytesIO()
    Image.new("RGB", (300, 200), "teal").save(out, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0")
    return out.getvalue()


@pytest.fixture
def asks(service: Service) -> Form:
    """The service asks for a report, of a megabyte at most."""
    return asking(service, secret=False)


def asking(service: Service, *, secret: bool) -> Form:
    with transaction():
        made = Form(
            name="Papers",
            draft=[
                {
                    "name": "report",
                    "kind": "file",
                    "label": {"en": "Report"},
                    "required": True,
                    "secret": secret,
                    "megabytes": 1,
                }
            ],
        )
        session.add(made)
        session.flush()
        made.publish()
        service.form = made
    return made


@pytest.fixture
def folder(settings: Any) -> Path:
    return Path(settings.files) / "sent"


@pytest.fixture
def send(client: FlaskClient, slot: Slot) -> Callable[..., Any]:
    """The form with a file: send(PDF), send(PDF, "scan.pdf", email="nobody")."""

    def send(content: bytes | None = None, called: str = "report.pdf", **typed: str) -> Any:
        files = {} if content is None else {"report": (BytesIO(content), called)}
        answer = client.post(f"/book/first/{slot.id}", data=MEERA | typed | files, content_type="multipart/form-data")
        answer.request.environ["wsgi.input"].close()  # the client keeps what it has sent open
        return answer

    return send


def token_in(page: str) -> str:
    (found,) = re.findall(r'type="hidden" name="report" value="([^"]+)"', page)
    return str(found)


def only() -> Booking:
    session.rollback()
    return session.query(Booking).one()


@pytest.mark.parametrize(
    ("content", "called", "kind", "shown"),
    [
        (PDF, "My report.pdf", "application/pdf", "My report.pdf"),
        (picture(), "../../etc/scan.JPG", "image/webp", "scan.webp"),
    ],
)
def test_a_pdf_is_kept_as_it_is_and_a_picture_as_we_draw_it(
    send: Any, asks: Form, enter: Any, client: FlaskClient, content: bytes, called: str, kind: str, shown: str
) -> None:
    assert send(content, called).status_code == 303
    booking = only()
    (upload,) = booking.files
    assert (upload.name, upload.kind, b"Exif" in upload.content) == (shown, kind, False)
    page = enter("dina").get(f"/desk/booking/{booking.id}").text
    assert shown in page
    path = f"/desk/booking/{booking.id}/file/{upload.id}"
    for answer in (enter("dina").get(path), enter("asha").get(path), client.get(f"/file/{upload.token}")):
        assert (answer.status_code, answer.mimetype, answer.data) == (200, kind, upload.content)
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert enter("dev").get(path).status_code == 404, "it is Asha's booking"
    assert client.get(path).status_code in (302, 401)
    assert enter("dina").get(f"/desk/booking/{booking.id}/file/{upload.id + 1}").status_code == 404
    assert client.get(f"/file/{upload.token[1:]}A").status_code == 404
    assert upload.token not in client.get(f"/booking/{booking.token}").text


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<html><script>alert(1)</script></html>", "Upload a PDF or a JPEG, PNG or WebP image."),
        (b"<html><script>alert(1)</script>\n" + PDF, "Upload a PDF or a JPEG, PNG or WebP image."),
        (b"MZ\x90\0", "Upload a PDF or a JPEG, PNG or WebP image."),
        (b"%PDF-1.7 and then nothing", "Upload a PDF or a JPEG, PNG or WebP image."),
        (b"", "Upload a PDF or a JPEG, PNG or WebP image."),
        (PDF + b"\0" * 1024 * 1024, "Upload a file of 1 MB or less."),
        (PDF + b"\0" * 11 * 1024 * 1024, "Upload a file of 1 MB or less."),
    ],
)
def test_what_is_something_else_is_refused_by_what_is_in_it_and_nothing_typed_is_lost(
    send: Any, asks: Form, folder: Path, content: bytes, says: str
) -> None:
    before = {*folder.glob("*")}
    answer = send(content, "report.pdf")
    assert answer.status_code == 422
    assert says in answer.text
    assert 'value="Meera Iyer"' in answer.text
    assert session.query(Booking).count() == session.query(Upload).count() == 0
    assert {*folder.glob("*")} == before


def test_a_file_that_was_taken_survives_the_refusal_of_another_field(send: Any, asks: Form) -> None:
    no = send(PDF, email="nobody")
    assert (no.status_code, "report.pdf" in no.text) == (422, True)
    again = send(PDF, email="nobody")  # the same file of the same page is one
    assert token_in(no.text) == token_in(again.text)
    assert send(report=token_in(no.text)).status_code == 303
    (upload,) = only().files
    assert upload.content == PDF


def test_a_double_click_is_one_booking_and_who_corrects_it_keeps_the_file(send: Any, asks: Form) -> None:
    assert [send(PDF).status_code for _ in range(2)] == [303, 303]
    token = only().files[0].token
    assert send(PDF, name="Meera R. Iyer").status_code == 303
    session.rollback()
    first, second = session.query(Booking).order_by(Booking.id)
    assert (first.state, second.state, first.files) == ("expired", "held", [])
    assert [each.token for each in second.files] == [token]


def test_what_belongs_to_something_else_is_no_answer_here(
    send: Any, asks: Form, client: FlaskClient, open_slot: Any, hold: Any
) -> None:
    send(PDF)
    taken = only().files[0].token
    other = {"slot": open_slot(hours=60).id, "name": "Kabir Shah", "email": "kabir@example.com"}
    for token in (taken, taken[:-1] + "A", "x", 7):
        answer = client.post("/api/bookings", json=other | {"answers": {"report": token}})
        assert (answer.status_code, list(answer.get_json()["error"]["fields"])) == (422, ["report"])
    assert session.query(Booking).count() == 1


def test_a_program_sends_the_file_first_and_answers_with_its_token(asks: Form, client: FlaskClient, slot: Slot) -> None:
    (asked,) = client.get("/api/services").get_json()["services"][0]["questions"]
    assert (asked["type"], asked["limits"]) == ("file", {"megabytes": 1})
    door = "/api/services/first/files"
    assert client.post(door, data={"question": "nosuch"}).get_json()["error"]["fields"].keys() == {"question", "file"}
    assert client.post(door, data={"question": "report", "file": (BytesIO(b"<html>"), "x.pdf")}).status_code == 422
    told = client.post(door, data={"question": "report", "file": (BytesIO(PDF), "x.pdf")})
    assert (told.status_code, told.get_json()["name"]) == (201, "x.pdf")
    assert client.get(f"/file/{told.get_json()['token']}").status_code == 404, "nobody has taken it yet"
    who = {"slot": slot.id, "name": "Meera Iyer", "email": "meera@example.com"}
    assert client.post("/api/bookings", json=who | {"answers": {}}).status_code == 422
    assert client.post("/api/bookings", json=who | {"answers": {"report": told.get_json()["token"]}}).status_code == 201
    assert [each.name for each in only().files] == ["x.pdf"]


def test_what_nobody_took_is_swept_away_and_what_was_taken_stays(
    send: Any, asks: Form, folder: Path, later: Any
) -> None:
    before = {*folder.glob("*")}
    send(PDF, email="nobody")
    with later(minutes=40):
        assert send(report=session.query(Upload).one().token).status_code == 422, "it was kept for as long as a hold"
        delete_unused_uploads()
        assert (session.query(Upload).count(), {*folder.glob("*")}) == (0, before)
        send(PDF)
    with later(hours=30):
        delete_unused_uploads()
        assert len({*folder.glob("*")} - before) == 1


def test_a_sealed_file_is_sealed_on_the_disk_handed_out_to_its_owner_and_forgotten_with_them(
    send: Any, service: Service, folder: Path, by: Any, client: FlaskClient, work_off: Any
) -> None:
    asking(service, secret=True)
    before = {*folder.glob("*")}
    send(PDF, "Diagnosis.pdf")
    booking = only()
    person = booking.person_id
    (path,) = {*folder.glob("*")} - before
    assert PDF[:20] not in path.read_bytes()
    assert booking.answers == {}, "not even what it is called"
    told = json.dumps(dict(privacy.export_people([person])))
    assert "Diagnosis.pdf" in told
    (address,) = set(re.findall(r"/file/[\w-]+", told))
    assert client.get(address).data == PDF
    with by("dina"):
        booking.mark_paid(ByHand("cash", "R-1"))
        booking.cancel(CallOff("Ill", back="nothing"))
        booking.person.forget()
    assert client.get(address).status_code == 404
    work_off()
    assert not path.exists()
    assert "Diagnosis" not in json.dumps(dict(privacy.export_people([person])))

"""Tests of key rotation: everything is encrypted with the new key, and the old one can go."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import LargeBinary, select, type_coerce

from app.kernel import secrets
from app.kernel.db import session, transaction
from app.kernel.files import Upload
from app.kernel.secrets import lock_with
from app.packs.bookings.booking.booking import Booking
from tests.conftest import MEERA

NEW, OLD = "n" * 40, "o" * 40


@pytest.fixture(autouse=True)
def ring() -> Iterator[None]:
    before = secrets._ring, secrets._writes
    yield
    secrets._ring, secrets._writes = before


def test_what_an_old_key_sealed_opens_without_it_afterwards(app: Flask, slot: Any) -> None:
    lock_with(OLD)
    booking = Booking.hold(slot, MEERA, {"birth_place": "Mysuru"})
    question = type("Asked", (), {"most_megabytes": 1, "name": "scan", "secret": True})()
    edition = booking.form_edition
    assert edition
    upload = Upload.keep(BytesIO(b"%PDF-1.7\n%%EOF\n"), "scan.pdf", question, edition.form_id, minutes=15)
    with transaction():
        upload.take(booking)
    booking_id, upload_id, place = booking.id, upload.id, type_coerce(Booking.__table__.c.sealed_answers, LargeBinary)
    before = session.scalar(select(place))
    lock_with(NEW, OLD)
    told = app.test_cli_runner().invoke(args=["reseal"])
    assert "booking.sealed_answers: 1 encrypted again." in told.output, told.output
    assert "files: 1 encrypted again." in told.output
    session.remove()
    assert session.scalar(select(place)) != before
    lock_with(NEW)
    assert Booking.get(booking_id).sealed_answers == {"birth_place": "Mysuru"}
    assert (Upload.get(upload_id).content[:5], Upload.get(upload_id).name) == (b"%PDF-", "scan.pdf")
    lock_with(NEW, OLD)
    assert "1 encrypted" not in app.test_cli_runner().invoke(args=["reseal"]).output

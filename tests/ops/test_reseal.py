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
from app.kernel.secrets import configure
from app.packs.bookings.booking.booking import Booking
from tests.conftest import MEERA

NEW, OLD = "n" * 40, "o" * 40


@pytest.fixture(autouse=True)
def ring() -> Iterator[None]:
    before = secrets._key_ring, secrets._current_key_id
    yield
    secrets._key_ring, secrets._current_key_id = before


def test_what_an_old_key_sealed_opens_without_it_afterwards(app: Flask, slot: Any) -> None:
    configure(OLD)
    booking = Booking.hold(slot, MEERA, {"birth_place": "Mysuru"})
    question = type("Asked", (), {"max_megabytes": 1, "name": "scan", "secret": True})()
    edition = booking.form_edition
    assert edition
    upload = Upload.store(BytesIO(b"%PDF-1.7\n%%EOF\n"), "scan.pdf", question, edition.form_id, minutes=15)
    with transaction():
        upload.take(booking)
    booking_id, upload_id, place = booking.id, upload.id, type_coerce(Booking.__table__.c.sealed_answers, LargeBinary)
    before = session.scalar(select(place))
    configure(NEW, OLD)
    told = app.test_cli_runner().invoke(args=["reseal"])
    assert "booking.sealed_answers: 1 encrypted again." in told.output, told.output
    assert "files: 1 encrypted again." in told.output
    session.remove()
    assert session.scalar(select(place)) != before
    configure(NEW)
    assert Booking.get(booking_id).sealed_answers == {"birth_place": "Mysuru"}
    assert (Upload.get(upload_id).content[:5], Upload.get(upload_id).name) == (b"%PDF-", "scan.pdf")
    configure(NEW, OLD)
    assert "1 encrypted" not in app.test_cli_runner().invoke(args=["reseal"]).output

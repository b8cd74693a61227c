"""Tests of row scopes for reading and writing, and of signed links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from app.desk.declare.resource import Resource
from app.kernel import access
from app.kernel.access import everything, own, visible_rows
from app.kernel.db import session
from app.kernel.errors import Missing
from app.kernel.numbering import Series
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.meeting import Meeting
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.slot import Slot

OpenSlot = Callable[..., Slot]


def test_a_practitioner_sees_their_own_bookings_and_nobody_elses(
    open_slot: OpenSlot, dev: Practitioner, hold: Any, by: Any
) -> None:
    hers, his = hold(open_slot()), hold(open_slot(of=dev))
    with by("asha"):
        assert list(session.scalars(visible_rows(Booking))) == [hers]
        with pytest.raises(Missing):
            access.find_visible(Booking, his.id)
    with by("dina"):
        assert len(session.scalars(visible_rows(Booking)).all()) == 2


def test_somebody_without_a_role_sees_nothing(slot: Slot, hold: Any, by: Any) -> None:
    hold(slot)
    with by("nobody"):
        assert session.scalars(visible_rows(Booking)).all() == []


def test_a_noun_that_nobody_declared_is_for_nobody(app: Any, by: Any) -> None:
    with by("dina"):
        assert session.scalar(select(access.scope_condition(Series))) is False


def test_a_resource_without_a_scope_does_not_load() -> None:
    with pytest.raises(TypeError, match="scope"):
        Resource(Slot, list="starts_at", roles={"Desk": "read"})  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="no right to read"):
        Resource(Slot, list="starts_at", roles={"Desk": "read"}, scope={"Practitioner": own("practitioner.user")})


def test_state_and_secrets_cannot_be_declared_as_written_or_searched() -> None:
    for wrong in (
        {"add": "state"},
        {"edit": "host_url"},
        {"search": "host_url"},
        {"filters": "host_url"},
        {"list": "host_url"},
    ):
        with pytest.raises(TypeError):
            Resource(Meeting, **({"list": "booking"} | wrong), roles={"Desk": "read"}, scope=everything)  # type: ignore[arg-type]


def test_a_link_works_and_a_wrong_and_a_foreign_one_sound_the_same(slot: Slot, hold: Any) -> None:
    booking = hold(slot)
    assert Booking.by_token(booking.token) is booking
    bill = booking.bill
    assert bill is not None
    for wrong in ("", "x", booking.token[:-1], booking.token[:-1] + "é", booking.handle, bill.token, "A" * 46):
        with pytest.raises(Missing, match="doesn’t exist"):
            Booking.by_token(wrong)


def test_a_link_has_128_random_bits_and_a_signature(slot: Slot, hold: Any) -> None:
    booking = hold(slot)
    assert len(booking.handle) == 22
    assert len(booking.token) == 22 + 24


def test_a_changed_key_still_believes_the_old_links(app: Any, slot: Slot, hold: Any, settings: Any) -> None:
    booking = hold(slot)
    old = booking.token
    access.configure("a new key that is long enough to be one", settings.secret_key)
    try:
        assert booking.token != old
        assert Booking.by_token(old) is booking
    finally:
        access.configure(settings.secret_key)

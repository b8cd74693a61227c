"""Tests of the audit log: written by the session for every source, and protected by the database."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import IntegrityError

from app.kernel import db
from app.kernel.access import Actor, acting
from app.kernel.audit import MASK, Change
from app.kernel.db import session, transaction
from app.kernel.people import Person
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.offer.slot import Slot
from tests.conftest import MEERA, PASSWORD


def _lines(noun: str) -> list[Change]:
    return list(session.scalars(select(Change).where(Change.noun == noun).order_by(Change.id)))


def test_adding_changing_and_removing_each_leave_one_line(app: Flask) -> None:
    with transaction():
        person = Person.find_or_create(**MEERA)
    with transaction():
        person.name = "Meera I."
        session.flush()
        person.phone = "+919845000000"
    with transaction():
        session.delete(person)
    added, changed, removed = _lines("person")
    assert (added.verb, changed.verb, removed.verb) == ("added", "changed", "removed")
    assert changed.before == {"name": "Meera Iyer", "phone": "+919845012345"}
    assert changed.after == {"name": "Meera I.", "phone": "+919845000000"}


@pytest.mark.parametrize("door", ["worker", "webhook", "command", "clock"])
def test_the_history_needs_no_user(app: Flask, door: str) -> None:
    with acting(Actor("somebody", door)), transaction():
        Person.find_or_create(**MEERA)
    (line,) = _lines("person")
    assert (line.name, line.door, line.user_id) == ("somebody", door, None)


@pytest.mark.parametrize("statement", ["update change set why = 'x'", "delete from change", "truncate change"])
def test_the_database_itself_keeps_the_history(app: Flask, statement: str) -> None:
    with transaction():
        Person.find_or_create(**MEERA)
    with pytest.raises(IntegrityError, match="History is written once"), db.engine().begin() as connection:
        connection.execute(text(statement))


def test_what_was_rolled_back_did_not_happen(app: Flask) -> None:
    with pytest.raises(ZeroDivisionError), transaction():
        Person.find_or_create(**MEERA)
        session.flush()
        raise ZeroDivisionError
    with transaction():
        Person.find_or_create(**MEERA | {"name": "Kabir Shah"})
    assert [line.after["name"] for line in _lines("person")] == ["Kabir Shah"]


def test_secrets_are_not_copied_into_the_history(slot: Slot, hold: Callable[..., Booking]) -> None:
    booking = Booking.hold(slot, MEERA, {"birth_place": "Mysuru", "birth_date": "1990-05-01"})
    (line,) = [each for each in _lines("booking") if each.row_id == booking.id]
    assert line.after["sealed_answers"] == MASK
    assert "Mysuru" not in str([each.after for each in session.scalars(select(Change))])


def test_a_password_is_not_copied_into_the_history(app: Flask) -> None:
    sm = app.extensions["appbuilder"].sm
    sm.reset_password(
        sm.find_user(username="nobody").id, PASSWORD
    )  # as it was, so that nobody is shut out of the next test
    line = _lines("ab_user")[-1]
    assert line.after["password"] == MASK


def test_a_bulk_change_must_say_why_it_leaves_no_history(app: Flask) -> None:
    for statement in (update(Person).values(notes="x"), delete(Person)):
        with pytest.raises(RuntimeError, match="leave no history"), transaction():
            session.execute(statement)


def test_who_was_given_which_role_is_in_the_history(app: Flask) -> None:
    sm = app.extensions["appbuilder"].sm
    user = sm.find_user(username="nobody")
    before = list(user.roles)
    user.roles = [*before, sm.find_role("Auditor")]
    sm.update_user(user)
    line = _lines("ab_user")[-1]
    user.roles = before
    sm.update_user(user)
    assert (line.before["roles"], line.after["roles"]) == (["Public"], ["Auditor", "Public"])


def test_naming_the_table_instead_of_the_noun_is_no_way_around(app: Flask) -> None:
    table = Booking.__table__
    with pytest.raises(RuntimeError, match="bulk"), transaction():
        session.execute(update(table).where(table.c.id == 1).values(state="confirmed"))  # type: ignore[arg-type]

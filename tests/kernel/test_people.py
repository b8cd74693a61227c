"""Tests of people: validation of name, email and phone; public input never changes an existing person."""

from __future__ import annotations

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from app.kernel.db import session, transaction
from app.kernel.errors import Invalid
from app.kernel.people import Person
from tests.conftest import MEERA


def count() -> int:
    return session.scalar(select(func.count(Person.id))) or 0


def test_the_same_person_is_met_once(app: Flask) -> None:
    with transaction():
        first = Person.find_or_create(**MEERA)
    with transaction():
        assert Person.find_or_create(**MEERA | {"email": "MEERA@example.com", "name": " meera   IYER "}) is first
    assert count() == 1


def test_another_name_at_the_same_mailbox_is_another_person(app: Flask) -> None:
    with transaction():
        Person.find_or_create(**MEERA)
        Person.find_or_create(**MEERA | {"name": "Arjun Iyer"})
    assert count() == 2


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("name", "M"),
        ("name", "x" * 10_000),
        ("name", "   "),
        ("email", "meera"),
        ("email", "meera@example.com\nBcc: all@example.com"),
        ("email", "@"),
        ("email", "a" * 400 + "@example.com"),
        ("phone", "abc"),
        ("phone", "12"),
        ("phone", "+99999999999999999999"),
        ("timezone", "Mars/Phobos"),
        ("timezone", "../../etc/passwd"),
    ],
)
def test_bad_input_names_its_field(field: str, typed: str) -> None:
    with pytest.raises(Invalid) as no:
        Person.find_or_create(**MEERA | {field: typed})
    assert no.value.fields.keys() == {field}


def test_every_mistake_is_said_at_once() -> None:
    with pytest.raises(Invalid) as no:
        Person.find_or_create(name="", email="x", phone="abc", timezone="Mars/Phobos")
    assert no.value.fields.keys() == {"name", "email", "phone", "timezone"}


def test_telephone_numbers_are_kept_in_one_form(app: Flask) -> None:
    with transaction():
        assert Person.find_or_create(**MEERA | {"phone": "098450 12345"}).phone == "+919845012345"
        assert Person.find_or_create(**MEERA | {"phone": ""}).phone == ""


@given(st.sampled_from(["name", "email", "phone", "timezone"]), st.text(max_size=60))
def test_nothing_that_is_typed_breaks(field: str, typed: str) -> None:
    try:
        Person(**{field: typed})
    except Invalid as no:
        assert no.fields

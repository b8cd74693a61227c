"""Tests of the process cache: read again after a change, never within an open transaction, with or without Redis."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.kernel import jobs, process_cache
from app.kernel.db import session, transaction
from app.kernel.people import Person
from app.kernel.process_cache import ProcessCache


@pytest.fixture
def people(app: Flask, monkeypatch: pytest.MonkeyPatch) -> ProcessCache[int]:
    monkeypatch.setattr(process_cache, "_caches", [])
    monkeypatch.setattr(process_cache, "CHECK_EVERY", 0)
    return ProcessCache("people", lambda own: own.scalar(select(func.count(Person.id))) or 0)


def add(people: ProcessCache[int] | None = None) -> None:
    with transaction():
        session.add(Person(name="Asha Rao", email=f"{jobs.clock.now():%f}@example.com"))
        if people:
            people.invalidate()


def test_it_asks_once_and_is_told_of_changes(people: ProcessCache[int]) -> None:
    assert people.value == 0
    add()
    assert people.value == 0
    add(people)
    assert people.value == 2


def test_what_is_taken_back_was_never_known(people: ProcessCache[int]) -> None:
    assert people.value == 0
    with pytest.raises(ZeroDivisionError), transaction():
        session.add(Person(name="Asha Rao", email="asha@example.com"))
        people.invalidate()
        session.flush()
        people.clear()
        assert people.value == 0
        raise ZeroDivisionError
    assert people.value == 0


def test_another_process_pins_a_notice_and_this_one_reads_again(people: ProcessCache[int]) -> None:
    process_cache.refresh_all()
    assert people.value == 0
    add()
    process_cache.refresh_all()
    assert people.value == 0
    jobs.set_note("people", "news")
    process_cache.refresh_all()
    assert people.value == 1


def test_without_a_board_it_is_read_each_time_somebody_looks(
    people: ProcessCache[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    process_cache.refresh_all()
    assert people.value == 0
    add()
    monkeypatch.setattr(jobs, "_queue", None)
    process_cache.refresh_all()
    assert people.value == 1


def test_a_notice_that_was_never_pinned_is_made_good_after_a_minute(
    people: ProcessCache[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    process_cache.refresh_all()
    assert people.value == 0
    add()
    monkeypatch.setattr(process_cache, "MAX_AGE", 0)
    process_cache.refresh_all()
    assert people.value == 1


def test_whoever_wants_to_be_told_is_told_what_is_new_and_once(people: ProcessCache[int]) -> None:
    told: list[int] = []
    ProcessCache("told", people._load_value, told.append)
    process_cache.refresh_all()
    jobs.set_note("told", "nothing new")
    process_cache.refresh_all()
    add()
    jobs.set_note("told", "one more")
    process_cache.refresh_all()
    assert told == [0, 1]

"""Tests of the job queue: written with the change, retried, never lost with Redis or a worker, never done twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from app.kernel import clock, db, jobs
from app.kernel.audit import Change
from app.kernel.db import session, transaction
from app.kernel.errors import Refused
from app.kernel.jobs import ATTEMPTS, LEASE, Job, Tick, every, job, later
from app.kernel.people import Person
from tests.conftest import MEERA

WorkOff = Callable[[], int]
calls: list[str] = []


@job("For the test")
def greet(person: Person) -> None:
    calls.append(person.name)


@job("For the test")
def stumble(person: Person) -> None:
    calls.append("stumbled")
    raise RuntimeError(f"no answer for {person.name}")


@pytest.fixture(autouse=True)
def _silence() -> None:
    calls.clear()


@pytest.fixture
def meera(app: Flask) -> Person:
    with transaction():
        return Person.find_or_create(**MEERA)


def only_job() -> Job:
    return session.scalars(select(Job).execution_options(populate_existing=True)).one()


def test_the_name_of_a_job_is_its_pack_its_file_and_its_function() -> None:
    def lapse(person: Person) -> None: ...

    for module in ("app.packs.bookings.booking.booking", "app.packs.bookings.visits.booking"):
        lapse.__module__ = module
        assert jobs.job_name(lapse) == "packs.bookings.booking.lapse"
    for module in ("app.money.bills.refund", "app.money.bills.refund"):
        lapse.__module__ = module
        assert jobs.job_name(lapse) == "money.refund.lapse"


def test_what_an_older_release_queued_under_another_name_is_done(meera: Person, work_off: WorkOff) -> None:
    job("For the test", was="kernel.old_place.greet")(greet)
    with transaction():
        later(greet, meera)
    with transaction():
        session.execute(text("update job set name = 'kernel.old_place.greet'"))
    session.expire_all()
    assert str(only_job()) == f"For the test: Customer {meera.id}"
    work_off()
    assert (calls, only_job().state) == ([meera.name], "done")


def test_no_commit_no_job(meera: Person) -> None:
    with pytest.raises(ZeroDivisionError), transaction():
        later(greet, meera)
        raise ZeroDivisionError
    assert session.scalar(select(Job.id)) is None


def test_a_job_is_done_once_and_says_so(meera: Person, work_off: WorkOff) -> None:
    with transaction():
        later(greet, meera)
    assert work_off() == 1
    assert work_off() == 0
    assert calls == ["Meera Iyer"]
    assert only_job().state == "done"


def test_a_job_waits_for_its_time(meera: Person, work_off: WorkOff, later: Any) -> None:
    with transaction():
        jobs.later(greet, meera, at=clock.ahead(hours=1))
    assert work_off() == 0
    with later(minutes=61):
        assert work_off() == 1


def test_with_a_key_it_is_owed_once(meera: Person, work_off: WorkOff) -> None:
    for _ in range(3):
        with transaction():
            later(greet, meera, key="greet:1")
    assert work_off() == 1


def test_a_function_that_is_no_job_is_refused_when_it_is_asked_for(meera: Person) -> None:
    with pytest.raises(RuntimeError, match="not a @job"), transaction():
        later(lambda person: None, meera)


def test_a_failing_job_backs_off_and_ends_on_the_screen_where_it_is_tried_again(
    meera: Person, work_off: WorkOff, later: Any, enter: Callable[[str], FlaskClient]
) -> None:
    with transaction():
        jobs.later(stumble, meera)
    for attempt in range(ATTEMPTS):
        with later(hours=attempt * 2):
            work_off()
    failed = only_job()
    assert (failed.state, failed.attempts) == ("failed", ATTEMPTS)
    assert "RuntimeError: no answer for Meera Iyer" in failed.error
    assert calls == ["stumbled"] * ATTEMPTS
    page = enter("dina").get(f"/desk/job/{failed.id}").text
    assert "no answer for Meera Iyer" in page
    assert "Try again" in page
    failed.try_again()
    assert (only_job().state, only_job().attempts) == ("waiting", 0)


def test_the_wait_grows_between_attempts(meera: Person, work_off: WorkOff) -> None:
    with transaction():
        later(stumble, meera)
    waits = []
    for _ in range(4):
        due = only_job().due_at
        with clock.frozen_at(max(due, clock.now())):
            work_off()
            waits.append((only_job().due_at - clock.now()).total_seconds())
    assert waits == [5, 15, 45, 135]


def test_what_a_killed_worker_held_is_taken_up_again_when_its_lease_is_over(
    meera: Person, work_off: WorkOff, later: Any
) -> None:
    with transaction():
        jobs.later(greet, meera)
    assert jobs._claim() is not None  # and this worker is never heard of again
    assert work_off() == 0
    with later(seconds=LEASE.total_seconds() + 1):
        assert work_off() == 1
    assert calls == ["Meera Iyer"]


def test_a_worker_that_lost_its_lease_cannot_say_how_it_ended(meera: Person, later: Any) -> None:
    with transaction():
        jobs.later(greet, meera)
    first = jobs._claim()
    assert first is not None
    with later(seconds=LEASE.total_seconds() + 1):
        second = jobs._claim()
        assert second is not None
        jobs._settle(first[0], first[-1], state="failed", error="too late")
        assert only_job().state == "running"
        jobs._settle(second[0], second[-1], state="done", error="")
        assert only_job().state == "done"


def test_many_workers_at_once_do_each_job_once(meera: Person, app: Flask) -> None:
    with transaction():
        for n in range(60):
            later(greet, meera, key=f"many:{n}")

    def work(_: int) -> int:
        with app.app_context():
            done = 0
            while jobs.do_one():
                done += 1
            return done

    with ThreadPoolExecutor(4) as hands:
        assert sum(hands.map(work, range(4))) == 60
    assert len(calls) == 60


def test_a_wiped_redis_loses_nothing(meera: Person, work_off: WorkOff, settings: Any) -> None:
    with transaction():
        later(greet, meera)
    redis.Redis.from_url(settings.redis_url).flushall()
    jobs.tick()
    work_off()
    assert calls == ["Meera Iyer"]


def test_a_silent_doorbell_stops_nobody(meera: Person, settings: Any, work_off: WorkOff) -> None:
    jobs.connect("redis://127.0.0.1:1/0")
    try:
        with transaction():
            later(greet, meera)
    finally:
        jobs.connect(settings.redis_url)
    assert work_off() == 1


def test_the_clock_owes_each_beat_once_however_many_clocks_there_are(app: Flask, work_off: WorkOff, later: Any) -> None:
    beats = []

    def count_the_beat() -> None:
        beats.append(clock.now())

    every("Count the beat", minutes=1)(count_the_beat)
    try:
        for minutes in (0, 1, 2):
            with later(minutes=minutes, seconds=minutes):
                jobs.tick()
                jobs.tick()
                work_off()
        assert len(beats) == 3
    finally:
        jobs._clockwork.pop(jobs.job_name(count_the_beat))


def test_a_beat_with_nothing_to_do_asks_four_times_and_uses_up_nothing(
    app: Flask, later: Any, count_queries: Any
) -> None:
    jobs.tick()
    with later(seconds=1):
        assert count_queries(jobs.tick) <= 4
    counted = session.scalar(text("select last_value from tick_id_seq"))
    with later(seconds=2):
        jobs.tick()
    assert session.scalar(text("select last_value from tick_id_seq")) == counted


def test_a_clock_that_stood_still_does_not_catch_up_beat_by_beat(app: Flask, later: Any) -> None:
    jobs.tick()
    with later(hours=5):
        jobs.tick()
        assert all(tick.next_at > clock.now() for tick in session.scalars(select(Tick)))


def test_a_job_that_no_pack_knows_any_more_ends_in_words(meera: Person, work_off: WorkOff) -> None:
    with transaction():
        later(greet, meera)
        only_job().name = "forgotten"
    work_off()
    assert "This version has no job called 'forgotten'" in only_job().error


def test_a_person_may_press_try_again_and_only_on_what_failed(meera: Person) -> None:
    with transaction():
        later(greet, meera)
    with pytest.raises(Refused):
        only_job().try_again()


def test_a_job_that_kills_its_worker_again_and_again_ends_on_the_screen(meera: Person, later: Any) -> None:
    with transaction():
        jobs.later(greet, meera)
    for n in range(ATTEMPTS):
        with later(hours=n):
            assert jobs._claim() is not None  # and its worker is never heard of again
    with later(hours=ATTEMPTS):
        assert jobs._claim() is None
        jobs.tick()
    hopeless = session.scalars(select(Job).where(Job.name == jobs.job_name(greet))).one()
    assert (hopeless.state, hopeless.error) == ("failed", f"The worker that ran this job was stopped {ATTEMPTS} times.")


def test_what_is_owed_is_part_of_a_change(meera: Person) -> None:
    with pytest.raises(RuntimeError, match="inside the transaction"):
        later(greet, meera)


def test_whoever_presses_try_again_is_in_the_history(meera: Person, by: Any) -> None:
    with transaction():
        later(stumble, meera)
    force(only_job().id)
    with by("dina"):
        only_job().try_again()
    assert session.scalars(select(Change.name).where(Change.noun == "job")).one() == "Dina"


def force(id: int) -> None:
    session.rollback()
    with db.engine().begin() as connection:
        connection.execute(text("update job set state = 'failed' where id = :id"), {"id": id})

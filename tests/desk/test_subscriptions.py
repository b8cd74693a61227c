"""Tests of report subscriptions: sent for the right days, at the right hour, once, and only with access."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from flask_appbuilder.security.sqla.models import User
from sqlalchemy import func, select

from app.desk.declare import column
from app.desk.declare.column import StaffLocale
from app.desk.declare.relative_days import days_named
from app.desk.declare.report import Report, Row, _registered
from app.desk.notices.notice import Notice
from app.desk.reports import file
from app.desk.reports.subscription import Schedule, Subscription, send_due_reports
from app.kernel import access, clock, jobs
from app.kernel.db import session, transaction
from app.kernel.errors import Forbidden, Refused
from app.kernel.people import Person
from app.kernel.workflow import asked
from app.messages.message import Message
from app.packs.bookings.booking.booking import Booking
from tests.conftest import PATIENCE, user_id

Enter = Callable[[str], FlaskClient]
FRIDAY = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)  # noon in Kolkata


@dataclass(frozen=True)
class Days:
    since: date = asked("From", default=date(2026, 1, 1))
    until: date = asked("To", default=date(2026, 1, 1))
    person: int | None = asked("Customer", default=None)


class Trial(Report):
    """Whose rows are whose is asked of whoever reads it."""

    open_to = {"Practitioner", "Desk", "Admin"}
    page_endpoint = "RevenueReportPage.show"

    def is_for(self, who: access.Actor) -> bool:
        return bool(who.roles & self.open_to)


def _rows(days: Days) -> Iterator[Row]:
    for booking in session.scalars(access.visible_rows(Booking)).unique():
        yield {"number": booking.number, "since": days.since, "until": days.until}


@pytest.fixture
def trial(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Trial:
    columns = {"number": "text", "since": "day", "until": "day"}
    made = Trial(
        "trial",
        asks=Days,
        points={"person": Person},
        columns=columns,
        rows=_rows,
        roles="Practitioner",
        note="Bookings.",
    )
    monkeypatch.setitem(_registered, "trial", made)
    monkeypatch.setattr(made, "open_to", {"Practitioner", "Desk", "Admin"})
    return made


@pytest.fixture
def asks(app: Flask, by: Any, trial: Trial) -> Callable[..., Subscription]:
    """asks("asha", rhythm="daily"): what she is sent from now on, at seven."""

    def asks(name: str, whom: str = "", typed: dict[str, str] | None = None, **wanted: Any) -> Subscription:
        user = session.get(User, user_id(app, whom or name))
        assert user
        with by(name), transaction():
            return Subscription.subscribe(
                trial,
                typed or {},
                Schedule(**{"format": "csv", "rhythm": "daily", "period": "yesterday"} | wanted),
                user,
            )

    return asks


@pytest.fixture
def letters(sandbox: str) -> Callable[[str], list[dict[str, Any]]]:
    """What arrived since the test began, with its files, the oldest first."""
    before = {each["id"] for each in requests.get(f"{sandbox}/mail.json", timeout=PATIENCE).json()}

    def letters(name: str) -> list[dict[str, Any]]:
        here = [
            each
            for each in requests.get(f"{sandbox}/mail.json?to={name}@example.com", timeout=PATIENCE).json()
            if each["id"] not in before
        ]
        for each in here:
            each["files"] = {
                file: requests.get(f"{sandbox}/mail/{each['id']}/{nth}", timeout=PATIENCE).content
                for nth, file in enumerate(each["attachments"])
            }
        return here[::-1]

    return letters


@pytest.fixture
def on(work_off: Any) -> Callable[[datetime], None]:
    """The clock and the worker, at this instant."""

    def on(instant: datetime) -> None:
        with clock.frozen_at(instant):
            send_due_reports()
            work_off()

    return on


@pytest.fixture
def in_berlin(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where the clocks are changed: back on 25 October 2026, forward on 28 March 2027."""
    monkeypatch.setattr(column, "staff_locale", StaffLocale("Europe/Berlin", "INR"))
    clock.configure("Europe/Berlin")
    yield
    clock.configure("Asia/Kolkata")


def again(subscription: Subscription) -> Subscription:
    session.expire_all()
    return Subscription.get(subscription.id)


# --- of which days, and when ------------------------------------------------------------------------------------------


def test_days_are_said_by_where_they_lie_from_today() -> None:
    today = date(2026, 11, 21)  # a Saturday
    for name, since, until in (
        ("yesterday", "2026-11-20", "2026-11-20"),
        ("last-7-days", "2026-11-14", "2026-11-20"),
        ("last-week", "2026-11-09", "2026-11-15"),
        ("this-month", "2026-11-01", "2026-11-30"),
        ("last-month", "2026-10-01", "2026-10-31"),
        ("last-quarter", "2026-07-01", "2026-09-30"),
        ("last-year", "2025-01-01", "2025-12-31"),
    ):
        assert [each.isoformat() for each in days_named(name, today)] == [since, until], name
    assert [each.isoformat() for each in days_named("last-quarter", date(2027, 2, 1))] == ["2026-10-01", "2026-12-31"]


def test_the_thirty_first_is_the_last_day_of_a_shorter_month() -> None:
    monthly = Subscription(rhythm="monthly", day=31, at=time(7))
    at, seen = datetime(2026, 12, 31, 12, tzinfo=UTC), []
    for _ in range(4):
        at = monthly.next_time_after(at)
        seen.append(f"{at.astimezone(ZoneInfo('Asia/Kolkata')):%m-%d %H:%M}")
    assert seen == ["01-31 07:00", "02-28 07:00", "03-31 07:00", "04-30 07:00"]


def test_seven_in_the_morning_is_seven_whatever_is_done_to_the_clocks(in_berlin: None) -> None:
    daily, night = Subscription(rhythm="daily", at=time(7)), Subscription(rhythm="daily", at=time(2, 30))
    berlin = ZoneInfo("Europe/Berlin")

    def times(it: Subscription, first: datetime, count: int) -> list[str]:
        at, seen = first.astimezone(UTC), []
        for _ in range(count):
            at = it.next_time_after(at)
            seen.append(f"{at.astimezone(berlin):%d %H:%M}")
        return seen

    assert times(daily, datetime(2026, 10, 24, 12, tzinfo=berlin), 3) == ["25 07:00", "26 07:00", "27 07:00"]
    assert times(daily, datetime(2027, 3, 27, 12, tzinfo=berlin), 2) == ["28 07:00", "29 07:00"]
    assert times(night, datetime(2026, 10, 24, 12, tzinfo=berlin), 2) == ["25 02:30", "26 02:30"], (
        "half past two comes twice that night, and is meant once"
    )
    assert times(night, datetime(2027, 3, 27, 12, tzinfo=berlin), 2) == ["28 03:30", "29 02:30"], (
        "and in that night never"
    )


# --- sending ----------------------------------------------------------------------------------------------------------


def test_each_sending_asks_about_new_days(asks: Any, hold: Any, slot: Any, on: Any, letters: Any) -> None:
    hold(slot)
    with clock.frozen_at(FRIDAY):
        made = asks("dina")
    for days in (1, 2):
        on(FRIDAY + timedelta(days=days))
    first, second = letters("dina")
    assert (first["subject"], second["subject"]) == ("Trial, 20 Nov 2026", "Trial, 21 Nov 2026")
    assert [each["files"]["trial.csv"].decode().splitlines()[1].split(",")[1:] for each in (first, second)] == [
        ["2026-11-20"] * 2,
        ["2026-11-21"] * 2,
    ]
    assert "every day at 07:00" in first["text"]
    assert "/desk/reports/trial/?since=2026-11-20&until=2026-11-20" in first["text"]
    assert again(made).next_at == datetime(2026, 11, 23, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(("kind", "begins"), [("pdf", b"%PDF"), ("xlsx", b"PK"), ("csv", b"\xef\xbb\xbfNumber")])
def test_it_comes_as_they_want_it(kind: str, begins: bytes, asks: Any, by: Any, work_off: Any, letters: Any) -> None:
    made = asks("dina", format=kind)
    with by("dina"):
        made.send_now()
    work_off()
    (letter,) = letters("dina")
    assert letter["files"][f"trial.{kind}"].startswith(begins)


def test_a_worker_that_was_away_for_three_days_sends_once(asks: Any, on: Any, letters: Any) -> None:
    with clock.frozen_at(FRIDAY):
        asks("dina")
    on(FRIDAY + timedelta(days=3))
    on(FRIDAY + timedelta(days=3, minutes=1))
    (letter,) = letters("dina")
    assert letter["subject"] == "Trial, 22 Nov 2026", "of the latest of the three mornings"


def test_a_worker_that_is_killed_leaves_it_to_the_next_one(
    asks: Any, work_off: Any, letters: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clock.frozen_at(FRIDAY):
        made = asks("dina")
    with clock.frozen_at(FRIDAY + timedelta(days=1)):
        with monkeypatch.context() as dying:
            dying.setattr("app.desk.reports.subscription.tell", lambda *_, **__: exec("raise SystemExit"))
            with pytest.raises(SystemExit):
                send_due_reports()
        assert again(made).of_day is None, "all of it or nothing"
        send_due_reports()
        assert jobs._claim(), "and the worker that took it is killed here"
    with clock.frozen_at(FRIDAY + timedelta(days=1, minutes=5)):
        send_due_reports()
        work_off()
    assert len(letters("dina")) == 1


def test_what_is_too_large_for_a_mailbox_is_said_instead(
    asks: Any, by: Any, work_off: Any, letters: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = asks("dina")
    monkeypatch.setattr(file, "MAX_ATTACHMENT", 3)
    with by("dina"):
        made.send_now()
    work_off()
    (letter,) = letters("dina")
    assert (letter["attachments"], "too large to attach" in letter["text"]) == ([], True)


# --- who may ----------------------------------------------------------------------------------------------------------


def test_it_holds_what_its_reader_may_read(
    asks: Any, open_slot: Any, hold: Any, dev: Any, by: Any, work_off: Any, letters: Any
) -> None:
    hers, his = hold(open_slot(hours=30)), hold(open_slot(hours=40, of=dev), email="kabir@example.com")
    for name in ("asha", "dina"):
        made = asks(name)
        with by(name):
            made.send_now()
    work_off()
    (asha,), (dina,) = letters("asha"), letters("dina")
    held = [letter["files"]["trial.csv"].decode() for letter in (asha, dina)]
    assert [(hers.number in each, his.number in each) for each in held] == [(True, False), (True, True)]


def test_what_nobody_may_ask_is_not_sent_either(asks: Any, hold: Any, slot: Any) -> None:
    person = hold(slot).person
    with pytest.raises(Refused, match="no longer valid"):
        asks("asha", typed={"person": "999"})
    with pytest.raises(Refused, match="no longer valid"):
        asks("ada", "asha", typed={"person": str(person.id)})
    assert asks("dina", typed={"person": str(person.id), "since": "2020-01-01"}).asked == {"person": str(person.id)}


def test_an_administrator_asks_for_others_and_nobody_else_does(asks: Any, trial: Trial) -> None:
    assert asks("ada", "asha").asked_by == "Ada"
    with pytest.raises(Forbidden):
        asks("dina", "asha")
    with pytest.raises(Refused, match="Anil doesn’t have access to this report"):
        asks("ada", "anil")


def test_whoever_lost_the_right_is_told_and_sent_nothing(
    app: Flask, asks: Any, trial: Trial, on: Any, letters: Any
) -> None:
    with clock.frozen_at(FRIDAY):
        made = asks("asha")
    trial.open_to = {"Desk"}
    on(FRIDAY + timedelta(days=1))
    now = again(made)
    assert (now.state, now.trouble) == ("paused", "Asha doesn’t have access to this report.")
    (letter,) = letters("asha")
    assert (letter["subject"], letter["attachments"]) == ("Scheduled report paused: Trial", [])
    assert (
        "is no longer sent to you"
        in session.scalars(select(Notice.words).where(Notice.user_id == user_id(app, "asha"))).one()
    )
    with pytest.raises(Refused, match="doesn’t have access"):
        now.go_on()


def test_the_right_is_asked_again_when_the_letter_goes_out(
    asks: Any, by: Any, trial: Trial, work_off: Any, letters: Any
) -> None:
    made = asks("asha")
    with by("asha"):
        made.send_now()
    trial.open_to = {"Desk"}
    work_off()
    assert letters("asha") == []
    assert session.scalars(select(Message.state)).one() == "dropped"


def test_a_colleague_who_is_switched_off_hears_nothing(app: Flask, asks: Any, on: Any, letters: Any) -> None:
    with clock.frozen_at(FRIDAY):
        made = asks("asha")
    user = made.who
    try:
        with transaction():
            user.active = False
        on(FRIDAY + timedelta(days=1))
        assert (again(made).state, Subscription.get(made.id).trouble) == ("paused", "Asha’s account is deactivated.")
        assert letters("asha") == []
    finally:
        with transaction():
            user.active = True


def test_an_address_that_takes_nothing_is_not_written_to_for_ever(asks: Any, by: Any, on: Any) -> None:
    with clock.frozen_at(FRIDAY):
        made = asks("dina")
        for _ in range(3):
            with by("dina"):
                made.send_now()
    with transaction():
        for each in session.scalars(select(Message)).unique():
            each.fail("550 no such mailbox")
    on(FRIDAY + timedelta(days=1))
    assert (again(made).state, Subscription.get(made.id).trouble) == ("paused", "550 no such mailbox")


# --- at the desk ------------------------------------------------------------------------------------------------------


def test_from_the_page_of_a_report_to_the_list_of_ones_own(
    app: Flask, enter: Enter, work_off: Any, letters: Any
) -> None:
    dina = enter("dina")
    assert (
        "/desk/reports/revenue/send?since=2026-11-01"
        in dina.get("/desk/reports/revenue/?since=2026-11-01&until=2026-11-21").text
    )
    form = dina.get("/desk/reports/revenue/send?since=2026-11-01").text
    assert "Recipient" not in form
    typed = {
        "period": "last_week",
        "format": "pdf",
        "rhythm": "weekly",
        "weekday": "tuesday",
        "day": "1",
        "at": "08:30",
    }
    wrong = dina.post("/desk/reports/revenue/send", data=typed | {"rhythm": "hourly", "at": "08:45"})
    assert (wrong.status_code, 'value="08:45"' in wrong.text) == (422, True)
    assert dina.post("/desk/reports/revenue/send", data=typed).headers["Location"] == "/desk/subscription/1"
    assert "is sent to you every Tuesday at 08:30" in dina.get("/desk/reports/revenue/").text
    assert "Revenue" in dina.get("/desk/subscription/").text
    for move, state in (("pause", "paused"), ("go_on", "on"), ("send_now", "on"), ("remove", "removed")):
        assert dina.post(f"/desk/subscription/1/do/{move}").status_code == 302
        session.rollback()
        assert again(Subscription.get(1)).state == state
        if move == "send_now":
            work_off()
            assert letters("dina")[0]["attachments"] == ["revenue.pdf"]
    assert "is sent to you" not in dina.get("/desk/reports/revenue/").text


def test_ones_own_are_ones_own(app: Flask, enter: Enter, asks: Any) -> None:
    made = asks("asha")
    assert enter("dina").get(f"/desk/subscription/{made.id}").status_code == 404
    assert enter("dina").post(f"/desk/subscription/{made.id}/do/send_now").status_code == 404
    assert enter("ada").get(f"/desk/subscription/{made.id}").status_code == 200
    assert enter("dina").post("/desk/reports/revenue/send", data={"who": str(user_id(app, "anil"))}).status_code == 403
    assert enter("asha").get("/desk/reports/revenue/send").status_code == 403


def test_a_changed_hour_is_kept_from_the_next_time_on(enter: Enter, asks: Any) -> None:
    made = asks("dina")
    typed = {
        "title": "Mine",
        "period": "today",
        "format": "csv",
        "rhythm": "monthly",
        "weekday": "monday",
        "at": "09:15",
    }
    assert enter("dina").post(f"/desk/subscription/{made.id}/edit", data=typed | {"day": "32"}).status_code == 422
    assert enter("dina").post(f"/desk/subscription/{made.id}/edit", data=typed | {"day": "31"}).status_code == 302
    assert f"{again(made).next_at.astimezone(ZoneInfo('Asia/Kolkata')):%H:%M}" == "09:15"
    assert session.scalar(select(func.count()).select_from(Subscription)) == 1

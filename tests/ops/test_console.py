"""Tests of the console at /ops: for administrators only, no secrets shown, every action in the history."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from app.desk.declare.resource import resource_of
from app.kernel import clock, jobs
from app.kernel.audit import Change
from app.kernel.db import session, transaction
from app.kernel.jobs import Job
from app.money.reconcile.gateway_webhooks import Event
from app.ops.configuration import display_setting
from config import Settings
from tests.conftest import CAST

Enter = Callable[[str], FlaskClient]
PAGES = "", "jobs/", "letters/", "redis/", "database/", "events/", "files/", "caches/", "settings/"


def routes(app: Flask) -> Iterator[tuple[str, str]]:
    """Return every address below /ops, with its methods."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/ops"):
            path = re.sub(r"<(int:)?\w+>", "1", rule.rule)
            yield from ((method, path) for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))


def failed(count: int = 1) -> list[int]:
    """Failed jobs."""
    with transaction():
        rows = [
            Job(
                name="kernel.jobs.delete_finished_jobs",
                due_at=clock.now(),
                attempts=8,
                error="Traceback …\nTypeError: the last line",
            )
            for _ in range(count)
        ]
        session.add_all(rows)
        session.flush()
        ids = [each.id for each in rows]
        session.execute(text("update job set state = 'failed' where id = any(:ids)"), {"ids": ids})
    session.expire_all()
    return ids


def test_every_route_below_ops_refuses_a_stranger_and_everybody_but_an_administrator(
    app: Flask, client: FlaskClient, enter: Enter
) -> None:
    known = [*routes(app)]
    assert len(known) >= len(PAGES) + 4
    [id] = failed()
    doors = [
        *known,
        ("POST", f"/ops/letters/job/{id}/try_again"),
        ("POST", "/ops/letters/job/all/try_again"),
        ("GET", "/ops/static/bootstrap/bootstrap4/css/x.css"),
    ]
    for method, path in doors:
        answer = client.open(path, method=method)
        assert (answer.status_code == 302 and "/login" in answer.location) or answer.status_code == 404, (
            method,
            path,
            answer.status_code,
        )
        assert client.open(path, method=method, headers={"Accept": "application/json"}).status_code in (401, 404)
    for name in (name for name, role in CAST.items() if role != "Admin"):
        person = enter(name)
        assert {person.open(path, method=method).status_code for method, path in known} == {403}, name
    assert session.get(Job, id, populate_existing=True).state == "failed"  # type: ignore[union-attr]


def test_an_api_token_opens_nothing_here(client: FlaskClient, token: Any) -> None:
    assert client.get("/ops/settings/", headers=token("ada")).status_code == 302


@pytest.mark.parametrize("page", PAGES)
def test_each_page_stands_in_the_desks_own_frame_and_fetches_nothing(
    enter: Enter, page: str, count_queries: Any
) -> None:
    ada = enter("ada")
    answer = ada.get(f"/ops/{page}")
    assert answer.status_code == 200, answer.text[-2000:]
    assert '<nav class="side"' in answer.text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', answer.text)
    assert "<style" not in answer.text
    assert " style=" not in answer.text
    assert "bootstrap" not in answer.text
    assert count_queries(lambda: ada.get(f"/ops/{page}")) <= 25


def test_no_secret_stands_on_any_page_whatever_it_is_called(enter: Enter, settings: Settings) -> None:
    ada = enter("ada")
    pages = "".join(ada.get(f"/ops/{page}").text for page in PAGES)
    for each in (it for it in fields(Settings) if not it.repr):
        value = getattr(settings, each.name)
        for secret in value if isinstance(value, tuple) else [value]:
            assert not secret or secret not in pages, each.name
        assert each.metadata["env"] in pages
    field = next(it for it in fields(Settings) if it.name == "database_url")
    assert (
        display_setting(field, "postgresql://frontdesk:hunter2@db.example:5432/x?password=hunter3")
        == "postgresql://frontdesk:•••@db.example:5432/x?•••"
    )
    assert display_setting(field, "redis://:hunter2@redis.example:6379/0") == "redis://:•••@redis.example:6379/0"


def test_a_job_that_failed_is_tried_again_and_the_history_says_by_whom(app: Flask, enter: Enter, work_off: Any) -> None:
    [id] = failed()
    ada = enter("ada")
    assert "TypeError: the last line" in ada.get("/ops/jobs/").text
    assert ada.post(f"/ops/letters/job/{id}/try_again").status_code == 302
    line = session.scalars(select(Change).where(Change.noun == "job", Change.row_id == id)).one()
    assert (line.verb, line.name, line.door) == ("try_again", "Ada", "console")
    assert work_off() == 1
    assert session.get(Job, id, populate_existing=True).state == "done"  # type: ignore[union-attr]
    assert ada.post(f"/ops/letters/job/{id}/try_again").status_code == 409


def test_all_that_failed_is_tried_again_at_once_each_with_its_line(app: Flask, enter: Enter) -> None:
    ids = failed(3)
    assert "Try again (all 3)" in enter("ada").get("/ops/letters/").text
    assert enter("ada").post("/ops/letters/job/all/try_again").status_code == 302
    assert set(session.scalars(select(Job.state).where(Job.id.in_(ids)))) == {"waiting"}
    assert session.scalars(select(Change.verb).where(Change.noun == "job")).all() == ["try_again"] * 3


def test_an_email_is_never_sent_a_second_time_in_bulk(app: Flask, enter: Enter) -> None:
    """Resending asks first, so its button is on the record, not here."""
    assert enter("ada").post("/ops/letters/message/all/send_again").status_code == 404
    assert enter("ada").post("/ops/letters/booking/1/cancel").status_code == 404
    assert enter("ada").post("/ops/letters/job/1/no_such_move").status_code == 404


def test_what_is_about_no_row_is_a_line_of_the_history_too(app: Flask, enter: Enter) -> None:
    ada = enter("ada")
    for button in ("ring", "let-in"):
        assert ada.get(f"/ops/redis/{button}").status_code == 405
        assert ada.post(f"/ops/redis/{button}").status_code == 302
    lines = session.scalars(select(Change).where(Change.noun == "console").order_by(Change.id)).all()
    assert [(each.verb, each.name) for each in lines] == [("wake_workers", "Ada"), ("reset_rate_limits", "Ada")]
    assert ada.get("/desk/change/").status_code == 200


def test_without_its_token_no_button_does_anything(app: Flask, enter: Enter) -> None:
    [id] = failed()
    app.config["WTF_CSRF_ENABLED"] = True
    try:
        assert enter("ada").post(f"/ops/letters/job/{id}/try_again").status_code == 400
        assert enter("ada").post("/ops/redis/let-in").status_code == 400
    finally:
        app.config["WTF_CSRF_ENABLED"] = False
    assert not session.scalars(select(Change)).all()


def test_the_first_page_says_what_is_wrong(app: Flask, enter: Enter, later: Any) -> None:
    jobs.tick()
    assert "<b>Running</b>" in enter("ada").get("/ops/").text
    failed(2)
    with transaction():
        session.add(Event(gateway="razorpay", event_id="e", kind="payment.captured", body="{}"))
        session.flush()
        session.execute(
            text("update event set state = 'parked', trouble = 'No payment request was found for this event.'")
        )
    with later(minutes=10):
        page = enter("ada").get("/ops/").text
        assert f"2 {resource_of(Job).label.lower()}, 1 {resource_of(Event).one.lower()}" in page  # type: ignore[union-attr]
        assert "<b>Stopped</b>" in page
    assert "No payment request was found for this event." in enter("ada").get("/ops/letters/").text


def test_it_answers_while_redis_is_away(
    app: Flask, enter: Enter, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = enter("ada")
    monkeypatch.setitem(app.extensions, "settings", replace(settings, redis_url="redis://127.0.0.1:1"))
    assert "Redis is unavailable" in ada.get("/ops/redis/").text
    assert "<b>Unavailable</b>" in ada.get("/ops/").text


def test_only_an_administrator_finds_the_way_here_in_the_menu(enter: Enter) -> None:
    assert 'href="/ops/"' in enter("ada").get("/desk/").text
    assert 'href="/ops/"' not in enter("dina").get("/desk/").text

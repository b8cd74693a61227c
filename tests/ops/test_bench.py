"""Tests of the benchmark: its counts are right; its timings are not tested."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import Engine, event

from app.desk.sign_in.session import StaffSession
from bench.side import Side, session_cookie
from bench.table import format_report
from bench.turns import PAGES, SIDES, Comparison, Cost
from tests.conftest import user_id


@pytest.fixture
def side(app: Flask) -> Iterator[Side]:
    dina = user_id(app, "dina")
    known = {
        "Cookie": session_cookie(app, dina, sitting=StaffSession.begin(dina, address="127.0.0.1", device="the bench"))
    }
    side = Side(app, {"list": ("/desk/person/?size=50", known)})
    yield side
    event.remove(Engine, "before_cursor_execute", side.statements._count)


def test_a_page_is_asked_for_as_often_as_said_by_somebody_who_is_signed_in(side: Side) -> None:
    told = side.measure("list", 2)
    assert told["status"] == "200 OK"
    assert (len(told["cpu"]), min(told["cpu"]) > 0) == (2, True)
    assert 1 <= told["queries"] <= 12


def test_the_table_names_every_page_and_how_much_cheaper_it_is() -> None:
    costs = {"ours": Cost([5.0], 3, 2048), "stock": Cost([21.0], 70, 4096)}
    starts = {side: {"cpu": 0.9, "statements": 0.0, "writes": 0.0} for side in SIDES}
    page = format_report([Comparison(60, {side: dict.fromkeys(PAGES, costs[side]) for side in SIDES}, starts)])
    assert page.count("| 5.0 ms | 21.0 ms | **4.2** | 3 | 70 | 2 kB | 4 kB |") == len(PAGES)
    assert all(label in page for label in PAGES.values())

"""Tests of the setup checklist: a new owner gets to a first payment, and each step ticks itself."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from app.money.bills.bill import ByHand


def test_each_step_is_ticked_by_what_is_there(enter: Any, hold: Any) -> None:
    desk: FlaskClient = enter("ada")
    empty = desk.get("/desk/first_steps/").text
    assert "Add services" in empty
    assert 'href="/desk/service/new"' in empty
    assert "Add services<span" not in empty


def test_it_is_done_when_somebody_has_paid(enter: Any, slot: Any, hold: Any) -> None:
    desk: FlaskClient = enter("ada")
    before = desk.get("/desk/first_steps/").text
    assert "Add services<span" in before
    assert "Make a test payment<span" not in before
    assert "Continue setup" in desk.get("/desk/").text
    assert "Continue setup" not in enter("dina").get("/desk/").text
    hold(slot).mark_paid(ByHand("cash", "R-1"))
    assert "Make a test payment<span" in desk.get("/desk/first_steps/").text
    assert "Continue setup" not in desk.get("/desk/").text


def test_only_the_administrator_is_led(enter: Any) -> None:
    assert enter("dina").get("/desk/first_steps/").status_code == 403

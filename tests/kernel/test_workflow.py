"""Tests of moves: a state changes from the right state, by the right role, with a row lock and a line of history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.kernel.access import actor
from app.kernel.audit import Change
from app.kernel.db import session, transaction
from app.kernel.errors import Forbidden, Invalid, Refused
from app.kernel.workflow import available_moves, moves, press_move
from app.money.bills.bill import ByHand
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.offer.slot import Slot

Hold = Callable[..., Booking]


def test_a_move_from_the_wrong_state_is_refused_in_words(slot: Slot, hold: Hold) -> None:
    booking = hold(slot)
    booking.mark_paid(ByHand("cash", "receipt 7"))
    with pytest.raises(Refused, match="is confirmed, so “Record payment” is not available"):
        booking.mark_paid(ByHand("cash", "receipt 8"))
    assert booking.paid_with == "Cash, receipt 7"


def test_a_state_that_is_set_by_hand_is_stopped_at_the_session(slot: Slot, hold: Hold) -> None:
    booking = hold(slot)
    with pytest.raises(RuntimeError, match="without a move"), transaction():
        booking.state = "confirmed"


def test_a_new_row_begins_at_the_beginning(slot: Slot) -> None:
    with pytest.raises(RuntimeError, match="without a move"), transaction():
        session.add(
            Slot(
                practitioner=slot.practitioner,
                service=slot.service,
                starts_at=slot.ends_at,
                ends_at=slot.ends_at,
                state="closed",
            )
        )


def test_a_bulk_update_of_states_is_stopped_too(slot: Slot, hold: Hold) -> None:
    hold(slot)
    with pytest.raises(RuntimeError, match="bulk"), transaction():
        session.execute(update(Booking).values(state="confirmed").execution_options(unaudited="a test"))


def test_the_history_tells_who_did_what_and_why(slot: Slot, hold: Hold, by: Any) -> None:
    booking = hold(slot)
    with by("dina"):
        booking.cancel(CallOff("Asked by telephone."))
    line = session.scalars(select(Change).where(*Change.about_row(booking)).order_by(Change.id.desc())).first()
    assert line is not None
    assert (line.verb, line.name, line.door, line.why) == ("cancel", "Dina", "desk", "Asked by telephone.")
    assert (line.before["state"], line.after["state"]) == ("held", "cancelled")


def test_buttons_are_only_those_of_this_state_and_this_person(slot: Slot, hold: Hold, by: Any) -> None:
    booking = hold(slot)
    with by("dina") as _:
        assert [move.name for move in available_moves(booking, actor())] == ["mark_paid", "reschedule", "cancel"]
    with by("omar"):
        assert available_moves(booking, actor()) == []


def test_a_button_that_is_not_yours_does_nothing(slot: Slot, hold: Hold, by: Any) -> None:
    booking = hold(slot)
    with by("asha"), pytest.raises(Forbidden):
        press_move(booking, "mark_paid", {"reference": "x"})
    with by("ada"), pytest.raises(Forbidden):
        press_move(booking, "confirm", {"paid_with": "a move without a button"})
    assert booking.state == "held"


def test_the_small_form_says_which_field_is_wrong(slot: Slot, hold: Hold, by: Any) -> None:
    booking = hold(slot)
    with by("dina"), pytest.raises(Invalid) as no:
        press_move(booking, "mark_paid", {"how": "gold", "reference": "x" * 100, "price": "1"})
    assert no.value.fields == {
        "how": "Choose one from the list.",
        "reference": "Use at most 80 characters.",
        "price": "Unknown field.",
    }
    with by("dina"), pytest.raises(Invalid) as no:
        press_move(booking, "mark_paid", {})
    assert no.value.fields == {"how": "This field is required.", "reference": "This field is required."}


def test_a_guard_says_why_not(slot: Slot, hold: Hold) -> None:
    booking = hold(slot)
    booking.mark_paid(ByHand("cash", "x"))
    with pytest.raises(Refused, match="not started yet"):
        booking.complete()


def test_every_move_leads_from_known_states_to_a_known_state(app: Flask) -> None:
    for pack in app.extensions["packs"]:
        for noun in pack.nouns:
            for move in moves(noun).values() if noun.states else []:
                assert {*move.sources, move.to or noun.states[0]} <= set(noun.states), f"{noun.__name__}.{move.name}"

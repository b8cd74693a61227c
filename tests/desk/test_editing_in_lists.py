"""Tests of inline edits and bulk edits in lists, and of their undo; both follow the rules of the row's form."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.desk.lists.bulk_edit import BulkEdit, delete_old_bulk_edits
from app.kernel.audit import Change
from app.kernel.db import session, transaction
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot

Enter = Callable[[str], FlaskClient]


@pytest.fixture
def slots(open_slot: Any) -> list[Slot]:
    return [open_slot(hours=24 * n) for n in range(1, 4)]


def seats() -> list[int]:
    session.rollback()
    session.expire_all()
    return [*session.scalars(select(Slot.seats).order_by(Slot.id))]


def history(noun: str, row: int) -> list[tuple[str, dict[str, Any]]]:
    session.rollback()
    return [
        (each.verb, each.after)
        for each in session.scalars(select(Change).where(Change.noun == noun, Change.row_id == row).order_by(Change.id))
    ]


def version(desk: FlaskClient, address: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', desk.get(address).text)
    assert found
    return found[1]


def undo(page: str) -> str:
    (found,) = re.findall(r'action="([^"]+/undo/\d+)"', page)
    return str(found)


# --- one cell ---------------------------------------------------------------------------------------------------------


def test_a_cell_is_changed_where_it_stands_and_leaves_a_line(slots: list[Slot], enter: Enter) -> None:
    dina, cell = enter("dina"), f"/desk/slot/{slots[0].id}/cell/seats"
    assert f'data-cells="/desk/slot/{slots[0].id}/cell/"' in dina.get("/desk/slot/").text
    assert 'data-cell="seats"' in dina.get("/desk/slot/").text
    answer = dina.post(cell, data={"seats": "4", "version": version(dina, cell)})
    assert answer.get_json()["said"] == "4"
    assert seats() == [4, 1, 1]
    assert history("slot", slots[0].id)[-1] == ("changed", {"seats": 4})


def test_what_is_refused_is_said_beside_the_cell_with_what_stands_there(slots: list[Slot], enter: Enter) -> None:
    dina, cell = enter("dina"), f"/desk/slot/{slots[0].id}/cell/seats"
    answer = dina.post(cell, data={"seats": "many", "version": version(dina, cell)})
    assert answer.status_code == 422
    assert (answer.get_json()["refusal"], answer.get_json()["said"]) == ("Enter a whole number.", "1")


def test_who_was_overtaken_sees_what_is_new_and_saves_again_if_they_mean_it(slots: list[Slot], enter: Enter) -> None:
    dina, ada, cell = enter("dina"), enter("ada"), f"/desk/slot/{slots[0].id}/cell/seats"
    seen = version(dina, cell)
    ada.post(cell, data={"seats": "7", "version": version(ada, cell)})
    late = dina.post(cell, data={"seats": "5", "version": seen})
    assert (late.status_code, late.get_json()["said"]) == (409, "7")
    assert "Someone else changed this" in late.get_json()["refusal"]
    assert dina.post(cell, data={"seats": "5", "version": str(late.get_json()["version"])}).status_code == 200
    assert seats() == [5, 1, 1]


def test_only_what_the_form_would_change_and_only_for_whom_it_opens(
    slots: list[Slot], enter: Enter, open_slot: Any, dev: Any
) -> None:
    one = slots[0].id
    for path in ("state", "starts_at", "nosuch", "practitioner"):
        assert enter("dina").get(f"/desk/slot/{one}/cell/{path}").status_code == 404
    assert enter("omar").get(f"/desk/slot/{one}/cell/seats").status_code == 403
    assert "data-cell" not in enter("omar").get("/desk/slot/").text
    assert (
        enter("omar")
        .post("/desk/slot/change", data={"id": one, "path": "seats", "seats": "9", "done": "yes"})
        .status_code
        == 403
    )
    assert enter("dina").get(f"/desk/booking/{one}/cell/price").status_code == 404
    assert seats() == [1, 1, 1]


# --- many rows --------------------------------------------------------------------------------------------------------


def test_one_column_of_many_rows_is_chosen_said_and_changed_with_a_line_for_each(
    slots: list[Slot], enter: Enter
) -> None:
    dina, ids = enter("dina"), [each.id for each in slots]
    assert "Edit field…" in dina.get("/desk/slot/").text
    assert '<option value="seats">Places' in dina.post("/desk/slot/change", data={"id": ids}).text
    assert 'name="seats"' in dina.post("/desk/slot/change", data={"id": ids, "path": "seats"}).text
    wrong = dina.post("/desk/slot/change", data={"id": ids, "path": "seats", "seats": "x", "done": "yes"})
    assert (wrong.status_code, seats()) == (422, [1, 1, 1])
    report = dina.post("/desk/slot/change", data={"id": ids, "path": "seats", "seats": "6", "done": "yes"}).text
    assert "3 of 3 updated." in report
    assert seats() == [6, 6, 6]
    assert [history("slot", each)[-1] for each in ids] == [("changed", {"seats": 6})] * 3
    assert (
        dina.post("/desk/slot/change", data={"id": ids, "path": "state", "state": "open", "done": "yes"}).status_code
        == 404
    )


def test_a_row_that_refuses_does_not_hold_up_the_others(slots: list[Slot], hold: Any, enter: Enter) -> None:
    with transaction():
        slots[0].seats = 2
    hold(slots[0])
    hold(slots[0], name="Kabir Shah", email="kabir@example.com", phone="+919845012346")
    report = (
        enter("dina")
        .post(
            "/desk/slot/change",
            data={"id": [*(each.id for each in slots), 999], "path": "seats", "seats": "1", "done": "yes"},
        )
        .text
    )
    assert "2 of 4 updated." in report or "3 of 4 updated." in report
    assert "This page doesn’t exist, or you don’t have access to it." in report


def test_it_is_taken_back_as_a_whole_within_ten_minutes(slots: list[Slot], enter: Enter, later: Any) -> None:
    dina, ids = enter("dina"), [each.id for each in slots]
    with transaction():
        slots[1].seats = 3
    page = dina.post("/desk/slot/change", data={"id": ids, "path": "seats", "seats": "6", "done": "yes"}).text
    assert undo(dina.get("/desk/slot/").text) == undo(page)
    assert enter("ada").post(undo(page)).status_code == 404
    with later(minutes=11):
        assert "can only be undone for 10 minutes" in dina.post(undo(page)).text
        assert "/undo/" not in dina.get("/desk/slot/").text
    assert dina.post(undo(page)).status_code == 200
    assert seats() == [1, 3, 1]
    assert history("slot", ids[1])[-1] == ("taken_back", {"seats": 3})
    assert dina.post(undo(page)).status_code == 409
    assert "/undo/" not in dina.get("/desk/slot/").text


def test_what_stood_there_is_forgotten_when_it_cannot_come_back_any_more(
    slots: list[Slot], enter: Enter, later: Any
) -> None:
    dina = enter("dina")
    page = dina.post("/desk/slot/change", data={"id": slots[0].id, "path": "seats", "seats": "6", "done": "yes"}).text
    for minutes, kept in ((30, 1), (61, 0)):
        with later(minutes=minutes):
            delete_old_bulk_edits()
        assert len(session.scalars(select(BulkEdit.id)).all()) == kept
    session.rollback()
    assert dina.post(undo(page)).status_code == 404


def test_nothing_is_taken_back_over_what_somebody_changed_since(slots: list[Slot], enter: Enter) -> None:
    dina, ids = enter("dina"), [each.id for each in slots]
    page = dina.post("/desk/slot/change", data={"id": ids, "path": "seats", "seats": "6", "done": "yes"}).text
    with transaction():
        session.get(Slot, ids[2], populate_existing=True).seats = 8  # type: ignore[union-attr]
    answer = dina.post(undo(page))
    assert answer.status_code == 409
    assert "has been changed since" in answer.text
    assert seats() == [6, 6, 8]


def test_money_words_and_neighbours_come_back_as_they_were(service: Service, birth: Any, enter: Enter) -> None:
    dina = enter("dina")
    before = (service.price, service.description, service.form_id)
    for path, value in (("price", "5.50"), ("description", "Other words"), ("form", "")):
        page = dina.post("/desk/service/change", data={"id": service.id, "path": path, path: value, "done": "yes"}).text
        assert dina.post(undo(page)).status_code == 200, path
    session.rollback()
    session.refresh(service)
    assert (service.price, service.description, service.form_id) == before

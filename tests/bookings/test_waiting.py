"""Tests of the waiting list: a free time is offered to the first match for two hours, and then to the next."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.kernel import clock
from app.kernel.db import session
from app.kernel.errors import Refused
from app.messages.message import Message
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.booking.waiting import Waiting
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.conftest import MEERA

Hold = Callable[..., Booking]
OpenSlot = Callable[..., Slot]


@pytest.fixture
def join(service: Service) -> Callable[..., Waiting]:
    """Adds a customer to the waiting list: join("Kabir Shah"), join("Kabir Shah", days=3)."""

    def join(name: str, *, since: int = 0, days: int = 30) -> Waiting:
        today: date = clock.today()
        return Waiting.join(
            service, MEERA | {"name": name}, today + timedelta(days=since), today + timedelta(days=days)
        )

    return join


def free(service: Service) -> list[int]:
    return [slot.id for slot, _ in Booking.free_slots(service, clock.now(), clock.ahead(days=30))]


def test_what_comes_free_goes_to_the_first_whom_it_suits_and_to_nobody_else(
    slot: Slot, hold: Hold, join: Callable[..., Waiting], service: Service, work_off: Any, sandbox: str
) -> None:
    booking = hold(slot)
    not_then, first, second = join("Too Early", days=0), join("Kabir Shah"), join("Sofia Rossi")
    booking.cancel(CallOff("Ill."))
    work_off()
    assert [Waiting.get(each.id).state for each in (not_then, first, second)] == ["waiting", "offered", "waiting"]
    assert free(service) == []
    with pytest.raises(Refused, match="just been taken"):
        hold(slot, name="Daniel Cohen")
    assert session.scalars(
        select(Message.row_id).where(Message.template == "bookings/offer", Message.state == "sent")
    ).all() == [first.id]


def test_an_offer_is_taken_on_the_same_form_and_its_seat_changes_hands_at_once(
    slot: Slot, hold: Hold, join: Callable[..., Waiting], client: Any, work_off: Any, sandbox: str
) -> None:
    booking, kabir = hold(slot), join("Kabir Shah")
    booking.cancel(CallOff("Ill."))
    work_off()
    page = client.get(f"/waiting/{kabir.token}").text
    (way,) = re.findall(r'href="(/book/first/\d+\?[^"]*offer=[^"]+)"', page)
    form = client.get(way.replace("&amp;", "&")).text
    assert 'value="Kabir Shah"' in form
    fields = {"name": "Kabir Shah", "email": "kabir@example.com", "offer": kabir.token, "once": "k"}
    assert client.post(f"/book/first/{slot.id}", data=fields).status_code == 303
    work_off()
    after = session.get(Waiting, kabir.id, populate_existing=True)
    assert after is not None
    assert after.booking is not None
    assert (after.state, after.booking.state, len(after.booking.bills)) == ("taken", "held", 1)


def test_who_does_not_take_it_in_time_makes_way_for_the_next(
    slot: Slot, hold: Hold, join: Callable[..., Waiting], work_off: Any, later: Any, client: Any, sandbox: str
) -> None:
    booking, first, second = hold(slot), join("Kabir Shah"), join("Sofia Rossi")
    booking.cancel(CallOff("Ill."))
    work_off()
    with later(hours=2, minutes=1):
        work_off()
        assert [Waiting.get(each.id).state for each in (first, second)] == ["passed", "offered"]
        assert (
            client.post(
                f"/book/first/{slot.id}", data={"name": "Kabir Shah", "email": "k@example.com", "offer": first.token}
            ).status_code
            == 302
        )


def test_who_leaves_the_line_leaves_what_was_kept_to_the_next(
    slot: Slot, hold: Hold, join: Callable[..., Waiting], client: Any, work_off: Any, sandbox: str
) -> None:
    booking, first, second = hold(slot), join("Kabir Shah"), join("Sofia Rossi")
    booking.cancel(CallOff("Ill."))
    work_off()
    client.post(f"/waiting/{first.token}")
    work_off()
    assert [session.get(Waiting, each.id, populate_existing=True).state for each in (first, second)] == [
        "left",
        "offered",
    ]  # type: ignore[union-attr]


def test_joining_says_what_is_wrong_and_keeps_what_was_typed(client: Any, service: Service) -> None:
    today = clock.today().isoformat()
    answer = client.post(
        "/book/first/wait", data={"name": "K", "email": "kabir@example.com", "first_day": today, "last_day": today}
    )
    assert answer.status_code == 422
    assert 'value="kabir@example.com"' in answer.text
    wrong = {"name": "Kabir Shah", "email": "kabir@example.com", "first_day": today, "last_day": "2020-01-01"}
    assert "up to one year ahead" in client.post("/book/first/wait", data=wrong).text
    right = wrong | {"last_day": today}
    where = client.post("/book/first/wait", data=right).headers["Location"]
    assert "You’re next." in client.get(where).text
    assert "already on this waiting list" in client.post("/book/first/wait", data=right).text
    assert client.get("/waiting/nonsense").status_code == 404

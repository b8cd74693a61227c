"""Tests of working together on a record: notes, tasks, mentions, notices and edit conflicts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from app.desk.declare.resource import Resource, resource_of
from app.desk.lists.query import ListQuery, list_page, previous_and_next
from app.desk.notices.notice import Notice, say_what_waits
from app.desk.records.remark import Remark
from app.desk.records.task import Task, remind_of_tasks
from app.kernel import clock, privacy
from app.kernel.access import everything
from app.kernel.db import session, transaction
from app.kernel.jobs import Job
from app.kernel.people import Person
from app.messages.message import Message
from app.money.bills.bill import ByHand
from app.money.bills.refund import Refund
from app.money.sums.amount import Money
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.conftest import user_id

Enter = Callable[[str], FlaskClient]
Hold = Callable[..., Booking]


@pytest.fixture
def booking(slot: Slot, hold: Hold) -> Booking:
    return hold(slot)


@pytest.fixture
def heard(app: Flask) -> Callable[[str], list[str]]:
    """heard("dina"): what her list of notices says, the newest first."""

    def heard(name: str) -> list[str]:
        session.expire_all()
        return [
            *session.scalars(
                select(Notice.words).where(Notice.user_id == user_id(app, name)).order_by(Notice.id.desc())
            )
        ]

    return heard


@pytest.fixture
def requested(service: Service, open_slot: Any, hold: Hold) -> Callable[[int], list[Booking]]:
    """So many bookings that somebody has to approve first."""

    def requested(count: int) -> list[Booking]:
        with transaction():
            service.by_approval = True
        return [hold(open_slot(hours=24 + 2 * n)) for n in range(count)]

    return requested


def say(desk: FlaskClient, booking: Booking, words: str) -> Any:
    return desk.post(f"/desk/booking/{booking.id}/remark", data={"words": words})


# --- remarks ---


def test_a_remark_stands_on_the_record_and_who_is_named_hears_of_it(booking: Booking, enter: Enter, heard: Any) -> None:
    answer = say(enter("dina"), booking, "She comes by train.\n@asha and @omar, please know.")
    assert answer.status_code == 302
    for reader in "asha", "anil":
        page = enter(reader).get(f"/desk/booking/{booking.id}").text
        assert "She comes by train." in page
    assert heard("asha") == heard("omar") == [f"Dina mentioned you on {booking}."]
    assert heard("anil") == []


def test_who_may_not_read_the_record_is_neither_told_nor_suggested_nor_heard(
    booking: Booking, enter: Enter, heard: Any, dev: Practitioner
) -> None:
    say(enter("asha"), booking, "@dev @nobody @dina, and a letter to dev@example.com")
    assert (heard("dev"), heard("nobody"), len(heard("dina"))) == ([], [], 1)
    names = [
        each["username"]
        for each in enter("asha").get(f"/desk/booking/{booking.id}/colleagues?q=d").get_json()["choices"]
    ]
    assert "dina" in names
    assert "dev" not in names
    for path in "remark", "remark/1", "task":
        assert enter("dev").post(f"/desk/booking/{booking.id}/{path}", data={"words": "x"}).status_code == 404
        assert enter("dev").post("/desk/booking/99999/" + path, data={"words": "x"}).status_code == 404


def test_a_remark_is_put_right_by_its_author_for_a_quarter_of_an_hour(
    booking: Booking, enter: Enter, later: Any, heard: Any
) -> None:
    say(enter("dina"), booking, "She comes by tran.")
    address = f"/desk/booking/{booking.id}/remark/1"
    assert enter("asha").post(address, data={"words": "mine"}).status_code == 409
    assert enter("dina").post(address, data={"words": "She comes by train, @anil."}).status_code == 302
    with later(minutes=16):
        refused = enter("dina").post(address, data={"words": "Or by car."})
        assert (refused.status_code, "Or by car." in refused.text) == (409, True)
    session.expire_all()
    assert session.get_one(Remark, 1).words == "She comes by train, @anil."
    assert len(heard("anil")) == 1


def test_what_was_typed_stays_when_it_is_refused(booking: Booking, enter: Enter) -> None:
    long = say(enter("dina"), booking, "x" * 4001)
    assert long.status_code == 422
    assert "x" * 4001 in long.text
    assert "Use at most 4,000 characters" in long.text
    task = enter("dina").post(
        f"/desk/booking/{booking.id}/task", data={"title": "Call her", "who": "dev", "due_on": ""}
    )
    assert task.status_code == 422
    assert 'value="Call her"' in task.text
    assert "No team member with that name can see this record." in task.text


def test_the_timeline_tells_everything_in_one_line_and_each_kind_alone(booking: Booking, enter: Enter) -> None:
    desk = enter("dina")
    say(desk, booking, "<b>Bold</b> words")
    desk.post(f"/desk/booking/{booking.id}/do/mark_paid", data={"method": "cash", "reference": "R-1"})
    whole = desk.get(f"/desk/booking/{booking.id}").text
    assert "&lt;b&gt;Bold&lt;/b&gt; words" in whole
    assert whole.count('<li class="is-remarks"') == 1
    assert '<li class="is-messages"' in whole
    assert '<li class="is-changes"' in whole
    for kind in "remarks", "changes", "messages":
        alone = desk.get(f"/desk/booking/{booking.id}?only={kind}").text
        assert {each for each in ("remarks", "changes", "messages") if f'<li class="is-{each}"' in alone} == {kind}
    assert desk.get(f"/desk/booking/{booking.id}?only=x").status_code == 400
    assert desk.get(f"/desk/booking/{booking.id}?until=x").status_code == 400


def test_a_long_timeline_goes_on_with_the_older_ones(booking: Booking, enter: Enter, count_queries: Any) -> None:
    desk = enter("dina")
    with transaction():
        session.add_all(
            [
                Remark(
                    noun="booking",
                    row_id=booking.id,
                    name="Dina",
                    words=f"Word {n}.",
                    created_at=clock.ahead(seconds=n),
                )
                for n in range(70)
            ]
        )
    seen, address = [], f"/desk/booking/{booking.id}?only=remarks"
    while address:
        page = desk.get(address).text
        seen += [n for n in range(70) if f"Word {n}.<" in page]
        assert page.count('<li class="is-remarks"') <= 30
        older = (
            page.partition('">Show older')[0].rpartition('href="')[2].replace("&amp;", "&")
            if "Show older" in page
            else ""
        )
        address = older.partition("#")[0]
    assert sorted(seen) == [*range(70)]


def test_what_was_said_about_somebody_is_handed_out_and_forgotten_with_them(booking: Booking, enter: Enter) -> None:
    say(enter("dina"), booking, "Afraid of dogs.")
    enter("dina").post(f"/desk/booking/{booking.id}/task", data={"title": "Ask Meera about the dog"})
    held = dict(privacy.export_people([booking.person_id]))
    assert "Afraid of dogs." in held["Note"][0].values()
    with transaction():
        privacy.forget([booking.person_id])
    session.expire_all()
    assert "Afraid of dogs" not in enter("ada").get(f"/desk/booking/{booking.id}").text
    assert "Meera about" not in enter("ada").get("/desk/task/").text


# --- two at once ---


def test_who_else_has_it_open_to_change_it_is_said_until_they_save(booking: Booking, enter: Enter, later: Any) -> None:
    dina, ada, address = enter("dina"), enter("ada"), f"/desk/person/{booking.person_id}"
    dina.get(f"{address}/edit")
    for page in address, f"{address}/edit":
        assert "Dina is editing this" in ada.get(page).text
    assert "is editing this" not in enter("anil").get(address).text
    assert "Ada is editing this" in dina.get(f"{address}/edit").text
    with later(minutes=16):
        assert "is editing this" not in ada.get(address).text
    dina.post(f"{address}/edit", data={"name": "Meera Iyer", "email": "meera@example.com", "timezone": "Asia/Kolkata"})
    assert "is editing this" not in ada.get(address).text


# --- tasks ---


def test_a_task_is_asked_of_a_colleague_done_and_opened_again(booking: Booking, enter: Enter, heard: Any) -> None:
    dina, asha = enter("dina"), enter("asha")
    asked = {"title": "Call her  back", "who": "asha", "due_on": "2031-01-02"}
    assert dina.post(f"/desk/booking/{booking.id}/task", data=asked).status_code == 302
    assert heard("asha") == ["Dina assigned you a task: Call her back"]
    assert "Call her back" in asha.get(f"/desk/booking/{booking.id}").text
    home = asha.get("/desk/").text
    assert ("Call her back" in home, "You’re all caught up" in home) == (True, False)
    assert "Call her back" not in dina.get("/desk/").text
    assert (
        "Marked as done: Call her back"
        in asha.post("/desk/task/1/do/finish", data={"back": "/desk/"}, follow_redirects=True).text
    )
    home = asha.get("/desk/").text
    assert ("Call her back" in home, "You’re all caught up" in home) == (False, True)
    asha.post("/desk/task/1/do/open_again")
    asha.post("/desk/task/1/do/hand_over", data={"who": "dina"})
    assert heard("dina") == ["Asha assigned you a task: Call her back"]
    assert enter("omar").post(f"/desk/booking/{booking.id}/task", data=asked).status_code == 403


def test_a_task_is_reminded_of_on_its_day_and_once(booking: Booking, enter: Enter, heard: Any, later: Any) -> None:
    due = clock.today().isoformat()
    enter("dina").post(f"/desk/booking/{booking.id}/task", data={"title": "Print the chart", "due_on": due})
    for _ in range(2):
        remind_of_tasks()
    assert heard("dina") == ["Due today: Print the chart"]
    with later(days=1):
        assert "Overdue: " in enter("dina").get("/desk/").text


def test_tasks_of_a_record_that_is_not_ours_are_not_ours(
    booking: Booking, enter: Enter, token: Any, client: FlaskClient, dev: Practitioner
) -> None:
    enter("asha").post(f"/desk/booking/{booking.id}/task", data={"title": "Secret of Asha"})
    assert client.get("/api/v1/task/", headers=token("dev")).get_json()["count"] == 0
    assert client.post("/api/v1/task/1/finish", headers=token("dev")).status_code == 404
    assert client.get("/api/v1/task/", headers=token("asha")).get_json()["count"] == 1


# --- the record among others ---


def test_the_next_one_follows_the_order_and_the_filters_of_the_list(open_slot: Any, hold: Hold, enter: Enter) -> None:
    people = [
        hold(open_slot(hours=24 + 2 * n), name=f"{name} Iyer", email=f"{name}@example.com")
        for n, name in enumerate(["Meera", "Kabir", "Meera", "Meera"])
    ]
    ids = [each.id for each in people if str(each.person.name).startswith("Meera")]
    desk, walked, query = enter("dina"), [], "q=meera&order=slot.starts_at"
    page = desk.get(
        f"/desk/booking/{ids[0]}", headers={"Referer": f"http://localhost/desk/booking/?{query}&page=1"}
    ).text
    while len(walked) < 9:
        walked.append(page)
        if 'rel="next"' not in page:
            break
        page = desk.get(page.partition('" rel="next"')[0].rpartition('href="')[2].replace("&amp;", "&")).text
    assert [next(each.id for each in people if f"<h1>{each}</h1>" in page) for page in walked] == ids
    assert 'rel="prev"' not in walked[0]
    assert (
        "Back to list"
        not in desk.get(f"/desk/booking/{ids[0]}", headers={"Referer": "http://elsewhere/desk/booking/?q=x"}).text
    )


def test_rows_without_a_value_stand_where_the_list_has_them(app: Flask, by: Any) -> None:
    tasks = resource_of(Task)
    assert tasks
    days = [clock.today(), None, clock.today() + timedelta(days=1), None, clock.today()]
    whose = [None, user_id(app, "dina"), None, user_id(app, "asha"), user_id(app, "dina")]
    with transaction():
        for day, who in zip(days, whose, strict=True):
            session.add(Task(noun="task", row_id=1, title="Look", asked_by="Dina", due_on=day, who_id=who))
    with by("ada"):
        for order in "due_on", "-due_on", "who", "-who", "-id":
            asked = ListQuery(order=order)
            rows = list_page(tasks, asked).rows
            ids = [None, *(each.id for each in rows), None]
            assert [previous_and_next(tasks, asked, each) for each in rows] == [*zip(ids, ids[2:], strict=False)], order


def test_what_is_put_away_is_in_no_list_until_it_is_fetched_again(
    booking: Booking, enter: Enter, client: FlaskClient, token: Any
) -> None:
    who, dina = booking.person_id, enter("dina")
    assert enter("anil").post(f"/desk/person/{who}/put-away").status_code == 403
    assert dina.post(f"/desk/person/{who}/put-away").status_code == 302
    page = dina.get(f"/desk/person/{who}").text
    assert "Archived by Dina" in page
    assert '<span class="what">Archived</span>' in page
    for path in "/desk/person/", "/desk/person/export.csv", "/desk/opt_in/choices/person":
        assert "Meera Iyer" not in dina.get(path).text
    assert "Meera Iyer" in dina.get("/desk/person/?f.put_away=on").text
    assert client.get("/api/v1/person/", headers=token("dina")).get_json()["count"] == 0
    assert "Meera Iyer" in dina.get("/desk/booking/").text
    dina.post(f"/desk/person/{who}/fetch")
    assert "Meera Iyer" in dina.get("/desk/person/").text
    assert dina.post(f"/desk/booking/{booking.id}/put-away").status_code == 404


def test_a_declaration_shows_its_fields_in_groups() -> None:
    made = Resource(Person, list="name", show="name email | Where: timezone locale", roles={}, scope=everything)
    assert [(heading, [each.path for each in its]) for heading, its in made.groups] == [
        ("", ["name", "email"]),
        ("Where", ["timezone", "locale"]),
    ]
    assert [each.path for each in made.show] == ["name", "email", "timezone", "locale"]


# --- notices ---


def test_the_bell_counts_and_a_notice_leads_to_what_it_is_about(booking: Booking, enter: Enter, app: Flask) -> None:
    say(enter("dina"), booking, "@asha and @anil")
    hers, his = (
        session.scalars(select(Notice.id).where(Notice.user_id == user_id(app, name))).one()
        for name in ("asha", "anil")
    )
    asha = enter("asha")
    assert "Notifications, 1 new" in asha.get("/desk/").text
    assert asha.get(f"/desk/notices/{hers}").headers["Location"] == f"/desk/booking/{booking.id}"
    assert "Notifications, 0 new" in asha.get("/desk/").text
    assert asha.get(f"/desk/notices/{his}").status_code == 404
    asha.post("/desk/notices/read", data={"id": his})
    asha.post("/desk/notices/read")
    anil = enter("anil")
    assert "Notifications, 1 new" in anil.get("/desk/notices/").text
    anil.post("/desk/notices/read")
    assert "Notifications, 0 new" in anil.get("/desk/notices/").text


def test_new_ones_come_by_a_stream_that_ends_at_once(booking: Booking, enter: Enter, client: FlaskClient) -> None:
    asha = enter("asha")
    first = asha.get("/desk/notices/stream")
    assert first.mimetype == "text/event-stream"
    assert "retry: 5000" in first.text
    assert '"unread": 0, "new": []' in first.text
    say(enter("dina"), booking, "@asha")
    second = asha.get("/desk/notices/stream", headers={"Last-Event-ID": "0"}).text
    assert '"unread": 1' in second
    assert f"Dina mentioned you on {booking}." in second
    assert '"new": []' in asha.get("/desk/notices/stream", headers={"Last-Event-ID": "1"}).text
    assert client.get("/desk/notices/stream").status_code == 204
    for path in "", "1":
        assert "/login" in client.get(f"/desk/notices/{path}").headers["Location"]


def test_each_kind_is_heard_of_as_its_reader_wants(
    booking: Booking, enter: Enter, heard: Any, work_off: Any, later: Any, app: Flask
) -> None:
    asha, dina = enter("asha"), enter("dina")
    assert asha.post("/desk/notices/preferences", data={"mention": "loudly"}).status_code == 422
    asha.post("/desk/notices/preferences", data={"mention": "off"})
    say(dina, booking, "@asha")
    assert heard("asha") == []
    asha.post("/desk/notices/preferences", data={"mention": "email"})
    say(dina, booking, "@asha, now")
    say(dina, booking, "@asha, again")
    asha.get(f"/desk/notices/{session.scalars(select(Notice.id).order_by(Notice.id)).first()}")
    mails = [*session.scalars(select(Message).where(Message.template == "house/notice").order_by(Message.id))]
    assert [(each.person.email, each.state) for each in mails] == [("asha@example.com", "waiting")] * 2
    with transaction():  # the one that was read meanwhile is not written about
        assert [each.is_wanted(Notice.get(each.row_id)) for each in mails] == [False, True]


def test_what_newly_waits_is_said_once_to_whom_it_waits_for(
    requested: Any, open_slot: Any, hold: Hold, heard: Any, dev: Practitioner
) -> None:
    (first,) = requested(1)
    for _ in range(2):
        say_what_waits()
    assert heard("asha") == heard("dina") == [f"Bookings to approve: {first}"]
    assert heard("dev") == heard("anil") == []
    hold(open_slot(hours=90))
    say_what_waits()
    assert heard("dina") == ["Bookings to approve: 2"]
    first.approve()
    say_what_waits()
    assert len(heard("dina")) == 1


def test_a_job_that_died_is_told_to_the_administrator(app: Flask, heard: Any) -> None:
    with transaction():
        session.add(Job(name="kernel.jobs.nosuch", due_at=clock.now()))
    with transaction():
        session.execute(text("update job set state = 'failed'"))
    say_what_waits()
    assert heard("ada") == ["Failed background jobs: kernel.jobs.nosuch"]
    assert heard("dina") == []


# --- the inbox ---


def test_everything_that_waits_is_decided_in_one_place(requested: Any, enter: Enter, client: FlaskClient) -> None:
    asked = requested(3)
    desk = enter("dina")
    page = desk.get("/desk/inbox/").text
    assert "Bookings to approve" in page
    assert all(f'href="/desk/booking/{each.id}"' in page for each in asked)
    asked[1].approve()
    chosen = {"noun": "booking", "move": "decline", "id": [each.id for each in asked]}
    assert "Go back" in desk.post("/desk/inbox/decide", data=chosen).text
    unsaid = desk.post("/desk/inbox/decide", data=chosen | {"sure": "yes"})
    assert unsaid.status_code == 422
    report = desk.post("/desk/inbox/decide", data=chosen | {"sure": "yes", "why": "We are closed that day."}).text
    assert "Decline request: 2 of 3 done." in report
    assert "1 not changed." in report
    session.expire_all()
    assert [session.get_one(Booking, each.id).state for each in asked] == ["cancelled", "held", "cancelled"]
    assert "You’re all caught up" in desk.get("/desk/inbox/").text
    assert "/login" in client.get("/desk/inbox/").headers["Location"]
    assert "/login" in client.post("/desk/inbox/decide", data=chosen).headers["Location"]


def test_with_none_chosen_nothing_is_asked_and_nothing_done(requested: Any, enter: Enter) -> None:
    requested(2)
    for move in "approve", "decline":
        page = enter("dina").post("/desk/inbox/decide", data={"noun": "booking", "move": move})
        assert (page.status_code, "No records were selected, so nothing was changed." in page.text) == (200, True)


def words_of(page: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", page).split())


def test_whose_it_is_and_how_much_is_seen_before_it_is_decided(
    service: Service, hold: Hold, slot: Slot, enter: Enter, by: Any
) -> None:
    with transaction():
        service.price = Money(2_500_000, "INR")
    booking = hold(slot)
    with by("dina"):
        booking.mark_paid(ByHand("cash", "receipt 7"))
    ada = enter("ada")
    payment = Booking.get(booking.id).bill.payments[0]
    for page in ada.get("/desk/inbox/").text, ada.get(f"/desk/payment/{payment.id}/do/approve").text:
        assert "Customer: Meera Iyer" in words_of(page)
        assert "Amount: ₹25,000.00" in words_of(page)
        assert "₹0.00" not in words_of(page)
    assert "Reference: receipt 7" in words_of(ada.get("/desk/inbox/").text)
    with by("ada"):
        payment.approve()
    with by("dina"):
        Booking.get(booking.id).cancel(CallOff("Ill.", "all"))
    refund = session.query(Refund).one()
    for move in "approve", "decline":
        assert "Customer: Meera Iyer · Amount: ₹25,000.00" in words_of(
            ada.get(f"/desk/refund/{refund.id}/do/{move}").text
        )
    asked = ada.post("/desk/inbox/decide", data={"noun": "refund", "move": "decline", "id": refund.id}).text
    assert "Customer: Meera Iyer · Amount: ₹25,000.00" in words_of(asked)


def test_what_is_not_mine_is_neither_in_my_inbox_nor_decided_there(
    booking: Booking, enter: Enter, dev: Practitioner
) -> None:
    booking.ask()
    assert str(booking) not in enter("dev").get("/desk/inbox/").text
    chosen = {"noun": "booking", "move": "approve", "id": [booking.id], "sure": "yes"}
    assert (
        "This page doesn’t exist, or you don’t have access to it."
        in enter("dev").post("/desk/inbox/decide", data=chosen).text
    )
    assert enter("anil").post("/desk/inbox/decide", data=chosen).status_code == 403
    for wrong in {"noun": "nosuch"}, {"move": "ask"}, {"move": "reschedule"}, {"noun": "session"}:
        assert enter("dina").post("/desk/inbox/decide", data=chosen | wrong).status_code == 404
    session.expire_all()
    assert session.get_one(Booking, booking.id).state == "requested"

"""Tests of automations: a trigger, conditions and steps, run once with the change and never blocking it."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from app.desk.automations import automation
from app.desk.automations import run as run_module
from app.desk.automations.automation import Automation
from app.desk.automations.run import MAX_CHAIN, MAX_PER_HOUR, AutomationRun
from app.desk.notices.notice import Notice
from app.desk.records.remark import Remark
from app.desk.records.task import Task
from app.kernel import clock
from app.kernel.db import session, transaction
from app.kernel.errors import Refused
from app.kernel.jobs import Job
from app.messages.message import Message
from app.messages.webhook import Webhook
from app.messages.webhook_delivery import WebhookDelivery
from app.money.bills.bill import ByHand
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.changes import CallOff
from config import Settings
from tests.conftest import CAST, PATIENCE, user_id

Enter = Callable[[str], FlaskClient]
REMARK = {"does": "remark", "words": "{number} of {person} is off."}
TASK = {"does": "task", "words": "Call {person} about {number}", "who": "owner", "days": 1}


@pytest.fixture
def make(app: Flask, by: Any) -> Callable[..., Automation]:
    """An automation of Dina's that is switched on: make("booking", "cancel", REMARK)."""

    def make(
        noun: str,
        verb: str,
        *steps: dict[str, Any],
        asked: str = "",
        on: bool = True,
        maker: str = "dina",
        name: str = "",
    ) -> Automation:
        with by(maker), transaction():
            made = Automation(name=name or f"After {verb} of {noun}", noun=noun, verb=verb, asked=asked, steps=[*steps])
            made.tidy()
            session.add(made)
            session.flush()
            if on:
                made.switch_on()
        return made

    return make


def all_of(noun: Any) -> list[Any]:
    session.rollback()
    session.expire_all()
    return [*session.scalars(select(noun).order_by(noun.id))]


def cancel(booking: Booking) -> None:
    booking.mark_paid(ByHand("cash", "R-1"))
    booking.cancel(CallOff("They asked for it"))


def test_a_move_becomes_a_task_of_whoever_the_record_belongs_to(
    make: Any, slot: Any, hold: Any, work_off: Any, app: Flask
) -> None:
    made = make("booking", "cancel", TASK)
    assert (
        made.sentence == "When a booking is cancelled (“Cancel booking”): "
        "create the task “Call {person} about {number}” for the record owner, due tomorrow."
    )
    booking = hold(slot)
    cancel(booking)
    (run,) = all_of(AutomationRun)
    assert (run.state, run.about) == ("waiting", booking.number)
    assert not all_of(Task)
    work_off()
    (task,) = all_of(Task)
    assert (task.title, task.who_id, task.about) == (
        f"Call Meera Iyer about {booking.number}",
        user_id(app, "asha"),
        booking.number,
    )
    assert (task.due_on - clock.today()).days == 1
    assert task.asked_by == "Automation “After cancel of booking”"
    (run,) = all_of(AutomationRun)
    assert run.state == "done"
    assert run.did == [
        {
            "what": f"Created a task for Asha: “Call Meera Iyer about {booking.number}”",
            "noun": "task",
            "row_id": task.id,
        }
    ]


def test_only_what_the_question_is_true_of_and_only_while_it_is_switched_on(
    make: Any, open_slot: Any, hold: Any, work_off: Any
) -> None:
    dear = make("booking", "cancel", REMARK, asked="price:from:1000;state:is:cancelled", name="Dear ones")
    make("booking", "cancel", REMARK, asked="price:from:500(or)person:is:0", name="The others")
    make("booking", "cancel", REMARK, on=False, name="A draft")
    cancel(hold(open_slot()))
    assert [each.automation.name for each in all_of(AutomationRun)] == ["The others"]
    with transaction():
        all_of(Automation)[1].switch_off()
        dear.lock().asked = ""
        dear.tidy()
    cancel(hold(open_slot(hours=60)))
    assert [each.automation.name for each in all_of(AutomationRun)] == ["The others", "Dear ones"]
    work_off()
    assert [(each.state, each.trouble) for each in all_of(AutomationRun)] == [
        ("stopped", "The automation was turned off before this run started."),
        ("done", ""),
    ]
    assert [each.words for each in all_of(Remark)] == [f"BK-{clock.today().year}-000002 of Meera Iyer is off."]


def test_a_row_that_is_added_is_heard_of_as_well(make: Any, slot: Any, hold: Any, work_off: Any) -> None:
    make("person", "added", {"does": "remark", "words": "Look after {name}, @dina."}, asked="email:has:meera")
    hold(slot)
    work_off()
    assert [each.words for each in all_of(Remark)] == ["Look after Meera Iyer, @dina."]
    assert [each.words for each in all_of(Notice)] == [
        "Automation “After added of person” mentioned you on Meera Iyer."
    ]


def test_what_is_taken_back_leaves_nothing_behind(make: Any, slot: Any, hold: Any) -> None:
    make("booking", "lapse", REMARK)
    booking = hold(slot)
    with pytest.raises(RuntimeError), transaction():
        booking.lapse()
        raise RuntimeError
    with pytest.raises(RuntimeError), transaction():
        with session.begin_nested():
            booking.lapse()
        raise RuntimeError
    with transaction():
        pass
    assert not all_of(AutomationRun)
    assert not [each for each in all_of(Job) if each.noun == "run"]
    with transaction(), session.begin_nested():
        booking.lapse()
    assert len(all_of(AutomationRun)) == 1


def test_a_message_goes_out_in_the_words_of_the_house(
    make: Any, slot: Any, hold: Any, work_off: Any, sandbox: str
) -> None:
    make("booking", "miss", {"does": "message", "template": "bookings/cancelled"})
    booking = hold(slot)
    booking.mark_paid(ByHand("cash", "R-1"))
    work_off()
    before = letters(sandbox)
    with clock.frozen_at(slot.ends_at):
        all_of(Booking)[0].miss()
        work_off()
    (message,) = [each for each in all_of(Message) if (each.key or "").startswith("automation:")]
    assert (message.template, message.state) == ("bookings/cancelled", "sent")
    (letter,) = [each for each in letters(sandbox) if each not in before]
    assert "meera@example.com" in json.dumps(letter)
    (run,) = all_of(AutomationRun)
    assert run.did == [{"what": "Queued “Booking cancelled” for Meera Iyer", "noun": "message", "row_id": message.id}]


def letters(sandbox: str) -> list[Any]:
    return list(requests.get(f"{sandbox}/mail.json", timeout=PATIENCE).json())


@pytest.fixture
def hook(app: Flask, settings: Settings) -> Webhook:
    with transaction():
        made = Webhook(name="Their program", address=settings.sandbox_listener, events="payment.capture")
        session.add(made)
    return made


def test_a_webhook_is_called_with_a_signature_and_nothing_of_the_customers_own(
    make: Any, hook: Webhook, slot: Any, hold: Any, work_off: Any, sandbox: str
) -> None:
    make("booking", "cancel", {"does": "hook", "hook": hook.id}, name="Say it elsewhere")
    make("person", "added", {"does": "hook", "hook": hook.id}, name="Somebody new")
    before = heard(sandbox)
    cancel(hold(slot))
    work_off()
    new = [each for each in heard(sandbox) if each not in before]
    told = {each["told"]["event"]: each for each in new}
    assert told.keys() == {"booking.cancel", "person.added", "payment.capture"}
    body = told["booking.cancel"]
    assert (body["told"]["automation"], body["told"]["data"]["state"]) == ("Say it elsewhere", "cancelled")
    moment = body["headers"]["Frontdesk-Signature"].split(",")[0].removeprefix("t=")
    signed_at = datetime.fromtimestamp(int(moment), UTC)
    assert body["headers"]["Frontdesk-Signature"] == hook.signature_header(body["body"], signed_at)
    assert "Meera" not in json.dumps(new)
    assert {each.state for each in all_of(WebhookDelivery)} == {"delivered"}


def heard(sandbox: str) -> list[Any]:
    return list(requests.get(f"{sandbox}/listener/heard.json", timeout=PATIENCE).json())


# --- what goes wrong --------------------------------------------------------------------------------------------------


def notices(app: Flask, name: str) -> list[str]:
    session.rollback()
    return [*session.scalars(select(Notice.words).where(Notice.user_id == user_id(app, name)).order_by(Notice.id))]


@pytest.mark.parametrize("asked", ["no_such_column:is:1", "price:from:1000000000"])
def test_a_question_that_cannot_be_asked_any_more_stops_nobody(
    make: Any, slot: Any, hold: Any, work_off: Any, app: Flask, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make("booking", "cancel", REMARK)
    with transaction():
        made.lock().asked = asked
    if "price" in asked:  # the database itself says no, in the middle of somebody's change
        monkeypatch.setattr(run_module, "ids_matching", lambda *_: session.execute(text("select 1 / 0")))
    booking = hold(slot)
    cancel(booking)
    assert booking.state == "cancelled"
    (run,) = all_of(AutomationRun)
    assert run.state == "failed"
    assert ("can’t be filtered by 'no_such_column'" if "no_such" in asked else "division by zero") in run.trouble
    assert notices(app, "dina") == ["“After cancel of booking” failed for a booking. See the run for details."]


def test_what_fails_fails_whole_tells_its_maker_once_and_can_be_tried_again(
    make: Any, hook: Webhook, open_slot: Any, hold: Any, work_off: Any, app: Flask, enter: Enter
) -> None:
    make("booking", "cancel", REMARK, {"does": "hook", "hook": hook.id})
    with transaction():
        hook.switch_off()
    for hours in (48, 60):
        cancel(hold(open_slot(hours=hours)))
    work_off()
    first, second = all_of(AutomationRun)
    assert (first.state, second.state, first.trouble) == (
        "failed",
        "failed",
        "The webhook “Their program” is disabled.",
    )
    assert not all_of(Remark)
    assert len(notices(app, "dina")) == 1
    assert "Failed automations" in enter("dina").get("/desk/inbox/").text
    with transaction():
        session.get_one(Webhook, hook.id).switch_on()
    assert enter("dina").post(f"/desk/run/{first.id}/do/try_again").status_code == 302
    work_off()
    assert [each.state for each in all_of(AutomationRun)] == ["done", "failed"]
    assert len(all_of(Remark)) == 1
    assert [each.event for each in all_of(WebhookDelivery) if "automation" in each.body] == ["booking.cancel"]


def test_a_colleague_who_is_gone_is_asked_nothing(make: Any, slot: Any, hold: Any, work_off: Any, app: Flask) -> None:
    omar = app.extensions["appbuilder"].sm.find_user(username="omar")
    make("booking", "cancel", TASK | {"who": str(omar.id)})
    cancel(hold(slot))
    try:
        omar.active = False
        session.commit()
        work_off()
        (run,) = all_of(AutomationRun)
        assert (run.state, run.trouble) == ("failed", "That team member no longer has an account.")
    finally:
        app.extensions["appbuilder"].sm.find_user(username="omar").active = True
        session.commit()


def test_where_nobody_of_the_house_stands_beside_it_its_maker_is_asked(
    make: Any, slot: Any, hold: Any, work_off: Any, app: Flask, asha: Any
) -> None:
    make("booking", "cancel", TASK)
    with transaction():
        asha.lock().user_id = None
    cancel(hold(slot))
    work_off()
    assert [each.who_id for each in all_of(Task)] == [user_id(app, "dina")]


def test_a_worker_that_is_killed_has_done_nothing_and_the_next_does_it_once(
    make: Any, slot: Any, hold: Any, work_off: Any, later: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("booking", "cancel", TASK, REMARK)
    cancel(hold(slot))
    finish = AutomationRun.finish
    monkeypatch.setattr(AutomationRun, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        work_off()
    session.remove()
    assert (len(all_of(Task)), all_of(AutomationRun)[0].state) == (0, "waiting")
    monkeypatch.setattr(AutomationRun, "finish", finish)
    with later(minutes=3):
        work_off()
    (run,) = all_of(AutomationRun)
    run.execute()
    run_module.run_automation(run)
    assert (len(all_of(Task)), len(all_of(Remark)), all_of(AutomationRun)[0].state) == (1, 1, "done")


def test_one_change_is_owed_once_however_often_it_is_written_down(make: Any, slot: Any, hold: Any) -> None:
    made, booking = make("booking", "cancel", REMARK), hold(slot)
    with transaction():
        AutomationRun.queue(made, booking, "cancel", "one change")
    with pytest.raises(Refused, match="already queued"), transaction():
        AutomationRun.queue(session.get_one(Automation, made.id), booking, "cancel", "one change")


def test_automations_that_start_each_other_come_to_an_end_that_is_said(
    make: Any, hook: Webhook, slot: Any, hold: Any, work_off: Any, app: Flask
) -> None:
    make("call", "added", {"does": "hook", "hook": hook.id})
    hold(slot).mark_paid(ByHand("cash", "R-1"))
    work_off()
    assert [each.state for each in all_of(AutomationRun)] == ["done"] * MAX_CHAIN + ["stopped"]
    assert (
        all_of(AutomationRun)[-1].trouble
        == "This automation was not started, because 5 automations have already triggered one another."
    )
    assert len(all_of(WebhookDelivery)) == MAX_CHAIN + 1
    assert notices(app, "dina") == [
        "“After added of call” was not started again for a webhook delivery. See the run for details."
    ]


def test_they_come_to_an_end_across_jobs_as_well(
    make: Any, hook: Webhook, slot: Any, hold: Any, work_off: Any, sandbox: str
) -> None:
    """A call that is delivered calls again: each of them is a job of its own."""
    make("call", "arrive", {"does": "hook", "hook": hook.id})
    hold(slot).mark_paid(ByHand("cash", "R-1"))
    work_off()
    assert [each.state for each in all_of(AutomationRun)] == ["done"] * MAX_CHAIN + ["stopped"]
    assert len(all_of(WebhookDelivery)) == MAX_CHAIN + 1


def test_a_program_elsewhere_that_answers_each_time_is_not_answered_for_ever(
    make: Any, slot: Any, hold: Any, work_off: Any, later: Any
) -> None:
    make("task", "finish", REMARK | {"words": "Done."})
    make("task", "open_again", REMARK | {"words": "Not done."})
    with transaction():
        task = Task.create(hold(slot), "Sweep", "dina", None)
    for _ in range(MAX_PER_HOUR + 5):
        task.finish()
        task.open_again()
    work_off()
    assert [each.state for each in all_of(AutomationRun)].count("done") == 2 * MAX_PER_HOUR
    assert "for the same record 20 times within an hour" in all_of(AutomationRun)[-1].trouble
    with later(hours=2):
        all_of(Task)[0].finish()
        work_off()
    assert all_of(AutomationRun)[-1].state == "done"


def test_a_house_that_awaits_nothing_of_a_noun_asks_nothing_when_it_moves(
    make: Any, open_slot: Any, hold: Any, count_queries: Any
) -> None:
    one, two, three = hold(open_slot()), hold(open_slot(hours=60)), hold(open_slot(hours=70))
    automation.active_automations.value  # noqa: B018  # as after the first page
    before = count_queries(one.lapse)
    make("person", "added", REMARK | {"words": "{name}"})
    assert count_queries(two.lapse) == before
    make("booking", "lapse", REMARK)
    assert count_queries(three.lapse) > before


# --- the pages, and who may -------------------------------------------------------------------------------------------

SENTENCE = {"was": "booking", "noun": "booking", "verb": "cancel", "name": "Call them back"}
ASKED = {"1.1.column": "price", "1.1.how": "from", "1.1.value": "1,000.00"}
STEPPED = {
    "s1.does": "task",
    "s1.words": "Call {person} back",
    "s1.who": "maker",
    "s1.days": "1",
    "s2.does": "remark",
    "s2.words": "{number} is off.",
}
DOORS = ("", "1", "new", "1/edit", "1/try", "1/rows")


def test_a_sentence_is_put_together_without_scripts_and_kept_as_a_draft(enter: Enter, slot: Any, app: Flask) -> None:
    desk = enter("dina")
    assert "Automations do routine work for you." in desk.get("/desk/automation/").text
    assert "is cancelled (“Cancel booking”)" in desk.get("/desk/automation/new").text
    page = desk.post("/desk/automation/new", data=SENTENCE | {"do": "or"}).text
    assert 'name="1.1.column"' in page
    assert 'value="Call them back"' in page
    page = desk.post("/desk/automation/new", data=SENTENCE | ASKED | {"do": "step:task"}).text
    assert 'name="s1.words"' in page
    assert 'value="1,000.00"' in page
    assert "When a booking is cancelled (“Cancel booking”), and price is at least 1,000.00: create a task …." in page
    assert not all_of(Automation)
    answer = desk.post("/desk/automation/new", data=SENTENCE | ASKED | STEPPED | {"do": "save"})
    assert answer.status_code == 302, answer.text
    (made,) = all_of(Automation)
    assert (made.state, made.maker_id, made.made_by) == ("draft", user_id(app, "dina"), "Dina")
    assert made.sentence == (
        "When a booking is cancelled (“Cancel booking”), and price is at least 1,000.00: "
        "create the task “Call {person} back” for the automation owner, due tomorrow, "
        "then add the note “{number} is off.”."
    )
    assert made.asked == "price:from:1,000.00"
    page = desk.get(f"/desk/automation/{made.id}/edit").text
    for part in ('value="Call {person} back"', 'value="1,000.00"', 'name="s2.words"'):
        assert part in page
    assert made.sentence.split(":")[0] in desk.get(f"/desk/automation/{made.id}").text.replace("&#39;", "'")
    assert desk.post(f"/desk/automation/{made.id}/do/switch_on").status_code == 302
    assert all_of(Automation)[0].state == "on"


def test_steps_and_conditions_come_go_and_change_places(enter: Enter, app: Flask) -> None:
    desk = enter("ada")
    page = desk.post("/desk/automation/new", data=SENTENCE | STEPPED | {"do": "earlier:2"}).text
    assert page.index("{number} is off.") < page.index("Call {person} back")
    assert (
        "Call {person} back" not in desk.post("/desk/automation/new", data=SENTENCE | STEPPED | {"do": "unstep:1"}).text
    )
    assert 'name="1.1.column"' not in desk.post("/desk/automation/new", data=SENTENCE | ASKED | {"do": "drop:1.1"}).text
    other = desk.post("/desk/automation/new", data=SENTENCE | ASKED | STEPPED | {"noun": "person", "do": "look"}).text
    assert 'name="1.1.column"' not in other
    assert "Call {person} back" in other
    saved = desk.post(
        "/desk/automation/new", data=SENTENCE | ASKED | STEPPED | {"noun": "person", "verb": "added", "do": "save"}
    )
    assert saved.status_code == 409
    assert "so the conditions were removed" in saved.text
    assert not all_of(Automation)


def test_a_question_about_a_column_that_is_gone_is_not_taken_away_in_silence(make: Any, enter: Enter) -> None:
    made = make("booking", "cancel", REMARK)
    with transaction():
        made.lock().asked = "no_such_column:is:1"
    assert "The conditions were removed." in enter("dina").get(f"/desk/automation/{made.id}/edit").text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"s1.words": "Call {phone_of_mother}"}, "Bookings have no variable {phone_of_mother}."),
        ({"s1.words": "Call {sealed_answers}"}, "Bookings have no variable {sealed_answers}."),
        ({"s1.who": ""}, "Choose a team member who can view bookings."),
        ({"s1.days": "soon"}, "Enter a number of days from 0 (today) to 365."),
        ({"1.1.value": "dear"}, "Price:"),
        ({"verb": ""}, "Trigger</a>: This field is required."),
        ({"name": "x"}, "Enter a name of 2 to 100 characters."),
        ({"s1.does": "message", "s1.template": "money/invoice"}, "Choose a message about bookings."),
        ({"s1.does": "hook", "s1.hook": "99"}, "Choose a webhook."),
        ({"s1.does": "shell"}, "Choose one of: task, remark, notify, message, hook."),
    ],
)
def test_what_cannot_be_kept_is_named_and_what_was_typed_stays(
    enter: Enter, app: Flask, change: dict[str, str], said: str
) -> None:
    answer = enter("dina").post("/desk/automation/new", data=SENTENCE | ASKED | STEPPED | change | {"do": "save"})
    assert answer.status_code == 422
    page = html.unescape(answer.text)
    assert said in page
    assert all(value in page for name, value in change.items() if name.endswith("words"))
    assert "{number} is off." in page
    assert not all_of(Automation)


def test_trying_it_shows_what_it_would_do_and_does_nothing(
    make: Any, hook: Webhook, open_slot: Any, hold: Any, enter: Enter, count_queries: Any
) -> None:
    every = [TASK, REMARK, {"does": "notify", "words": "Look at {number}", "who": "maker"}]
    made = make(
        "booking",
        "cancel",
        *every,
        {"does": "message", "template": "bookings/cancelled"},
        {"does": "hook", "hook": hook.id},
        asked="state:is:cancelled",
    )
    held, off = hold(open_slot()), hold(open_slot(hours=60))
    cancel(off)
    before = {noun: len(all_of(noun)) for noun in (Task, Remark, Message, WebhookDelivery, Notice, Job, AutomationRun)}
    desk = enter("dina")
    page = html.unescape(desk.get(f"/desk/automation/{made.id}/try").text)
    for words in (
        "This would happen:",
        f"For {off.number}",
        "Create a task for Asha, due tomorrow",
        f"Call Meera Iyer about {off.number}",
        f"{off.number} of Meera Iyer is off.",
        f"Look at {off.number}",
        "to Meera Iyer, meera@example.com",
        "Call the webhook “Their program”",
        '"event": "booking.cancel"',
    ):
        assert words in page, words
    with transaction():
        made.lock().steps = [{"does": "message", "template": "bookings/confirmed"}]
    assert "This message would not be sent" in desk.get(f"/desk/automation/{made.id}/try?row={off.id}").text
    other = html.unescape(desk.get(f"/desk/automation/{made.id}/try?row={held.id} · {held}").text)
    assert "The conditions are not met, so nothing would happen." in other
    assert "Status is Cancelled" in other
    assert desk.get(f"/desk/automation/{made.id}/try?row=99").status_code == 404
    assert desk.get(f"/desk/automation/{made.id}/rows?q=BK-").get_json()["choices"]
    assert {noun: len(all_of(noun)) for noun in before} == before


def test_the_log_leads_to_what_was_done(make: Any, slot: Any, hold: Any, work_off: Any, enter: Enter) -> None:
    made = make("booking", "cancel", TASK, REMARK)
    cancel(hold(slot))
    work_off()
    desk, (run,), (task,) = enter("dina"), all_of(AutomationRun), all_of(Task)
    assert f'href="/desk/task/{task.id}"' in desk.get(f"/desk/run/{run.id}").text
    assert f'href="/desk/booking/{run.row_id}"' in desk.get(f"/desk/run/{run.id}").text
    assert f'href="/desk/run/{run.id}"' in desk.get(f"/desk/automation/{made.id}").text


@pytest.mark.parametrize("name", CAST)
def test_making_them_is_for_the_desk_and_the_administrator(
    make: Any, name: str, enter: Enter, token: Any, client: FlaskClient, slot: Any
) -> None:
    made = make("booking", "cancel", REMARK)
    reads, writes = name in ("ada", "dina", "omar"), name in ("ada", "dina")
    desk = enter(name)
    for door in DOORS:
        may = reads if door in ("", "1", "1/try", "1/rows") else writes
        assert desk.get(f"/desk/automation/{door}").status_code == (200 if may else 403), door
    sent = {"name": "By a program", "noun": "booking", "verb": "cancel", "asked": "price:from:10", "steps": [REMARK]}
    added = client.post("/api/v1/automation/", json=sent, headers=token(name))
    assert added.status_code == (201 if writes else 403), added.text
    changed = client.put(
        f"/api/v1/automation/{made.id}", json={"steps": [REMARK | {"words": "Off."}]}, headers=token(name)
    )
    assert changed.status_code == (200 if writes else 403), changed.text
    assert client.post(f"/api/v1/automation/{made.id}/switch_off", headers=token(name)).status_code == (
        200 if writes else 403
    )
    assert client.get("/api/v1/run/", headers=token(name)).status_code == (200 if reads else 403)
    if writes:
        assert added.get_json()["result"]["steps"] == [REMARK]
        wrong = client.put(
            f"/api/v1/automation/{made.id}", json={"steps": [REMARK | {"words": "{handle}"}]}, headers=token(name)
        )
        assert (wrong.status_code, [*wrong.get_json()["error"]["fields"]]) == (422, ["steps.1.words"])


def test_nobody_makes_one_about_what_they_may_not_read(
    make: Any, by: Any, enter: Enter, client: FlaskClient, token: Any, app: Flask, slot: Any
) -> None:
    """Dina may not read what the gateways settle, so there is no such record for her, at any door."""
    secret = make("settlement", "explain", REMARK | {"words": "{gateway}"}, maker="ada", on=False)
    assert 'value="settlement"' not in enter("dina").get("/desk/automation/new").text
    sent = {"name": "Look inside", "noun": "settlement", "verb": "explain", "steps": [REMARK]}
    assert client.post("/api/v1/automation/", json=sent, headers=token("dina")).get_json()["error"]["fields"] == {
        "noun": "Choose one from the list."
    }
    assert client.post(f"/api/v1/automation/{secret.id}/switch_on", headers=token("dina")).status_code == 403
    assert enter("dina").get(f"/desk/automation/{secret.id}/try").status_code == 404
    assert enter("dina").get(f"/desk/automation/{secret.id}/edit").status_code == 403

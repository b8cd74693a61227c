"""Tests of the display names of nouns; programs keep the technical names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from app.desk.automations.automation import with_article
from app.desk.declare.field import Field
from app.desk.declare.resource import resource_of
from app.messages.webhook_delivery import WebhookDelivery
from app.money.reconcile.tally import Tally
from app.packs.bookings.booking.waiting import Waiting
from app.packs.bookings.offer.assignment import Assignment
from app.packs.bookings.offer.prepaid import Pass

Enter = Callable[[str], FlaskClient]


@pytest.mark.parametrize(
    ("noun", "said"),
    [
        (Pass, "a package sold"),
        (Waiting, "a waiting list entry"),
        (Assignment, "an assignment"),
        (WebhookDelivery, "a webhook delivery"),
        (Tally, "a daily reconciliation"),
    ],
)
def test_one_of_them_is_called_what_a_person_calls_it(app: object, noun: type, said: str) -> None:
    declared = resource_of(noun)
    assert declared
    assert with_article(declared) == said


def test_an_automation_begins_with_that_word(enter: Enter) -> None:
    page = enter("ada").get("/desk/automation/new").text
    assert '<option value="pass">a package sold</option>' in page
    assert '<option value="other_hours">a day with special hours</option>' in page


def test_a_field_is_of_what_a_person_means(enter: Enter) -> None:
    page = enter("ada").get("/desk/field/new").text
    assert '<option value="pass">Package sold</option>' in page
    assert '<option value="hook">Webhook</option>' in page
    assert str(Field(noun="pass", label="Shelf")) == "Shelf (package sold)"


def test_a_form_is_headed_by_it(enter: Enter) -> None:
    assert "<h1>New assignment</h1>" in enter("dina").get("/desk/giver/new").text

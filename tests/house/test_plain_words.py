"""Tests of the wording rules of CONTRIBUTING, over templates, code, scripts, catalogues and rendered pages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from html import unescape
from itertools import pairwise

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.desk.built_in.money_resources import money
from app.desk.built_in.resources import house
from app.kernel.workflow import moves
from app.packs import PACKS
from tests.house import plain_words
from tests.house.plain_words import ROOT, VERBS, lower_after_salutation, texts, wrong_with

PARTS = [house, money, *PACKS]
RESOURCES = [each for pack in PARTS for each in pack.resources]


# Simulators answer in the words of the real services.
STRANGERS = ("app/sandbox/razorpay", "app/sandbox/stripe")


@pytest.fixture
def app(peopled: Flask) -> Flask:
    return peopled


def test_no_text_uses_words_of_our_own_and_labels_are_in_sentence_case() -> None:
    ours = (each for each in texts() if not each.file.startswith(STRANGERS))
    wrong = [f"{each.place}: {each.words!r}: {why}" for each in ours for why in wrong_with(each)]
    assert not wrong, f"{len(wrong)} texts:\n" + "\n".join(wrong)


def test_the_rules_see_what_they_are_for() -> None:
    """Check that each rule finds a wrong text."""
    for words, how in (
        ("Whoever has 20 gets more.", "text"),
        ("This is not here any more.", "text"),
        ("Call it off", "button"),
        ("Refund Policies", "heading"),
        ("Save Changes", "button"),
        ("The telephone", "label"),
        ("It stands below.", "text"),
        ("Something went wrong by itself.", "text"),
    ):
        assert wrong_with(plain_words.Text("x", 1, words, how)), words
    for words, how in ("Cancel booking", "button"), ("Razorpay payments", "heading"), ("You can’t undo this.", "text"):
        assert not wrong_with(plain_words.Text("x", 1, words, how)), words


def test_the_line_after_a_salutation_begins_with_a_capital() -> None:
    wrong = [each.place for path in sorted(ROOT.glob("templates/**/*.txt")) for each in lower_after_salutation(path)]
    assert not wrong, wrong


def test_catalogues_follow_the_same_rules_in_english() -> None:
    wrong = [f"{each.words!r}: {why}" for each in plain_words.in_catalogues() for why in wrong_with(each)]
    assert not wrong, "\n".join(wrong)


# Buttons without a verb in every calendar, dialog and download list.
USUAL = ("Today", "Done", "Excel", "PDF", "Dark", "Advanced filter", "I have saved my codes", "selected", "of {…}")


# --- buttons ----------------------------------------------------------------------------------------------------------


def test_a_button_says_what_it_does() -> None:
    """A button begins with a verb; so does the label of a move."""
    labels = [
        (f"{each.name}.{move.name}", move.label) for each in RESOURCES for move in moves(each.noun).values() if move.by
    ]
    labels += [
        (each.place, each.words)
        for each in texts("templates")
        if each.how == "button" and each.words[:1].isalpha() and "sandbox" not in each.file
    ]
    wrong = [
        f"{place}: {label!r}"
        for place, label in labels
        if re.split(r"[ …,]", label)[0].lower() not in VERBS and label not in USUAL
    ]
    assert not wrong, f"{len(wrong)} buttons without a verb:\n" + "\n".join(wrong)


def test_no_two_things_have_one_name() -> None:
    names = Counter([*(each.label for each in RESOURCES), *(each.label for pack in PARTS for each in pack.reports)])
    assert not [name for name, count in names.items() if count > 1]


# --- pages as they are rendered ---------------------------------------------------------------------------------------

NOT_READ = re.compile(r"<(script|style|code|pre|textarea|svg|template)\b.*?</\1>", re.DOTALL)
MACHINE = re.compile(r"\b(?!https?)[a-z]{2,}_[a-z_]+\b|\b(?:bookings|money|house)/[a-z_]+\b")
ONE_OF_MANY = re.compile(
    r"(?<![\d.,₹/-])\b1 (?:\w+ )?(bookings|rows|customers|people|payments|records|times|days|hours|minutes|seats"
    r"|places|items|points|jobs|results)\b"
)


# Records that hold technical names: questions with API names, variables of templates, events of webhooks.
FOR_PROGRAMS = ("field", "form", "edition", "wording", "call", "automation", "hook")


def visible(page: str) -> str:
    """Read the visible text of a page."""
    body = NOT_READ.sub(" ", page.partition("<body")[2])
    return " ".join(unescape(re.sub(r"<[^>]*>", " \n ", body)).split())


@pytest.mark.parametrize(
    "resource", [each for each in RESOURCES if each.name not in FOR_PROGRAMS], ids=lambda each: each.name
)
def test_no_machine_name_is_on_a_screen(resource: object, enter: Callable[[str], FlaskClient], app: Flask) -> None:
    ada, name = enter("ada"), resource.name  # type: ignore[attr-defined]
    first = re.search(rf'href="/desk/{name}/(\d+)"', ada.get(f"/desk/{name}/").text)
    wrong = []
    for path in (f"/desk/{name}/", *([f"/desk/{name}/{first[1]}"] if first else [])):
        seen = visible(ada.get(path).text)
        wrong += [f"{path}: {hit[0]}" for rule in (MACHINE, ONE_OF_MANY) for hit in rule.finditer(seen)]
    assert not wrong, wrong


def test_a_sentence_begins_with_a_capital_on_every_page_of_the_desk(
    enter: Callable[[str], FlaskClient], app: Flask
) -> None:
    """No full stop has a space before it, either."""
    ada, wrong = enter("ada"), []
    for path in (
        "/desk/",
        "/desk/inbox/",
        "/desk/features/",
        "/desk/words/",
        "/desk/rights/",
        "/desk/tokens/",
        "/desk/sittings/",
        "/desk/notices/",
        "/desk/forms/",
    ):
        answer = ada.get(path, follow_redirects=True)
        assert answer.status_code == 200, path
        seen = visible(answer.text)
        wrong += [
            f"{path}: {before[-30:]} {after[:10]}"
            for before, after in pairwise(re.split(r"(?<=\w) (?=\.(?:\s|$))", seen))
        ]
        wrong += [f"{path}: {hit[0]}" for rule in (MACHINE, ONE_OF_MANY) for hit in rule.finditer(seen)]
    assert not wrong, wrong

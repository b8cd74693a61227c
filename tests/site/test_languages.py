"""What a customer reads is in their language, whole, wherever they go; adding a language is one file."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from babel.messages.pofile import read_po
from flask.testing import FlaskClient
from jinja2 import Environment, nodes

from app.kernel import clock, words
from app.kernel.db import session, transaction
from app.money.bill import ByHand
from app.ops import catalogue
from app.packs.bookings.booking import Booking, CallOff
from app.packs.bookings.package import Package
from app.packs.bookings.pass_ import Pass
from app.packs.bookings.service import Service
from app.packs.bookings.slot import Slot
from app.packs.bookings.waiting import Waiting
from tests.conftest import ROOT

OpenSlot = Callable[..., Slot]
OTHERS = [each for each in words.languages() if each != words.ENGLISH]
RAVI = {"name": "रवि कुमार", "email": "ravi@example.com", "once": "x" * 16}


# --- the law of the catalogues ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OTHERS)
def test_every_sentence_has_its_words_with_the_same_places_in_them(name: str) -> None:
    with words.catalogue(name).open("rb") as file:
        known = read_po(file, locale=name)
    wrong = []
    for each in catalogue.sentences():
        if not each.id:
            continue
        same, ids = known.get(each.id), [each.id] if isinstance(each.id, str) else [*each.id]
        forms = [] if same is None else [same.string] if isinstance(same.string, str) else [*same.string]
        if not forms or not all(forms) or (same and same.fuzzy):
            wrong.append(f"missing: {each.id}")
        elif any(places(form) not in [places(id) for id in ids] for form in forms):
            wrong.append(f"other places: {each.id} -> {forms}")
        elif any((form[0].isspace(), form[-1].isspace()) != (ids[0][0].isspace(), ids[0][-1].isspace()) for form in forms):
            wrong.append(f"other spaces: {each.id} -> {forms}")
    assert not wrong, "Run `make words`, and write what is missing:\n" + "\n".join(wrong)


def places(sentence: str) -> set[str]:
    """What is put into it: %(names)s, tags, and everything that a line of a message asks for."""
    asked = Environment().parse(re.sub(r"{%.*?%}", "", sentence))
    names = {each.attr for each in asked.find_all(nodes.Getattr)} | {each.name for each in asked.find_all(nodes.Name)}
    return {*re.findall(r"%\(\w+\)s|%%|</?\w+|{%.*?%}", sentence)} | names


def test_a_page_says_only_sentences_that_stand_in_it() -> None:
    """What is put together, or comes from somebody, would be taken for ours."""
    for file in [*(ROOT / "templates/site").rglob("*.html"), *(ROOT / "templates/bookings").rglob("*.html")]:
        for call in Environment().parse(file.read_text()).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in ("say", "counted"):
                assert isinstance(call.args[0], nodes.Const), f"{file}: line {call.lineno}"


# --- every page -------------------------------------------------------------------------------------------------------


@pytest.fixture
def walked(sandbox: str, service: Service, open_slot: OpenSlot, hold: Callable[..., Booking], later: Any) -> list[str]:
    """The address of every public page, in each of its states."""
    states = "held", "confirmed", "requested", "cancelled", "expired", "completed", "no_show"
    each = {state: hold(open_slot(hours=24 + 2 * nth)) for nth, state in enumerate(states)}
    for state in "confirmed", "cancelled", "completed", "no_show":
        each[state].mark_paid(ByHand("cash", "R-1"))
    each["requested"].ask()
    each["expired"].lapse()
    each["cancelled"].cancel(CallOff("-", "all"))
    with later(hours=72):
        each["completed"].complete()
        each["no_show"].miss()
    free, today = open_slot(hours=96), clock.today()
    with transaction():
        package = Package(name="5", service=service, uses=5, price=service.price)
        session.add(package)
        session.flush()
        line = Waiting.join(service, {"name": "Ravi", "email": "ravi@example.com", "phone": "", "timezone": "Asia/Kolkata"}, today, clock.ahead(days=9).date())
        bought = Pass.sell(package, package.quote(), line.person)
    bill, stands, day = each["held"].bill, each["confirmed"].token, free.starts_at.date()
    assert bill
    return [
        *("/", "/services", f"/book/first?day={day}", "/book/first?month=2031-01", f"/book/first/{free.id}", "/book/first/wait", f"/pay/{bill.token}"),
        *(f"/booking/{it.token}" for it in each.values()),
        *(f"/booking/{stands}/move?day={day}", f"/booking/{stands}/move/{free.id}", f"/booking/{stands}/call-off"),
        *(f"/waiting/{line.token}", "/packages", f"/packages/{package.id}", f"/pass/{bought.token}", "/account/in", "/nosuch", "/embed/first"),
        f"/embed/first/{free.id}",
    ]


def sentences_of(page: str) -> str:
    """What can be read on a page, and what is read out of it."""
    page = re.sub(r"<(script|style|svg)\b.*?</\1>", "", page, flags=re.DOTALL)
    heard = re.findall(r'(?:(?:aria-label|alt|title|placeholder)|name="description" content)="([^"]*)"', page)
    return unescape("\n".join([re.sub(r"<[^>]*>", "\n", page), *heard]))


# What may stay: names of things, what staff have written, and what is written so in every language.
OURS = re.compile(
    r"[\w.+•-]+@[\w.-]+|https?://\S+|\b[A-Z]{2,4}-\d{4}[\w-]*|\b[A-Z]\w+/\w[\w ]*|[A-Z0-9]{6,}|\b(?:GSTIN|PDF|SMS|WhatsApp|UPI|IST|UTC|GMT|JSON|Razorpay|Stripe|[CSI]GST|BIC|x|hello)\b"
)


def english(page: str, known: set[str]) -> set[str]:
    text = OURS.sub("", sentences_of(page))
    for each in sorted(known, key=len, reverse=True):
        text = text.replace(each, "")
    return set(re.findall(r"[A-Za-z]{2,}(?:[ ,.’'-]+[A-Za-z]{2,})*", text))


def test_no_public_page_in_hindi_holds_an_english_word(client: FlaskClient, walked: list[str], service: Service, settings: Any) -> None:
    known = {
        settings.business,
        "English",
        service.name,
        "Asha Rao",
        "Dev Mehta",
        "AR",
        "DM",
        "Meera Iyer",
        "Ravi",
        "Date of birth",
        "Time of birth",
        "Place of birth",
    }
    left = {}
    for path in walked:
        page = client.get(f"{path}{'&' if '?' in path else '?'}lang=hi").text
        assert '<html lang="hi">' in page, path
        if found := english(page, known):
            left[path] = found
    assert not left, "\n".join(f"{path}: {sorted(found)}" for path, found in left.items())

"""Tests of translation: every public page and message is entirely in the customer’s language."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
import requests
from babel.messages.pofile import read_po
from flask.testing import FlaskClient
from jinja2 import Environment, UndefinedError, nodes
from sqlalchemy import select

from app.kernel import clock, translation
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid
from app.kernel.people import Person
from app.kernel.translation import speaking
from app.messages import template
from app.messages.wording import samples_of
from app.money.bills.bill import ByHand
from app.money.bills.invoice import Invoice
from app.money.sums.refund_policy import policy_in_words
from app.ops import translation_catalogue
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.waiting import Waiting
from app.packs.bookings.offer.package import Package
from app.packs.bookings.offer.prepaid import Pass
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from tests.conftest import PATIENCE, ROOT

OpenSlot = Callable[..., Slot]
OTHERS = [each for each in translation.languages() if each != translation.ENGLISH]
RAVI = {"name": "रवि कुमार", "email": "ravi@example.com", "once": "x" * 16}


# --- the law of the catalogues ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OTHERS)
def test_every_sentence_has_its_words_with_the_same_places_in_them(name: str) -> None:
    with translation.catalogue(name).open("rb") as file:
        known = read_po(file, locale=name)
    wrong = []
    for each in translation_catalogue.collect_sentences():
        if not each.id:
            continue
        same, ids = known.get(each.id), [each.id] if isinstance(each.id, str) else [*each.id]
        forms = [] if same is None else [same.string] if isinstance(same.string, str) else [*same.string]
        if not forms or not all(forms) or (same and same.fuzzy):
            wrong.append(f"missing: {each.id}")
        elif any(places(form) not in [places(id) for id in ids] for form in forms):
            wrong.append(f"other places: {each.id} -> {forms}")
        elif any(
            (form[0].isspace(), form[-1].isspace()) != (ids[0][0].isspace(), ids[0][-1].isspace()) for form in forms
        ):
            wrong.append(f"other spaces: {each.id} -> {forms}")
    assert not wrong, "Run `make words`, and write what is missing:\n" + "\n".join(wrong)


def places(sentence: str) -> set[str]:
    """Return the placeholders and tags of a sentence, and the expressions of a message."""
    asked = Environment().parse(re.sub(r"{%.*?%}", "", sentence))
    names = {each.attr for each in asked.find_all(nodes.Getattr)} | {each.name for each in asked.find_all(nodes.Name)}
    return {*re.findall(r"%\(\w+\)s|%%|</?\w+|{%.*?%}", sentence)} | names


def test_a_page_says_only_sentences_that_stand_in_it() -> None:
    """Concatenated text or user input must not be translated as a sentence of ours."""
    for file in [*(ROOT / "templates/site").rglob("*.html"), *(ROOT / "templates/bookings").rglob("*.html")]:
        for call in Environment().parse(file.read_text()).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in ("say", "counted"):
                assert isinstance(call.args[0], nodes.Const), f"{file}: line {call.lineno}"


# --- every page -------------------------------------------------------------------------------------------------------


@pytest.fixture
def walked(sandbox: str, service: Service, open_slot: OpenSlot, in_every_state: dict[str, Booking]) -> list[str]:
    """Return the address of every public page, in each of its states."""
    free, today = open_slot(hours=96), clock.today()
    with transaction():
        package = Package(name="5", service=service, uses=5, price=service.price)
        session.add(package)
        session.flush()
        line = Waiting.join(
            service,
            {"name": "Ravi", "email": "ravi@example.com", "phone": "", "timezone": "Asia/Kolkata"},
            today,
            clock.ahead(days=9).date(),
        )
        bought = Pass.sell(package, package.quote(), line.person)
    bill, stands, day = in_every_state["held"].bill, in_every_state["confirmed"].token, clock.day_of(free.starts_at)
    assert bill
    return [
        *(
            "/",
            "/services",
            f"/book/first?day={day}",
            "/book/first?month=2031-01",
            f"/book/first/{free.id}",
            "/book/first/wait",
            f"/pay/{bill.token}",
        ),
        *(f"/booking/{it.token}" for it in in_every_state.values()),
        *(f"/booking/{stands}/move?day={day}", f"/booking/{stands}/move/{free.id}", f"/booking/{stands}/call-off"),
        *(
            f"/waiting/{line.token}",
            "/packages",
            f"/packages/{package.id}",
            f"/pass/{bought.token}",
            "/account/in",
            "/nosuch",
            "/embed/first",
        ),
        f"/embed/first/{free.id}",
    ]


def sentences_of(page: str) -> str:
    """Return the visible and the spoken text of a page."""
    page = re.sub(r"<(script|style|svg)\b.*?</\1>", "", page, flags=re.DOTALL)
    heard = re.findall(r'(?:(?:aria-label|alt|title|placeholder)|name="description" content)="([^"]*)"', page)
    return unescape("\n".join([re.sub(r"<[^>]*>", "\n", page), *heard]))


# What may stay: names of things, what staff have written, and what is written so in every language.
OURS = re.compile(
    r"[\w.+•-]+@[\w.-]+|https?://\S+|\b[A-Z]{2,4}-\d{4}[\w-]*|\b[A-Z]\w+/\w[\w ]*|[A-Z0-9]{6,}|"
    r"\b(?:GSTIN|PDF|SMS|WhatsApp|UPI|IST|UTC|GMT|JSON|Razorpay|Stripe|[CSI]GST|BIC|x|hello)\b"
)


def english(page: str, known: set[str]) -> set[str]:
    text = sentences_of(page)
    for each in sorted(known, key=len, reverse=True):
        text = text.replace(each, "")
    text = OURS.sub("", text)
    return set(re.findall(r"[A-Za-z]{2,}(?:[ ,.’'-]+[A-Za-z]{2,})*", text))


def test_no_public_page_in_hindi_holds_an_english_word(
    client: FlaskClient, walked: list[str], service: Service, settings: Any
) -> None:
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


# --- which language ---------------------------------------------------------------------------------------------------


def test_the_language_is_asked_for_and_kept_else_the_browsers_else_english(app: Any, slot: Slot) -> None:
    hindi, stranger = {"Accept-Language": "hi-IN,hi;q=0.9,en;q=0.5"}, app.test_client()
    assert '<html lang="en">' in stranger.get("/", headers={"Accept-Language": "fr,kn"}).text
    assert '<html lang="hi">' in stranger.get("/", headers=hindi).text
    page = stranger.get("/services?lang=hi&tz=UTC").text
    assert '<html lang="hi">' in page
    assert '<a href="/services?tz=UTC&amp;lang=en" lang="en" hreflang="en" rel="nofollow">English</a>' in page
    assert '<html lang="hi">' in stranger.get("/book/first").text, "it is kept"
    assert '<html lang="hi">' in stranger.get("/?lang=xx").text
    assert '<html lang="en">' in stranger.get("/?lang=en", headers=hindi).text
    assert '<html lang="en">' in stranger.get("/", headers=hindi).text


def test_search_engines_find_each_language_and_the_readers_own(
    client: FlaskClient, service: Service, settings: Any
) -> None:
    for path in "/", "/services", "/book/first", "/packages":
        here, page = settings.base_url.rstrip("/") + path, client.get(f"{path}?lang=hi").text
        assert f'<link rel="canonical" href="{here}?lang=hi">' in page
        for name in translation.languages():
            assert f'<link rel="alternate" hreflang="{name}" href="{here}?lang={name}">' in page
        assert f'<link rel="alternate" hreflang="x-default" href="{here}">' in page


def test_staff_and_programs_hear_english_whatever_the_reader_chose(enter: Any, slot: Slot) -> None:
    dina = enter("dina")
    dina.get("/?lang=hi")
    assert '<html lang="en' in dina.get("/desk/", headers={"Accept-Language": "hi"}).text
    assert (
        dina.get("/api/slots?service=nosuch", headers={"Accept-Language": "hi"}).json["error"]["message"]
        == "This service is not available."
    )
    assert translation.language() == translation.ENGLISH, "and nothing of it is left for whoever comes next"


# --- the walk ---------------------------------------------------------------------------------------------------------


def test_a_booking_in_hindi_is_hindi_to_its_end_and_in_what_is_written(
    app: Any, slot: Slot, sandbox: str, work_off: Any, settings: Any
) -> None:
    ravi, hindi = app.test_client(), {"Accept-Language": "hi"}
    wrong = ravi.post(f"/book/first/{slot.id}", data=RAVI | {"email": "ravi@nowhere"}, headers=hindi)
    assert wrong.status_code == 422
    assert "सही ईमेल पता लिखें।" in wrong.text
    assert 'value="रवि कुमार"' in wrong.text, "what was typed is kept"
    paying = ravi.post(f"/book/first/{slot.id}", data=RAVI, headers=hindi)
    assert paying.status_code == 303
    booking = session.scalars(select(Booking)).one()
    assert booking.person.locale == "hi"
    assert "जाँचें और भुगतान करें" in ravi.get(paying.headers["Location"]).text, "kept, without the header"
    elsewhere = app.test_client().get(f"/booking/{booking.token}")
    assert '<html lang="hi">' in elsewhere.text, "whoever holds their link reads their language"
    assert '<html lang="en">' in app.test_client().get(f"/booking/{booking.token}?lang=en").text
    work_off()
    letter = requests.get(f"{sandbox}/mail.json", params={"to": RAVI["email"]}, timeout=PATIENCE).json()[0]
    assert letter["text"].startswith("नमस्ते रवि कुमार जी,")
    assert "₹999.00 का भुगतान करें" in letter["text"]
    assert '<html lang="hi">' in letter["html"]
    session.scalars(select(Booking)).one().mark_paid(ByHand("cash", "R-1"))
    work_off()
    house = requests.get(f"{sandbox}/mail.json", params={"to": settings.business_email}, timeout=PATIENCE).json()[0]
    assert house["subject"].startswith("New booking:"), "staff are written to in English"
    papers = session.scalars(select(Invoice)).all()
    assert papers
    assert all(each.about.startswith("Booking BK-") for each in papers), "and so is what is kept on paper"


def test_what_is_sent_to_customers_is_whole_in_hindi(walked: list[str], service: Service, settings: Any) -> None:
    reader = Person(name="रवि कुमार", email="ravi@example.com", phone="", timezone="Asia/Kolkata", locale="hi")
    code = session.scalars(select(Pass)).one().code
    known = {settings.business, service.name, "Asha Rao", "Dev Mehta", "Meera Iyer", code}
    left, said, bought = {}, set(), {"bought": session.scalars(select(Pass)).one()}
    bought["bought"].mark_paid(ByHand("cash", "R-2"))
    for name in (
        each
        for each in template.template_names()
        if "Hello {{ person.name }}," in (template.default_text(each, "email") or "")
    ):
        for sample in samples_of(name):
            try:
                letter = template.render_message(name, reader, bought if "bought" in sample.about else sample.about)
            except (UndefinedError, TypeError, AttributeError):  # not every row has all that can be said of its kind
                continue
            said.add(name)
            if found := english(re.sub(r"https?://\S+", "", f"{letter.subject}\n{letter.text}"), known):
                left[name] = found
    assert not left
    assert len(said) >= 20


@pytest.mark.parametrize(
    ("tiers", "said"),
    [
        (
            "48h: 100%, 24h: 50%",
            "48 घंटे पहले तक निःशुल्क रद्द करें। 24 घंटे पहले तक रद्द करने पर 50% राशि वापस। उसके बाद कोई राशि वापस नहीं होती।",
        ),
        ("72h: 30%", "3 दिन पहले तक रद्द करने पर 30% राशि वापस। उसके बाद कोई राशि वापस नहीं होती।"),
    ],
)
def test_a_promise_is_a_sentence_in_hindi_too(tiers: str, said: str) -> None:
    with speaking("hi"):
        assert policy_in_words(tiers) == said


def test_what_somebody_typed_is_never_taken_for_a_page(client: FlaskClient, slot: Slot) -> None:
    with speaking("hi"), pytest.raises(Invalid) as no:
        Person(name="x", email="a@example.com", phone="", timezone="<b>Asia</b>")
    assert no.value.fields
    page = client.get("/book/first?lang=hi&month=<b>soon</b>").text
    assert "“&lt;b&gt;soon&lt;/b&gt;” सही महीना नहीं है।" in page


# --- within somebody else's page --------------------------------------------------------------------------------------


def test_a_frame_carries_the_language_in_its_links(
    client: FlaskClient, slot: Slot, app: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.extensions, "settings", replace(settings, embed_on=("https://shop.example",)))
    day = clock.day_of(slot.starts_at)
    page = client.get(f"/embed/first?lang=hi&day={day}")
    assert "Set-Cookie" not in page.headers
    assert '<html lang="hi">' in page.text
    links = [unescape(each) for each in re.findall(r'href="(/embed/[^"]+)"', page.text)]
    assert links
    assert all("lang=hi" in each for each in links)
    assert '<input type="hidden" name="lang" value="hi">' in page.text
    form = client.get(f"/embed/first/{slot.id}?lang=hi").text
    action = re.search(r'<form[^>]*action="([^"]+)"', form)
    assert action
    held = client.post(unescape(action[1]), data=RAVI)
    assert "यह समय आपके लिए आरक्षित है" in held.text
    assert re.search(r'href="/pay/[^"]+lang=hi"', held.text)
    assert '<html lang="en">' in client.get("/embed/first").text

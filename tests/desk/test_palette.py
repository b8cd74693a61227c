"""Tests of the command palette: finding pages by synonyms, with the rules of static/desk/palette.js in Python."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape

import pytest
from flask.testing import FlaskClient

Enter = Callable[[str], FlaskClient]
FIRST = 3  # of the five that the palette shows

# What somebody types, and the page that they mean.
WORDS = {
    "settings": "/desk/business/",
    "template": "/desk/words/",
    "permission": "/desk/rights/",
    "role": "/desk/rights/",
    "availability": "/desk/hours/",
    "schedule": "/desk/hours/",
    "features": "/desk/features/",
    "notification": "/desk/notices/",
    "holiday": "/desk/closure/",
    "vacation": "/desk/closure/",
    "email": "/desk/words/",
    "webhook": "/desk/hook/",
    "2fa": "/desk/second/",
    "password": "/resetmypassword/form",
    "backup": "/ops/",
    "refund": "/desk/refund/",
    "invoice": "/desk/invoice/",
    "tax": "/desk/reports/tax_summary/",
    "gst": "/desk/reports/gst_return/",
    "coupon": "/desk/coupon/",
    "discount": "/desk/coupon/",
    "customer": "/desk/person/",
    "client": "/desk/person/",
    "contact": "/desk/person/",
    "user": "/users/list/",
    "staff": "/users/list/",
    "team": "/users/list/",
    "audit": "/desk/change/",
    "log": "/desk/change/",
    "export": "/desk/person/",
    "import": "/desk/person/import",
    "api": "/swagger/v1",
    "token": "/desk/tokens/",
    "sms": "/desk/words/",
    "whatsapp": "/desk/words/",
    "calendar": "/desk/booking/calendar/",
    "report": "/desk/subscription/",
    "revenue": "/desk/reports/revenue/",
    "timezone": "/desk/business/",
    "time zone": "/desk/business/",
    "currency": "/desk/business/",
    "logo": "/desk/business/",
    "privacy": "/desk/opt_in/",
    "consent": "/desk/opt_in/",
    "job": "/ops/jobs/",
    "health": "/ops/",
    "session": "/desk/sittings/",
    "passkey": "/desk/passkeys/",
    "cancellation policy": "/desk/refund_policy/",
}


@dataclass(frozen=True)
class Place:
    title: str
    also: str
    url: str

    def fit(self, asked: str) -> int:
        text = self.title.lower()
        every = re.split(r"[\s/-]+", f"{text} {self.also}")
        if text.startswith(asked):
            return 0
        if any(it.startswith(asked) for it in text.split()):
            return 1
        if all(word in every for word in asked.split()):
            return 2
        if all(any(it.startswith(word) for it in every) for word in asked.split()):
            return 3
        if asked in text:
            return 4
        return 5 if re.search(".*?".join(map(re.escape, asked)), text) else 9


def places(page: str) -> list[Place]:
    """What palette.js reads from a page: the links of the menu, and those that stand in none."""
    side = page[page.index('<nav class="side"') : page.index('<div class="stage">')]
    links = re.findall(r"<li>(<a .*?</a>)", side, re.DOTALL)
    links += re.findall(
        r"<a .*?</a>", page[page.index('<template id="elsewhere">') : page.index("</template>")], re.DOTALL
    )
    return [_place(each) for each in links]


def _place(link: str) -> Place:
    named = {name: unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', link.partition(">")[0])}
    return Place(" ".join(unescape(re.sub(r"<[^>]+>", "", link)).split()), named.get("data-also", ""), named["href"])


def best(those: list[Place], asked: str) -> list[str]:
    fitting = [(each.fit(asked), nth, each.url) for nth, each in enumerate(those)]
    return [url for how, _, url in sorted(fitting) if how < (9 if len(asked) > 2 else 5)]


@pytest.fixture
def known(enter: Enter) -> list[Place]:
    return places(enter("ada").get("/desk/").text)


def test_every_word_leads_to_its_page(known: list[Place]) -> None:
    assert {
        word: best(known, word)[:FIRST] for word, url in WORDS.items() if url not in best(known, word)[:FIRST]
    } == {}


def test_only_what_somebody_may_open_is_found(enter: Enter) -> None:
    mine = {each.url for each in places(enter("anil").get("/desk/").text)}
    assert mine >= {"/desk/second/", "/desk/tokens/", "/desk/invoice/"}
    assert not mine & {"/ops/", "/ops/jobs/", "/desk/rights/", "/desk/person/import", "/users/list/"}


def test_a_page_that_is_found_is_there(enter: Enter, known: list[Place]) -> None:
    ada = enter("ada")
    elsewhere = ada.get("/desk/").text.partition('<template id="elsewhere">')[2].partition("</template>")[0]
    for url in re.findall(r'href="([^"]+)"', elsewhere):
        assert ada.get(url).status_code == 200, url

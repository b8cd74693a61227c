"""The words of a message: a text template whose first line is the subject, shown as plain text and as a calm HTML page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from app.kernel import clock
from app.kernel.people import Person
from config import ROOT

_BUTTON = re.compile(r"^\[(?P<label>[^\]]+)\]\((?P<url>\S+)\)$")

words = Environment(
    loader=FileSystemLoader(ROOT / "templates"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=select_autoescape(["html"])
)


@dataclass(frozen=True)
class Said:
    subject: str
    text: str
    html: str


def render(template: str, person: Person, about: Mapping[str, Any]) -> Said:
    folder, name = template.split("/")

    def when(instant: datetime, zone: str = "") -> str:
        return clock.said(instant, zone or person.timezone)

    source = words.get_template(f"{folder}/mail/{name}.txt").render(person=person, when=when, **about)
    subject, _, body = source.partition("\n")
    blocks = [block.strip() for block in re.split(r"\n\s*\n", body.strip())]
    page = words.get_template("messages/frame.html")
    # A newline in a subject would begin another header: somebody's name must not be able to do that.
    subject = " ".join(subject.removeprefix("Subject:").split())
    return Said(subject, "\n\n".join(map(_as_text, blocks)) + "\n", page.render(subject=subject, blocks=[_as_html(block) for block in blocks]))


def _as_text(block: str) -> str:
    button = _BUTTON.match(block)
    return f"{button['label']}:\n{button['url']}" if button else block


def _as_html(block: str) -> Markup:
    if button := _BUTTON.match(block):
        return Markup('<p class="button"><a href="{url}">{label}</a></p>').format(**button.groupdict())
    return Markup("<p>{}</p>").format(Markup("<br>").join(block.splitlines()))

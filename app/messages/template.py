"""The words of a message as they came with the program: a text file whose first line is its heading, one folder a channel."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from app.kernel import clock
from app.kernel.people import Person
from config import ROOT

FOLDERS = {"email": "mail", "whatsapp": "whatsapp", "sms": "sms"}
HEADINGS = {"email": "Subject:", "whatsapp": "Template:", "sms": ""}  # what the first line begins with
LOCALE = "en"  # what the files are written in

_BUTTON = re.compile(r"^\[(?P<label>[^\]]+)\]\((?P<url>\S+)\)$")
_PREPARING = re.compile(r"(?:\s*(?:\{%-?\s*(?:from|set|import)\b.*?%\}|\{#.*?#\})[ \t]*\n)*", re.DOTALL)

words = Environment(
    loader=FileSystemLoader(ROOT / "templates"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=select_autoescape(["html"])
)
_known: tuple[str, ...] = ()


@dataclass(frozen=True)
class Said:
    subject: str
    text: str
    html: str = ""
    locale: str = LOCALE


def know(names: Iterable[str]) -> None:
    """Every template that a pack of this build has words for."""
    global _known
    _known = tuple(dict.fromkeys(names))


def known() -> tuple[str, ...]:
    return _known


def path(template: str, channel: str) -> str:
    folder, name = template.split("/")
    return f"{folder}/{FOLDERS[channel]}/{name}.txt"


@cache
def original(template: str, channel: str) -> str | None:
    """What stands in the file, if there is one."""
    file = ROOT / "templates" / path(template, channel)
    return file.read_text() if file.exists() else None


def render(template: str, person: Person, about: Mapping[str, Any], channel: str = "email") -> Said:
    source = words.get_template(path(template, channel))
    return shaped(channel, source.render(person=person, when=when(person.timezone), **about))


def when(own: str) -> Callable[..., str]:
    def when(instant: datetime, zone: str = "") -> str:
        return clock.said(instant, zone or own)

    return when


def parted(source: str, channel: str) -> tuple[str, str]:
    """A file's heading and the rest of it; what prepares both stays with the rest."""
    if not HEADINGS[channel]:
        return "", source.strip()
    preparing = _PREPARING.match(source)
    assert preparing
    heading, _, body = source[preparing.end() :].lstrip().partition("\n")
    return heading.removeprefix(HEADINGS[channel]).strip(), f"{preparing[0].strip()}\n\n{body.strip()}".strip()


def joined(heading: str, body: str, channel: str) -> str:
    if not HEADINGS[channel]:
        return body
    preparing = _PREPARING.match(f"{body}\n")
    assert preparing
    return f"{preparing[0]}{HEADINGS[channel]} {heading}\n{body[preparing.end() :]}"


def heading_line(body: str, channel: str) -> int:
    """In which line of the whole the heading stands; 0 where there is none."""
    preparing = _PREPARING.match(f"{body}\n")
    assert preparing
    return preparing[0].count("\n") + 1 if HEADINGS[channel] else 0


def shaped(channel: str, rendered: str, locale: str = LOCALE) -> Said:
    """Words as their channel takes them: a letter with its page, the name of an approved template with its places, or plain text."""
    heading, _, body = rendered.strip().partition("\n") if HEADINGS[channel] else ("", "", rendered)
    # A newline in a subject would begin another header: somebody's name must not be able to do that.
    subject = " ".join(heading.removeprefix(HEADINGS[channel]).split())
    if channel == "email":
        return _letter(subject, body, locale)
    lines = (" ".join(line.split()) for line in body.splitlines())
    return Said(subject, "\n".join(filter(None, lines)) + "\n", locale=locale)


def _letter(subject: str, body: str, locale: str) -> Said:
    blocks = [block.strip() for block in re.split(r"\n\s*\n", body.strip())]
    page = words.get_template("messages/frame.html").render(subject=subject, blocks=[_as_html(block) for block in blocks], locale=locale)
    return Said(subject, "\n\n".join(map(_as_text, blocks)) + "\n", page, locale)


def _as_text(block: str) -> str:
    button = _BUTTON.match(block)
    return f"{button['label']}:\n{button['url']}" if button else block


def _as_html(block: str) -> Markup:
    if button := _BUTTON.match(block):
        return Markup('<p class="button"><a href="{url}">{label}</a></p>').format(**button.groupdict())
    return Markup("<p>{}</p>").format(Markup("<br>").join(block.splitlines()))

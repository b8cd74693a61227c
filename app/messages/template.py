"""Message templates: the default texts, a file per message and channel, rendered by Jinja and translated line by line.

The first line is the subject of an email, or the name of a WhatsApp template. Staff can publish their own (wording.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from app.kernel.db import spaced
from app.kernel.people import Person
from app.kernel.translation import format_day, format_moment, languages, say, speaking
from config import ROOT

CHANNELS = {"email": "Email", "whatsapp": "WhatsApp", "sms": "SMS"}
IN_A_SENTENCE = CHANNELS | {"email": "email"}
FOLDERS = {"email": "mail", "whatsapp": "whatsapp", "sms": "sms"}
HEADINGS = {"email": "Subject:", "whatsapp": "Template:", "sms": ""}  # prefix of the first line
LOCALE = "en"  # the language of the files

_HEADING = re.compile(r"(?P<before>Subject: *)(?P<words>.+)(?P<after>)")
_PRESSED = re.compile(r"(?P<before>\[)(?P<words>[^\]]+)(?P<after>\]\(.+\))")
_ADDRESS = re.compile(r"\{\{ base_url \}\}(?:[^\s{]|\{\{.*?\}\})*")
_ASKED = re.compile(r"\{[%{#].*?[#}%]\}")
_LITERAL = re.compile(r"\{\{[^}]*\"(?=[^\"]*[A-Z ])[^\"]*[A-Za-z]{2}[^\"]*\"[^}]*\}\}")
_BUTTON = re.compile(r"^\[(?P<label>[^\]]+)\]\((?P<url>\S+)\)$")
_PREPARING = re.compile(r"(?:\s*(?:\{%-?\s*(?:from|set|import)\b.*?%\}|\{#.*?#\})[ \t]*\n)*", re.DOTALL)


class TranslatedLoader(FileSystemLoader):
    """Loads the files translated into one language; each English line is a key of the catalogues."""

    def __init__(self, locale: str) -> None:
        super().__init__(ROOT / "templates")
        self.locale = locale

    def get_source(self, environment: Environment, name: str) -> tuple[str, str, Callable[[], bool]]:
        source, file, fresh = (
            (_given[name], name, lambda: True) if name in _given else super().get_source(environment, name)
        )
        return translate_source(source, self.locale) if name.endswith(".txt") else source, file, fresh


environment = Environment(
    loader=TranslatedLoader(LOCALE),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=select_autoescape(["html"]),
)
environment.filters.update(spoken=say, dated=format_day)
_known: tuple[str, ...] = ()
_titles: dict[str, str] = {}
_given: dict[str, str] = {}  # template texts declared in a pack, by the path of the file they stand for


@dataclass(frozen=True)
class RenderedMessage:
    subject: str
    text: str
    html: str = ""
    locale: str = LOCALE


def register_templates(
    names: Iterable[str], given: Mapping[str, str] | None = None, titles: Mapping[str, str] | None = None
) -> None:
    """Set the names of all templates, the texts of those without a file, and their titles."""
    global _known
    _known = tuple(dict.fromkeys(names))
    _given.clear()
    _given.update({template_path(name, "email"): source for name, source in (given or {}).items()})
    _titles.clear()
    _titles.update(titles or {})


def template_names() -> tuple[str, ...]:
    return _known


def template_title(name: str) -> str:
    """The title of a message for staff: “1-hour reminder” for bookings/soon; by default from its file name."""
    return _titles.get(name) or spaced(name.rpartition("/")[2])


def template_titles() -> dict[str, str]:
    """The title of every message by name, in order of the titles."""
    return {name: template_title(name) for name in sorted(_known, key=template_title)}


def template_path(template: str, channel: str) -> str:
    folder, name = template.split("/")
    return f"{folder}/{FOLDERS[channel]}/{name}.txt"


@cache
def default_text(template: str, channel: str, locale: str = LOCALE) -> str | None:
    """The default text in a language, if there is one."""
    name = template_path(template, channel)
    file = ROOT / "templates" / name
    source = _given.get(name) or (file.read_text() if file.exists() else None)
    return None if source is None else translate_source(source, locale)


def render_message(template: str, person: Person, about: Mapping[str, Any], channel: str = "email") -> RenderedMessage:
    locale = person.locale if person.locale in languages() else LOCALE
    source = _words(locale).get_template(template_path(template, channel))
    with speaking(locale):
        return shape_for_channel(
            channel, source.render(person=person, when=moment_formatter(person.timezone), **about), locale
        )


@cache
def _words(locale: str) -> Environment:
    return environment.overlay(loader=TranslatedLoader(locale))


def translate_source(source: str, locale: str) -> str:
    """Translate a template line by line; a line that is not in the catalogue stays English."""
    with speaking(locale):
        return _each(source, say)


def source_sentences(source: str) -> list[str]:
    """The sentences of a template to be translated."""
    found: list[str] = []

    def note(sentence: str) -> str:
        found.append(sentence)
        return sentence

    _each(source, note)
    return found


def _each(source: str, into: Callable[[str], str]) -> str:
    return "".join(_line(line, into) for line in source.splitlines(keepends=True))


def _line(line: str, into: Callable[[str], str]) -> str:
    """Translate a line that has words: a subject without its prefix, a button without its URL, or the whole line."""
    text = line.strip()
    parts = _HEADING.fullmatch(text) or _PRESSED.fullmatch(text)
    before, sentence, after = (parts["before"], parts["words"], parts["after"]) if parts else ("", text, "")
    plain = _ASKED.sub("", _ADDRESS.sub("", sentence))
    if text.startswith("Template:") or not (re.search("[A-Za-z]", plain) or _LITERAL.search(sentence)):
        return line
    return f"{before}{into(sentence)}{after}{line[len(line.rstrip()) :]}"


def moment_formatter(own: str) -> Callable[..., str]:
    def when(instant: datetime, zone: str = "") -> str:
        return format_moment(instant, zone or own)

    return when


def split_heading(source: str, channel: str) -> tuple[str, str]:
    """Split a template into heading and body; leading imports and settings stay with the body."""
    if not HEADINGS[channel]:
        return "", source.strip()
    preparing = _PREPARING.match(source)
    assert preparing
    heading, _, body = source[preparing.end() :].lstrip().partition("\n")
    return heading.removeprefix(HEADINGS[channel]).strip(), f"{preparing[0].strip()}\n\n{body.strip()}".strip()


def join_heading(heading: str, body: str, channel: str) -> str:
    if not HEADINGS[channel]:
        return body
    preparing = _PREPARING.match(f"{body}\n")
    assert preparing
    return f"{preparing[0]}{HEADINGS[channel]} {heading}\n{body[preparing.end() :]}"


def heading_line(body: str, channel: str) -> int:
    """The line number of the heading in the whole template; 0 if there is none."""
    preparing = _PREPARING.match(f"{body}\n")
    assert preparing
    return preparing[0].count("\n") + 1 if HEADINGS[channel] else 0


def shape_for_channel(channel: str, rendered: str, locale: str = LOCALE) -> RenderedMessage:
    """Shape rendered text for its channel: an email with HTML, a WhatsApp template with its values, or plain text."""
    heading, _, body = rendered.strip().partition("\n") if HEADINGS[channel] else ("", "", rendered)
    # A newline in a subject would begin another header; a customer's name must not be able to do that.
    subject = " ".join(heading.removeprefix(HEADINGS[channel]).split())
    if channel == "email":
        return _letter(subject, body, locale)
    lines = (" ".join(line.split()) for line in body.splitlines())
    return RenderedMessage(subject, "\n".join(filter(None, lines)) + "\n", locale=locale)


def _letter(subject: str, body: str, locale: str) -> RenderedMessage:
    blocks = [block.strip() for block in re.split(r"\n\s*\n", body.strip())]
    page = environment.get_template("messages/frame.html").render(
        subject=subject, blocks=[_as_html(block) for block in blocks], locale=locale
    )
    return RenderedMessage(subject, "\n\n".join(map(_as_text, blocks)) + "\n", page, locale)


def _as_text(block: str) -> str:
    button = _BUTTON.match(block)
    return f"{button['label']}:\n{button['url']}" if button else block


def _as_html(block: str) -> Markup:
    if button := _BUTTON.match(block):
        return Markup('<p class="button"><a href="{url}">{label}</a></p>').format(**button.groupdict())
    return Markup("<p>{}</p>").format(Markup("<br>").join(block.splitlines()))

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

from app.kernel.db import spaced
from app.kernel.people import Person
from app.kernel.translation import format_day, format_moment, languages, say, speaking
from config import ROOT

CHANNELS = {"email": "Email", "whatsapp": "WhatsApp", "sms": "SMS"}
IN_A_SENTENCE = CHANNELS | {"email": "email"}
FOLDERS = {"email": "mail", "whatsapp": "whatsapp", "sms": "sms"}
HEADINGS = {"email": "Subject:", "whatsapp": "Template:", "sms": ""}  # what the first line begins with
LOCALE = "en"  # what the files are written in

_HEADING = re.compile(r"(?P<before>Subject: *)(?P<words>.+)(?P<after>)")
_PRESSED = re.compile(r"(?P<before>\[)(?P<words>[^\]]+)(?P<after>\]\(.+\))")
_ADDRESS = re.compile(r"\{\{ base_url \}\}(?:[^\s{]|\{\{.*?\}\})*")
_ASKED = re.compile(r"\{[%{#].*?[#}%]\}")
_LITERAL = re.compile(r"\{\{[^}]*\"(?=[^\"]*[A-Z ])[^\"]*[A-Za-z]{2}[^\"]*\"[^}]*\}\}")
_BUTTON = re.compile(r"^\[(?P<label>[^\]]+)\]\((?P<url>\S+)\)$")
_PREPARING = re.compile(r"(?:\s*(?:\{%-?\s*(?:from|set|import)\b.*?%\}|\{#.*?#\})[ \t]*\n)*", re.DOTALL)


class TranslatedLoader(FileSystemLoader):
    """The files, in one language. Their English lines are the keys, so that staff find plain words when they make words of their own of them."""

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
_given: dict[str, str] = {}  # words that stand in a pack's own file, by the path that a file of theirs would have


@dataclass(frozen=True)
class RenderedMessage:
    subject: str
    text: str
    html: str = ""
    locale: str = LOCALE


def register_templates(
    names: Iterable[str], given: Mapping[str, str] | None = None, titles: Mapping[str, str] | None = None
) -> None:
    """Every template that a pack of this build has words for, what is `given` for an email without a file, and what staff call them."""
    global _known
    _known = tuple(dict.fromkeys(names))
    _given.clear()
    _given.update({template_path(name, "email"): source for name, source in (given or {}).items()})
    _titles.clear()
    _titles.update(titles or {})


def template_names() -> tuple[str, ...]:
    return _known


def template_title(name: str) -> str:
    """What staff call a message: bookings/soon is the 1-hour reminder. Without a title, the name of its file says it."""
    return _titles.get(name) or spaced(name.rpartition("/")[2])


def template_titles() -> dict[str, str]:
    """By name, what each message that is known here is called."""
    return {name: template_title(name) for name in sorted(_known, key=template_title)}


def template_path(template: str, channel: str) -> str:
    folder, name = template.split("/")
    return f"{folder}/{FOLDERS[channel]}/{name}.txt"


@cache
def default_text(template: str, channel: str, locale: str = LOCALE) -> str | None:
    """What stands in the file, if there is one."""
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
    """The same file, line by line; a line that no catalogue knows stays as it is."""
    with speaking(locale):
        return _each(source, say)


def source_sentences(source: str) -> list[str]:
    """What there is to be said in another language."""
    found: list[str] = []

    def note(sentence: str) -> str:
        found.append(sentence)
        return sentence

    _each(source, note)
    return found


def _each(source: str, into: Callable[[str], str]) -> str:
    return "".join(_line(line, into) for line in source.splitlines(keepends=True))


def _line(line: str, into: Callable[[str], str]) -> str:
    """A heading without its mark, a button without its address, or the whole line, if there are words in it."""
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
    """A file's heading and the rest of it; what prepares both stays with the rest."""
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
    """In which line of the whole the heading stands; 0 where there is none."""
    preparing = _PREPARING.match(f"{body}\n")
    assert preparing
    return preparing[0].count("\n") + 1 if HEADINGS[channel] else 0


def shape_for_channel(channel: str, rendered: str, locale: str = LOCALE) -> RenderedMessage:
    """Words as their channel takes them: a letter with its page, the name of an approved template with its places, or plain text."""
    heading, _, body = rendered.strip().partition("\n") if HEADINGS[channel] else ("", "", rendered)
    # A newline in a subject would begin another header: somebody's name must not be able to do that.
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

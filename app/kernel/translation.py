"""Translation (i18n): say() and counted() look up an English sentence in the gettext catalogues in `translations/`.

Dates and durations are formatted in the language of the reader, too. app/site/frame.py sets the language of a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime
from functools import cache
from gettext import c2py
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_skeleton
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from babel.units import format_unit

from app.kernel import clock
from config import ROOT

ENGLISH = "en"

_speaking: ContextVar[str] = ContextVar("language", default=ENGLISH)


def catalogue(name: str) -> Path:
    return ROOT / "translations" / name / "LC_MESSAGES" / "messages.po"


@cache
def languages() -> Mapping[str, str]:
    """The supported languages, each under its own name: English, and every one with a catalogue."""
    found = sorted(each.parent.parent.name for each in ROOT.glob("translations/*/LC_MESSAGES/messages.po"))
    return {name: str(Locale.parse(name).get_display_name(name)) for name in (ENGLISH, *found)}


def language() -> str:
    """The language of the current reader."""
    return _speaking.get()


def speak(name: str) -> None:
    """Set the language for the rest of this request."""
    _speaking.set(name if name in languages() else ENGLISH)


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """Set the language for a while, for a message to another reader."""
    before = _speaking.set(name if name in languages() else ENGLISH)
    try:
        yield
    finally:
        _speaking.reset(before)


# --- words ------------------------------------------------------------------------------------------------------------


def say(words: str, **values: object) -> str:
    """Translate a sentence for the current reader: say("This coupon is for %(sum)s and more.", sum=self.minimum).

    It translates at once, so do not store the result: it would depend on who made the request.
    """
    (found,) = _sentences(language()).get(words) or (words,)
    return found % values if values else found


def counted(one: str, many: str, n: int, **values: object) -> str:
    """Translate with the plural form for n: counted("%(n)s seat left", "%(n)s seats left", left)."""
    name = language() if one in _sentences(language()) else ENGLISH
    forms = _sentences(name).get(one, (one, many))
    return forms[_plural(name)(n)] % {"n": n, **values}


def unsaid(words: str) -> str:
    """Mark a sentence for the catalogues that say() translates elsewhere."""
    return words


@cache
def _load_catalogue(name: str) -> Catalog:
    with catalogue(name).open("rb") as file:
        return read_po(file, locale=name)


@cache
def _sentences(name: str) -> Mapping[str, tuple[str, ...]]:
    if name == ENGLISH:
        return {}
    found = (each for each in _load_catalogue(name) if each.id and not each.fuzzy)
    forms = {
        (each.id if isinstance(each.id, str) else each.id[0]): (each.string,)
        if isinstance(each.string, str)
        else tuple(each.string or ())
        for each in found
    }
    return {sentence: said for sentence, said in forms.items() if said and all(said)}


@cache
def _plural(name: str) -> Callable[[int], int]:
    """The plural rule of a language, from the header of its catalogue."""
    return c2py("n != 1" if name == ENGLISH else _load_catalogue(name).plural_expr)


# --- days and hours ---------------------------------------------------------------------------------------------------


def format_moment(instant: datetime, zone: str) -> str:
    """Format an instant for the reader; documents, history and staff pages use clock.format_moment()."""
    if language() == ENGLISH:
        return clock.format_moment(instant, zone)
    return f"{format_day(instant.astimezone(ZoneInfo(zone)), 'short')}, {format_hour(instant, zone)}"


def format_hour(instant: datetime, zone: str) -> str:
    """Format the time of an instant with its zone: "09:00 IST"."""
    local = instant.astimezone(ZoneInfo(zone))
    return f"{local:%H:%M} {clock.format_zone(local)}"


_IN_ENGLISH = {
    "short": "%a {day} %b %Y",
    "date": "{day} %b %Y",
    "day": "{day} %B",
    "day of week": "%A {day} %B",
    "day of year": "{day} %B %Y",
    "day of week and year": "%A {day} %B %Y",
    "month": "%B",
    "month of year": "%B %Y",
    "weekday": "%A",
    "weekday, short": "%a",
}


def format_day(it: date, how: str = "date") -> str:
    """Format a day, or a part of its date, in the style `how`: 24 Nov 2026, Tuesday 24 November, November 2026 …"""
    name = language()
    if name == ENGLISH:
        return f"{it:%a}"[:2] if how == "letters" else it.strftime(_IN_ENGLISH[how]).format(day=it.day)
    match how:
        case "short" | "date" | "day" | "month of year":
            return format_skeleton(
                {"short": "yMMMEd", "date": "yMMMd", "day": "MMMMd", "month of year": "yMMMM"}[how], it, locale=name
            )
        case "day of week" | "day of week and year":
            date_style = "day" if how == "day of week" else "day of year"
            return f"{format_date(it, 'EEEE', locale=name)}, {format_day(it, date_style)}"
    return format_date(
        it,
        {"day of year": "long", "month": "LLLL", "weekday": "EEEE", "weekday, short": "EEE", "letters": "EEEEE"}[how],
        locale=name,
    )


def format_duration(seconds: int) -> str:
    """Format a duration by its two largest units: 3 days 4 hours, 14 minutes."""
    parts = ("day", seconds // 86400), ("hour", seconds % 86400 // 3600), ("minute", seconds % 3600 // 60)
    first = next((at for at, (_, count) in enumerate(parts) if count), None)
    if first is None:
        return say("less than a minute")
    return " ".join(
        format_unit(count, f"duration-{unit}", "long", locale=language())
        for unit, count in parts[first : first + 2]
        if count
    )

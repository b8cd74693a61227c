"""Question of a form: its texts, the kinds of answers, their validation, the condition to show it, and its editor."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import date, time
from typing import Any, Self

from app.kernel import clock, translation
from app.kernel.errors import Invalid
from app.kernel.translation import say

LOCALES = {"en": "English", "hi": "Hindi"}
KINDS = {
    "text": "Short text",
    "long": "Long text",
    "number": "Whole number",
    "date": "Date",
    "time": "Time",
    "place": "Place",
    "choice": "Single choice",
    "many": "Multiple choice",
    "yes_no": "Yes or no",
    "consent": "Consent checkbox",
    "file": "File upload (PDF or image)",
}
DECIDES = ("choice", "many", "yes_no", "consent")  # what another question can depend on
UNKNOWN, TODAY = "unknown", "today"
LONGEST = {"text": 200, "long": 2000, "place": 120}
MOST_TEXT, MOST_OPTIONS, FAR = 10_000, 50, 10**12
MEGABYTES, MOST_MEGABYTES = 5, 10
# Names that pages and API use themselves, so no question may have one.
_TAKEN = {"name", "email", "phone", "tz", "timezone", "slot", "answers", "quote", "extras", "extra", "coupon", "buyer"}
_TAKEN |= {"tax_number", "region", "address", "once", "offer", "with", "apply", "back", "version", "csrf_token"}


@dataclass(frozen=True)
class Question:
    """One question, stored as JSON and never changed once published."""

    name: str
    kind: str
    label: Mapping[str, str]
    help: Mapping[str, str] = field(default_factory=dict)
    required: bool = False
    secret: bool = False  # its answers are encrypted
    unknown: bool = False  # for a time: “I don’t know” is an answer, too
    longest: int = 0
    least: int | None = None
    most: int | None = None
    earliest: str = ""
    latest: str = ""
    options: Sequence[Mapping[str, str]] = ()  # the stored answer is the English option, in every language
    megabytes: int = 0
    asked_if: str = ""  # the name of an earlier question
    equals: str = ""

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        return cls(**facts)

    def as_json(self) -> dict[str, Any]:
        """The JSON form, without default values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        plain: dict[str, Any] = {
            each.name: [] if each.name == "options" else {} if each.name == "help" else each.default
            for each in fields(self)
        }
        return {
            name: [*value] if name == "options" else value
            for name, value in values.items()
            if plain[name] is MISSING or value not in (plain[name], ())
        }

    def text(self, locale: str = "en") -> str:
        return self.label.get(locale) or self.label["en"]

    def help_text(self, locale: str = "en") -> str:
        return self.help.get(locale) or self.help.get("en", "")

    def option_text(self, value: str, locale: str = "en") -> str:
        return next((each.get(locale) or value for each in self.options if each["en"] == value), value)

    @property
    def choices(self) -> list[str]:
        return [each["en"] for each in self.options]

    @property
    def max_length(self) -> int:
        return self.longest or LONGEST.get(self.kind, 0)

    @property
    def max_megabytes(self) -> int:
        return self.megabytes or MEGABYTES

    @property
    def first_day(self) -> date:
        return _day(self.earliest) or date(1900, 1, 1)

    @property
    def last_day(self) -> date:
        return _day(self.latest) or date(2200, 12, 31)

    # --- answering ---

    def applies(self, answers: Mapping[str, Any]) -> bool:
        """True if the question is shown, given the answers to earlier questions."""
        if not self.asked_if:
            return True
        match answers.get(self.asked_if):
            case bool(ticked):
                return ("yes" if ticked else "no") == self.equals
            case list(several):
                return self.equals in several
            case one:
                return bool(one == self.equals)

    def parse(self, typed: Any) -> Any:
        """Parse an answer to its stored form; None if there is none, ValueError if it is wrong."""
        empty = typed is None or typed == [] or (isinstance(typed, str) and not typed.strip())
        answer = None if empty else _READS[self.kind](self, typed)
        if answer is None and self.required:
            raise ValueError(
                say("Please tick this box to continue.") if self.kind == "consent" else say("This field is required.")
            )
        return answer

    def display(self, answer: Any, locale: str = "en") -> str:
        """Format a stored answer for a person."""
        match answer:
            case bool():
                return "Yes" if answer else "No"
            case list():
                return ", ".join(self.option_text(each, locale) for each in answer)
            case str() if self.kind == "time":
                return "Unknown" if answer == UNKNOWN else answer[:5]
            case str() if self.kind == "date":
                return display_day(date.fromisoformat(answer))
            case str() if self.kind == "choice":
                return self.option_text(answer, locale)
        return str(answer["name"] if self.kind == "file" else answer)

    # --- writing one ---

    @classmethod
    def from_page(cls, typed: Mapping[str, str], others: Sequence[Question]) -> Self:
        """Make a question from the page of the form designer, or raise Invalid. `others` are the other questions."""
        given = _QuestionPage(typed, others)
        kind = given.kind()
        facts: dict[str, Any] = {
            "name": given.name(),
            "kind": kind,
            "label": given.words("label", required=True),
            "help": given.words("help"),
        }
        facts |= {"required": given.ticked("required"), "secret": given.ticked("secret")}
        if kind in LONGEST:
            facts["longest"] = given.number("longest", 1, MOST_TEXT) or 0
        if kind == "number":
            facts |= {"least": given.number("least", -FAR, FAR), "most": given.number("most", -FAR, FAR)}
        if kind == "date":
            facts |= {"earliest": given.day("earliest"), "latest": given.day("latest")}
        if kind == "time":
            facts["unknown"] = given.ticked("unknown")
        if kind == "file":
            facts["megabytes"] = given.number("megabytes", 1, MOST_MEGABYTES) or 0
        if kind in ("choice", "many"):
            facts["options"] = given.options()
        facts |= given.condition()
        made = cls(**facts)
        given.in_order(made)
        if given.wrong:
            raise Invalid.for_fields(given.wrong)
        return made


def display_day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def _day(text: str) -> date | None:
    return clock.today() if text == TODAY else date.fromisoformat(text) if text else None


# --- reading an answer ------------------------------------------------------------------------------------------------


def _text(it: Question, typed: Any) -> str | None:
    if not isinstance(typed, str):
        raise ValueError(say("Enter text."))
    if len(typed) > 2 * MOST_TEXT or len(typed.strip()) > it.max_length:
        raise ValueError(say("Use at most %(n)s characters.", n=it.max_length))
    text = typed.replace("\r\n", "\n").strip() if it.kind == "long" else " ".join(typed.split())
    if any(unicodedata.category(each) in ("Cc", "Cs") and each not in "\n\t" for each in text):
        raise ValueError(say("This contains a character that can’t be saved."))
    return text or None


def _number(it: Question, typed: Any) -> int:
    try:
        number = int(typed) if isinstance(typed, (int, str)) and not isinstance(typed, bool) else None
    except ValueError:
        number = None
    if number is None or abs(number) > FAR:
        raise ValueError(say("Enter a whole number."))
    if it.least is not None and number < it.least:
        raise ValueError(say("Enter %(n)s or more.", n=it.least))
    if it.most is not None and number > it.most:
        raise ValueError(say("Enter %(n)s or less.", n=it.most))
    return number


def _date(it: Question, typed: Any) -> str:
    try:
        day = (
            date.fromisoformat(typed.strip())
            if isinstance(typed, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", typed.strip(), re.ASCII)
            else None
        )
    except ValueError:
        day = None
    if day is None:
        raise ValueError(say("Enter a valid date."))
    if not it.first_day <= day <= it.last_day:
        first = say("today") if it.earliest == TODAY else translation.format_day(it.first_day)
        last = say("today") if it.latest == TODAY else translation.format_day(it.last_day)
        raise ValueError(say("Enter a date from %(first)s to %(last)s.", first=first, last=last))
    return day.isoformat()


def _time(it: Question, typed: Any) -> str:
    if it.unknown and typed == UNKNOWN:
        return UNKNOWN
    try:
        if not isinstance(typed, str) or not re.fullmatch(r"\d\d:\d\d(:\d\d)?", typed.strip(), re.ASCII):
            raise ValueError
        return time.fromisoformat(typed.strip()).strftime("%H:%M")
    except ValueError:
        raise ValueError(say("Enter a time, such as 14:30.")) from None


def _choice(it: Question, typed: Any) -> str:
    if not isinstance(typed, str) or typed not in it.choices:
        raise ValueError(say("Choose one from the list."))
    return typed


def _many(it: Question, typed: Any) -> list[str] | None:
    chosen = [typed] if isinstance(typed, str) else typed
    if not isinstance(chosen, list) or not all(
        isinstance(each, str) and (each in it.choices or not each) for each in chosen
    ):
        raise ValueError(say("Choose from the list."))
    return [each for each in it.choices if each in chosen] or None


def _yes_no(it: Question, typed: Any) -> bool:
    if typed is True or typed in ("yes", "true", "on", "1"):
        return True
    if typed is False or typed in ("no", "false", "off", "0"):
        return False
    raise ValueError(say("Choose yes or no."))


def _consent(it: Question, typed: Any) -> bool | None:
    return _yes_no(it, typed) or None


def _file(it: Question, typed: Any) -> str:
    """The token of a file uploaded before."""
    if not isinstance(typed, str) or len(typed) > 60:
        raise ValueError(say("Upload the file first, then send its token here."))
    return typed


_READS: dict[str, Callable[[Question, Any], Any]] = {
    **dict.fromkeys(("text", "long", "place"), _text),
    "number": _number,
    "date": _date,
    "time": _time,
    "choice": _choice,
    "many": _many,
    "yes_no": _yes_no,
    "consent": _consent,
    "file": _file,
}


# --- reading a question -----------------------------------------------------------------------------------------------


class _QuestionPage:
    """Parses the page on which staff edit a question, and collects all mistakes."""

    def __init__(self, typed: Mapping[str, str], others: Sequence[Question]) -> None:
        self.typed, self.others = typed, {each.name: each for each in others}
        self.wrong: dict[str, str] = {}

    def _line(self, name: str, longest: int) -> str:
        text = " ".join(self.typed.get(name, "").split())
        if len(text) > longest:
            self.wrong[name] = f"Use at most {longest} characters."
        if any(unicodedata.category(each) in ("Cc", "Cs") for each in text):
            self.wrong[name] = "This contains a character that can’t be saved."
        return text

    def kind(self) -> str:
        kind = self.typed.get("kind", "")
        if kind not in KINDS:
            self.wrong["kind"] = "Choose one from the list."
        return kind

    def name(self) -> str:
        """The key of the answers; derived from the label if none is given."""
        name = self._line("name", 40) or re.sub(r"[^a-z0-9]+", "_", self.typed.get("label", "").lower()).strip("_")[:40]
        if not name and not self.typed.get("label", "").strip():
            return name  # the label is missing, and that is reported already
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
            self.wrong["name"] = "Use lowercase letters, digits and underscores, such as place_of_birth."
        elif name in self.others:
            self.wrong["name"] = "Another question in this form already uses this name."
        elif name in _TAKEN:
            self.wrong["name"] = "This name is reserved. Choose another one."
        return name

    def words(self, name: str, *, required: bool = False) -> dict[str, str]:
        said = {locale: self._line(name if locale == "en" else f"{name}_{locale}", 500) for locale in LOCALES}
        if required and not said["en"]:
            self.wrong[name] = "This field is required."
        return {locale: text for locale, text in said.items() if text or (required and locale == "en")}

    def ticked(self, name: str) -> bool:
        return bool(self.typed.get(name))

    def number(self, name: str, least: int, most: int) -> int | None:
        text = self.typed.get(name, "").strip()
        try:
            number = int(text) if text else None
        except ValueError:
            number = most + 1
        if number is not None and not least <= number <= most:
            self.wrong[name] = (
                f"Enter a whole number from {least} to {most}."
                if least > 0
                else "Enter a whole number that is not too large."
            )
        return number

    def day(self, name: str) -> str:
        text = self.typed.get(name, "").strip().lower()
        try:
            if text not in ("", TODAY) and not 1900 <= date.fromisoformat(text).year <= 2200:
                raise ValueError
        except ValueError:
            self.wrong[name] = "Enter a date such as 1900-01-31, or the word “today”."
            return ""
        return text

    def options(self) -> list[dict[str, str]]:
        """Parse the options, one per line: "Morning", or "Morning | सुबह"."""
        lines = [
            [part.strip() for part in line.split("|", 1)]
            for line in self.typed.get("options", "").splitlines()
            if line.strip()
        ]
        english = [line[0] for line in lines]
        if not 2 <= len(english) <= MOST_OPTIONS or not all(english) or len({*english}) < len(english):
            self.wrong["options"] = f"Enter 2 to {MOST_OPTIONS} different options, one per line."
        elif any(len(part) > 200 for line in lines for part in line):
            self.wrong["options"] = "Use at most 200 characters for each option."
        elif any(unicodedata.category(each) in ("Cc", "Cs") for line in lines for part in line for each in part):
            self.wrong["options"] = "This contains a character that can’t be saved."
        return [dict(zip(LOCALES, line, strict=False)) for line in lines]

    def condition(self) -> dict[str, str]:
        name, equals = self.typed.get("asked_if", ""), self.typed.get("equals", "").strip()
        if not name:
            return {}
        other = self.others.get(name)
        if other is None or other.kind not in DECIDES:
            self.wrong["asked_if"] = "Choose one from the list."
        elif equals not in (possible := possible_answers(other)):
            self.wrong["equals"] = f"Choose one of: {', '.join(possible)}."
        return {"asked_if": name, "equals": equals}

    def in_order(self, made: Question) -> None:
        if made.least is not None and made.most is not None and made.least > made.most:
            self.wrong["most"] = "The maximum must not be less than the minimum."
        if not {"earliest", "latest"} & self.wrong.keys() and made.first_day > made.last_day:
            self.wrong["latest"] = "The latest date must not be before the earliest date."


def possible_answers(it: Question) -> list[str]:
    """The answers that the condition of another question can use."""
    return {"yes_no": ["yes", "no"], "consent": ["yes"]}.get(it.kind) or it.choices

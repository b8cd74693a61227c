"""The catalogues of `translations/`: every sentence that a customer can read, looked up in the code, on the pages and in the messages."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from app.kernel import translation
from app.messages import template
from app.money.sums.tax import STATES
from config import ROOT

MARKS = {"say": None, "unsaid": None, "counted": (1, 2)}
PAGES = [("app/**.py", "python"), ("templates/site/**.html", "jinja2"), ("templates/bookings/*.html", "jinja2")]


def sentences() -> Catalog:
    """All there is to be said, with the files in which it stands."""
    found = Catalog(charset="utf-8")
    for sentence, file in [
        *_in_code(),
        *_in_messages(),
        *((each, "app/money/sums/tax.py") for each in STATES.values()),
    ]:
        found.add(sentence, locations=[(file, 0)])
    return found


def _in_code() -> Iterator[tuple[str | tuple[str, ...], str]]:
    for file, _, sentence, _, _ in extract_from_dir(ROOT, PAGES, keywords=MARKS, comment_tags=()):
        yield sentence, file


def _in_messages() -> Iterator[tuple[str, str]]:
    """What goes to staff stays English: it greets nobody by name."""
    for folder in ("mail", "sms"):
        for file in sorted(ROOT.glob(f"templates/*/{folder}/*.txt")):
            source = file.read_text()
            if folder == "sms" or file.name.startswith("_") or "Hello {{ person.name }}," in source:
                yield from ((each, str(file.relative_to(ROOT))) for each in template.sentences(source))


def update() -> Iterator[tuple[str, int]]:
    """Bring each catalogue up to date, and tell how many sentences it does not have yet. What is not said any more is taken out."""
    for name in [each for each in translation.languages() if each != translation.ENGLISH]:
        yield name, _update(translation.catalogue(name), name)


def _update(path: Path, name: str) -> int:
    with path.open("rb") as file:
        known = read_po(file, locale=name)
    head, _, _ = path.read_text().partition("\n\n")  # as its translators wrote it, and without the hour
    fresh = sentences()
    for each in fresh:
        if same := known.get(each.id):
            each.string, each.user_comments = same.string, same.user_comments
    body = BytesIO()
    write_po(body, fresh, width=0, omit_header=True, include_lineno=False, sort_by_file=True)
    path.write_text(f"{head}\n\n{body.getvalue().decode()}")
    return sum(1 for each in fresh if each.id and not (each.string and all(each.string)))

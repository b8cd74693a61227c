"""Translation catalogues: extract every sentence a customer can read, from code, templates and messages.

It updates the gettext files (.po) in `translations/`.
"""

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


def collect_sentences() -> Catalog:
    """Return all sentences, with the files that contain them."""
    found = Catalog(charset="utf-8")
    for sentence, file in [
        *_sentences_in_code(),
        *_sentences_in_messages(),
        *((each, "app/money/sums/tax.py") for each in STATES.values()),
    ]:
        found.add(sentence, locations=[(file, 0)])
    return found


def _sentences_in_code() -> Iterator[tuple[str | tuple[str, ...], str]]:
    for file, _, sentence, _, _ in extract_from_dir(ROOT, PAGES, keywords=MARKS, comment_tags=()):
        yield sentence, file


def _sentences_in_messages() -> Iterator[tuple[str, str]]:
    """Yield the sentences of messages to customers; messages to staff, which have no salutation, stay English."""
    for folder in ("mail", "sms"):
        for file in sorted(ROOT.glob(f"templates/*/{folder}/*.txt")):
            source = file.read_text()
            if folder == "sms" or file.name.startswith("_") or "Hello {{ person.name }}," in source:
                yield from ((each, str(file.relative_to(ROOT))) for each in template.source_sentences(source))


def update_catalogues() -> Iterator[tuple[str, int]]:
    """Update each catalogue, remove obsolete sentences, and yield how many translations are missing."""
    for name in [each for each in translation.languages() if each != translation.ENGLISH]:
        yield name, _update_catalogue(translation.catalogue(name), name)


def _update_catalogue(path: Path, name: str) -> int:
    with path.open("rb") as file:
        known = read_po(file, locale=name)
    head, _, _ = path.read_text().partition("\n\n")  # kept as the translators wrote it, without a timestamp
    fresh = collect_sentences()
    for each in fresh:
        if same := known.get(each.id):
            each.string, each.user_comments = same.string, same.user_comments
    body = BytesIO()
    write_po(body, fresh, width=0, omit_header=True, include_lineno=False, sort_by_file=True)
    path.write_text(f"{head}\n\n{body.getvalue().decode()}")
    return sum(1 for each in fresh if each.id and not (each.string and all(each.string)))

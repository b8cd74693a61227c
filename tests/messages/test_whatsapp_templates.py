"""Tests of the proposed WhatsApp templates: one in each language, with as many variables as the message fills."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.kernel import translation
from tests.conftest import ROOT

FILES = sorted(ROOT.glob("templates/*/whatsapp/*.txt"))
PROPOSED = re.compile(r"^## (?P<name>\w+)$(?P<body>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def proposed() -> dict[str, dict[str, str]]:
    """Each template by its name, with its text in each language."""
    text = (ROOT / "docs/whatsapp-templates.md").read_text()
    return {
        each["name"]: dict(re.findall(r"^```(\w+)\n(.*?)\n```$", each["body"], re.MULTILINE | re.DOTALL))
        for each in PROPOSED.finditer(text)
    }


def name_and_places(file: Path) -> tuple[str, int]:
    first, *places = file.read_text().strip().splitlines()
    return first.removeprefix("Template: "), len(places)


def test_there_is_a_text_for_each_file_and_for_nothing_else() -> None:
    assert set(proposed()) == {name_and_places(each)[0] for each in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_has_as_many_places_in_each_language_as_the_file_fills(file: Path) -> None:
    name, places = name_and_places(file)
    texts = proposed()[name]
    assert set(texts) == set(translation.languages())
    for language, text in texts.items():
        assert re.findall(r"\{\{(\d+)\}\}", text) == [str(n + 1) for n in range(places)], language
        assert not re.search(r"^\{\{|\}\}$|\}\}\s*\{\{", text), (
            "Meta refuses a text that begins or ends with a place, or with two beside each other"
        )
        assert f"`{file.name}`" in (ROOT / "docs/whatsapp-templates.md").read_text()

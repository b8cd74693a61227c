"""Filled: words with places in them, such as {number} or {slot.starts_at}, that say something of a row when they are needed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.desk.declare.column import Column
from app.desk.declare.resource import Resource
from app.kernel.db import Noun
from app.kernel.errors import Refused

MAX_LENGTH = 200  # of what stands in one place
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_EXCLUDED_KINDS = ("facts", "picture")


def available_placeholders(resource: Resource) -> Mapping[str, Column]:
    """What can stand in a place: what every reader of the noun is shown, and no secret of it."""
    return {each.path: each for each in resource.choosable if each.kind not in _EXCLUDED_KINDS}


def check_placeholders(resource: Resource, words: str) -> None:
    known = available_placeholders(resource)
    if strange := [name for name in _PLACEHOLDER.findall(words) if name.strip() not in known]:
        some = ", ".join(f"{{{name}}}" for name in [*known][:8])
        raise ValueError(
            f"{resource.label} have no variable {{{strange[0][:40]}}}. Available: {some}{' and more' if len(known) > 8 else ''}."
        )


def fill_placeholders(resource: Resource, words: str, row: Noun) -> str:
    """In one pass: braces that stand in what somebody typed elsewhere are no places."""
    known = available_placeholders(resource)

    def said(place: re.Match[str]) -> str:
        column = known.get(place[1].strip())
        if column is None:
            raise Refused(f"{resource.label} no longer have the variable {{{place[1][:40]}}}. Edit this text.")
        return " ".join(column.display(row).split())[:MAX_LENGTH]

    return _PLACEHOLDER.sub(said, words)

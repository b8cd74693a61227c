"""Filled: words with places in them, such as {number} or {slot.starts_at}, that say something of a row when they are needed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.desk.declare.column import Column
from app.desk.declare.resource import Resource
from app.kernel.db import Noun
from app.kernel.errors import Refused

LONGEST = 200  # of what stands in one place
_PLACE = re.compile(r"\{([^{}]*)\}")
_NEVER = ("facts", "picture")


def places(resource: Resource) -> Mapping[str, Column]:
    """What can stand in a place: what every reader of the noun is shown, and no secret of it."""
    return {each.path: each for each in resource.choosable if each.kind not in _NEVER}


def check(resource: Resource, words: str) -> None:
    known = places(resource)
    if strange := [name for name in _PLACE.findall(words) if name.strip() not in known]:
        some = ", ".join(f"{{{name}}}" for name in [*known][:8])
        raise ValueError(
            f"{resource.label} have no variable {{{strange[0][:40]}}}. Available: {some}{' and more' if len(known) > 8 else ''}."
        )


def fill(resource: Resource, words: str, row: Noun) -> str:
    """In one pass: braces that stand in what somebody typed elsewhere are no places."""
    known = places(resource)

    def said(place: re.Match[str]) -> str:
        column = known.get(place[1].strip())
        if column is None:
            raise Refused(f"{resource.label} no longer have the variable {{{place[1][:40]}}}. Edit this text.")
        return " ".join(column.display(row).split())[:LONGEST]

    return _PLACE.sub(said, words)

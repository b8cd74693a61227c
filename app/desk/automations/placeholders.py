"""Placeholders such as {number} or {slot.starts_at} in the texts of automations: checked on saving, filled by a run."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.desk.declare.column import Column
from app.desk.declare.resource import Resource
from app.kernel.db import Noun
from app.kernel.errors import Refused

MAX_LENGTH = 200  # characters for one placeholder
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_EXCLUDED_KINDS = ("facts", "picture")


def available_placeholders(resource: Resource) -> Mapping[str, Column]:
    """Return the columns that can be used: those that every reader of the noun sees."""
    return {each.path: each for each in resource.choosable if each.kind not in _EXCLUDED_KINDS}


def check_placeholders(resource: Resource, words: str) -> None:
    known = available_placeholders(resource)
    if strange := [name for name in _PLACEHOLDER.findall(words) if name.strip() not in known]:
        some = ", ".join(f"{{{name}}}" for name in [*known][:8])
        raise ValueError(
            f"{resource.label} have no variable {{{strange[0][:40]}}}. "
            f"Available: {some}{' and more' if len(known) > 8 else ''}."
        )


def fill_placeholders(resource: Resource, words: str, row: Noun) -> str:
    """Fill all placeholders in one pass, so that braces in the values of a row are not filled."""
    known = available_placeholders(resource)

    def value_of(place: re.Match[str]) -> str:
        column = known.get(place[1].strip())
        if column is None:
            raise Refused(f"{resource.label} no longer have the variable {{{place[1][:40]}}}. Edit this text.")
        return " ".join(column.display(row).split())[:MAX_LENGTH]

    return _PLACEHOLDER.sub(value_of, words)

"""Addresses learn how they are written when one is written for the first time: of two thousand, that took a second of every start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule


class Address(Rule):
    """Werkzeug compiles two functions for each rule at once; most of them no process ever calls."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:  # noqa: FBT001, FBT002  # as Werkzeug has it
        compiled = super()._compile_builder

        def first(rule: Rule, **values: Any) -> tuple[str, str]:
            build = compiled(append_unknown)
            setattr(self, "_build_unknown" if append_unknown else "_build", build.__get__(self, None))
            return build(rule, **values)

        return first

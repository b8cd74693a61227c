"""What every page draws many times is drawn once and kept: icons, badges, and the entries of the menu."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from flask import current_app, g, request, url_for
from markupsafe import Markup

# How a state is meant: a colour, and always its name beside it.
_MEANINGS = {
    "good": "confirmed completed captured paid active offered sent done handled approved accepted enrolled delivered settled live present matched agrees won in_use",
    "warn": "held created away pending submitted overdue on_hold suspended late incomplete to_approve",
    "bad": "failed parked no_show rejected declined disputed lost absent bounced unpaid differs dead",
    "info": "open waiting authorized running refunded partly_refunded assigned booked in_progress under_way under_review quoted owed named counted",
}
_MEANT = {state: f"is-{name}" for name, states in _MEANINGS.items() for state in states.split()}
_NO_TONES: Mapping[str, str] = {}


def meaning(state: str | None) -> str:
    return _MEANT.get(state or "", "is-quiet")


def said_state(state: str | None) -> str:
    return (state or "–").replace("_", " ").capitalize()


def badge(state: str | None, tones: Mapping[str, str] = _NO_TONES) -> Markup:
    tone = tones.get(state or "")
    return _badge(state, f"is-{tone}" if tone else meaning(state))


@cache
def _badge(state: str | None, look: str) -> Markup:
    return Markup('<span class="badge {}">{}</span>').format(look, said_state(state))


def icon(name: str) -> Markup:
    return _icon(str(name), request.script_root)


@cache
def _icon(name: str, root: str) -> Markup:
    asset: Callable[[str], str] = current_app.jinja_env.globals["asset"]  # type: ignore[assignment]
    file = asset("desk/icons.svg")
    return Markup('<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>').format(file, name)


def entry(each: Any) -> Markup:
    """One line of the menu, marked where the reader is: on this very page, or somewhere below it."""
    below = getattr(g, "resource", None) is each
    here = ("page" if request.endpoint == each.front else "true") if below else ""
    return _entry(each.front, each.icon, each.label, here, request.script_root)


@cache
def _entry(front: str, drawn: str, label: str, here: str, root: str) -> Markup:
    current = Markup(' aria-current="{}"').format(here) if here else ""
    return Markup('<li><a href="{}"{}>{}{}</a></li>').format(url_for(front), current, icon(drawn), label)


def addition(resource: Any) -> Markup:
    """One line of what somebody can add."""
    return _addition(resource.noun.__name__, resource.icon, resource.one, request.script_root)


@cache
def _addition(noun: str, drawn: str, one: str, root: str) -> Markup:
    return Markup('<li><a href="{}">{}Add {}</a></li>').format(url_for(f"{noun}Screens.add"), icon(drawn), one.lower())

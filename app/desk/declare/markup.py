"""HTML fragments that every page repeats, cached: icons, badges of states, menu entries, and rows of tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from flask import current_app, g, request, url_for
from markupsafe import Markup, escape

from app.desk.declare.column import EMPTY, Column
from app.desk.declare.resource import Resource, resource_of
from app.desk.declare.search_synonyms import Place
from app.kernel.db import Noun, spaced

# The colours of usual names of states. A colour is never shown without the label of the state.
_STATES_BY_TONE = {
    "good": (
        "confirmed completed captured paid active offered sent done handled approved accepted enrolled delivered "
        "settled live present matched agrees won in_use"
    ),
    "warn": "held created away pending submitted overdue on_hold suspended late incomplete to_approve",
    "bad": "failed parked no_show rejected declined disputed lost absent bounced unpaid differs dead",
    "info": (
        "open waiting authorized running refunded partly_refunded assigned booked in_progress under_way under_review "
        "quoted owed named counted"
    ),
}
_STATE_CLASSES = {state: f"is-{name}" for name, states in _STATES_BY_TONE.items() for state in states.split()}

Of = (
    Resource | type[Noun] | Mapping[str, str] | None
)  # whose state it is, or, for states of no noun, their tones: {"on": "good"}


def state_class(state: str | None, of: Of = None) -> str:
    """Return the CSS class for the colour of a state, as declared by its resource or suggested by its name."""
    tone = _tones(of).get(state or "")
    return f"is-{tone}" if tone else _STATE_CLASSES.get(state or "", "is-quiet")


def state_label(state: str | None, of: Of = None) -> str:
    """Return a state as its noun labels it: “No-show”, never no_show."""
    if not state:
        return EMPTY
    noun = of.noun if isinstance(of, Resource) else of
    return noun.state_label(state) if isinstance(noun, type) else spaced(state)


def badge(state: str | None, of: Of = None) -> Markup:
    """Return a state in its colour. `of` is its noun or resource: badge(row.state, resource)."""
    return _badge(state_label(state, of), state_class(state, of))


@cache
def _badge(said: str, look: str) -> Markup:
    return Markup('<span class="badge {}">{}</span>').format(look, said)


def _tones(of: Of) -> Mapping[str, str]:
    if isinstance(of, Mapping):
        return of
    resource = resource_of(of) if isinstance(of, type) else of
    return resource.tones if resource else {}


def icon(name: str) -> Markup:
    return _icon(str(name), request.script_root)


@cache
def _icon(name: str, root: str) -> Markup:
    asset: Callable[[str], str] = current_app.jinja_env.globals["asset"]  # type: ignore[assignment]
    file = asset("desk/icons.svg")
    return Markup('<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>').format(file, name)


def menu_entries(its: Sequence[Any]) -> Markup:
    """Return the entries of the menu, with the current page, or the section that it belongs to, marked."""
    at: Any = getattr(g, "resource", None)
    endpoint, root = request.endpoint, request.script_root
    drawn = [
        _menu_entry(
            each.page_endpoint,
            each.icon,
            each.label,
            each.also,
            "" if each is not at else "page" if endpoint == each.page_endpoint else "true",
            root,
        )
        for each in its
    ]
    return Markup("\n".join(drawn))  # noqa: S704  # joined from Markup


@cache
def _menu_entry(front: str, drawn: str, label: str, also: str, here: str, root: str) -> Markup:  # noqa: PLR0917  # positional, because they are the cache key
    current = Markup(' aria-current="{}"').format(here) if here else ""
    found = Markup(' data-also="{}"').format(also) if also else ""
    return Markup('<li><a href="{}"{}{}>{}{}</a></li>').format(url_for(front), current, found, icon(drawn), label)


def palette_links(its: Iterable[Place]) -> Markup:
    """Return links to pages outside the menu, for the palette."""
    root = request.script_root
    return Markup("".join([_palette_link(each, root) for each in its]))  # noqa: S704  # as above


@cache
def _palette_link(it: Place, root: str) -> Markup:
    line = Markup('<a href="{}" data-also="{}" data-within="{}">{}{}</a>\n')
    return line.format(url_for(it.endpoint), it.also, it.within, icon(it.icon), it.label)


def add_links(its: Sequence[Any]) -> Markup:
    """Return links to the forms and pages that add something."""
    root = request.script_root
    return Markup("".join([_add_link(*each.add_link, each.icon, root) for each in its]))  # noqa: S704  # as above


@cache
def _add_link(endpoint: str, said: str, drawn: str, root: str) -> Markup:
    return Markup('<li><a href="{}">{}{}</a></li>').format(url_for(endpoint), icon(drawn), said)


# --- the rows of a table ----------------------------------------------------------------------------------------------

_LOOKS = dict.fromkeys(("money", "number", "rate"), "is-num") | dict.fromkeys(("moment", "day", "time"), "is-when")
_LONG = "text", "long", "facts"

Draw = Callable[[Any], str]  # row -> one of its cells


def table_rows(
    rows: Sequence[Any], columns: Sequence[Column], at: str, *, ticked: bool = False, cells: Collection[str] = ()
) -> Markup:
    """Return the rows of a table, each linked to its page below `at`, the address of the list.

    `cells` are the paths of the columns that can be edited in place.
    """
    title, rest = _title(columns[0], cells), [_cell(each, cells) for each in columns[1:]]
    drawn = []
    for row in rows:
        url = f"{at}{row.id}"
        drawn.append(f'<tr role="row" data-href="{url}"' + (f' data-cells="{url}/cell/">' if cells else ">"))
        if ticked:
            drawn.append(f'<td class="tick" role="cell"><label><input type="checkbox" name="id" value="{row.id}">')
            drawn.append(f'<span class="unseen">Select {escape(str(row))}</span></label></td>')
        drawn.append(title(row, url))
        drawn += [draw(row) for draw in rest]
        drawn.append("</tr>\n")
    return Markup("".join(drawn))  # noqa: S704  # literals and escaped values only


def _title(column: Column, cells: Collection[str]) -> Callable[[Any, str], str]:
    look = " is-when" if column.kind == "moment" else ""
    head = f'<th class="is-title{look}" scope="row" role="rowheader"{_editable_cell(column, cells)}>'

    def draw(row: Any, url: str) -> str:
        said = column.display(row)
        return f'{head}<a href="{url}">{escape(str(row) if said == EMPTY else said)}</a></th>'

    return draw


def _cell(column: Column, cells: Collection[str]) -> Draw:
    label = escape(column.label)
    if column.kind == "state":
        return lambda row: (
            f'<td class="is-state" role="cell" data-label="{label}">{badge(column.value(row), column.owner)}</td>'
        )
    head = f'<td role="cell" data-label="{label}"{_editable_cell(column, cells)} class="{_LOOKS.get(column.kind, "")}'
    before, after = (
        ('<span class="clip">', "</span></td>")
        if column.kind in _LONG and not column.info.get("whole")
        else ("", "</td>")
    )

    def draw(row: Any) -> str:
        said = column.display(row)
        return f'{head}{" none is-empty" if said == EMPTY else ""}">{before}{escape(said)}{after}'

    return draw


def _editable_cell(column: Column, cells: Collection[str]) -> str:
    return f' data-cell="{escape(column.path)}"' if column.path in cells else ""

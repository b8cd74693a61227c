"""Public list page of a noun, with search, from one declaration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import ColumnElement, String, cast, or_, select

from app.desk.declare.column import columns_of
from app.kernel.db import Noun, session

AT_ONCE = 100


def public_list(
    noun: type[Noun],
    address: str,
    *,
    heading: str,
    shows: str,
    where: Callable[[], ColumnElement[bool]],
    search: str = "",
) -> Blueprint:
    """Return its blueprint. `shows` names the columns, the first as heading; `where` selects the public rows."""
    shown, searched = columns_of(noun, shows, {}), columns_of(noun, search, {})
    if secret := [each.path for each in [*shown, *searched] if each.secret]:
        raise TypeError(f"{noun.__name__}.{secret[0]} is secret and can’t be shown in a public list.")
    page = Blueprint(f"{noun.__tablename__}_shelf", __name__)

    @page.get(address, endpoint="show")
    def show() -> Any:
        words = request.args.get("q", "").strip()[:100]
        rows = select(noun).where(where()).order_by(noun.id).limit(AT_ONCE + 1)
        if words and searched:
            rows = rows.where(
                or_(*(cast(getattr(noun, each.path), String).icontains(words, autoescape=True) for each in searched))
            )
        found = session.scalars(rows).unique().all()
        given = {"rows": found[:AT_ONCE], "more": len(found) > AT_ONCE, "words": words, "searched": bool(searched)}
        return render_template("site/shelf.html", heading=heading, columns=shown, **given)

    return page

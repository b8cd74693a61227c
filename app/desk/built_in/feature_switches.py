"""Features page: feature switches of all packs, turned on and off by administrators, with the latest changes."""

from __future__ import annotations

from typing import Any

from flask import current_app, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from app.desk.declare.page import Page
from app.kernel import access
from app.kernel.audit import Change
from app.kernel.db import session
from app.kernel.errors import Missing
from app.kernel.feature import Feature, FeatureSwitch, is_on
from app.kernel.pack import Pack

LATEST = 20


def _packs_with_features() -> list[Pack]:
    return [each for each in current_app.extensions["packs"] if each.features]


def _render_page() -> Any:
    if request.method == "POST":
        return _switch_feature(request.form.get("name", ""), on=request.form.get("turn") == "on")
    return render_template("desk/features.html", packs=_packs_with_features(), is_on=is_on, turned=_latest_switches())


def _switch_feature(name: str, *, on: bool) -> Any:
    feature = next((each for pack in _packs_with_features() for each in pack.features if each.name == name), None)
    if feature is None:
        raise Missing
    FeatureSwitch.set_feature(name, on=on)
    flash(f"{feature.label} turned {'on' if on else 'off'}.", "success")
    return redirect(url_for("FeaturesPage.show") + f"#{name}", 303)


def _latest_switches() -> list[tuple[Change, str]]:
    """Return the latest switch changes, each with the label of its feature."""
    by_name: dict[str, Feature] = {each.name: each for pack in _packs_with_features() for each in pack.features}
    turns = (
        select(Change, FeatureSwitch.name)
        .join(FeatureSwitch, FeatureSwitch.id == Change.row_id)
        .where(Change.noun == "switch", Change.verb.in_(("turn_off", "turn_on")))
    )
    found = session.execute(turns.order_by(Change.id.desc()).limit(LATEST))
    return [(change, by_name[name].label if name in by_name else name) for change, name in found]


page = Page(
    "features",
    label="Features",
    icon="gear",
    also="settings modules options switch enable disable what we offer",
    roles=access.ADMIN,
    answers=_render_page,
)

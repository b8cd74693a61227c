"""Feature switches: optional parts of a pack that an administrator can turn off and on again, without losing data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.kernel import clock, db
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Missing
from app.kernel.process_cache import ProcessCache
from app.kernel.translation import say
from app.kernel.workflow import move


@dataclass(frozen=True)
class Feature:
    """An optional part of a pack, on until an administrator turns it off.

    `doors` names the endpoints or blueprints that exist only while it is on. A feature `within` another one is off when
    that one is.
    A resource names it as its `part`. Code asks is_on("waiting_line"), a template offers("waiting_line").
    """

    name: str
    label: str
    about: str
    doors: str = ""
    within: str = ""


class NotOffered(Missing):
    """The page belongs to a feature that is off."""

    code = "not_offered"

    def __init__(self) -> None:
        super().__init__(say("This isn’t available at the moment. Please contact us if you need it."))


class FeatureSwitch(Noun, table="switch"):
    """The state of a feature that was turned off at least once; the history says by whom."""

    known_as = "feature"

    states = "on", "off"

    name: Mapped[str] = mapped_column(unique=True)

    @classmethod
    def set_feature(cls, name: str, *, on: bool) -> None:
        """Turn a feature on or off; a feature already in that state stays as it is."""
        db.in_own_transaction(
            _NEW.values(name=_known[name].name, state="on", created_at=clock.now(), changed_at=clock.now(), version=1)
        )
        with transaction():
            switch = session.scalars(select(cls).where(cls.name == name)).one().lock()
            if (switch.state == "on") != on:
                switch.turn_on() if on else switch.turn_off()

    @move("on", to="off")
    def turn_off(self) -> None:
        """Hide its pages, buttons and menu entries. No data is deleted."""
        _off.invalidate()

    @move("off", to="on")
    def turn_on(self) -> None:
        """Show its pages, buttons and menu entries again."""
        _off.invalidate()


_NEW = insert(FeatureSwitch.__table__).on_conflict_do_nothing(index_elements=["name"])


def _read_switched_off(own: Session) -> frozenset[str]:
    return frozenset(own.scalars(select(FeatureSwitch.name).where(FeatureSwitch.state == "off")))


def _preload(off: frozenset[str]) -> None:
    """With a callback, the cache is read before each page instead of in it."""


_off = ProcessCache("switches", _read_switched_off, _preload)
_known: dict[str, Feature] = {}
_doors: dict[str, list[str]] = {}


def register_features(features: Iterable[Feature]) -> None:
    """Set the features of the installed packs."""
    _known.clear()
    _doors.clear()
    for each in features:
        if each.name in _known:
            raise TypeError(f"{each.name} is declared twice.")
        _known[each.name] = each
        for door in each.doors.split():
            _doors.setdefault(door, []).append(each.name)
    if stray := {each.within for each in _known.values() if each.within} - _known.keys():
        raise TypeError(f"Nothing is called {', '.join(sorted(stray))}.")


def is_on(name: str) -> bool:
    """True if the feature and all that it is within are on; an undeclared feature is always on."""
    while name in _known:
        if name in _off.value:
            return False
        name = _known[name].within
    return True


def is_endpoint_on(endpoint: str) -> bool:
    blueprint = endpoint.partition(".")[0]
    return all(is_on(each) for door in (endpoint, blueprint) for each in _doors.get(door, ()))


def require_feature(endpoint: str | None) -> None:
    """Refuse a page whose feature is off; called before every request."""
    if endpoint and not is_endpoint_on(endpoint):
        raise NotOffered

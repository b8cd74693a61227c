"""Switch: what of this house is offered to the public, and what an administrator has turned off. Nothing is lost by it."""

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
    """Something that a pack can do without. It is on until somebody turns it off.

    `doors` are the endpoints, or whole blueprints, that are only there while it is on; what is `within` another one is off with it.
    A resource names it as its `part`, and elsewhere it is asked about: is_on("waiting_line"), and in a template offers("waiting_line").
    """

    name: str
    label: str
    about: str
    doors: str = ""
    within: str = ""


class NotOffered(Missing):
    """It is nothing that this house offers now."""

    code = "not_offered"

    def __init__(self) -> None:
        super().__init__(say("This isn’t available at the moment. Please contact us if you need it."))


class FeatureSwitch(Noun, table="switch"):
    """One feature that was turned off once, and how it stands now. Who turned it stands in its history."""

    known_as = "feature"

    states = "on", "off"

    name: Mapped[str] = mapped_column(unique=True)

    @classmethod
    def set_feature(cls, name: str, *, on: bool) -> None:
        """Turned the way that it stands already, it stays."""
        db.in_own_transaction(
            _NEW.values(name=_known[name].name, state="on", created_at=clock.now(), changed_at=clock.now(), version=1)
        )
        with transaction():
            here = session.scalars(select(cls).where(cls.name == name)).one().lock()
            if (here.state == "on") != on:
                here.turn_on() if on else here.turn_off()

    @move("on", to="off")
    def turn_off(self) -> None:
        """Hide its pages, buttons and menu entries. No data is deleted."""
        _off.invalidate()

    @move("off", to="on")
    def turn_on(self) -> None:
        """Show its pages, buttons and menu entries again."""
        _off.invalidate()


_NEW = insert(FeatureSwitch.__table__).on_conflict_do_nothing(index_elements=["name"])


def _read(own: Session) -> frozenset[str]:
    return frozenset(own.scalars(select(FeatureSwitch.name).where(FeatureSwitch.state == "off")))


def _noted(off: frozenset[str]) -> None:
    """Asked about on each page, so it is read before the page and not within it."""


_off = ProcessCache("switches", _read, _noted)
_known: dict[str, Feature] = {}
_doors: dict[str, list[str]] = {}


def register_features(features: Iterable[Feature]) -> None:
    """What the packs of this build can do without."""
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
    """What nobody declared, nobody can turn off."""
    while name in _known:
        if name in _off.value:
            return False
        name = _known[name].within
    return True


def is_endpoint_on(endpoint: str) -> bool:
    blueprint = endpoint.partition(".")[0]
    return all(is_on(each) for door in (endpoint, blueprint) for each in _doors.get(door, ()))


def require_feature(endpoint: str | None) -> None:
    """Asked before each page, whoever asks for it."""
    if endpoint and not is_endpoint_on(endpoint):
        raise NotOffered

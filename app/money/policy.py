"""Refund policy: how much goes back, by how long before it is called off; data that staff edit, and one pure function."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy.orm import Mapped, mapped_column, validates

from app.kernel.db import Noun
from app.kernel.errors import Invalid
from app.kernel.words import counted, say, unsaid
from app.kernel.workflow import move
from app.money.amount import Money

_TIER = re.compile(r"\s*(?P<hours>\d{1,4})\s*h?\s*[:=]\s*(?P<percent>\d{1,3})\s*%?\s*")
WRONG = "Enter tiers such as “48h: 100%, 24h: 50%”: hours before the start, and the percentage refunded. Later tiers can’t refund more."


class RefundPolicy(Noun):
    """Steps in time, each with its share. What is promised to a customer is copied, so that a change is not a change of old promises."""

    states = "in_use", "retired"
    state_labels: ClassVar[dict[str, str]] = {"in_use": "Active", "retired": "Inactive"}

    name: Mapped[str] = mapped_column(unique=True)
    tiers: Mapped[str] = mapped_column(
        info={
            "label": "Refund tiers",
            "help": "Example: 48h: 100%, 24h: 50% means a full refund up to 48 hours before, 50% up to 24 hours before, and no refund after that.",
        }
    )

    @validates("tiers")
    def _readable(self, key: str, value: str) -> str:
        return ", ".join(f"{hours}h: {percent}%" for hours, percent in read(value))

    @move("in_use", to="retired", by="Desk", label="Deactivate")
    def retire(self) -> None:
        """Stop offering this policy for services."""

    @move("retired", to="in_use", by="Desk", label="Reactivate")
    def use_again(self) -> None:
        """Offer this policy for services again."""

    def percent(self, before: timedelta) -> int:
        return percent(self.tiers, before)

    def back(self, paid: Money, before: timedelta) -> Money:
        return paid.percent(self.percent(before) * 100)


def read(tiers: str) -> list[tuple[int, int]]:
    """(48, 100), (24, 50): the longest first, and nobody gets more for calling off later."""
    parts: list[Any] = [_TIER.fullmatch(each) for each in tiers.split(",") if each.strip()]
    if not parts or not all(parts):
        raise Invalid.fields_said({"tiers": WRONG})
    found = sorted(((int(each["hours"]), int(each["percent"])) for each in parts), reverse=True)
    shares = [share for _, share in found]
    if len({hours for hours, _ in found}) != len(found) or max(shares) > 100 or shares != sorted(shares, reverse=True):
        raise Invalid.fields_said({"tiers": WRONG})
    return found


_SHARES = {25: unsaid("a quarter goes back"), 50: unsaid("half goes back"), 75: unsaid("three quarters go back")}


def in_words(tiers: str, left: timedelta | None = None) -> str:
    """For whoever has to decide: "Free to call off until 48 hours before; half goes back until 24 hours before; after that, nothing does."

    With the time that is `left`, only the steps that can still be reached are said.
    """
    latest = {share: hours for hours, share in read(tiers)}  # two steps with one share are one step
    steps = [(hours, share) for share, hours in latest.items() if share and (left is None or timedelta(hours=hours) <= left)]
    if not steps:
        return say("If you call it off, nothing goes back.")
    said = [_step(share, _before(hours), first=at == 0) for at, (hours, share) in enumerate(steps)]
    if steps[-1][0]:
        said.append(say("after that, nothing does"))
    return say("%(steps)s.", steps="; ".join(said))


def _step(share: int, before: str, *, first: bool) -> str:
    if share == 100:
        return say("Free to call off until %(before)s", before=before)
    goes = say(_SHARES[share]) if share in _SHARES else say("%(share)s %% goes back", share=share)
    if not first:
        return say("%(goes)s until %(before)s", goes=goes, before=before)
    return say("%(goes)s if you call it off until %(before)s", goes=f"{goes[0].upper()}{goes[1:]}", before=before)


def _before(hours: int) -> str:
    if not hours:
        return say("it begins")
    if hours % 24 == 0 and hours > 48:
        return counted("%(n)s day before", "%(n)s days before", hours // 24)
    return counted("%(n)s hour before", "%(n)s hours before", hours)


def percent(tiers: str, before: timedelta) -> int:
    """The share that goes back when it is called off so long before. Exactly at a step counts as in time."""
    return next((share for hours, share in read(tiers) if before >= timedelta(hours=hours)), 0)


def at_most(tiers: str, share: int) -> str:
    """The same steps, none of which gives back more than this."""
    return ", ".join(f"{hours}h: {min(each, share)}%" for hours, each in read(tiers)) if tiers else ""

"""Refund policy (cancellation policy): the percentage refunded, by how early a booking is cancelled."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy.orm import Mapped, mapped_column, validates

from app.kernel.db import Noun
from app.kernel.errors import Invalid
from app.kernel.translation import counted, say
from app.kernel.workflow import move
from app.money.sums.amount import Money

_STEP = re.compile(r"\s*(?P<hours>\d{1,4})\s*h?\s*[:=]\s*(?P<percent>\d{1,3})\s*%?\s*")
INVALID_STEPS = (
    "Enter steps such as “48h: 100%, 24h: 50%”: hours before the start, and the percentage refunded, "
    "which can’t rise as the start gets closer."
)


class RefundPolicy(Noun):
    """Steps of hours and percentages. Bookings copy the text, so that a change doesn't affect existing ones."""

    states = "in_use", "retired"
    state_labels: ClassVar[dict[str, str]] = {"in_use": "Active", "retired": "Inactive"}

    name: Mapped[str] = mapped_column(unique=True)
    tiers: Mapped[str] = mapped_column(
        info={
            "label": "Refund steps",
            "help": "“48h: 100%, 24h: 50%” means a full refund up to 48 hours before the start, "
            "50% up to 24 hours before, and none after that.",
        }
    )

    @validates("tiers")
    def _normalise_steps(self, key: str, value: str) -> str:
        return ", ".join(f"{hours}h: {percent}%" for hours, percent in parse_steps(value))

    @move("in_use", to="retired", by="Desk", label="Deactivate")
    def retire(self) -> None:
        """Marks this policy as inactive. Services and bookings that use it keep it."""

    @move("retired", to="in_use", by="Desk", label="Reactivate")
    def use_again(self) -> None:
        """Makes this policy active again."""

    def refund_percent(self, before: timedelta) -> int:
        return refund_percent(self.tiers, before)

    def refund_for(self, paid: Money, before: timedelta) -> Money:
        return paid.percent(self.refund_percent(before) * 100)


def parse_steps(tiers: str) -> list[tuple[int, int]]:
    """Parse the steps as (hours, percent), the longest notice first; the percentage can't rise as it gets shorter."""
    parts: list[Any] = [_STEP.fullmatch(each) for each in tiers.split(",") if each.strip()]
    if not parts or not all(parts):
        raise Invalid.for_fields({"tiers": INVALID_STEPS})
    steps = sorted(((int(each["hours"]), int(each["percent"])) for each in parts), reverse=True)
    shares = [share for _, share in steps]
    if len({hours for hours, _ in steps}) != len(steps) or max(shares) > 100 or shares != sorted(shares, reverse=True):
        raise Invalid.for_fields({"tiers": INVALID_STEPS})
    return steps


def policy_in_words(tiers: str, left: timedelta | None = None) -> str:
    """Describe the policy: "Free cancellation up to 48 hours before. No refund after that."

    If the time `left` is given, only the steps that still apply are included.
    """
    latest = {share: hours for hours, share in parse_steps(tiers)}  # steps with the same share are one step
    steps = [
        (hours, share) for share, hours in latest.items() if share and (left is None or timedelta(hours=hours) <= left)
    ]
    if not steps:
        return say("This booking is non-refundable.")
    sentences = [_step_in_words(share, _notice_in_words(hours)) for hours, share in steps]
    if steps[-1][0]:
        sentences.append(say("No refund after that."))
    return " ".join(sentences)


def _step_in_words(share: int, before: str) -> str:
    if share == 100:
        return say("Free cancellation up to %(before)s.", before=before)
    return say("%(share)s%% refund up to %(before)s.", share=share, before=before)


def _notice_in_words(hours: int) -> str:
    if not hours:
        return say("the start time")
    if hours % 24 == 0 and hours > 48:
        return counted("%(n)s day before", "%(n)s days before", hours // 24)
    return counted("%(n)s hour before", "%(n)s hours before", hours)


def refund_percent(tiers: str, before: timedelta) -> int:
    """Return the percentage refunded with this much notice; exactly at a step counts as in time."""
    return next((share for hours, share in parse_steps(tiers) if before >= timedelta(hours=hours)), 0)


def capped_steps(tiers: str, share: int) -> str:
    """Return the steps with every percentage capped at this one."""
    return ", ".join(f"{hours}h: {min(each, share)}%" for hours, each in parse_steps(tiers)) if tiers else ""

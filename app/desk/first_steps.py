"""First steps: what a new owner does before the first booking is paid, each ticked by what is there and not by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import current_app, render_template, url_for
from flask_login import current_user
from sqlalchemy import select

from app.desk.page import Page
from app.desk.password import fits
from app.kernel import access
from app.kernel.db import noun_called, session
from app.kernel.pack import Step


def steps() -> list[tuple[Step, bool]]:
    """The house's own first and last, those of each line of business in between."""
    every = [*_BEFORE, *(step for pack in current_app.extensions["packs"] for step in pack.first_steps), *_AFTER]
    return [(each, each.is_done()) for each in every]


def are_left() -> bool:
    """For an administrator, until somebody has paid for the first time."""
    return access.ADMIN in access.actor().roles and not _somebody_paid()


def _somebody_paid() -> bool:
    payment: Any = noun_called("payment")  # the house is put together before its money
    return session.scalar(select(payment.id).where(payment.pays).limit(1)) is not None


def _has_a_password_of_their_own() -> bool:
    return not fits(current_user.password, current_user.username)


def _can_be_paid() -> bool:
    it = current_app.extensions["settings"]
    return bool(it.razorpay_key or it.stripe_key)


def _has_a_name() -> bool:
    it = current_app.extensions["settings"]
    return bool(it.business != "Frontdesk" and it.business_address)


_BEFORE = [
    Step(
        "Choose a password of your own", "The first one is known to whoever installed this.", _has_a_password_of_their_own, "ResetMyPasswordView.this_form_get"
    ),
    Step("Say who you are", "Name, address and tax number stand on every page and every invoice.", _has_a_name, "BusinessScreens.list"),
    Step("Connect where the money comes in", "Keys of Razorpay or Stripe, in the environment. Without any, the sandbox plays the bank.", _can_be_paid),
]
_AFTER = [
    Step(
        "Pay for something yourself",
        "Look at your own pages as a customer, and pay. It is here a moment later, and can be given back.",
        _somebody_paid,
        address="/",
    ),
]


def _answers() -> str:
    every: Sequence[tuple[Step, bool]] = steps()
    return render_template("desk/first_steps.html", steps=every, done=sum(done for _, done in every), link_to=link_to)


def link_to(step: Step) -> str:
    return step.address or (url_for(step.endpoint) if step.endpoint else "")


page = Page("first_steps", label="First steps", icon="check", also="setup checklist onboarding start guide", roles=access.ADMIN, answers=_answers)

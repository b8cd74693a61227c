"""Setup checklist (onboarding, first steps) for a new installation; steps are ticked by what is set up, not by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import current_app, render_template, url_for
from flask_login import current_user
from sqlalchemy import select

from app.desk.declare.page import Page
from app.desk.sign_in.password import check_password
from app.kernel import access
from app.kernel.db import noun_of_table, session
from app.kernel.pack import Step


def checklist_steps() -> list[tuple[Step, bool]]:
    """Return the common steps first and last, with those of the packs in between."""
    every = [*_BEFORE, *(step for pack in current_app.extensions["packs"] for step in pack.first_steps), *_AFTER]
    return [(each, each.is_done()) for each in every]


def is_shown() -> bool:
    """Return whether the checklist is shown: to administrators, until the first payment."""
    return access.ADMIN in access.actor().roles and not _has_a_payment()


def _has_a_payment() -> bool:
    payment: Any = noun_of_table("payment")  # money is declared later than this page
    return session.scalar(select(payment.id).where(payment.pays).limit(1)) is not None


def _has_own_password() -> bool:
    return not check_password(current_user.password, current_user.username)


def _has_a_gateway() -> bool:
    settings = current_app.extensions["settings"]
    return bool(settings.razorpay_key or settings.stripe_key)


def _has_business_details() -> bool:
    settings = current_app.extensions["settings"]
    return bool(settings.business != "Frontdesk" and settings.business_address)


_BEFORE = [
    Step(
        "Change your password",
        "The initial password is known to the installer.",
        _has_own_password,
        "ResetMyPasswordView.this_form_get",
    ),
    Step(
        "Add your business details",
        "Your name, address and tax number appear on every page and invoice.",
        _has_business_details,
        "BusinessScreens.list",
    ),
    Step(
        "Connect a payment gateway",
        "Set your Razorpay or Stripe keys in the environment. Until then, payments run in the sandbox.",
        _has_a_gateway,
    ),
]
_AFTER = [
    Step(
        "Make a test payment",
        "Book and pay on your own site as a customer would. The payment appears here and can be refunded.",
        _has_a_payment,
        address="/",
    ),
]


def _render_page() -> str:
    every: Sequence[tuple[Step, bool]] = checklist_steps()
    return render_template("desk/first_steps.html", steps=every, done=sum(done for _, done in every), link_to=step_url)


def step_url(step: Step) -> str:
    return step.address or (url_for(step.endpoint) if step.endpoint else "")


page = Page(
    "first_steps",
    label="Setup checklist",
    icon="check",
    also="first steps onboarding start guide",
    roles=access.ADMIN,
    answers=_render_page,
)

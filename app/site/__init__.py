"""The frame of every public page: headers, limits, error pages, and the way through a payment."""

from __future__ import annotations

from flask import Flask
from flask_wtf import CSRFProtect

from app.site import frame, payments


def open(app: Flask, csrf: CSRFProtect) -> None:
    frame.put_up(app)
    # A gateway and an API client bring no cookie of ours, so there is no cookie that a stranger's page could borrow.
    for each in ("pay.came_back", "payment.webhook", "payment.verify"):
        csrf.exempt(f"app.site.payments.{each.split('.')[1]}")
    app.register_blueprint(payments.pay)
    app.register_blueprint(payments.api)

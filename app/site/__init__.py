"""Public site: headers and error pages, rate limits, payment pages, the cart and the customer account."""

from __future__ import annotations

from flask import Flask
from flask_wtf import CSRFProtect

from app.site import account, basket, files, frame, hooks, logo, messages, owed_page, payments


def open(app: Flask, csrf: CSRFProtect) -> None:
    frame.install(app)
    csrf.exempt(payments.came_back)  # the gateway's page sends the payer back with a signature instead of a token
    csrf.exempt(payments.api)
    csrf.exempt(messages.hooks)
    app.register_blueprint(payments.pay)
    app.register_blueprint(basket.basket)
    app.register_blueprint(owed_page.thing)
    app.register_blueprint(logo.sign)
    app.jinja_env.globals.update(
        bills_in_basket=basket.bills_in_basket,
        describe_item=account.describe_item,
        page_of_bill=owed_page.page_of_bill,
        after_paying=payments.AFTER_PAYING,
    )
    app.register_blueprint(payments.papers)
    app.register_blueprint(payments.api)
    app.register_blueprint(hooks.api)
    app.register_blueprint(account.account)
    app.register_blueprint(files.files)
    app.register_blueprint(messages.hooks)

"""Sandbox: simulators of Razorpay, Stripe, SMTP, Google, WhatsApp, Twilio and OpenID Connect over their real protocols.

Used while a service has no keys; refuses to start with live gateway keys."""

from __future__ import annotations

from flask import Flask

from app.sandbox import google, mailbox, openid, razorpay, stripe, webhook_listener
from app.sandbox.phones import Carrier, Phones
from app.sandbox.sms import Sms
from app.sandbox.state_file import Store
from app.sandbox.webhooks import WebhookSender
from app.sandbox.whatsapp import WhatsApp
from config import GOOGLE_SANDBOX, OPENID_SANDBOX, PHONES_SANDBOX, ROOT, STRIPE_SANDBOX_KEY, Settings, Unsafe


def create_sandbox(settings: Settings, store: Store, sender: WebhookSender) -> Flask:
    """Build the sandbox's Flask app. It shares only its settings with the product."""
    if not settings.sandboxed:
        raise Unsafe(
            "The sandbox cannot run with real gateway keys. Unset RAZORPAY_KEY_ID, or do not start the sandbox."
        )
    app = Flask("sandbox", root_path=str(ROOT), static_folder="static", template_folder="templates")
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    app.register_blueprint(razorpay.create_blueprint(settings, store, sender))
    if settings.stripe_key == STRIPE_SANDBOX_KEY:
        app.register_blueprint(stripe.create_blueprint(settings, store, sender))
    app.register_blueprint(mailbox.create_blueprint(store))
    app.register_blueprint(webhook_listener.create_blueprint(store))
    if settings.google_client == GOOGLE_SANDBOX:
        app.register_blueprint(google.create_blueprint(settings, store))
    if settings.oauth_clients[:1] == (OPENID_SANDBOX,):
        app.register_blueprint(openid.create_blueprint(settings, store))
    _add_phones(app, settings, Phones(store, sender))
    return app


def _add_phones(app: Flask, settings: Settings, phones: Phones) -> None:
    """Register the WhatsApp and SMS simulators that the settings ask for."""
    app.register_blueprint(phones.create_blueprint())
    for carrier, key in (
        (WhatsApp(settings, phones), settings.whatsapp_phone_id),
        (Sms(settings, phones), settings.twilio_account),
    ):
        if key == PHONES_SANDBOX:
            phones.carriers[carrier.name] = Carrier(carrier.status_call, carrier.reply_call)
            app.register_blueprint(carrier.create_blueprint())

"""Stand-ins that speak the real wire protocol of Razorpay, Stripe, SMTP, WhatsApp, Twilio and OpenID, for when there are no keys. Never beside live ones."""

from __future__ import annotations

from flask import Flask

from app.sandbox import google, mailbox, openid, razorpay, stripe, webhook_listener
from app.sandbox.phones import Carrier, Phones
from app.sandbox.sms import Sms
from app.sandbox.state_file import Store
from app.sandbox.webhooks import Postman
from app.sandbox.whatsapp import WhatsApp
from config import GOOGLE_SANDBOX, OPENID_SANDBOX, PHONES_SANDBOX, ROOT, STRIPE_SANDBOX_KEY, Settings, Unsafe


def create_sandbox(settings: Settings, store: Store, postman: Postman) -> Flask:
    """A program of its own: it knows nothing of the product but the settings they share."""
    if not settings.sandboxed:
        raise Unsafe(
            "The sandbox cannot run with real gateway keys. Unset RAZORPAY_KEY_ID, or do not start the sandbox."
        )
    app = Flask("sandbox", root_path=str(ROOT), static_folder="static", template_folder="templates")
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    app.register_blueprint(razorpay.gateway(settings, store, postman))
    if settings.stripe_key == STRIPE_SANDBOX_KEY:
        app.register_blueprint(stripe.gateway(settings, store, postman))
    app.register_blueprint(mailbox.pages(store))
    app.register_blueprint(webhook_listener.pages(store))
    if settings.google_client == GOOGLE_SANDBOX:
        app.register_blueprint(google.pages(settings, store))
    if settings.oauth_clients[:1] == (OPENID_SANDBOX,):
        app.register_blueprint(openid.pages(settings, store))
    _put_up_phones(app, settings, Phones(store, postman))
    return app


def _put_up_phones(app: Flask, settings: Settings, phones: Phones) -> None:
    """A carrier is stood in for when there are no keys for it."""
    app.register_blueprint(phones.pages())
    for carrier, key in (
        (WhatsApp(settings, phones), settings.whatsapp_phone_id),
        (Sms(settings, phones), settings.twilio_account),
    ):
        if key == PHONES_SANDBOX:
            phones.carriers[carrier.name] = Carrier(carrier.status, carrier.reply)
            app.register_blueprint(carrier.pages())

"""Application factory: create_app() configures the kernel, money, messages and the desk, and registers the packs.

It also chooses the configured gateways, message channels and meeting places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import flask_mail
from flask import Blueprint, Flask, request
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from app import desk, ops, site
from app.calendars import ics, place
from app.calendars.google import Google, Keys
from app.calendars.jitsi import Jitsi
from app.calendars.static_places import InPerson, OwnRoom
from app.desk.declare import column
from app.kernel import access, clock, db, feature, files, jobs, numbering, people, process_cache, secrets
from app.kernel.pack import Pack
from app.messages import channel, message, safe_http, template
from app.messages.email import Email
from app.messages.sms import Sms
from app.messages.whatsapp import WhatsApp
from app.money.bills import business, invoice
from app.money.gateways import gateway
from app.money.gateways.offline import OFFLINE
from app.money.gateways.razorpay import Razorpay
from app.money.gateways.stripe import Stripe
from app.money.gateways.upi import is_vpa
from app.money.paper.document import Party
from app.money.sums import approval_limits, quote, working_hours
from app.money.sums.amount import Money
from app.money.sums.tax import STATES, is_gstin
from app.packs import PACKS
from app.sandbox.proxy import sandbox_proxy
from app.site import frame
from app.site.lazy_rule import LazyRule
from config import ROOT, Settings, Unsafe


def create_app(settings: Settings | None = None, packs: Sequence[Pack] = PACKS) -> Flask:
    settings = settings or Settings.from_environment()
    app = Flask("frontdesk", root_path=str(ROOT), static_folder="static", template_folder="templates")
    app.url_rule_class = LazyRule
    app.config.from_mapping(desk.flask_settings(settings))
    app.extensions["settings"], app.extensions["packs"] = settings, [*desk.BUILT_IN, *packs]
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies, x_host=settings.proxies)  # type: ignore[method-assign]
    csrf = CSRFProtect(app)
    _configure_modules(app, settings)
    texts = {
        _full_name(pack, name): _inline_text(pack, name) for pack in app.extensions["packs"] for name in pack.messages
    }
    titles = {
        _full_name(pack, name): title for pack in app.extensions["packs"] for name, title in pack.message_titles.items()
    }
    feature.register_features(each for pack in app.extensions["packs"] for each in pack.features)
    template.register_templates(texts, {name: text for name, text in texts.items() if text}, titles)
    with app.app_context():
        desk.configure(app, packs)
        for pack in packs:
            for blueprint in pack.blueprints:
                _register_blueprint(app, csrf, blueprint)
        site.open(app, csrf)
        ops.open(app)
        if settings.sandboxed:
            _register_blueprint(app, csrf, sandbox_proxy(settings))
    return app


def _full_name(pack: Pack, name: str) -> str:
    """The full name of a message template, such as bookings/confirmed."""
    return name if "/" in name else f"{pack.name}/{name}"


def _inline_text(pack: Pack, name: str) -> str:
    """The text of a template that a pack declares in code; empty if it is a file."""
    return pack.messages[name].strip() + "\n" if isinstance(pack.messages, Mapping) else ""


def _register_blueprint(app: Flask, csrf: CSRFProtect, blueprint: Blueprint) -> None:
    """Register a blueprint. Programs and embedded pages send no cookie of ours, so they need no CSRF token."""
    if (blueprint.url_prefix or "").startswith(("/api", "/sandbox", frame.FRAMED)):
        csrf.exempt(blueprint)
    app.register_blueprint(blueprint)


def _configure_modules(app: Flask, settings: Settings) -> None:
    """Configure the modules of the kernel, money, messages and calendars."""
    _refuse_wrong_details(settings)
    db.connect(settings.database_url)
    app.teardown_appcontext(lambda error: db.session.remove())
    access.configure(settings.secret_key, settings.old_secret_key)
    secrets.configure(*settings.data_keys)
    files.configure(settings.files)
    people.configure(settings.country)
    jobs.connect(settings.redis_url)
    safe_http.configure(settings.sandbox_listener, settings.sandbox_calendars)
    gateway.configure(*_gateways(settings))
    gateway.configure_public_url(settings.base_url if settings.payment_origins else "")
    numbering.configure(settings.books_open)
    channel.configure(*_channels(app, settings))
    place.configure(*_places(settings))
    _configure_business(app, settings)
    business.configure(lambda own: _configure_business(app, _with_own_details(settings, own), own.get("logo", "")))
    app.before_request(_read_snapshot)
    app.before_request(process_cache.refresh_all)
    jobs.before_work(process_cache.refresh_all)


def _read_snapshot() -> None:
    if request.method in {"GET", "HEAD"}:
        db.read_snapshot()


def _with_own_details(settings: Settings, own: Mapping[str, Any]) -> Settings:
    """Apply what staff entered. A region without a tax number does not replace the region of the configured number."""
    has_region = own.get("business_tax_number") or not settings.business_tax_number
    left_out = {"logo"} if has_region else {"logo", "business_region"}
    return replace(settings, **{name: it for name, it in own.items() if name not in left_out})


def _configure_business(app: Flask, it: Settings, logo: str = "") -> None:
    """Set name, address, time zone and currency of the business; again whenever staff change them on the desk."""
    app.extensions["settings"] = it
    app.jinja_env.globals.update(settings=it, logo=logo)
    clock.configure(it.timezone)
    column.configure(it.timezone, it.currency)
    approval_limits.configure(Money.parse(it.four_eyes_above, it.currency))
    working_hours.configure(it.business_hours)
    quote.configure(it.business_region if it.business_tax_number else "")
    invoice.configure(_seller(it), it.business_upi)
    message.configure(name=it.business, email=it.business_email, timezone=it.timezone)
    ics.configure(name=it.business, email=it.business_email, host=urlsplit(it.base_url).hostname or "frontdesk")
    template.environment.globals.update(
        business=it.business, business_email=it.business_email, base_url=it.base_url.rstrip("/")
    )


def _refuse_wrong_details(it: Settings) -> None:
    """Check what is printed on invoices at start-up: an issued document cannot be changed."""
    if it.business_tax_number and it.country == "IN" and not is_gstin(it.business_tax_number):
        raise Unsafe(
            "BUSINESS_TAX_NUMBER is not a GSTIN. Enter all 15 characters, including a correct check character, such "
            "as 29AAGCB7383J1Z4."
        )
    if it.business_tax_number and it.country == "IN" and it.business_region != it.business_tax_number[:2]:
        raise Unsafe("BUSINESS_REGION must be the first two digits of BUSINESS_TAX_NUMBER, which name its state.")
    if it.business_upi and not is_vpa(it.business_upi):
        raise Unsafe("BUSINESS_UPI is not a UPI address. Enter one such as practice@upi.")
    if not 1 <= it.books_open <= 12:
        raise Unsafe("BOOKS_OPEN_IN_MONTH must be a month from 1 to 12.")
    try:
        working_hours.parse_hours(it.business_hours)
    except ValueError as error:
        raise Unsafe(f"BUSINESS_HOURS: {error}") from None
    try:
        Money.parse(it.four_eyes_above, it.currency)
    except ValueError as error:
        raise Unsafe(f"FOUR_EYES_ABOVE is {it.four_eyes_above!r}. {error}") from None


def _seller(it: Settings) -> Party:
    region = (
        f"{it.business_region} {STATES[it.business_region]}" if it.business_region in STATES else it.business_region
    )
    return Party(
        it.business,
        it.business_address.replace("\\n", "\n"),
        it.business_email,
        it.business_phone,
        it.business_tax_number,
        region,
    )


def _channels(app: Flask, it: Settings) -> Iterator[channel.Channel]:
    """Email, and the channels that are set up."""
    yield Email(flask_mail.Mail(app))
    if it.whatsapp_phone_id:
        yield WhatsApp(
            phone_id=it.whatsapp_phone_id,
            token=it.whatsapp_token,
            app_secrets=it.whatsapp_app_secrets,
            verify_token=it.whatsapp_verify_token,
            url=it.whatsapp_url,
        )
    if it.twilio_account:
        yield Sms(
            account=it.twilio_account,
            token=it.twilio_token,
            sender=it.twilio_sender,
            url=it.twilio_url,
            reach_us_at=it.base_url,
        )


def _places(it: Settings) -> Iterator[place.Place]:
    if it.google_account or it.google_refresh_token:
        keys = Keys(
            it.google_account,
            it.google_host,
            it.google_client,
            it.google_secret,
            it.google_refresh_token,
            it.google_token_url,
        )
        try:
            yield Google(practice=it.base_url, keys=keys, calendar=it.google_calendar, url=it.google_url)
        except (OSError, ValueError):
            raise Unsafe(
                "GOOGLE_SERVICE_ACCOUNT is not valid. Set it to the path of a service account’s key file, or to the "
                "content of that file."
            ) from None
    if it.jitsi_url:
        yield Jitsi(it.jitsi_url)
    yield from (OwnRoom(), InPerson())


def _gateways(it: Settings) -> Iterator[gateway.Gateway]:
    """The default gateway first, then the offline methods, which are never the default."""
    if it.razorpay_key:
        yield _razorpay(it)
    if it.stripe_key:
        yield Stripe(key=it.stripe_key, webhook_secrets=it.stripe_webhook_secrets, url=it.stripe_url)
    yield from OFFLINE


def _razorpay(it: Settings) -> Razorpay:
    return Razorpay(
        key=it.razorpay_key,
        secret=it.razorpay_secret,
        webhook_secrets=it.razorpay_webhook_secrets,
        url=it.razorpay_url,
        hosted=it.razorpay_checkout,
        business=it.business,
    )

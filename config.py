"""Settings: read once from environment variables; the program does not start with a missing or unsafe one."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

ROOT = Path(__file__).parent
SANDBOX_KEY = "rzp_test_sandbox"
STRIPE_SANDBOX_KEY = "sk_test_sandbox"
GOOGLE_SANDBOX = "sandbox"  # OAuth client ID of the Google sandbox
OPENID_SANDBOX = "sandbox"  # OAuth client ID of the sandbox's OpenID provider
PHONES_SANDBOX = "sandbox"  # WhatsApp number and Twilio account of the sandbox


_STRIPE_LIVE, _STRIPE_TEST = ("sk_live_", "rk_live_"), ("sk_test_", "rk_test_")


class Unsafe(SystemExit):
    """Stops the start because of a setting; the message says which and what to do."""


def setting(env: str, default: str | None = None, **rest: Any) -> Any:
    """A field read from the environment variable `env`; without a default it must be set."""
    return field(metadata={"env": env, "default": default}, **rest)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The configuration of an installation. `.env.example` explains each setting."""

    env: str = setting("FRONTDESK_ENV", "production")
    database_url: str = setting("DATABASE_URL")
    redis_url: str = setting("REDIS_URL")
    secret_key: str = setting("SECRET_KEY", repr=False)
    old_secret_key: str = setting("SECRET_KEY_OLD", "", repr=False)
    data_keys: tuple[str, ...] = setting("DATA_KEYS", "", repr=False)
    base_url: str = setting("BASE_URL")
    proxies: int = setting("TRUSTED_PROXIES", "0")
    embed_on: tuple[str, ...] = setting("EMBED_ON", "")
    second_factor_for: tuple[str, ...] = setting("SECOND_FACTOR_FOR", "")
    oauth_names: tuple[str, ...] = setting("OAUTH_NAME", "")
    oauth_issuers: tuple[str, ...] = setting("OAUTH_ISSUER", "")
    oauth_clients: tuple[str, ...] = setting("OAUTH_CLIENT_ID", "")
    oauth_secrets: tuple[str, ...] = setting("OAUTH_CLIENT_SECRET", "", repr=False)
    oauth_domains: tuple[str, ...] = setting("OAUTH_DOMAINS", "")
    files: Path = setting("FILES_DIR", "var/files")
    log_level: str = setting("LOG_LEVEL", "INFO")

    business: str = setting("BUSINESS_NAME", "Frontdesk")
    business_email: str = setting("BUSINESS_EMAIL", "hello@frontdesk.example")
    business_phone: str = setting("BUSINESS_PHONE", "")
    timezone: str = setting("BUSINESS_TIMEZONE", "Asia/Kolkata")
    currency: str = setting("BUSINESS_CURRENCY", "INR")
    country: str = setting("BUSINESS_COUNTRY", "IN")
    business_address: str = setting("BUSINESS_ADDRESS", "")
    business_tax_number: str = setting("BUSINESS_TAX_NUMBER", "")
    business_region: str = setting("BUSINESS_REGION", "")
    business_upi: str = setting("BUSINESS_UPI", "")
    business_hours: str = setting("BUSINESS_HOURS", "")
    books_open: int = setting("BOOKS_OPEN_IN_MONTH", "4")
    four_eyes_above: str = setting("FOUR_EYES_ABOVE", "10000")

    razorpay_key: str = setting("RAZORPAY_KEY_ID", "")
    razorpay_secret: str = setting("RAZORPAY_KEY_SECRET", "", repr=False)
    razorpay_webhook_secrets: tuple[str, ...] = setting("RAZORPAY_WEBHOOK_SECRET", "", repr=False)
    razorpay_url: str = setting("RAZORPAY_API_URL", "https://api.razorpay.com")

    stripe_key: str = setting("STRIPE_SECRET_KEY", "", repr=False)
    stripe_webhook_secrets: tuple[str, ...] = setting("STRIPE_WEBHOOK_SECRET", "", repr=False)
    stripe_url: str = setting("STRIPE_API_URL", "https://api.stripe.com")

    smtp_host: str = setting("SMTP_HOST", "")
    smtp_port: int = setting("SMTP_PORT", "587")
    smtp_user: str = setting("SMTP_USER", "")
    smtp_password: str = setting("SMTP_PASSWORD", "", repr=False)
    smtp_tls: bool = setting("SMTP_TLS", "1")
    mail_from: str = setting("MAIL_FROM", "Frontdesk <hello@frontdesk.example>")

    whatsapp_phone_id: str = setting("WHATSAPP_PHONE_ID", "")
    whatsapp_token: str = setting("WHATSAPP_TOKEN", "", repr=False)
    whatsapp_app_secrets: tuple[str, ...] = setting("WHATSAPP_APP_SECRET", "", repr=False)
    whatsapp_verify_token: str = setting("WHATSAPP_VERIFY_TOKEN", "", repr=False)
    whatsapp_url: str = setting("WHATSAPP_API_URL", "https://graph.facebook.com/v23.0")

    twilio_account: str = setting("TWILIO_ACCOUNT_SID", "")
    twilio_token: str = setting("TWILIO_AUTH_TOKEN", "", repr=False)
    twilio_sender: str = setting("TWILIO_FROM", "")
    twilio_url: str = setting("TWILIO_API_URL", "https://api.twilio.com")

    google_account: str = setting("GOOGLE_SERVICE_ACCOUNT", "", repr=False)
    google_host: str = setting("GOOGLE_HOST", "")
    google_client: str = setting("GOOGLE_CLIENT_ID", "")
    google_secret: str = setting("GOOGLE_CLIENT_SECRET", "", repr=False)
    google_refresh_token: str = setting("GOOGLE_REFRESH_TOKEN", "", repr=False)
    google_calendar: str = setting("GOOGLE_CALENDAR", "primary")
    google_url: str = setting("GOOGLE_API_URL", "https://www.googleapis.com")
    google_token_url: str = setting("GOOGLE_TOKEN_URL", "https://oauth2.googleapis.com/token")
    jitsi_url: str = setting("JITSI_URL", "")

    sandbox_url: str = setting("SANDBOX_URL", "")
    sandbox_smtp_port: int = setting("SANDBOX_SMTP_PORT", "8025")
    sandbox_data: Path = setting("SANDBOX_DATA", "var/sandbox.db")

    @property
    def production(self) -> bool:
        return self.env == "production"

    @property
    def sandboxed(self) -> bool:
        """True without gateway keys but with a sandbox: payments and email go to the sandbox."""
        return self.razorpay_key == SANDBOX_KEY

    @property
    def sandbox_listener(self) -> str:
        """URL of the sandbox's webhook listener."""
        return f"{self.sandbox_url.rstrip('/')}/sandbox/listener" if self.sandboxed and self.sandbox_url else ""

    @property
    def sandbox_calendars(self) -> str:
        """URL prefix of the sandbox's calendar feeds."""
        return f"{self.sandbox_url.rstrip('/')}/sandbox/google/ical/" if self.sandboxed and self.sandbox_url else ""

    @property
    def razorpay_checkout(self) -> str:
        """URL of the payment page for the browser; the sandbox is proxied at our own address."""
        return ("/sandbox/razorpay" if self.sandboxed else self.razorpay_url) + "/v1/checkout/embedded"

    @property
    def payment_origins(self) -> tuple[str, ...]:
        """Origins of the gateways' payment pages, for the content security policy."""
        razorpay = () if self.sandboxed or not self.razorpay_key else (self.razorpay_url,)
        return razorpay if self.stripe_key in ("", STRIPE_SANDBOX_KEY) else (*razorpay, "https://checkout.stripe.com")

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> Settings:
        values: dict[str, Any] = {}
        for each in fields(cls):
            name, default = each.metadata["env"], each.metadata["default"]
            text = env.get(name, "").strip() or default
            if text is None:
                raise Unsafe(
                    f"{name} is not set. See .env.example for its meaning, or use `make run`, which sets it for you."
                )
            values[each.name] = _parse(name, text, str(each.type))
        return cls(**_with_sandbox(_with_data_keys(values))).validated()

    def validated(self) -> Settings:
        """Check all settings now, instead of failing in the middle of a payment."""
        _refuse_unsafe(self)
        if self.production:
            _refuse_in_production(self)
        elif self.razorpay_key.startswith("rzp_live_"):
            raise Unsafe(
                "RAZORPAY_KEY_ID is a live key, but FRONTDESK_ENV is not production: real cards would be charged. Use "
                "a test key."
            )
        elif self.stripe_key.startswith(_STRIPE_LIVE):
            raise Unsafe(
                "STRIPE_SECRET_KEY is a live key, but FRONTDESK_ENV is not production: real cards would be charged. "
                "Use a test key."
            )
        return self


def _parse(name: str, text: str, kind: str) -> Any:
    try:
        if kind == "int":
            return int(text)
        if kind == "bool":
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
    except (ValueError, KeyError):
        raise Unsafe(
            f"{name} is {text!r}. Set it to {'a whole number' if kind == 'int' else '1 (yes) or 0 (no)'}."
        ) from None
    if kind == "Path":
        return Path(text)
    if kind.startswith("tuple"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _derive(purpose: str, secret: str) -> str:
    return hashlib.sha256(f"{purpose} {secret}".encode()).hexdigest()


def _with_data_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Outside production, derive missing data keys from the secret key."""
    if values["env"] != "production" and not values["data_keys"]:
        values["data_keys"] = tuple(
            _derive("data", each) for each in (values["secret_key"], values["old_secret_key"]) if each
        )
    return values


def _with_sandbox(values: dict[str, Any]) -> dict[str, Any]:
    """Without gateway keys but with a sandbox URL, use the sandbox, with keys derived from the secret key."""
    if values["sandbox_url"] and not values["razorpay_key"]:
        values |= {
            "razorpay_key": SANDBOX_KEY,
            "razorpay_secret": _derive("sandbox secret", values["secret_key"]),
            "razorpay_webhook_secrets": (_derive("sandbox webhook", values["secret_key"]),),
            "razorpay_url": values["sandbox_url"].rstrip("/") + "/sandbox/razorpay",
        }
    if values["razorpay_key"] == SANDBOX_KEY and not values["stripe_key"]:
        values |= {
            "stripe_key": STRIPE_SANDBOX_KEY,
            "stripe_webhook_secrets": ("whsec_" + _derive("sandbox stripe webhook", values["secret_key"]),),
            "stripe_url": values["sandbox_url"].rstrip("/") + "/sandbox/stripe",
        }
    if values["razorpay_key"] == SANDBOX_KEY:
        values |= _sandbox_messaging(values) | ({} if values["oauth_names"] else _sandbox_openid(values))
        if not values["google_account"] and not values["google_refresh_token"]:
            values |= _sandbox_google(values)
    if values["sandbox_url"] and not values["smtp_host"]:
        values |= {
            "smtp_host": urlsplit(values["sandbox_url"]).hostname,
            "smtp_port": values["sandbox_smtp_port"],
            "smtp_tls": False,
        }
    return values


def _sandbox_messaging(values: dict[str, Any]) -> dict[str, Any]:
    here, secret = values["sandbox_url"].rstrip("/"), values["secret_key"]
    whatsapp = {
        "whatsapp_phone_id": PHONES_SANDBOX,
        "whatsapp_token": _derive("sandbox whatsapp", secret),
        "whatsapp_app_secrets": (_derive("sandbox whatsapp webhook", secret),),
        "whatsapp_verify_token": _derive("sandbox whatsapp greeting", secret),
        "whatsapp_url": f"{here}/sandbox/whatsapp/v23.0",
    }
    sms = {
        "twilio_account": PHONES_SANDBOX,
        "twilio_token": _derive("sandbox sms", secret),
        "twilio_sender": "+15005550006",
        "twilio_url": f"{here}/sandbox/sms",
    }
    return ({} if values["whatsapp_phone_id"] else whatsapp) | ({} if values["twilio_account"] else sms)


def _sandbox_openid(values: dict[str, Any]) -> dict[str, Any]:
    return {
        "oauth_names": ("Sandbox",),
        "oauth_issuers": (f"{values['sandbox_url'].rstrip('/')}/sandbox/openid",),
        "oauth_clients": (OPENID_SANDBOX,),
        "oauth_secrets": (_derive("sandbox openid", values["secret_key"]),),
    }


def _sandbox_google(values: dict[str, Any]) -> dict[str, Any]:
    here, secret = values["sandbox_url"].rstrip("/"), values["secret_key"]
    return {
        "google_client": GOOGLE_SANDBOX,
        "google_secret": _derive("sandbox google", secret),
        "google_refresh_token": _derive("sandbox google host", secret),
        "google_url": f"{here}/sandbox/google",
        "google_token_url": f"{here}/sandbox/google/token",
    }


def _refuse_unsafe(it: Settings) -> None:
    if it.env not in ("production", "demo", "test"):
        raise Unsafe(f"FRONTDESK_ENV is {it.env!r}. Set it to one of production, demo, test.")
    if len(it.secret_key) < 32:
        raise Unsafe(
            "SECRET_KEY is shorter than 32 characters. Create one with: python3 -c 'import secrets; "
            "print(secrets.token_urlsafe(48))'"
        )
    if not it.database_url.startswith("postgresql"):
        raise Unsafe(
            "DATABASE_URL is not a PostgreSQL address. Frontdesk relies on PostgreSQL constraints to keep bookings "
            "and money consistent."
        )
    if it.timezone not in available_timezones():
        raise Unsafe(f"BUSINESS_TIMEZONE is {it.timezone!r}. Set it to an IANA time zone, such as Asia/Kolkata.")
    if any(len(each) < 32 for each in it.data_keys):
        raise Unsafe(
            "A key in DATA_KEYS is shorter than 32 characters. Create one with: python3 -c 'import secrets; "
            "print(secrets.token_urlsafe(48))'"
        )
    for each in it.embed_on:
        if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d+)?", each):
            raise Unsafe(
                f"EMBED_ON contains {each!r}, which is not an origin such as https://www.example.com. Leave out "
                "paths, wildcards and trailing slashes."
            )
    _refuse_incomplete_sign_in(it)
    _refuse_unsafe_gateways(it)
    _refuse_incomplete_channels(it)


def _refuse_incomplete_sign_in(it: Settings) -> None:
    """Each OpenID provider must be complete and have a unique name."""
    if len({len(it.oauth_names), len(it.oauth_issuers), len(it.oauth_clients), len(it.oauth_secrets)}) > 1:
        raise Unsafe(
            "OAUTH_NAME, OAUTH_ISSUER, OAUTH_CLIENT_ID and OAUTH_CLIENT_SECRET must have the same number of entries, "
            "in the same order."
        )
    keys = [re.sub(r"[^a-z0-9]+", "", each.lower()) for each in it.oauth_names]
    if not all(keys) or len({*keys}) < len(keys):
        raise Unsafe(
            "Each name in OAUTH_NAME must be unique and contain letters or digits, because it becomes part of a URL."
        )


def _refuse_incomplete_channels(it: Settings) -> None:
    """Email, WhatsApp, SMS, Google and Jitsi settings must be complete and safe."""
    if not it.smtp_host:
        raise Unsafe("Neither SMTP_HOST nor SANDBOX_URL is set, so no email could be sent. Set one of them.")
    if it.whatsapp_phone_id and not (it.whatsapp_token and it.whatsapp_app_secrets and it.whatsapp_verify_token):
        raise Unsafe(
            "WHATSAPP_PHONE_ID needs WHATSAPP_TOKEN, WHATSAPP_APP_SECRET and WHATSAPP_VERIFY_TOKEN: without them, "
            "anyone could fake the status of a message."
        )
    if it.google_refresh_token and not (it.google_client and it.google_secret):
        raise Unsafe(
            "GOOGLE_REFRESH_TOKEN needs GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET: Google accepts the token only "
            "together with them."
        )
    if it.jitsi_url and not it.jitsi_url.startswith("https://"):
        raise Unsafe("JITSI_URL does not start with https://: meetings would not be encrypted.")
    if it.twilio_account and not (it.twilio_token and it.twilio_sender):
        raise Unsafe(
            "TWILIO_ACCOUNT_SID needs TWILIO_AUTH_TOKEN and TWILIO_FROM: without them, no text message could be sent."
        )


def _refuse_unsafe_gateways(it: Settings) -> None:
    """Gateway keys must be complete, and live keys must not meet the sandbox."""
    if it.razorpay_key and not (it.razorpay_secret and it.razorpay_webhook_secrets):
        raise Unsafe(
            "RAZORPAY_KEY_ID needs RAZORPAY_KEY_SECRET and RAZORPAY_WEBHOOK_SECRET: without them, an unsigned webhook "
            "could confirm a booking."
        )
    if it.stripe_key and not it.stripe_key.startswith((*_STRIPE_LIVE, *_STRIPE_TEST)):
        raise Unsafe(
            "STRIPE_SECRET_KEY is not a Stripe secret key. Use a key that starts with sk_ or rk_, not the publishable "
            "key."
        )
    if it.stripe_key and not it.stripe_webhook_secrets:
        raise Unsafe(
            "STRIPE_SECRET_KEY needs STRIPE_WEBHOOK_SECRET: without it, an unsigned webhook could confirm a booking."
        )
    if it.sandbox_url and it.razorpay_key.startswith("rzp_live_"):
        raise Unsafe(
            "SANDBOX_URL and a live RAZORPAY_KEY_ID are both set. The sandbox cannot run with live keys. Unset one of "
            "them."
        )
    if it.sandbox_url and it.stripe_key.startswith(_STRIPE_LIVE):
        raise Unsafe(
            "SANDBOX_URL and a live STRIPE_SECRET_KEY are both set. The sandbox cannot run with live keys. Unset one "
            "of them."
        )
    if not it.razorpay_key and not it.stripe_key:
        raise Unsafe(
            "None of RAZORPAY_KEY_ID, STRIPE_SECRET_KEY and SANDBOX_URL is set, so customers could not pay. Set one "
            "of them."
        )


def _refuse_in_production(it: Settings) -> None:
    if it.sandbox_url:
        raise Unsafe("SANDBOX_URL is set in production: anyone could mark a booking as paid. Unset it.")
    if it.razorpay_key.startswith("rzp_test_"):
        raise Unsafe(
            "RAZORPAY_KEY_ID is a test key, but FRONTDESK_ENV is production: bookings would be confirmed without "
            "payment. Use a live key."
        )
    if it.stripe_key.startswith(_STRIPE_TEST):
        raise Unsafe(
            "STRIPE_SECRET_KEY is a test key, but FRONTDESK_ENV is production: bookings would be confirmed without "
            "payment. Use a live key."
        )
    if not it.data_keys:
        raise Unsafe(
            "DATA_KEYS is not set, so sensitive answers from customers could not be encrypted. See .env.example for "
            "how to create a key."
        )
    if {it.secret_key, it.old_secret_key} & {*it.data_keys}:
        raise Unsafe(
            "DATA_KEYS contains the SECRET_KEY. Create a separate key, so that a leak of one does not expose the other."
        )
    if any(not each.startswith("https://") for each in it.embed_on):
        raise Unsafe(
            "EMBED_ON contains an origin that does not start with https://. In production, an attacker on the network "
            "could change the page around the booking form."
        )
    if any(not each.startswith("https://") for each in it.oauth_issuers):
        raise Unsafe(
            "OAUTH_ISSUER does not start with https://. In production, an attacker on the network could sign in as "
            "any user."
        )
    if not it.base_url.startswith("https://"):
        raise Unsafe(
            "BASE_URL does not start with https://. In production, sessions and links would be sent unencrypted."
        )

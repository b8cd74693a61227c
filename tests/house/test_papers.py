"""Tests of documentation: settings, map, README and migrations agree with the code."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import text

from app import create_app
from app.kernel import db
from app.ops.commands import describe_build
from config import Settings, Unsafe
from tests.conftest import ROOT

SAFE = {
    "FRONTDESK_ENV": "production",
    "DATABASE_URL": "postgresql://x",
    "REDIS_URL": "redis://x",
    "SECRET_KEY": "x" * 40,
    "DATA_KEYS": "y" * 40,
    "BASE_URL": "https://book.example.com",
    "RAZORPAY_KEY_ID": "rzp_live_x",
    "RAZORPAY_KEY_SECRET": "x",
    "RAZORPAY_WEBHOOK_SECRET": "new, old",
    "SMTP_HOST": "smtp.example.com",
}

STRIPE = {"STRIPE_SECRET_KEY": "sk_live_x", "STRIPE_WEBHOOK_SECRET": "whsec_new, whsec_old"}

# Settings read by other programs than the app.
AROUND = {"HOST", "PORT", "WEB_CONCURRENCY", "ADMIN_PASSWORD"}


def test_every_setting_is_named_and_explained_in_the_example() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    named = {match[1] for line in lines if (match := re.match(r"#? ?([A-Z_]+)=", line))}
    assert named == {each.metadata["env"] for each in fields(Settings)} | AROUND


def test_settings_that_are_safe_are_taken() -> None:
    settings = Settings.from_environment(SAFE)
    assert settings.razorpay_webhook_secrets == ("new", "old")
    assert not settings.sandboxed
    assert (settings.stripe_key, settings.payment_origins) == ("", ("https://api.razorpay.com",))


def test_stripe_can_stand_beside_razorpay_or_instead_of_it() -> None:
    both = Settings.from_environment(SAFE | STRIPE)
    assert both.stripe_webhook_secrets == ("whsec_new", "whsec_old")
    assert both.payment_origins == ("https://api.razorpay.com", "https://checkout.stripe.com")
    alone = Settings.from_environment(SAFE | STRIPE | {"RAZORPAY_KEY_ID": ""})
    assert (alone.razorpay_key, alone.payment_origins) == ("", ("https://checkout.stripe.com",))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"BUSINESS_TAX_NUMBER": "29AAGCB7383J1Z5", "BUSINESS_REGION": "29"}, "not a GSTIN"),
        ({"BUSINESS_TAX_NUMBER": "29AAGCB7383J1Z4"}, "BUSINESS_REGION"),
        ({"BUSINESS_TAX_NUMBER": "29AAGCB7383J1Z4", "BUSINESS_REGION": "27"}, "BUSINESS_REGION"),
        ({"BUSINESS_UPI": "practice"}, "UPI"),
        ({"BOOKS_OPEN_IN_MONTH": "13"}, "month"),
        ({"FOUR_EYES_ABOVE": "much"}, "FOUR_EYES_ABOVE"),
    ],
)
def test_what_would_be_wrong_on_every_invoice_is_refused_before_the_first(wrong: dict[str, str], words: str) -> None:
    with pytest.raises(Unsafe, match=words):
        create_app(Settings.from_environment(SAFE | wrong))


def test_without_keys_the_sandbox_stands_in_for_both() -> None:
    here = {"FRONTDESK_ENV": "demo", "RAZORPAY_KEY_ID": "", "SANDBOX_URL": "http://127.0.0.1:1"}
    sandboxed = Settings.from_environment(SAFE | here)
    assert (sandboxed.stripe_url, sandboxed.payment_origins) == ("http://127.0.0.1:1/sandbox/stripe", ())
    assert sandboxed.stripe_webhook_secrets[0].startswith("whsec_")
    tried = Settings.from_environment(SAFE | here | STRIPE | {"STRIPE_SECRET_KEY": "sk_test_x"})
    assert (tried.sandboxed, tried.stripe_url, tried.payment_origins) == (
        True,
        "https://api.stripe.com",
        ("https://checkout.stripe.com",),
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"SECRET_KEY": "short"}, "shorter than 32"),
        ({"SECRET_KEY": ""}, "SECRET_KEY is not set"),
        ({"DATABASE_URL": "sqlite:///x"}, "not a PostgreSQL"),
        ({"SANDBOX_URL": "http://127.0.0.1:1"}, "a live RAZORPAY_KEY_ID are both set"),
        ({"RAZORPAY_KEY_ID": "rzp_test_x"}, "test key"),
        ({"BASE_URL": "http://x"}, "https://"),
        ({"RAZORPAY_KEY_ID": ""}, "customers could not pay"),
        ({"RAZORPAY_WEBHOOK_SECRET": ""}, "unsigned webhook"),
        ({"SMTP_HOST": ""}, "no email"),
        ({"FRONTDESK_ENV": "demo"}, "live key"),
        ({"FRONTDESK_ENV": "prod"}, "production, demo, test"),
        ({"SMTP_PORT": "x"}, "whole number"),
        ({"BUSINESS_TIMEZONE": "Mars/Phobos"}, "IANA"),
        ({"RAZORPAY_KEY_ID": "", "SANDBOX_URL": "http://127.0.0.1:1"}, "anyone could mark a booking as paid"),
        ({"DATA_KEYS": ""}, "DATA_KEYS is not set"),
        ({"DATA_KEYS": "x" * 40}, "contains the SECRET_KEY"),
        ({"DATA_KEYS": f"{'y' * 40}, old"}, "shorter than 32"),
        ({"STRIPE_SECRET_KEY": "sk_live_x"}, "unsigned webhook"),
        ({"STRIPE_SECRET_KEY": "pk_live_x"}, "not the publishable key"),
        (STRIPE | {"STRIPE_SECRET_KEY": "sk_test_x"}, "test key"),
        (STRIPE | {"STRIPE_SECRET_KEY": "rk_test_x"}, "test key"),
        (STRIPE | {"RAZORPAY_KEY_ID": "", "FRONTDESK_ENV": "demo"}, "STRIPE_SECRET_KEY is a live key"),
        (
            STRIPE | {"RAZORPAY_KEY_ID": "", "FRONTDESK_ENV": "demo", "STRIPE_SECRET_KEY": "rk_live_x"},
            "STRIPE_SECRET_KEY is a live key",
        ),
        (
            STRIPE | {"RAZORPAY_KEY_ID": "", "SANDBOX_URL": "http://127.0.0.1:1"},
            "a live STRIPE_SECRET_KEY are both set",
        ),
    ],
)
def test_an_unsafe_setting_stops_the_start_with_a_sentence(change: dict[str, str], words: str) -> None:
    with pytest.raises(Unsafe, match=words):
        Settings.from_environment(SAFE | change)


def test_no_secret_is_printed_with_the_settings() -> None:
    assert "live-secret" not in repr(
        Settings.from_environment(SAFE | {"RAZORPAY_KEY_SECRET": "live-secret", "SMTP_PASSWORD": "live-secret"})
    )
    assert "sk_live_x" not in repr(Settings.from_environment(SAFE | STRIPE))


def test_the_migrations_make_exactly_the_tables_that_the_nouns_declare(app: Flask) -> None:
    with db.engine().connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), db.metadata) == []


def test_a_second_release_changes_nothing(app: Flask) -> None:
    def rights() -> list[tuple[object, ...]]:
        with db.engine().connect() as connection:
            return [
                tuple(row)
                for row in connection.execute(
                    text("select role_id, permission_view_id from ab_permission_view_role order by 1, 2")
                )
            ]

    before = rights()
    told = app.test_cli_runner().invoke(args=["migrate"])
    assert told.exit_code == 0, told.output
    assert rights() == before


def test_the_map_names_every_noun_move_and_message(app: Flask) -> None:
    drawn = "\n".join(describe_build())
    for pack in app.extensions["packs"]:
        assert pack.label in drawn
        assert all(noun.__name__ in drawn for noun in pack.nouns)
        assert all(name in drawn for name in pack.messages)
    assert "mark_paid: held → unchanged  by Desk" in drawn


def test_the_commands_and_files_that_the_readme_names_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)`", readme)) <= targets
    for path in re.findall(r"`((?:app|deploy|tests|migrations|static|templates)/[\w./]*)`", readme):
        assert (ROOT / path.partition(":")[0]).exists(), path


def test_every_message_that_a_pack_names_has_its_words(app: Flask) -> None:
    for pack in app.extensions["packs"]:
        for name in pack.messages:
            folder, _, file = name.rpartition("/")
            words = (ROOT / "templates" / (folder or pack.name) / "mail" / f"{file}.txt").read_text()
            assert re.search(r"^Subject: \S", words, re.MULTILINE), name

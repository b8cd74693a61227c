"""Places: search synonyms for pages outside the menu, such as account settings and the operations console."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.desk.declare.resource import resource_of
from app.kernel.access import ADMIN, actor
from app.kernel.feature import is_on
from app.kernel.people import Person


@dataclass(frozen=True)
class Place:
    """A page by its endpoint; `also` are other words for it."""

    label: str
    endpoint: str
    icon: str
    also: str
    within: str


_ACCOUNT = [
    Place("My account", "Users.userinfo", "user", "profile settings name", "My account"),
    Place("Change my password", "ResetMyPasswordView.this_form_get", "key", "password reset settings", "My account"),
    Place(
        "Two-factor authentication",
        "SecondFactor.show",
        "shield",
        "2fa mfa totp authenticator second factor security code otp",
        "My account",
    ),
    Place("Passkeys", "Passkeys.index", "key", "sign in passwordless fingerprint security key webauthn", "My account"),
    Place("Sessions", "Sessions.index", "users", "session devices signed in sign out browser", "My account"),
    Place("API tokens", "Tokens.index", "code", "token key api rest access integration", "My account"),
    Place(
        "Notifications",
        "Notices.index",
        "bell",
        "notification settings alerts preferences inbox mentions",
        "My account",
    ),
]
_ADMIN = [
    Place("Groups", "Groups.index", "users", "team groups roles users permissions", "Settings"),
    Place("Background jobs", "ops_jobs.show", "gear", "jobs queue worker scheduler failed", "Operations"),
    Place("Failed deliveries", "ops_letters.show", "warn", "dead letters retry messages webhooks", "Operations"),
    Place("Workers and Redis", "ops_redis.show", "flask", "health queue cache status", "Operations"),
    Place("Database", "ops_database.show", "book", "backup restore postgres health size status", "Operations"),
    Place("Files", "ops_files.show", "file", "uploads storage backup disk", "Operations"),
    Place(
        "System settings",
        "ops_settings.show",
        "gear",
        "settings configuration environment timezone currency smtp email",
        "Operations",
    ),
]


def palette_places() -> Iterator[Place]:
    """The pages outside the menu that the current user can open."""
    who, people = actor(), resource_of(Person)
    yield from _ACCOUNT
    if people and people.add and is_on(people.part) and who.may(Person, "add"):
        yield Place(
            f"Import {people.plural}",
            "PersonScreens.intakes",
            "upload",
            "import csv excel upload migrate spreadsheet",
            people.label,
        )
    if ADMIN in who.roles:
        yield from _ADMIN

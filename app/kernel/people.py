"""Person: the customer (parent, seller, passenger …), with checks of name, email, phone and time zone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar, Self

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from sqlalchemy import Index, func, select, text
from sqlalchemy.orm import Mapped, mapped_column, validates

from app.kernel import clock, privacy, translation
from app.kernel.db import Noun, session
from app.kernel.errors import Invalid
from app.kernel.translation import say
from app.kernel.workflow import move

_home_country = "IN"


def configure(country: str) -> None:
    global _home_country
    _home_country = country


def home_country() -> str:
    """The country of the business, of which a phone number without a country code is."""
    return _home_country


def _is_needed(person: Person) -> str | None:
    """Why a person cannot be erased yet: the first three reasons."""
    return " ".join(privacy.reasons_to_keep([person.id])[:3]) or None


class Person(Noun):
    """A customer. People are never merged automatically: two may share an email address."""

    known_as = "customer"
    states = "known", "forgotten"
    state_labels: ClassVar[dict[str, str]] = {"known": "Active", "forgotten": "Erased"}
    __table_args__ = (Index("person_email_lower", text("lower(email)")), Index("person_by_name", "name", "id"))

    name: Mapped[str] = mapped_column(info={"personal": "Deleted customer {id}"})
    email: Mapped[str] = mapped_column(info={"personal": True})
    phone: Mapped[str] = mapped_column(default="", info={"personal": True})
    timezone: Mapped[str] = mapped_column(default="Asia/Kolkata", info={"label": "Time zone"})
    locale: Mapped[str] = mapped_column(default="en", info={"label": "Language", "choices": translation.languages})
    notes: Mapped[str] = mapped_column(default="", info={"long": True, "personal": True})

    @validates("name", "email", "phone", "timezone")
    def _checked(self, key: str, value: str) -> str:
        return _CHECKS[key](value)

    @classmethod
    def find_or_create(cls, *, name: str, email: str, phone: str, timezone: str) -> Self:
        """The person with exactly this name, email and phone, or a new one with the language of this request.

        Public input never changes an existing person.
        """
        told = cls(
            **_all_checked(name=name, email=email, phone=phone, timezone=timezone), locale=translation.language()
        )
        same = select(cls).where(
            func.lower(cls.email) == told.email.lower(),
            func.lower(cls.name) == told.name.lower(),
            cls.phone == told.phone,
        )
        known = session.scalar(same.order_by(cls.id).limit(1))
        if known is None:
            session.add(told)
        return known or told

    def set_preferences(self, locale: str, timezone: str) -> None:
        """Set the language and time zone of messages to this person."""
        if locale not in translation.languages():
            raise Invalid.for_fields({"locale": say("Choose a language from the list.")})
        self.locale, self.timezone = locale, timezone

    @move(
        "known",
        to="forgotten",
        by="Desk",
        label="Erase personal data",
        careful=True,
        when=_is_needed,
        confirm=(
            "The customer’s name, email, phone, notes, form answers and message texts will be deleted permanently, "
            "including in the history. Invoices and accounting records are kept, as the law requires."
        ),
    )
    def forget(self) -> None:
        """Delete all personal data of this customer, except what the law requires you to keep."""
        privacy.forget([self.id])


# Bidirectional marks can make one name look like another. Joiners stay, since Indian scripts need them.
_UNSEEN = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\ufeff]")


def _name(value: str) -> str:
    text = " ".join(_UNSEEN.sub("", str(value)).split())
    if not 2 <= len(text) <= 100:
        raise Invalid.for_fields({"name": say("Enter a name of 2 to 100 characters.")})
    return text


def parse_email(value: str) -> str:
    try:
        return validate_email(str(value), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise Invalid.for_fields({"email": say("Enter a valid email address.")}) from None


def _phone(value: str) -> str:
    """Parse to E.164; without a country code, as a number of the home country."""
    if not value:
        return ""
    try:
        parsed = phonenumbers.parse(str(value), _home_country)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is None or not phonenumbers.is_possible_number(parsed):
        raise Invalid.for_fields({"phone": say("Enter a valid phone number, such as +91 98765 43210.")})
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _zone(value: str) -> str:
    if not clock.is_zone(str(value)):
        raise Invalid.for_fields(
            {
                "timezone": say(
                    "“%(zone)s” isn’t a valid time zone. Enter one such as Asia/Kolkata.", zone=str(value)[:60]
                )
            }
        )
    return str(value)


def _all_checked(**typed: str) -> dict[str, str]:
    """Check all fields, and report all mistakes at once."""
    right: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for key, value in typed.items():
        try:
            right[key] = _CHECKS[key](value)
        except Invalid as no:
            wrong |= no.fields
    if wrong:
        raise Invalid.for_fields(wrong)
    return right


_CHECKS: dict[str, Callable[[str], str]] = {"name": _name, "email": parse_email, "phone": _phone, "timezone": _zone}

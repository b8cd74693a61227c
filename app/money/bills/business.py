"""Business details: name, address, GSTIN, logo, currency and time zone; they override the environment's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from sqlalchemy import CheckConstraint, ForeignKey, inspect, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from app.kernel import clock, db
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid
from app.kernel.files import Picture
from app.kernel.numbering import Series
from app.kernel.people import home_country, parse_email
from app.kernel.process_cache import ProcessCache
from app.money.gateways.upi import is_vpa
from app.money.sums import working_hours
from app.money.sums.tax import STATES, is_gstin

CURRENCIES = "INR", "USD", "EUR", "GBP", "AED", "AUD", "CAD", "CHF", "KES", "LKR", "NPR", "NZD", "SGD", "ZAR"

_on_change: Callable[[Mapping[str, str]], None] | None = None


class Business(Noun):
    """The only row of its table. Empty fields fall back to the settings."""

    __table_args__ = (CheckConstraint("id = 1", name="one"),)
    refusals: ClassVar[dict[str, str]] = {"business_one": "There can be only one set of business details."}

    name: Mapped[str] = mapped_column(default="", info={"label": "Business name"})
    email: Mapped[str] = mapped_column(default="")
    phone: Mapped[str] = mapped_column(default="")
    address: Mapped[str] = mapped_column(default="", info={"long": True})
    tax_number: Mapped[str] = mapped_column(default="", info={"label": "GSTIN or other tax number"})
    region: Mapped[str] = mapped_column(
        default="", info={"label": "State", "choices": {code: f"{code} {name}" for code, name in STATES.items()}}
    )
    upi: Mapped[str] = mapped_column(default="", info={"label": "UPI address"})
    hours: Mapped[str] = mapped_column(
        default="",
        info={"long": True, "label": "Working hours", "help": "One entry per line, such as Mon–Fri 10:00–18:00."},
    )
    timezone: Mapped[str] = mapped_column(
        default="",
        info={"label": "Time zone", "help": "Used for dates and months. Fixed once a numbered document exists."},
    )
    currency: Mapped[str] = mapped_column(
        default="", info={"help": "A three-letter code, such as INR. Fixed once a price or an amount exists."}
    )
    logo_id: Mapped[int | None] = mapped_column(ForeignKey("picture.id"))
    logo: Mapped[Picture | None] = relationship(lazy="joined")

    @classmethod
    def create_row(cls) -> None:
        """Create the empty row, if it is missing."""
        if cls.current() is None:
            with transaction():
                session.add(cls(id=1))

    @classmethod
    def current(cls) -> Self | None:
        return session.get(cls, 1)

    def tidy(self) -> None:
        """Normalise and check the details on saving, because invoices with a wrong number can't be undone."""
        self.tax_number, self.upi, self.currency = (
            self.tax_number.strip().upper(),
            self.upi.strip(),
            self.currency.strip().upper(),
        )
        wrong = {}
        if self.name and not 2 <= len(self.name.strip()) <= 100:
            wrong["name"] = "Enter a name of 2 to 100 characters."
        if self.email:
            self.email = parse_email(self.email)
        if self.tax_number and home_country() == "IN" and not is_gstin(self.tax_number):
            wrong["tax_number"] = "Enter a valid 15-character GSTIN, such as 29AAGCB7383J1Z4."
        if self.tax_number and is_gstin(self.tax_number):
            self.region = self.region or self.tax_number[:2]
            if self.region != self.tax_number[:2]:
                code = self.tax_number[:2]
                wrong["region"] = f"The tax number begins with {code}, so the state must be {STATES[code]}."
        if self.upi and not is_vpa(self.upi):
            wrong["upi"] = "Enter a valid UPI address, such as practice@upi."
        wrong |= self._wrong_hours() | self._locked_fields()
        if wrong:
            raise Invalid.for_fields(wrong)
        cache.invalidate()

    def _wrong_hours(self) -> dict[str, str]:
        try:
            working_hours.parse_hours(self.hours)
        except ValueError as error:
            return {"hours": str(error)}
        return {}

    def _locked_fields(self) -> dict[str, str]:
        """Refuse another time zone once numbered documents exist, and another currency once amounts exist."""
        wrong = {}
        now: Any = inspect(self).attrs
        if self.timezone and not clock.is_zone(self.timezone):
            wrong["timezone"] = "Enter a valid time zone, such as Asia/Kolkata."
        elif (
            now.timezone.history.has_changes()
            and self.timezone != clock.zone()
            and session.scalar(select(Series.id).limit(1))
        ):
            wrong["timezone"] = (
                f"The time zone can’t be changed, because numbered documents already use {clock.zone()}."
            )
        if self.currency and self.currency not in CURRENCIES:
            wrong["currency"] = f"Choose one of these currencies: {', '.join(CURRENCIES[:-1])} or {CURRENCIES[-1]}."
        elif now.currency.history.has_changes() and (other := _other_currency_in_use(self.currency)):
            wrong["currency"] = f"The currency can’t be changed, because amounts already exist in {other}."
        return wrong

    @property
    def as_settings(self) -> dict[str, str]:
        """The fields that are set, by the names of the settings they override, and the logo's place."""
        fields = {
            "business": self.name,
            "business_email": self.email,
            "business_phone": self.phone,
            "business_address": self.address,
            "business_tax_number": self.tax_number,
            "business_region": self.region,
            "business_upi": self.upi,
            "business_hours": self.hours,
            "timezone": self.timezone,
            "currency": self.currency,
            "logo": self.logo.place if self.logo else "",
        }
        return {name: value for name, value in fields.items() if value}

    def __str__(self) -> str:
        return self.name or "Default details"


def _other_currency_in_use(currency: str) -> str:
    """Return another currency in which any noun has an amount, or nothing."""
    for noun in db.nouns():
        for money in inspect(noun).composites:
            column = next(each for each in money.columns if each.name.endswith("_currency"))
            if found := session.scalar(select(column).where(column != currency).limit(1)):
                return str(found)
    return ""


def _announce(details: Mapping[str, str]) -> None:
    if _on_change:
        _on_change(details)


def _read_settings(own: Session) -> Mapping[str, str]:
    ours = own.get(Business, 1)
    return ours.as_settings if ours else {}


cache = ProcessCache("business", _read_settings, _announce)


def configure(on_change: Callable[[Mapping[str, str]], None]) -> None:
    """Set the function that applies the details, at the start and after each change."""
    global _on_change
    _on_change = on_change
    cache.assume({})

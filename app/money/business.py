"""Business: who we are, on every page and every paper; what is written here stands above what the environment says."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import ClassVar, Self

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import db, jobs
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid
from app.kernel.files import Picture
from app.kernel.people import mailbox
from app.money.tax import STATES, is_gstin
from app.money.upi import is_vpa

_PIN = "business"
_OFTEN = 5  # seconds between two looks at whether somebody has changed it elsewhere

_tell: Callable[[Mapping[str, str]], None] | None = None
_known: str | None = None
_told: Mapping[str, str] = {}
_looked = 0.0


class Business(Noun):
    """One row. What is empty is as it was set up."""

    __table_args__ = (CheckConstraint("id = 1", name="one"),)
    refusals: ClassVar[dict[str, str]] = {"business_one": "There is one business here."}

    name: Mapped[str] = mapped_column(default="")
    email: Mapped[str] = mapped_column(default="")
    phone: Mapped[str] = mapped_column(default="")
    address: Mapped[str] = mapped_column(default="", info={"long": True})
    tax_number: Mapped[str] = mapped_column(default="", info={"label": "GSTIN or other tax number"})
    region: Mapped[str] = mapped_column(default="", info={"label": "State, by the two digits of its GSTIN"})
    upi: Mapped[str] = mapped_column(default="", info={"label": "UPI address"})
    logo_id: Mapped[int | None] = mapped_column(ForeignKey("picture.id"))
    logo: Mapped[Picture | None] = relationship(lazy="joined")

    @classmethod
    def begin(cls) -> None:
        """The row is there from the first day, and empty."""
        if cls.ours() is None:
            with transaction():
                session.add(cls(id=1))

    @classmethod
    def ours(cls) -> Self | None:
        return session.get(cls, 1)

    def tidy(self) -> None:
        """Checked before it is kept: an invoice that was issued with a wrong number cannot be taken back."""
        self.tax_number, self.upi = self.tax_number.strip().upper(), self.upi.strip()
        wrong = {}
        if self.name and not 2 <= len(self.name.strip()) <= 100:
            wrong["name"] = "A name has 2 to 100 characters."
        if self.email:
            self.email = mailbox(self.email)
        if self.tax_number and self.region in (*STATES, "") and not is_gstin(self.tax_number):
            wrong["tax_number"] = "This is not a GSTIN: fifteen characters whose last one fits the others, such as 29AAGCB7383J1Z4."
        if self.tax_number and is_gstin(self.tax_number):
            self.region = self.region or self.tax_number[:2]
            if self.region != self.tax_number[:2]:
                wrong["region"] = f"The tax number begins with {self.tax_number[:2]}, and so is the state."
        if self.upi and not is_vpa(self.upi):
            wrong["upi"] = "This is not a UPI address such as practice@upi."
        if wrong:
            raise Invalid.fields_said(wrong)
        db.afterwards(spread)

    @property
    def told(self) -> dict[str, str]:
        """By the names of the settings that it stands above, and where the logo is."""
        said = {
            "business": self.name, "business_email": self.email, "business_phone": self.phone, "business_address": self.address,
            "business_tax_number": self.tax_number, "business_region": self.region, "business_upi": self.upi, "logo": self.logo.place if self.logo else "",
        }  # fmt: skip
        return {name: value for name, value in said.items() if value}

    def __str__(self) -> str:
        return self.name or "As it was set up"


def introduce_by(tell: Callable[[Mapping[str, str]], None]) -> None:
    """Whom to tell who we are, now and whenever it is changed."""
    global _tell, _known, _looked, _told
    _tell, _known, _looked, _told = tell, None, 0.0, {}


def introduce() -> None:
    """Say it as it stands in the database."""
    global _told
    ours = Business.ours()
    told = ours.told if ours else {}
    if _tell and told != _told:
        _told = told
        _tell(told)


def as_set_up() -> None:
    """Say it as the environment has it."""
    global _told
    if _tell and _told:
        _told = {}
        _tell(_told)


def spread() -> None:
    """Here at once, and everywhere else within seconds."""
    global _known
    introduce()
    ours = Business.ours()
    _known = f"{ours.version if ours else 0}"
    jobs.pin(_PIN, _known)


def catch_up() -> None:
    """Asked before each page, and answered from the notice board: the database is only read when there is news."""
    global _known, _looked
    if time.monotonic() - _looked < _OFTEN:
        return
    _looked = time.monotonic()
    pinned = jobs.pinned(_PIN)
    if pinned != _known:
        _known = pinned
        introduce()

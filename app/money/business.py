"""Business: who we are, on every page and every paper; what is written here stands above what the environment says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Self

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from app.kernel.board import Board
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid
from app.kernel.files import Picture
from app.kernel.people import mailbox
from app.money.tax import STATES, is_gstin
from app.money.upi import is_vpa

_tell: Callable[[Mapping[str, str]], None] | None = None


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
        board.changed()

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


def _say(told: Mapping[str, str]) -> None:
    if _tell:
        _tell(told)


def _ours(own: Session) -> Mapping[str, str]:
    ours = own.get(Business, 1)
    return ours.told if ours else {}


board = Board("business", _ours, _say)


def introduce_by(tell: Callable[[Mapping[str, str]], None]) -> None:
    """Whom to tell who we are, now and whenever it is changed."""
    global _tell
    _tell = tell
    board.forget()

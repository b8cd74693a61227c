"""Package: several sessions of one service at one price, valid for a number of days. A sold one is a `Pass`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel.db import Noun, session
from app.kernel.errors import Missing
from app.kernel.feature import is_on
from app.kernel.people import Person
from app.kernel.translation import say
from app.kernel.workflow import asked, move
from app.money.sums.amount import Money, money_column
from app.money.sums.quote import Quote
from app.packs.bookings.offer.prepaid import Pass
from app.packs.bookings.offer.service import Service


@dataclass(frozen=True)
class Buyer:
    """The customer who buys it."""

    name: str = asked("Name", longest=100)
    email: str = asked("Email", help="We’ll send the code and the invoice here.", longest=254)
    phone: str = asked("Phone", default="", longest=30)


def _refuse_while_off(package: object) -> str | None:
    off = "Packages are turned off. An administrator can turn them on under “Features”."
    return None if is_on("packages") else off


class Package(Noun):
    """A package that customers can buy, such as five sessions for the price of four."""

    states = "offered", "retired"
    state_labels: ClassVar[dict[str, str]] = {"offered": "Active", "retired": "Inactive"}
    __table_args__ = (
        CheckConstraint("uses between 2 and 100", name="uses"),
        CheckConstraint("price_amount >= 100", name="price"),
        CheckConstraint("valid_days between 1 and 1825", name="valid"),
    )
    refusals: ClassVar[dict[str, str]] = {
        "package_uses": "Enter 2 to 100 sessions.",
        "package_price": "The price must be at least 1.00.",
        "package_valid": "Enter a validity of 1 to 1,825 days.",
    }

    name: Mapped[str]
    service_id: Mapped[int] = mapped_column(ForeignKey("service.id"), index=True)
    service: Mapped[Service] = relationship(lazy="joined", innerjoin=True)
    uses: Mapped[int] = mapped_column(
        default=5,
        info={"label": "Number of sessions", "help": "How many times the service can be booked with this package."},
    )
    price: Mapped[Money] = money_column("price")
    valid_days: Mapped[int] = mapped_column(
        default=365, info={"label": "Valid for (days)", "help": "Counted from the day of payment."}
    )

    @classmethod
    def all_offered(cls, service: Service | None = None) -> list[Package]:
        """Active packages of a service, or of all active services."""
        if not is_on("packages"):
            return []
        found = session.scalars(select(cls).where(cls.state == "offered").order_by(cls.service_id, cls.uses, cls.id))
        return [
            each
            for each in found
            if each.service.state == "offered" and each.service_id == (service or each.service).id
        ]

    @classmethod
    def by_id(cls, id: int) -> Package:
        found = session.get(cls, id) if id < 2**31 else None
        if found is None or found not in cls.all_offered():
            raise Missing(say("This package is not available."))
        return found

    @property
    def address(self) -> str:
        """Name of this package in price quotes."""
        return f"package {self.id}"

    def quote(self, buyer_state: str = "") -> Quote:
        """Quote the package, with the tax of its service."""
        label = f"{self.name}: {self.uses} × {self.service.name}"
        return Quote.name_price(
            self.address, [self.service.item(label, self.price)], buyer_state=buyer_state, asked={"state": buyer_state}
        )

    @move("offered", by="Desk", label="Sell package", asks=Buyer, when=_refuse_while_off)
    def sell(self, asked: Buyer) -> None:
        """Sells the package to a customer, who gets an email with a payment link.
        If they pay you directly, record the payment under “Packages sold”."""
        person = Person.find_or_create(name=asked.name, email=asked.email, phone=asked.phone, timezone="Asia/Kolkata")
        Pass.sell(self, self.quote(), person)

    @move(
        "offered",
        to="retired",
        by="Desk",
        label="Deactivate",
        confirm="Customers can no longer buy this package. Packages already sold can still be used.",
    )
    def retire(self) -> None:
        """Stops selling this package. Packages already sold can still be used."""

    @move("retired", to="offered", by="Desk", label="Reactivate")
    def offer(self) -> None:
        """Makes the package available to customers again."""

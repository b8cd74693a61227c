"""Extra: an add-on to a service with its own price."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel.db import Noun
from app.kernel.workflow import move
from app.money.sums.amount import Money, money_column

if TYPE_CHECKING:  # for the relation below; at run time a service imports this file
    from app.packs.bookings.offer.service import Service


class Extra(Noun):
    """An add-on that customers can book with a service, such as a recording."""

    states = "offered", "retired"
    state_labels: ClassVar[dict[str, str]] = {"offered": "Active", "retired": "Inactive"}
    __table_args__ = (CheckConstraint("price_amount >= 0", name="price"),)
    refusals: ClassVar[dict[str, str]] = {"extra_price": "The price can’t be negative."}

    service_id: Mapped[int] = mapped_column(ForeignKey("service.id"), index=True)
    service: Mapped[Service] = relationship("Service", back_populates="extras", lazy="joined", innerjoin=True)
    name: Mapped[str]
    price: Mapped[Money] = money_column("price")

    @move("offered", to="retired", by="Desk", label="Deactivate")
    def retire(self) -> None:
        """Hides the extra from customers. Bookings that include it keep it."""

    @move("retired", to="offered", by="Desk", label="Reactivate")
    def offer(self) -> None:
        """Makes the extra available to customers again."""

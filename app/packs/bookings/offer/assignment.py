"""Service assignment: which practitioner provides which service, and their share of its bookings."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel.db import Noun
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.service import Service


class Assignment(Noun, table="giver"):
    """Links a practitioner to a service. A service without assignments is provided by every active practitioner."""

    __table_args__ = (
        UniqueConstraint("service_id", "practitioner_id"),
        CheckConstraint("weight between 1 and 100", name="weight"),
    )
    refusals: ClassVar[dict[str, str]] = {
        "giver_service_id_practitioner_id_key": "This practitioner is already assigned to this service.",
        "giver_weight": "Enter a share of 1 to 100.",
    }

    service_id: Mapped[int] = mapped_column(ForeignKey("service.id"))
    service: Mapped[Service] = relationship(lazy="joined", innerjoin=True)
    practitioner_id: Mapped[int] = mapped_column(ForeignKey("practitioner.id"), index=True)
    practitioner: Mapped[Practitioner] = relationship(lazy="joined", innerjoin=True)
    weight: Mapped[int] = mapped_column(
        default=10, info={"label": "Share", "help": "A share of 20 gets twice as many bookings as a share of 10."}
    )

    def __str__(self) -> str:
        return f"{self.service} · {self.practitioner}"

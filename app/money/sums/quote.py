"""Quote: a price that was named, with what it was worked out from, and until when it holds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Self

from sqlalchemy import ForeignKey, delete, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.access import Linked
from app.kernel.db import Noun, session, transaction
from app.kernel.jobs import every
from app.kernel.workflow import move
from app.money.sums.amount import Money, money_column
from app.money.sums.coupon import Coupon
from app.money.sums.price import Item, Price, price_of_items
from app.money.sums.tax import Place

MINUTES = 30
_seller_state = ""


def configure(state: str) -> None:
    """The state in which the house is registered for tax; empty when it is not."""
    global _seller_state
    _seller_state = state


class Quote(Noun, Linked):
    """What we said something costs. Whoever takes it in time gets it at this price, whatever the price list says by then."""

    audited = False  # it is its own record, and every visitor who opens a form is named one
    link_kind = "quote"
    states = "named", "taken", "lapsed"
    state_labels: ClassVar[dict[str, str]] = {"named": "Open", "taken": "Accepted", "lapsed": "Expired"}

    about: Mapped[str] = mapped_column(
        info={"label": "For"}
    )  # what it is the price of, in the pack's own words: "first-consultation"
    basis: Mapped[dict[str, Any]] = mapped_column(info={"label": "Calculation"})  # what it was worked out from
    lines: Mapped[list[Any]] = mapped_column(info={"label": "Line items"})
    total: Mapped[Money] = money_column("total")
    coupon_id: Mapped[int | None] = mapped_column(ForeignKey("coupon.id"))
    coupon: Mapped[Coupon | None] = relationship(lazy="joined")
    holds_until: Mapped[datetime] = mapped_column(info={"label": "Valid until"})

    @classmethod
    def name_price(
        cls,
        about: str,
        items: list[Item],
        *,
        coupon: str = "",
        buyer_state: str = "",
        asked: Mapping[str, Any] | None = None,
    ) -> Self:
        """Worked out here and now, from the price list alone; what a customer sends is what they want, never what it costs."""
        found = Coupon.by_code(coupon) if coupon.strip() else None
        listed = Money.total((each.listed for each in items), items[0].price.currency)
        off = found.discount_on(listed) if found else None
        place = Place(_seller_state, buyer_state or _seller_state)
        price = price_of_items(items, off=off, place=place)
        listed_items = [
            {
                "label": each.label,
                "price": each.price.as_json(),
                "quantity": each.quantity,
                "rate": each.rate,
                "included": each.included,
            }
            for each in items
        ]
        basis = {
            "items": listed_items,
            "coupon": found.code if found else "",
            "off": off.amount if off else 0,
            "seller": place.seller,
            "buyer": place.buyer,
        }
        basis["asked"] = dict(asked or {})  # the customer's own choices, so that this price is not taken for other ones
        quote = cls(
            about=about,
            basis=basis,
            lines=price.as_json(),
            total=price.total,
            coupon=found,
            holds_until=clock.ahead(minutes=MINUTES),
        )
        session.add(quote)
        session.flush()
        return quote

    @property
    def price(self) -> Price:
        return Price.from_json(self.lines, self.total.currency)

    @property
    def still_holds(self) -> bool:
        return self.state == "named" and self.holds_until > clock.now()

    @move(
        "named",
        to="taken",
        label="Accept",
        when=lambda it: None if it.holds_until > clock.now() else "This quote has expired. Please request a new one.",
    )
    def take(self) -> None:
        """The customer accepted this price."""

    @move("named", to="lapsed", label="Expire")
    def lapse(self) -> None:
        """The quote was not accepted in time."""

    def is_for(self, about: str, asked: Mapping[str, Any]) -> bool:
        return self.about == about and self.basis.get("asked") == asked

    def __str__(self) -> str:
        return f"{self.total} for {self.about}"


@every("Delete expired price quotes", minutes=30)
def forget_old_prices() -> None:
    for quote in session.scalars(
        select(Quote).where(Quote.state == "named", Quote.holds_until <= clock.now()).limit(500)
    ):
        quote.lapse()
    with transaction():
        session.execute(delete(Quote).where(Quote.state == "lapsed", Quote.holds_until < clock.ahead(days=-30)))

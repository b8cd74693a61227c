"""Price quote: a price with its calculation, guaranteed for half an hour."""

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
    """Set the GST state of the seller; empty if not registered."""
    global _seller_state
    _seller_state = state


class Quote(Noun, Linked):
    """A quoted price, which holds until it expires even if the price list changes."""

    audited = False  # it is its own record, and every visitor who opens a form gets one
    link_kind = "quote"
    states = "named", "taken", "lapsed"
    state_labels: ClassVar[dict[str, str]] = {"named": "Open", "taken": "Accepted", "lapsed": "Expired"}

    about: Mapped[str] = mapped_column(info={"label": "For"})  # in the pack's own words: "first-consultation"
    basis: Mapped[dict[str, Any]] = mapped_column(info={"label": "Calculation"})
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
        """Calculate the price from the price list and save it. Customers send what they want, never what it costs."""
        redeemed = Coupon.by_code(coupon) if coupon.strip() else None
        listed = Money.total((each.listed for each in items), items[0].price.currency)
        off = redeemed.discount_on(listed) if redeemed else None
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
            "coupon": redeemed.code if redeemed else "",
            "off": off.amount if off else 0,
            "seller": place.seller,
            "buyer": place.buyer,
        }
        basis["asked"] = dict(asked or {})  # the customer's choices, so that the price is not used for other ones
        quote = cls(
            about=about,
            basis=basis,
            lines=price.as_json(),
            total=price.total,
            coupon=redeemed,
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

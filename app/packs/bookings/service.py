"""Service: what a customer books, how long it takes and what it costs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, select
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from app.kernel.db import Noun, session
from app.kernel.errors import Invalid, Missing
from app.kernel.forms import Answers, Edition, Form, answered
from app.kernel.words import say
from app.kernel.workflow import move
from app.money.amount import Money, money_column
from app.money.policy import RefundPolicy
from app.money.price import Item
from app.money.quote import Quote
from app.packs.bookings.extra import Extra
from app.packs.bookings.opening import Lasting
from app.packs.bookings.pass_ import Pass


def _asked(extras: Sequence[int], coupon: str, buyer_state: str) -> dict[str, Any]:
    return {"extras": sorted(set(extras)), "coupon": coupon.strip().upper(), "state": buyer_state}


class Service(Noun):
    """Something the practice offers."""

    states = "offered", "retired"
    __table_args__ = (
        CheckConstraint("minutes between 5 and 480", name="minutes"),
        CheckConstraint("price_amount >= 0", name="price"),
        CheckConstraint("hold_minutes between 5 and 60", name="hold"),
        CheckConstraint("seats between 1 and 500", name="seats"),
        CheckConstraint("tax_rate between 0 and 10000", name="tax"),
        CheckConstraint("deposit_percent between 1 and 100", name="deposit"),
        CheckConstraint("before_minutes between 0 and 240 and after_minutes between 0 and 240", name="quiet"),
        CheckConstraint("step_minutes between 0 and 480", name="step"),
        CheckConstraint("day_cap between 0 and 500 and week_cap between 0 and 500", name="cap"),
        CheckConstraint("change_hours between 0 and 2000", name="change"),
    )
    refusals: ClassVar[dict[str, str]] = {
        "service_slug_key": "Another service has this address already.",
        "service_minutes": "A service takes 5 to 480 minutes.",
        "service_price": "A price cannot be below zero.",
        "service_hold": "A seat is held for 5 to 60 minutes.",
        "service_seats": "A slot has 1 to 500 seats.",
        "service_tax": "A tax rate is 0 to 100 per cent.",
        "service_quiet": "The quiet before and after is 0 to 240 minutes each.",
        "service_step": "A time every 0 to 480 minutes; 0 puts one after the other.",
        "service_cap": "A cap is 0 to 500; 0 is none.",
        "service_change": "Customers may change it until 0 to 2000 hours before.",
        "service_deposit": "A deposit is 1 to 100 per cent; 100 means that all is paid at once.",
    }

    name: Mapped[str]
    slug: Mapped[str] = mapped_column(unique=True, info={"label": "Address", "help": "How its page is called on the site: first-consultation."})
    description: Mapped[str] = mapped_column(default="", info={"long": True})
    minutes: Mapped[int] = mapped_column(default=60, info={"label": "Length, in minutes"})
    price: Mapped[Money] = money_column("price")
    tax_rate: Mapped[int] = mapped_column(default=0, info={"label": "Tax", "rate": True})
    tax_included: Mapped[bool] = mapped_column(default=True, info={"label": "The price includes the tax"})
    tax_code: Mapped[str] = mapped_column(default="", info={"label": "Code of the tax office", "help": "The SAC that stands on the invoice: 999799."})
    deposit_percent: Mapped[int] = mapped_column(
        default=100, info={"label": "Paid at once, in per cent", "help": "100: all of it. With 30, the rest is asked for afterwards."}
    )
    policy_id: Mapped[int | None] = mapped_column(
        ForeignKey("refund_policy.id"), info={"help": "What goes back when a booking is called off. Empty: all of it, at any time."}
    )
    policy: Mapped[RefundPolicy | None] = relationship(lazy="joined")
    extras: Mapped[list[Extra]] = relationship(back_populates="service", order_by="Extra.id")
    seats: Mapped[int] = mapped_column(default=1, info={"help": "So many can book the same time."})
    hold_minutes: Mapped[int] = mapped_column(default=15, info={"label": "Kept while somebody pays, in minutes"})
    notice_minutes: Mapped[int] = mapped_column(default=120, info={"label": "Booked so many minutes before, at the latest"})
    days_ahead: Mapped[int] = mapped_column(default=60, info={"label": "Booked so many days ahead, at the earliest"})
    before_minutes: Mapped[int] = mapped_column(default=0, info={"label": "Quiet before, in minutes", "help": "Nothing else is booked then: time to prepare."})
    after_minutes: Mapped[int] = mapped_column(default=0, info={"label": "Quiet after, in minutes", "help": "Nothing else is booked then: time to tidy up."})
    step_minutes: Mapped[int] = mapped_column(default=0, info={"label": "A time every so many minutes", "help": "0: one after the other."})
    day_cap: Mapped[int] = mapped_column(default=0, info={"label": "At most so many a day", "help": "For one practitioner. 0: as many as fit."})
    week_cap: Mapped[int] = mapped_column(default=0, info={"label": "At most so many a week", "help": "For one practitioner. 0: as many as fit."})
    together: Mapped[bool] = mapped_column(
        default=False, info={"label": "Two practitioners give it together", "help": "Both have to be free, and both see the booking."}
    )
    by_approval: Mapped[bool] = mapped_column(default=False, info={"label": "Somebody looks at each request before it is confirmed"})
    change_hours: Mapped[int | None] = mapped_column(
        default=24, info={"label": "Customers may change it until so many hours before", "help": "Empty: never by themselves."}
    )
    reminds_again: Mapped[bool] = mapped_column(default=False, info={"label": "A second reminder an hour before"})
    form_id: Mapped[int | None] = mapped_column(ForeignKey("form.id"))
    form: Mapped[Form | None] = relationship()

    @validates("slug")
    def _slug(self, key: str, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value or ""):
            raise Invalid.fields_said({"slug": "Small letters, digits and dashes, please: first-consultation."})
        return value

    @classmethod
    def offered(cls) -> list[Service]:
        offered = session.scalars(select(cls).where(cls.state == "offered").order_by(cls.name))
        return sorted(offered, key=lambda each: each.price.amount)

    @classmethod
    def called(cls, slug: str) -> Service:
        found: Service | None = session.scalar(select(cls).where(cls.slug == slug, cls.state == "offered"))
        if found is None:
            raise Missing(say("We do not offer this, or not any more."))
        return found

    def quote(self, extras: Sequence[int] = (), coupon: str = "", buyer_state: str = "") -> Quote:
        """What it costs with these extras and this coupon or package, worked out from the price list alone."""
        chosen = [each for each in self.extras if each.state == "offered" and each.id in extras]
        if len(chosen) != len(set(extras)):
            raise Invalid.fields_said({"extras": say("One of these is not offered any more.")})
        bought = Pass.for_this(coupon, self)
        first = self.item(f"{self.name}, from your package {bought.code}", Money(0, self.price.currency)) if bought else self.item(self.name, self.price)
        items = [first, *(self.item(each.name, each.price) for each in chosen)]
        return Quote.name_price(self.slug, items, coupon="" if bought else coupon, buyer_state=buyer_state, asked=_asked(extras, coupon, buyer_state))

    def is_price(self, quote: Quote, extras: Sequence[int] = (), coupon: str = "", buyer_state: str = "") -> bool:
        """Was this price named for just these choices?"""
        return quote.is_for(self.slug, _asked(extras, coupon, buyer_state))

    def item(self, label: str, price: Money) -> Item:
        return Item(label, price, 1, self.tax_rate, self.tax_included, self.tax_code)

    @property
    def lasting(self) -> Lasting:
        takes, before, after, step = (timedelta(minutes=each or 0) for each in (self.minutes, self.before_minutes, self.after_minutes, self.step_minutes))
        return Lasting(takes, before, after, step)

    def deposit_of(self, total: Money) -> Money:
        """What is paid at once; all of it, when either part would be too small for a gateway."""
        now = total.percent(self.deposit_percent * 100)
        return now if min(now.amount, total.amount - now.amount) >= 100 else total

    @property
    def asks(self) -> Edition | None:
        """The questions to whoever books it, as they are today."""
        return self.form.current if self.form else None

    def read_answers(self, typed: Mapping[str, Any]) -> Answers:
        return answered(self.form, typed)

    @move("offered", to="retired", by="Desk", confirm="Customers will not see this service any more. Bookings stay.")
    def retire(self) -> None:
        """Not offered any more."""

    @move("retired", to="offered", by="Desk", label="Offer again")
    def offer(self) -> None:
        """Back on the public page."""

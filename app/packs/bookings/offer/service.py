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
from app.kernel.forms import Answers, Edition, Form, parse_answers
from app.kernel.translation import say
from app.kernel.workflow import move
from app.money.sums.amount import Money, money_column
from app.money.sums.price import Item
from app.money.sums.quote import Quote
from app.money.sums.refund_policy import RefundPolicy
from app.packs.bookings.offer.availability import Lasting
from app.packs.bookings.offer.extra import Extra


def _quoted_for(extras: Sequence[int], coupon: str, buyer_state: str) -> dict[str, Any]:
    return {"extras": sorted(set(extras)), "coupon": coupon.strip().upper(), "state": buyer_state}


class Service(Noun):
    """Something that customers can book."""

    states = "offered", "retired"
    state_labels: ClassVar[dict[str, str]] = {"offered": "Active", "retired": "Inactive"}
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
        "service_slug_key": "Another service already uses this page address.",
        "service_minutes": "Enter a duration of 5 to 480 minutes.",
        "service_price": "The price can’t be negative.",
        "service_hold": "Enter a payment hold of 5 to 60 minutes.",
        "service_seats": "Enter 1 to 500 places.",
        "service_tax": "Enter a tax rate of 0% to 100%.",
        "service_quiet": "Enter buffers of 0 to 240 minutes.",
        "service_step": "Enter a start-time interval of 0 to 480 minutes. Use 0 for back-to-back appointments.",
        "service_cap": "Enter a limit of 0 to 500. Use 0 for no limit.",
        "service_change": "Enter 0 to 2,000 hours for self-service changes.",
        "service_deposit": "Enter a deposit of 1% to 100%. Use 100% to charge the full amount.",
    }

    name: Mapped[str]
    slug: Mapped[str] = mapped_column(
        unique=True,
        info={"label": "Page address", "help": "The last part of its address on the site, such as first-consultation."},
    )
    description: Mapped[str] = mapped_column(default="", info={"long": True})
    minutes: Mapped[int] = mapped_column(default=60, info={"label": "Duration (min)"})
    price: Mapped[Money] = money_column("price")
    tax_rate: Mapped[int] = mapped_column(default=0, info={"label": "Tax rate", "rate": True})
    tax_included: Mapped[bool] = mapped_column(default=True, info={"label": "Price includes tax"})
    tax_code: Mapped[str] = mapped_column(
        default="", info={"label": "HSN/SAC code", "help": "Shown on the invoice, such as 999799."}
    )
    deposit_percent: Mapped[int] = mapped_column(
        default=100,
        info={
            "label": "Deposit (%)",
            "help": "100 charges the full amount at booking. With 30, the balance is due later.",
        },
    )
    policy_id: Mapped[int | None] = mapped_column(
        ForeignKey("refund_policy.id"),
        info={"help": "How much is refunded when a booking is cancelled. Leave empty for a full refund at any time."},
    )
    policy: Mapped[RefundPolicy | None] = relationship(lazy="joined")
    extras: Mapped[list[Extra]] = relationship(back_populates="service", order_by="Extra.id")
    seats: Mapped[int] = mapped_column(
        default=1, info={"label": "Places", "help": "How many customers can book the same time."}
    )
    hold_minutes: Mapped[int] = mapped_column(
        default=15, info={"label": "Payment hold (min)", "help": "How long a time is reserved while the customer pays."}
    )
    notice_minutes: Mapped[int] = mapped_column(
        default=120,
        info={"label": "Minimum notice (min)", "help": "How long before the start customers can still book."},
    )
    days_ahead: Mapped[int] = mapped_column(
        default=60, info={"label": "Booking window (days)", "help": "How far ahead customers can book."}
    )
    before_minutes: Mapped[int] = mapped_column(
        default=0, info={"label": "Buffer before (min)", "help": "Time to prepare. Nothing else can be booked."}
    )
    after_minutes: Mapped[int] = mapped_column(
        default=0, info={"label": "Buffer after (min)", "help": "Time to tidy up. Nothing else can be booked."}
    )
    step_minutes: Mapped[int] = mapped_column(
        default=0, info={"label": "Start-time interval (min)", "help": "0 means back-to-back appointments."}
    )
    day_cap: Mapped[int] = mapped_column(
        default=0, info={"label": "Daily limit", "help": "Per practitioner. 0 means no limit."}
    )
    week_cap: Mapped[int] = mapped_column(
        default=0, info={"label": "Weekly limit", "help": "Per practitioner. 0 means no limit."}
    )
    together: Mapped[bool] = mapped_column(
        default=False, info={"label": "Needs two practitioners", "help": "Both must be free, and both see the booking."}
    )
    by_approval: Mapped[bool] = mapped_column(
        default=False, info={"label": "Requires approval", "help": "Your team approves or declines each request."}
    )
    change_hours: Mapped[int | None] = mapped_column(
        default=24,
        info={
            "label": "Self-service changes until (hours before)",
            "help": "Leave empty if customers can’t reschedule or cancel online.",
        },
    )
    reminds_again: Mapped[bool] = mapped_column(default=False, info={"label": "Send 1-hour reminder"})
    form_id: Mapped[int | None] = mapped_column(
        ForeignKey("form.id"), info={"help": "The questions that customers answer when they book."}
    )
    form: Mapped[Form | None] = relationship()

    @validates("slug")
    def _slug(self, key: str, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value or ""):
            raise Invalid.for_fields({"slug": "Use lowercase letters, digits and hyphens, such as first-consultation."})
        return value

    @classmethod
    def all_offered(cls) -> list[Service]:
        """Active services, the cheapest first."""
        offered = session.scalars(select(cls).where(cls.state == "offered").order_by(cls.name))
        return sorted(offered, key=lambda each: each.price.amount)

    @classmethod
    def by_slug(cls, slug: str) -> Service:
        found: Service | None = session.scalar(select(cls).where(cls.slug == slug, cls.state == "offered"))
        if found is None:
            raise Missing(say("This service is not available."))
        return found

    def check_extras(self, extras: Sequence[int]) -> list[Extra]:
        """Look up extras by their IDs, and refuse any that this service does not offer."""
        chosen = [each for each in self.extras if each.state == "offered" and each.id in extras]
        if len(chosen) != len(set(extras)):
            raise Invalid.for_fields({"extras": say("One of these extras is no longer available.")})
        return chosen

    def quote(self, extras: Sequence[int] = (), coupon: str = "", buyer_state: str = "", *, package: str = "") -> Quote:
        """Quote a price from the price list alone. `package` is the code of a package that covers the base price.

        The caller has checked the package; the code that the customer typed, of a package or a coupon, is in `coupon`.
        """
        chosen = self.check_extras(extras)
        base = (
            self.item(f"{self.name} (package {package})", Money(0, self.price.currency))
            if package
            else self.item(self.name, self.price)
        )
        return Quote.name_price(
            self.slug,
            [base, *(self.item(each.name, each.price) for each in chosen)],
            coupon="" if package else coupon,
            buyer_state=buyer_state,
            asked=_quoted_for(extras, coupon, buyer_state),
        )

    def is_price(self, quote: Quote, extras: Sequence[int] = (), coupon: str = "", buyer_state: str = "") -> bool:
        """Check that a quote was made for exactly these choices."""
        return quote.is_for(self.slug, _quoted_for(extras, coupon, buyer_state))

    def item(self, label: str, price: Money) -> Item:
        return Item(label, price, 1, self.tax_rate, self.tax_included, self.tax_code)

    @property
    def lasting(self) -> Lasting:
        takes, before, after, step = (
            timedelta(minutes=each or 0)
            for each in (self.minutes, self.before_minutes, self.after_minutes, self.step_minutes)
        )
        return Lasting(takes, before, after, step)

    def deposit_of(self, total: Money) -> Money:
        """Deposit of a total; the total itself if either part would be too small for a gateway."""
        now = total.percent(self.deposit_percent * 100)
        return now if min(now.amount, total.amount - now.amount) >= 100 else total

    @property
    def asks(self) -> Edition | None:
        """The current version of the intake form."""
        return self.form.current if self.form else None

    def read_answers(self, typed: Mapping[str, Any]) -> Answers:
        return parse_answers(self.form, typed)

    @move(
        "offered",
        to="retired",
        by="Desk",
        label="Deactivate",
        confirm="Customers will no longer see this service. Existing bookings stay.",
    )
    def retire(self) -> None:
        """Hides the service from customers. Existing bookings stay."""

    @move("retired", to="offered", by="Desk", label="Reactivate")
    def offer(self) -> None:
        """Makes the service available to customers again."""

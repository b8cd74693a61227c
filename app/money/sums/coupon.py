"""Coupon: discount codes, with dates and usage limits that hold under concurrent use."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, ClassVar, Self

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from app.kernel import clock
from app.kernel.db import Noun, session
from app.kernel.errors import Invalid
from app.kernel.feature import is_on
from app.kernel.people import Person
from app.kernel.translation import say, unsaid
from app.kernel.workflow import move
from app.money.sums.amount import Money, money_column

# One text for unknown and for expired codes, so that guessing reveals neither which codes exist nor who used one.
UNKNOWN = unsaid("This coupon doesn’t exist or isn’t valid today.")
SPENT = unsaid("This coupon has been fully used, or was already used with this email address.")


def _refusal(words: str) -> Invalid:
    return Invalid(say("This coupon can’t be used here."), fields={"coupon": words})


class Coupon(Noun):
    """A discount code: a percentage or an amount."""

    states = "active", "ended"
    state_labels: ClassVar[dict[str, str]] = {"ended": "Inactive"}
    __table_args__ = (
        CheckConstraint("percent between 0 and 100", name="percent"),
        CheckConstraint("(percent > 0) <> (coalesce(amount_amount, 0) > 0)", name="one_kind"),
        CheckConstraint(
            "uses_at_most > 0 and uses_each > 0 and minimum_amount >= 0 and off_at_most_amount > 0 "
            "and amount_amount > 0",
            name="sense",
        ),
        CheckConstraint("until > since", name="window"),
        CheckConstraint("used >= 0 and (uses_at_most is null or used <= uses_at_most)", name="used_up"),
    )
    refusals: ClassVar[dict[str, str]] = {
        "coupon_code_key": "A coupon with this code already exists.",
        "coupon_percent": "Enter a discount of 1 to 100%.",
        "coupon_one_kind": "Enter either a percentage or an amount, not both.",
        "coupon_sense": "Limits and amounts must be greater than zero. Leave them empty for no limit.",
        "coupon_window": "The end date must be after the start date.",
        "coupon_used_up": "The limit can’t be lower than the number of times this coupon has already been used.",
    }

    code: Mapped[str] = mapped_column(unique=True)
    percent: Mapped[int] = mapped_column(default=0, info={"label": "Discount (%)"})
    amount: Mapped[Money | None] = money_column("amount", nullable=True, info={"label": "Discount amount"})
    since: Mapped[datetime | None] = mapped_column(info={"label": "Valid from"})
    until: Mapped[datetime | None] = mapped_column(info={"label": "Valid until"})
    uses_at_most: Mapped[int | None] = mapped_column(info={"label": "Maximum uses"})
    uses_each: Mapped[int | None] = mapped_column(info={"label": "Maximum uses per customer"})  # counted by mailbox
    minimum: Mapped[Money | None] = money_column("minimum", nullable=True, info={"label": "Minimum price"})
    off_at_most: Mapped[Money | None] = money_column("off_at_most", nullable=True, info={"label": "Maximum discount"})
    used: Mapped[int] = mapped_column(default=0, info={"label": "Times used"})
    note: Mapped[str] = mapped_column(default="", info={"label": "Internal note"})

    @validates("code")
    def _normalise_code(self, key: str, value: str) -> str:
        code = str(value or "").strip().upper()
        if not re.fullmatch(r"[A-Z0-9][A-Z0-9-]{1,30}", code):
            raise Invalid.for_fields(
                {"code": "Use 2 to 31 letters, digits or hyphens, without spaces, such as WELCOME-10."}
            )
        return code

    @classmethod
    def by_code(cls, typed: str) -> Coupon:
        """Return the coupon for typed text; case and surrounding spaces don't matter."""
        if not is_on("coupons"):
            raise _refusal(say("Coupons aren’t accepted here."))
        found: Coupon | None = session.scalar(select(cls).where(cls.code == typed.strip().upper()[:40]))
        if found is None:
            raise _refusal(say(UNKNOWN))
        return found

    def discount_on(self, price: Money) -> Money:
        """Return the discount on this price, at most the price itself; refuse where the coupon can't be used."""
        moment = clock.now()
        if self.state != "active" or (self.until and moment >= self.until) or (self.since and moment < self.since):
            raise _refusal(say(UNKNOWN))
        if {each.currency for each in (self.amount, self.minimum, self.off_at_most) if each} - {price.currency}:
            raise _refusal(say("This coupon can’t be used for prices in %(currency)s.", currency=price.currency))
        if self.minimum and price < self.minimum:
            raise _refusal(say("This coupon requires a minimum price of %(amount)s.", amount=self.minimum))
        off = self.amount or price.percent(self.percent * 100)
        return min(off, price, *([self.off_at_most] if self.off_at_most else []))

    def redeem(self, person: Person, thing: Noun) -> None:
        """Count one use for this thing. A concurrent use waits at the lock and then sees the limit."""
        self.lock()
        use = session.scalar(select(CouponUse).where(CouponUse.coupon_id == self.id, *_used_for(thing)))
        if use is not None and use.state == "taken":
            return
        if self.uses_at_most is not None and self.used >= self.uses_at_most:
            raise _refusal(say(SPENT))
        mailbox = person.email.lower()
        mine = select(func.count()).where(
            CouponUse.coupon_id == self.id, CouponUse.mailbox == mailbox, CouponUse.state == "taken"
        )
        if self.uses_each is not None and (session.scalar(mine) or 0) >= self.uses_each:
            raise _refusal(say(SPENT))
        self.used += 1
        if use is not None:
            use.take_again()
        else:
            session.add(CouponUse(coupon=self, mailbox=mailbox, noun=thing.__tablename__, row_id=thing.id))
        session.flush()

    @move(
        "active",
        to="ended",
        by="Desk",
        label="Deactivate",
        confirm="Customers can’t use it any longer. Anything already sold keeps its discount.",
    )
    def end(self) -> None:
        """Stop accepting this coupon."""

    @move("ended", to="active", by="Desk", label="Reactivate")
    def give_again(self) -> None:
        """Accept this coupon again, within its dates and limits."""

    def __str__(self) -> str:
        return self.code


class CouponUse(Noun):
    """One use of a coupon; released once if what it was for is not paid."""

    states = "taken", "given_back"
    state_labels: ClassVar[dict[str, str]] = {"taken": "Used", "given_back": "Released"}
    __table_args__ = (
        UniqueConstraint("coupon_id", "noun", "row_id"),
        Index("coupon_use_mailbox", "coupon_id", "mailbox"),
    )

    coupon_id: Mapped[int] = mapped_column(ForeignKey("coupon.id"))
    coupon: Mapped[Coupon] = relationship(lazy="joined", innerjoin=True)
    mailbox: Mapped[str] = mapped_column(info={"personal": True})
    noun: Mapped[str]
    row_id: Mapped[int]

    def lock(self) -> Self:
        self.coupon.lock()
        return super().lock()

    @move("taken", to="given_back", label="Release")
    def give_back(self) -> None:
        """The coupon can be used again."""
        self.coupon.used -= 1

    @move("given_back", to="taken", label="Use again")
    def take_again(self) -> None:
        """The payment arrived late, so the coupon counts as used again."""


def release_coupon(thing: Noun) -> None:
    """Release the use of a coupon by this thing."""
    for use in session.scalars(select(CouponUse).where(*_used_for(thing), CouponUse.state == "taken")):
        use.lock()
        if use.state == "taken":
            use.give_back()


def redeem_again(thing: Noun, person: Person) -> str | None:
    """Count a released use again, because the payment came late; return why not, if it can't be."""
    for use in session.scalars(select(CouponUse).where(*_used_for(thing), CouponUse.state == "given_back")):
        try:
            use.coupon.redeem(person, thing)
        except Invalid as no:
            return f"The coupon {use.coupon} is no longer valid: {no.fields['coupon']}"
    return None


def _used_for(thing: Noun) -> tuple[Any, Any]:
    return CouponUse.noun == thing.__tablename__, CouponUse.row_id == thing.id

"""In-process payment gateway for the proof: the gateway contract, with lost replies and events."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from threading import RLock
from typing import Any, TypeVar

from app.kernel import clock, db
from app.kernel.errors import Forbidden, Unreadable
from app.money.gateways.gateway import (
    Charge,
    CheckoutForm,
    Declined,
    GatewayDispute,
    GatewayRefund,
    OrderRequest,
    SettlementLine,
    Unreachable,
    WebhookNotice,
)
from app.money.sums.amount import Money

SECRET = b"between the bank and us"
AWAY = "The payment gateway isn’t responding. Please try again in a minute."

_T = TypeVar("_T")


class Killed(BaseException):
    """Ends the process as kill -9 does: it is not caught, and nothing is cleaned up."""


@dataclass
class Order:
    id: str
    receipt: str
    money: Money
    paid: bool = False


@dataclass
class Attempt:
    id: str
    order_id: str
    money: Money
    state: str
    at: datetime
    captured: bool = False
    settled: bool = False


@dataclass
class Back:
    id: str
    payment_id: str
    money: Money
    state: str
    key: str = ""
    settled: bool = False


@dataclass
class Quarrel:
    told: GatewayDispute


@dataclass
class News:
    """A webhook in transit."""

    id: str
    kind: str
    order_id: str = ""
    payment_id: str = ""
    dispute_id: str = ""
    brought: int = 0

    def letter(self) -> tuple[bytes, dict[str, str]]:
        raw = json.dumps(
            {
                "id": self.id,
                "kind": self.kind,
                "order": self.order_id,
                "payment": self.payment_id,
                "dispute": self.dispute_id,
            }
        ).encode()
        return raw, {"X-Signature": hmac.new(SECRET, raw, hashlib.sha256).hexdigest()}


@dataclass
class Bank:
    """Captures, refunds, disputes and settles payments; one lock stands for its database."""

    name: str = "razorpay"
    currencies: frozenset[str] = frozenset()
    by_hand: bool = False
    orders: dict[str, Order] = field(default_factory=dict)
    attempts: dict[str, Attempt] = field(default_factory=dict)
    backs: dict[str, Back] = field(default_factory=dict)
    quarrels: dict[str, Quarrel] = field(default_factory=dict)
    news: list[News] = field(default_factory=list)
    reports: dict[date, list[SettlementLine]] = field(default_factory=dict)
    trouble: list[str] = field(
        default_factory=list
    )  # what happens to the next calls: away, lost, killed before, killed after, fine
    fate: list[str] = field(default_factory=list)  # how the next refunds end: done, pending, declined
    calls: int = 0
    on_call: Callable[[str], str] | None = None  # decides the trouble of each call, where a list of it is not enough
    _lock: Any = field(default_factory=RLock)
    _count: int = 0

    # --- what we ask of it ---

    def _call(self, what: str, effect: Callable[[], _T]) -> _T:
        """Make a request; it, its reply or the calling process may be lost."""
        db.require_no_transaction()
        self.calls += 1
        trouble = self.on_call(what) if self.on_call else self.trouble.pop(0) if self.trouble else "fine"
        if trouble == "away":
            raise Unreachable(AWAY)
        if trouble == "killed before":
            raise Killed
        with self._lock:
            answer = effect()
        if trouble == "lost":
            raise Unreachable(AWAY)
        if trouble == "killed after":
            raise Killed
        return answer

    def create_order(self, asked: OrderRequest) -> str:
        def effect() -> str:
            known = next(
                (each for each in self.orders.values() if each.receipt == asked.receipt and each.money == asked.money),
                None,
            )
            made = known or Order(self._id("order"), asked.receipt, asked.money)
            self.orders[made.id] = made
            return made.id

        return self._call("order", effect)

    def close_order(self, order_id: str) -> None:
        """Do nothing: like Razorpay, it can't cancel an order."""

    def checkout_form(self, order_id: str, asked: OrderRequest) -> CheckoutForm:
        return CheckoutForm("/checkout", {"order_id": order_id})

    def verify_return(self, order_id: str, fields: Mapping[str, str]) -> str:
        return "" if fields.get("proof") == order_id else "unverified"

    def list_charges(self, order_id: str) -> Sequence[Charge]:
        return self._call(
            "charges", lambda: [self._charge(each) for each in self.attempts.values() if each.order_id == order_id]
        )

    def send_refund(self, payment_id: str, money: Money, key: str) -> GatewayRefund:
        def effect() -> GatewayRefund:
            known = next((each for each in self.backs.values() if each.key == key), None)
            if known is None:
                fate = self.fate.pop(0) if self.fate else "done"
                if fate == "declined":
                    raise Declined("The payer's bank takes no refunds today.")
                known = self._give(payment_id, money, fate, key)
            elif (known.payment_id, known.money) != (payment_id, money):
                raise Declined("Different request with the same idempotency key has already been processed.")
            return self._returned(known)

        return self._call("refund", effect)

    def list_refunds(self, payment_id: str) -> Sequence[GatewayRefund]:
        return self._call(
            "refunds",
            lambda: [self._returned(each) for each in reversed(self.backs.values()) if each.payment_id == payment_id],
        )

    def fetch_dispute(self, id: str) -> GatewayDispute:
        return self._call("dispute", lambda: self.quarrels[id].told)

    def list_captured(self, day: date) -> Sequence[Charge]:
        return self._call(
            "taken",
            lambda: [self._charge(each) for each in self.attempts.values() if each.captured and each.at.date() == day],
        )

    def list_settlements(self, day: date) -> Sequence[SettlementLine]:
        return self._call("settled", lambda: list(self.reports.get(day, ())))

    def parse_webhook(self, raw: bytes, headers: Mapping[str, str]) -> WebhookNotice:
        if not hmac.compare_digest(hmac.new(SECRET, raw, hashlib.sha256).hexdigest(), headers.get("X-Signature", "")):
            raise Forbidden("The signature doesn’t match the body.")
        try:
            told = json.loads(raw)
            return WebhookNotice(
                told["id"], told["kind"], told["order"] or None, told["payment"] or None, told["dispute"] or None
            )
        except (ValueError, KeyError, TypeError):
            raise Unreadable("The signature is valid, but the body isn’t an event.") from None

    def public_details(self) -> dict[str, str]:
        return {"gateway": self.name}

    # --- what payers, their banks and people at its dashboard do ---

    def pay(self, order_id: str, outcome: str, money: Money | None = None, *, twice: bool = False) -> Attempt | None:
        """Make an attempt to pay. A paid order is refused, unless two attempts were concurrent (`twice`)."""
        with self._lock:
            order = self.orders[order_id]
            if order.paid and not twice:
                return None
            made = Attempt(self._id("pay"), order_id, money or order.money, "created", clock.now())
            self.attempts[made.id] = made
            if outcome == "captured":
                self._capture(made, twice=twice)
            else:
                made.state = outcome
                self.tell(f"payment.{outcome}", made)
            return made

    def come_late(self, attempt: Attempt, *, twice: bool = False) -> None:
        """Capture an attempt that had failed or was only authorised."""
        with self._lock:
            if not attempt.captured and attempt.state in ("created", "failed", "authorized"):
                self._capture(attempt, twice=twice)

    def _capture(self, attempt: Attempt, *, twice: bool) -> None:
        order = self.orders[attempt.order_id]
        self.tell("payment.authorized", attempt)
        if order.paid and not twice:  # too late: refunded at once, and never captured
            attempt.state = "refunded"
            self._refunded(attempt, attempt.money, "done", "")
            return
        attempt.state, attempt.captured, attempt.at, order.paid = "captured", True, clock.now(), True
        self.tell("payment.captured", attempt)
        self.tell("order.paid", attempt)

    def from_the_dashboard(self, payment_id: str, amount: int, fate: str = "done") -> Back | None:
        """Refund in the dashboard."""
        with self._lock:
            left = self._left(payment_id)
            if left <= 0 or not self.attempts[payment_id].captured:
                return None
            return self._give(payment_id, Money(min(amount, left), self.attempts[payment_id].money.currency), fate, "")

    def decide(self, back: Back, state: str) -> None:
        """Complete a pending refund, or let it fail."""
        with self._lock:
            if back.state == "pending":
                back.state = state
                self.tell(f"refund.{state}", self.attempts[back.payment_id])

    def quarrel(self, payment_id: str, *, deducted: bool) -> str:
        """Open a dispute about what is left of a payment."""
        with self._lock:
            attempt, id = self.attempts[payment_id], self._id("disp")
            money = Money(self._left(payment_id), attempt.money.currency)
            reply_by = clock.ahead(days=7)
            self.quarrels[id] = Quarrel(
                GatewayDispute(id, payment_id, "open", money, money.amount if deducted else 0, "fraud", reply_by)
            )
            self.tell("payment.dispute.created", attempt, id)
            return id

    def rule(self, id: str, state: str) -> None:
        with self._lock:
            quarrel = self.quarrels[id]
            if quarrel.told.state not in ("open", "under_review"):
                return
            deducted = quarrel.told.money.amount if state == "lost" else quarrel.told.deducted
            quarrel.told = replace(quarrel.told, state=state, deducted=deducted)
            self.tell(f"payment.dispute.{state}", self.attempts[quarrel.told.payment_id], id)

    def pay_out(self) -> None:
        """Settle everything unsettled, in today's report."""
        with self._lock:
            report = self.reports.setdefault(clock.now().date(), [])
            for attempt in self.attempts.values():
                if attempt.captured and not attempt.settled:
                    attempt.settled = True
                    fee = attempt.money.percent(200)
                    report.append(
                        SettlementLine(
                            attempt.id,
                            "payment",
                            attempt.money,
                            attempt.money - attempt.money,
                            fee,
                            fee.percent(1800),
                            "utr",
                        )
                    )
            for back in self.backs.values():
                if back.state == "done" and not back.settled and self.attempts[back.payment_id].captured:
                    back.settled = True
                    zero = back.money - back.money
                    report.append(SettlementLine(back.id, "refund", zero, back.money, zero, zero, "utr"))
            if report:
                self.news.append(News(self._id("evt"), "settlement.processed"))

    # --- what it is asked about at the end ---

    def kept(self, order_id: str) -> int:
        """Return what is left of an order's payments, in minor units."""
        captured = [each for each in self.attempts.values() if each.order_id == order_id and each.captured]
        return sum(
            each.money.amount - sum(back.money.amount for back in self._of(each.id) if back.state == "done")
            for each in captured
        )

    # --- inside ---

    def _give(self, payment_id: str, money: Money, fate: str, key: str) -> Back:
        if not 0 < money.amount <= self._left(payment_id):
            raise Declined("The total refund amount is greater than the refund payment amount")
        return self._refunded(self.attempts[payment_id], money, fate, key)

    def _refunded(self, attempt: Attempt, money: Money, fate: str, key: str) -> Back:
        made = Back(self._id("rfnd"), attempt.id, money, fate, key)
        self.backs[made.id] = made
        self.tell("refund.created", attempt)
        if fate == "done":
            self.tell("refund.processed", attempt)
        return made

    def _of(self, payment_id: str) -> list[Back]:
        return [each for each in self.backs.values() if each.payment_id == payment_id]

    def _left(self, payment_id: str) -> int:
        return self.attempts[payment_id].money.amount - sum(
            each.money.amount for each in self._of(payment_id) if each.state != "failed"
        )

    def _charge(self, attempt: Attempt) -> Charge:
        back = attempt.money.amount - self._left(attempt.id)
        error = "The bank did not answer." if attempt.state == "failed" else ""
        return Charge(attempt.id, attempt.state, attempt.money, "card", error, back, attempt.order_id, attempt.at)

    def _returned(self, back: Back) -> GatewayRefund:
        return GatewayRefund(back.id, back.payment_id, back.state, back.money, back.key)

    def tell(self, kind: str, attempt: Attempt, dispute_id: str = "") -> None:
        self.news.append(News(self._id("evt"), kind, attempt.order_id, attempt.id, dispute_id))

    def _id(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count:05d}"


def days(since: datetime, until: datetime) -> list[date]:
    return [(since + timedelta(days=each)).date() for each in range((until - since).days + 2)]

"""What comes after a payment: the payer's bank quarrels about it, and what is left of it reaches the shop's own bank."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flask import request

from app.kernel import clock
from app.sandbox.razorpay_bank import Bank, How
from app.sandbox.razorpay_wire import Route, Thing, amount, body, new_id, newest, no, now, page, public, whole

DAY = 24 * 60 * 60
DECIDED = ("won", "lost", "closed")
OUTCOMES = ("under_review", "action_required", *DECIDED)


class Books:
    def __init__(self, bank: Bank) -> None:
        self.bank, self.store = bank, bank.store

    def routes(self) -> list[Route]:
        return [
            ("/v1/disputes", "GET", self.list_disputes),
            ("/v1/disputes/<id>", "GET", self.show_dispute),
            ("/v1/disputes/<id>/accept", "POST", self.accept),
            ("/v1/disputes/<id>/contest", "PATCH", self.contest),
            ("/v1/settlements", "GET", self.list_settlements),
            ("/v1/settlements/<id>", "GET", self.show_settlement),
            ("/v1/settlements/recon/combined", "GET", self.report),
        ]

    # --- disputes ---

    def list_disputes(self) -> Thing:
        return newest(self.store.all("dispute"))

    def show_dispute(self, id: str) -> Thing:
        return public(self.bank.find("dispute", id))

    def open_dispute(self, payment_id: str, given: Thing, how: How) -> Thing:
        """The payer's bank takes a captured payment up; some of them keep the money back at once."""
        with self.store.open():
            payment = self.bank.find("payment", payment_id)
            if not payment["captured"]:
                no("Only a captured payment can be disputed.")
            asked = amount({"amount": payment["amount"]} | given, least=1)
            respond_by, deducted = given.get("respond_by", now() + 7 * DAY), given.get("amount_deducted", 0)
            if not whole(respond_by) or not whole(deducted) or not 0 <= deducted <= asked <= payment["amount"]:
                no(
                    "Amounts must be whole numbers of minor units, up to the amount of the payment, and respond_by a Unix time.",
                    field="amount_deducted",
                )
            dispute = {
                "id": new_id("disp"),
                "entity": "dispute",
                "payment_id": payment_id,
                "amount": asked,
                "currency": payment["currency"],
                "amount_deducted": deducted,
                "gateway_dispute_id": None,
                "reason_code": given.get("reason_code", "goods_or_services_not_received_or_partially_received"),
                "respond_by": respond_by,
                "status": "open",
                "phase": given.get("phase", "chargeback"),
                "created_at": now(),
                "comments": None,
                "evidence": {"amount": asked, "summary": None, "submitted_at": None},
            }
            self.store.put("dispute", dispute, payment_id)
            return self._said("created", dispute, how)

    def decide_dispute(self, id: str, outcome: str, given: Thing, how: How) -> Thing:
        with self.store.open():
            dispute = self._open_one(id, (*DECIDED,))
            deducted = dispute["amount_deducted"]
            if outcome == "lost":
                deducted = given.get("amount_deducted", dispute["amount"])
            elif outcome in ("won", "closed"):
                deducted = 0
            if not whole(deducted) or not 0 <= deducted <= dispute["amount"]:
                no(
                    "amount_deducted must be a whole number of minor units, up to the amount of the dispute.",
                    field="amount_deducted",
                )
            status = "open" if outcome == "action_required" else outcome
            return self._said(outcome, dispute | {"status": status, "amount_deducted": deducted}, how)

    def accept(self, id: str) -> Thing:
        with self.store.open():
            if given := body():
                no(f"{', '.join(given)} is/are not required and should not be sent")
            dispute = self._answerable(id)
            return public(self._said("lost", dispute | {"status": "lost", "amount_deducted": dispute["amount"]}, {}))

    def contest(self, id: str) -> Thing:
        given = body()
        with self.store.open():
            dispute = self._answerable(id)
            action, contested = given.get("action", "draft"), given.get("amount", dispute["amount"])
            if action not in ("draft", "submit"):
                no("The selected action is invalid.", field="action")
            if not whole(contested) or contested > dispute["amount"]:
                no("contest amount cannot be greater than dispute amount", field="amount")
            evidence = dispute["evidence"] | {name: value for name, value in given.items() if name != "action"}
            if action == "draft":
                return public(self.store.put("dispute", dispute | {"evidence": evidence}))
            evidence["submitted_at"] = now()
            return public(self._said("under_review", dispute | {"status": "under_review", "evidence": evidence}, {}))

    def _answerable(self, id: str) -> Thing:
        dispute = self._open_one(id, (*DECIDED, "under_review"))
        return dispute if dispute["respond_by"] > now() else no("Action not allowed as deadline to respond has elapsed")

    def _open_one(self, id: str, closed: tuple[str, ...]) -> Thing:
        dispute = self.bank.find("dispute", id)
        return (
            no(f"Action not allowed when dispute is in {dispute['status']} status")
            if dispute["status"] in closed
            else dispute
        )

    def _said(self, what: str, dispute: Thing, how: How) -> Thing:
        self.store.put("dispute", dispute)
        self.bank.tell(
            f"payment.dispute.{what}", how, payment=self.bank.find("payment", dispute["payment_id"]), dispute=dispute
        )
        return dispute

    # --- settlements ---

    def list_settlements(self) -> Thing:
        return newest(self.store.all("settlement"))

    def show_settlement(self, id: str) -> Thing:
        return public(self.bank.find("settlement", id))

    def report(self) -> Thing:
        year, month, day = (request.args.get(name, "") for name in ("year", "month", "day"))
        if not re.fullmatch(r"[0-9]{4}", year):
            no("The year must be 4 digits.", field="year")
        if not re.fullmatch(r"0?[1-9]|1[0-2]", month):
            no("The month is not a valid month.", field="month")
        if day and not re.fullmatch(r"[0-9]{1,2}", day):
            no("The day must be between 1 and 2 digits.", field="day")
        wanted = f"{year}-{int(month):02}" + (f"-{int(day):02}" if day else "")
        return page([each for each in self.store.all("settled") if each["_day"].startswith(wanted)], most=1000)

    def settle(self, day: Any, how: How) -> list[Thing]:
        """Everything that has come and gone since the last time reaches the shop's bank: one settlement for each currency."""
        moment = _moment(day)
        with self.store.open():
            rows = [*self._unsettled()]
            return [
                self._settle(currency, rows, moment, how)
                for currency in dict.fromkeys(each["currency"] for each in rows)
            ]

    def _settle(self, currency: str, rows: list[Thing], moment: datetime, how: How) -> Thing:
        mine = [each for each in rows if each["currency"] == currency]
        at = int(moment.timestamp())
        settlement = {
            "id": new_id("setl"),
            "entity": "settlement",
            "amount": sum(each["credit"] - each["debit"] for each in mine),
            "currency": currency,
            "status": "processed",
            "fees": sum(each["fee"] for each in mine),
            "tax": sum(each["tax"] for each in mine),
            "utr": f"{at}{new_id('')[1:7].lower()}",
            "created_at": at,
        }
        self.store.put("settlement", settlement)
        for each in mine:
            stamp = {
                "settled": True,
                "settled_at": at,
                "settlement_id": settlement["id"],
                "settlement_utr": settlement["utr"],
                "_day": f"{moment:%Y-%m-%d}",
            }
            self.store.put("settled", each | stamp, each["id"])
        self.bank.tell("settlement.processed", how, settlement=settlement)
        return settlement

    def _unsettled(self) -> Iterator[Thing]:
        done = {each["id"] for each in self.store.all("settled")}
        for each in self._rows():
            if each["id"] not in done:
                yield each

    def _rows(self) -> Iterator[Thing]:
        """Credits have the fee taken off, and debits have it added, as in Razorpay's report."""
        payments = {each["id"]: each for each in self.store.all("payment") if each["captured"]}
        for each in payments.values():
            yield _row(
                each["id"],
                "payment",
                each,
                each["amount"] - each["fee"],
                fee=each["fee"],
                tax=each["tax"],
                order_id=each["order_id"],
                method=each["method"],
            )
        for each in self.store.all("refund"):
            if each["status"] == "processed" and each["payment_id"] in payments:
                yield _row(each["id"], "refund", each, -each["amount"], payment_id=each["payment_id"])
        for each in self.store.all("transfer"):
            if each["status"] == "processed" and not each["on_hold"]:
                yield _row(each["id"], "transfer", each, -each["amount"], payment_id=each["source"])
        yield from self._adjustments()

    def _adjustments(self) -> Iterator[Thing]:
        """What a dispute took, and what came back of it when it was won."""
        settled = self.store.all("settled")
        for each in self.store.all("dispute"):
            moved = sum(row["credit"] - row["debit"] for row in settled if row["dispute_id"] == each["id"])
            if moved != -each["amount_deducted"]:
                yield _row(
                    new_id("adj"),
                    "adjustment",
                    each,
                    -each["amount_deducted"] - moved,
                    dispute_id=each["id"],
                    payment_id=each["payment_id"],
                )


def _row(id: str, kind: str, thing: Thing, net: int, *, fee: int = 0, tax: int = 0, **more: Any) -> Thing:
    return {
        "id": f"row {id}",
        "entity_id": id,
        "type": kind,
        "debit": max(-net, 0),
        "credit": max(net, 0),
        "amount": abs(net) if kind == "adjustment" else thing["amount"],
        "currency": thing["currency"],
        "fee": fee,
        "tax": tax,
        "on_hold": False,
        "created_at": thing["created_at"],
        "posted_at": None,
        "credit_type": "default",
        "description": "dispute" if kind == "adjustment" else None,
        "notes": None,
        "payment_id": None,
        "order_id": None,
        "order_receipt": None,
        "method": None,
        "card_network": None,
        "card_issuer": None,
        "card_type": None,
        "dispute_id": None,
    } | more


def _moment(day: Any) -> datetime:
    if not day:
        return clock.now()
    try:
        return datetime.strptime(str(day), "%Y-%m-%d").replace(hour=12, tzinfo=UTC)
    except ValueError:
        no("day must be a date, such as 2026-11-21.", field="day")

"""Razorpay disputes (chargebacks) and settlements, simulated, with the settlement recon report."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flask import request

from app.kernel import clock
from app.sandbox.razorpay_bank import Bank, Delivery
from app.sandbox.razorpay_wire import (
    Route,
    Thing,
    is_whole,
    json_body,
    new_id,
    newest_page,
    paginate,
    public_fields,
    read_amount,
    refuse,
    unix_now,
)

DAY = 24 * 60 * 60
DECIDED = ("won", "lost", "closed")
OUTCOMES = ("under_review", "action_required", *DECIDED)


class Settlements:
    def __init__(self, bank: Bank) -> None:
        self.bank, self.store = bank, bank.store

    def routes(self) -> list[Route]:
        return [
            ("/v1/disputes", "GET", self.list_disputes),
            ("/v1/disputes/<id>", "GET", self.show_dispute),
            ("/v1/disputes/<id>/accept", "POST", self.accept_dispute),
            ("/v1/disputes/<id>/contest", "PATCH", self.contest_dispute),
            ("/v1/settlements", "GET", self.list_settlements),
            ("/v1/settlements/<id>", "GET", self.show_settlement),
            ("/v1/settlements/recon/combined", "GET", self.show_recon_report),
        ]

    # --- disputes ---

    def list_disputes(self) -> Thing:
        return newest_page(self.store.all("dispute"))

    def show_dispute(self, id: str) -> Thing:
        return public_fields(self.bank.find_entity("dispute", id))

    def open_dispute(self, payment_id: str, given: Thing, how: Delivery) -> Thing:
        """Open a dispute on a captured payment, with or without deducting the money at once."""
        with self.store.open():
            payment = self.bank.find_entity("payment", payment_id)
            if not payment["captured"]:
                refuse("Only a captured payment can be disputed.")
            asked = read_amount({"amount": payment["amount"]} | given, least=1)
            respond_by, deducted = given.get("respond_by", unix_now() + 7 * DAY), given.get("amount_deducted", 0)
            if not is_whole(respond_by) or not is_whole(deducted) or not 0 <= deducted <= asked <= payment["amount"]:
                refuse(
                    "Amounts must be whole numbers of minor units, up to the amount of the payment, "
                    "and respond_by a Unix time.",
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
                "created_at": unix_now(),
                "comments": None,
                "evidence": {"amount": asked, "summary": None, "submitted_at": None},
            }
            self.store.put("dispute", dispute, payment_id)
            return self._update_dispute("created", dispute, how)

    def decide_dispute(self, id: str, outcome: str, given: Thing, how: Delivery) -> Thing:
        with self.store.open():
            dispute = self._find_open_dispute(id, (*DECIDED,))
            deducted = dispute["amount_deducted"]
            if outcome == "lost":
                deducted = given.get("amount_deducted", dispute["amount"])
            elif outcome in ("won", "closed"):
                deducted = 0
            if not is_whole(deducted) or not 0 <= deducted <= dispute["amount"]:
                refuse(
                    "amount_deducted must be a whole number of minor units, up to the amount of the dispute.",
                    field="amount_deducted",
                )
            status = "open" if outcome == "action_required" else outcome
            return self._update_dispute(outcome, dispute | {"status": status, "amount_deducted": deducted}, how)

    def accept_dispute(self, id: str) -> Thing:
        with self.store.open():
            if given := json_body():
                refuse(f"{', '.join(given)} is/are not required and should not be sent")
            dispute = self._find_answerable_dispute(id)
            return public_fields(
                self._update_dispute("lost", dispute | {"status": "lost", "amount_deducted": dispute["amount"]}, {})
            )

    def contest_dispute(self, id: str) -> Thing:
        given = json_body()
        with self.store.open():
            dispute = self._find_answerable_dispute(id)
            action, contested = given.get("action", "draft"), given.get("amount", dispute["amount"])
            if action not in ("draft", "submit"):
                refuse("The selected action is invalid.", field="action")
            if not is_whole(contested) or contested > dispute["amount"]:
                refuse("contest amount cannot be greater than dispute amount", field="amount")
            evidence = dispute["evidence"] | {name: value for name, value in given.items() if name != "action"}
            if action == "draft":
                return public_fields(self.store.put("dispute", dispute | {"evidence": evidence}))
            evidence["submitted_at"] = unix_now()
            return public_fields(
                self._update_dispute("under_review", dispute | {"status": "under_review", "evidence": evidence}, {})
            )

    def _find_answerable_dispute(self, id: str) -> Thing:
        dispute = self._find_open_dispute(id, (*DECIDED, "under_review"))
        return (
            dispute
            if dispute["respond_by"] > unix_now()
            else refuse("Action not allowed as deadline to respond has elapsed")
        )

    def _find_open_dispute(self, id: str, closed: tuple[str, ...]) -> Thing:
        dispute = self.bank.find_entity("dispute", id)
        return (
            refuse(f"Action not allowed when dispute is in {dispute['status']} status")
            if dispute["status"] in closed
            else dispute
        )

    def _update_dispute(self, what: str, dispute: Thing, how: Delivery) -> Thing:
        self.store.put("dispute", dispute)
        self.bank.send_event(
            f"payment.dispute.{what}",
            how,
            payment=self.bank.find_entity("payment", dispute["payment_id"]),
            dispute=dispute,
        )
        return dispute

    # --- settlements ---

    def list_settlements(self) -> Thing:
        return newest_page(self.store.all("settlement"))

    def show_settlement(self, id: str) -> Thing:
        return public_fields(self.bank.find_entity("settlement", id))

    def show_recon_report(self) -> Thing:
        year, month, day = (request.args.get(name, "") for name in ("year", "month", "day"))
        if not re.fullmatch(r"[0-9]{4}", year):
            refuse("The year must be 4 digits.", field="year")
        if not re.fullmatch(r"0?[1-9]|1[0-2]", month):
            refuse("The month is not a valid month.", field="month")
        if day and not re.fullmatch(r"[0-9]{1,2}", day):
            refuse("The day must be between 1 and 2 digits.", field="day")
        wanted = f"{year}-{int(month):02}" + (f"-{int(day):02}" if day else "")
        return paginate([each for each in self.store.all("settled") if each["_day"].startswith(wanted)], most=1000)

    def settle(self, day: Any, how: Delivery) -> list[Thing]:
        """Settle everything unsettled to the shop's bank, one settlement per currency."""
        moment = _settlement_time(day)
        with self.store.open():
            rows = [*self._unsettled()]
            return [
                self._settle(currency, rows, moment, how)
                for currency in dict.fromkeys(each["currency"] for each in rows)
            ]

    def _settle(self, currency: str, rows: list[Thing], moment: datetime, how: Delivery) -> Thing:
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
        self.bank.send_event("settlement.processed", how, settlement=settlement)
        return settlement

    def _unsettled(self) -> Iterator[Thing]:
        done = {each["id"] for each in self.store.all("settled")}
        for each in self._rows():
            if each["id"] not in done:
                yield each

    def _rows(self) -> Iterator[Thing]:
        """Yield the rows of the recon report: a credit is net of its fee, a debit includes it."""
        payments = {each["id"]: each for each in self.store.all("payment") if each["captured"]}
        for each in payments.values():
            yield _recon_row(
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
                yield _recon_row(each["id"], "refund", each, -each["amount"], payment_id=each["payment_id"])
        for each in self.store.all("transfer"):
            if each["status"] == "processed" and not each["on_hold"]:
                yield _recon_row(each["id"], "transfer", each, -each["amount"], payment_id=each["source"])
        yield from self._adjustments()

    def _adjustments(self) -> Iterator[Thing]:
        """Yield the amounts that disputes have deducted, or returned when won."""
        settled = self.store.all("settled")
        for each in self.store.all("dispute"):
            moved = sum(row["credit"] - row["debit"] for row in settled if row["dispute_id"] == each["id"])
            if moved != -each["amount_deducted"]:
                yield _recon_row(
                    new_id("adj"),
                    "adjustment",
                    each,
                    -each["amount_deducted"] - moved,
                    dispute_id=each["id"],
                    payment_id=each["payment_id"],
                )


def _recon_row(id: str, kind: str, thing: Thing, net: int, *, fee: int = 0, tax: int = 0, **more: Any) -> Thing:
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


def _settlement_time(day: Any) -> datetime:
    if not day:
        return clock.now()
    try:
        return datetime.strptime(str(day), "%Y-%m-%d").replace(hour=12, tzinfo=UTC)
    except ValueError:
        refuse("day must be a date, such as 2026-11-21.", field="day")

"""Razorpay Route transfers and RazorpayX payouts, simulated: contacts, fund accounts, reversals."""

from __future__ import annotations

import re
from typing import Any

from flask import request

from app.sandbox.razorpay_bank import PENDING_SECONDS, Bank, Delivery
from app.sandbox.razorpay_wire import (
    Route,
    Thing,
    collection,
    json_body,
    new_id,
    newest_page,
    public_fields,
    read_amount,
    read_notes,
    read_reference,
    read_text,
    refuse,
    unix_now,
)

OUTCOMES = ("processed", "reversed", "failed")
_CONTACTS = ("vendor", "customer", "employee", "self")
_MODES = ("NEFT", "RTGS", "IMPS", "UPI", "card")


class Payouts:
    def __init__(self, bank: Bank) -> None:
        self.bank, self.store = bank, bank.store
        bank.sender.periodic.append(self.process_due)

    def routes(self) -> list[Route]:
        return [
            ("/v1/payments/<id>/transfers", "POST", self.share_payment),
            ("/v1/payments/<id>/transfers", "GET", self.list_shares),
            ("/v1/transfers", "POST", self.create_transfer),
            ("/v1/transfers", "GET", self.list_transfers),
            ("/v1/transfers/<id>", "GET", self.show_transfer),
            ("/v1/transfers/<id>", "PATCH", self.hold_transfer),
            ("/v1/transfers/<id>/reversals", "POST", self.reverse_transfer),
            ("/v1/contacts", "POST", self.make_contact),
            ("/v1/contacts", "GET", self.list_contacts),
            ("/v1/contacts/<id>", "GET", self.show_contact),
            ("/v1/fund_accounts", "POST", self.make_account),
            ("/v1/fund_accounts", "GET", self.list_accounts),
            ("/v1/fund_accounts/<id>", "GET", self.show_account),
            ("/v1/payouts", "POST", self.create_payout),
            ("/v1/payouts", "GET", self.list_payouts),
            ("/v1/payouts/<id>", "GET", self.show_payout),
        ]

    def process_due(self) -> None:
        with self.store.open():
            for id, how in self.store.take_due("transfer"):
                transfer = self.bank.find_entity("transfer", id)
                if transfer["status"] == "pending":
                    self.bank.send_event(
                        "transfer.processed",
                        how,
                        transfer=self.store.put(
                            "transfer", transfer | {"status": "processed", "processed_at": unix_now()}
                        ),
                    )
            for id, how in self.store.take_due("payout"):
                if (
                    self.bank.find_entity("payout", id)["status"] == "processing"
                ):  # unless an action has already ended it
                    self.decide_payout(id, str(how["ends"]), {})

    # --- transfers ---

    def share_payment(self, id: str) -> Thing:
        """Transfer parts of a captured payment to linked accounts, up to its amount."""
        with self.store.open():
            payment = self.bank.find_entity("payment", id)
            if not payment["captured"]:
                refuse("The payment status should be captured for action to be taken")
            asked = json_body().get("transfers")
            if not isinstance(asked, list) or not asked or not all(isinstance(each, dict) for each in asked):
                refuse("The transfers field is required.", field="transfers")
            if payment["order_id"] and self.bank.find_order(payment["order_id"])["_partial"]:
                refuse("Transfers cannot be created on an order with partial payment.")
            made = [self._new_transfer(each, id, f"transfers.{at}.") for at, each in enumerate(asked)]
            shared = sum(each["amount"] - each["amount_reversed"] for each in self.store.all("transfer", id))
            if shared + sum(each["amount"] for each in made) > payment["amount"] - payment["amount_refunded"]:
                refuse("The sum of amount requested for transfer is greater than the captured amount")
            return collection([self._start_transfer(each) for each in made])

    def create_transfer(self) -> Thing:
        given = json_body()
        return self.bank.run_once(
            "transfer",
            request.headers.get("X-Transfer-Idempotency"),
            given,
            lambda: public_fields(self._start_transfer(self._new_transfer(given, "acc_sandbox", ""))),
        )

    def _new_transfer(self, given: Thing, source: str, where: str) -> Thing:
        asked = read_amount(given, words=f"The {where}amount must be at least 100.", field=f"{where}amount")
        if not re.fullmatch(r"acc_[A-Za-z0-9]{14}", str(given.get("account"))):
            refuse(f"{given.get('account')} is an invalid account_code.", field=f"{where}account")
        if given.get("currency") != "INR":
            refuse("The currency should be INR for transfers", field=f"{where}currency")
        own_notes, shared = read_notes(given), given.get("linked_account_notes") or []
        if not isinstance(shared, list) or any(each not in (own_notes or {}) for each in shared):
            refuse("Keys sent in linked_account_notes must exist in notes", field=f"{where}linked_account_notes")
        id = new_id("trf")
        return {
            "id": id,
            "entity": "transfer",
            "status": "pending",
            "source": source,
            "recipient": given["account"],
            "amount": asked,
            "currency": "INR",
            "amount_reversed": 0,
            "fees": 0,
            "tax": 0,
            "notes": own_notes,
            "linked_account_notes": shared,
            "on_hold": bool(given.get("on_hold")),
            "on_hold_until": given.get("on_hold_until"),
            "recipient_settlement_id": None,
            "created_at": unix_now(),
            "processed_at": None,
            "error": {
                "code": None,
                "description": None,
                "field": None,
                "source": None,
                "step": None,
                "reason": None,
                "id": id,
                "metadata": None,
            },
        }

    def _start_transfer(self, transfer: Thing) -> Thing:
        self.store.schedule("transfer", transfer["id"], PENDING_SECONDS, {})
        return self.store.put("transfer", transfer, transfer["source"])

    def list_shares(self, id: str) -> Thing:
        return collection(self.store.all("transfer", self.bank.show_payment(id)["id"]))

    def list_transfers(self) -> Thing:
        return newest_page(self.store.all("transfer"))

    def show_transfer(self, id: str) -> Thing:
        return public_fields(self.bank.find_entity("transfer", id))

    def hold_transfer(self, id: str) -> Thing:
        changes = {name: value for name, value in json_body().items() if name in ("on_hold", "on_hold_until", "notes")}
        with self.store.open():
            return public_fields(self.store.put("transfer", self.bank.find_entity("transfer", id) | changes))

    def reverse_transfer(self, id: str) -> Thing:
        with self.store.open():
            transfer = self.bank.find_entity("transfer", id)
            left = transfer["amount"] - transfer["amount_reversed"]
            asked = read_amount({"amount": left} | json_body(), least=1)
            if asked > left:
                refuse("The amount may not be greater than the remaining amount of the transfer.", field="amount")
            reversal = {
                "id": new_id("rvrsl"),
                "entity": "reversal",
                "transfer_id": id,
                "amount": asked,
                "fee": 0,
                "tax": 0,
                "currency": "INR",
                "notes": [],
                "initiator_id": "acc_sandbox",
                "customer_refund_id": None,
                "utr": None,
                "created_at": unix_now(),
            }
            back = transfer["amount_reversed"] + asked
            self.store.put(
                "transfer",
                transfer
                | {
                    "amount_reversed": back,
                    "status": "reversed" if back == transfer["amount"] else "partially_reversed",
                },
            )
            return self.store.put("reversal", reversal, id)

    # --- payouts ---

    def make_contact(self) -> Thing:
        given = json_body()
        name = read_text(given, "name", 50)
        if given.get("type") not in (None, "", *_CONTACTS):
            refuse(f"Invalid type: {given['type']}", field="type")
        contact = {
            "id": new_id("cont"),
            "entity": "contact",
            "name": name,
            "contact": given.get("contact"),
            "email": given.get("email"),
            "type": given.get("type"),
            "reference_id": read_reference(given, "reference_id"),
            "batch_id": None,
            "active": True,
            "notes": read_notes(given),
            "created_at": unix_now(),
        }
        return self.store.put("contact", contact)

    def list_contacts(self) -> Thing:
        return newest_page(self.store.all("contact"))

    def show_contact(self, id: str) -> Thing:
        return self.bank.find_entity("contact", id)

    def make_account(self) -> Thing:
        given = json_body()
        contact = self.bank.find_entity("contact", read_text(given, "contact_id"))
        kind = given.get("account_type")
        if kind not in ("bank_account", "vpa"):
            refuse("The selected account type is invalid.", field="account_type")
        details = given.get(kind)
        if not isinstance(details, dict):
            refuse(f"The {str(kind).replace('_', ' ')} field is required.", field=str(kind))
        account = {
            "id": new_id("fa"),
            "entity": "fund_account",
            "contact_id": contact["id"],
            "account_type": kind,
            kind: _account_details(str(kind), details),
            "batch_id": None,
            "active": True,
            "created_at": unix_now(),
        }
        return self.store.put("fund_account", account, contact["id"])

    def list_accounts(self) -> Thing:
        return newest_page(self.store.all("fund_account", request.args.get("contact_id")))

    def show_account(self, id: str) -> Thing:
        return self.bank.find_entity("fund_account", id)

    def create_payout(self) -> Thing:
        key = request.headers.get("X-Payout-Idempotency")
        if not key:
            refuse(
                "Idempotency key is missing. Include idempotency header and key in the request.",
                field="X-Payout-Idempotency",
            )
        if not re.fullmatch(r"[A-Za-z0-9_ -]{4,36}", key):
            refuse(
                "The idempotency key must be between 4 and 36 characters long, "
                "of letters, digits, hyphens, underscores and spaces.",
                field="X-Payout-Idempotency",
            )
        given = json_body()
        return self.bank.run_once("payout", key, given, lambda: public_fields(self._new_payout(given)))

    def _new_payout(self, given: Thing) -> Thing:
        asked = read_amount(given, words="The amount must be at least INR 1.00")
        read_text(given, "account_number")
        account = self.bank.find_entity("fund_account", read_text(given, "fund_account_id"))
        if given.get("currency") != "INR":
            refuse("The selected currency is invalid.", field="currency")
        if given.get("mode") not in _MODES or (given["mode"] == "UPI") != (account["account_type"] == "vpa"):
            refuse("Payout mode is invalid", field="mode")
        payout = {
            "id": new_id("pout"),
            "entity": "payout",
            "fund_account_id": account["id"],
            "amount": asked,
            "currency": "INR",
            "notes": read_notes(given),
            "fees": 0,
            "tax": 0,
            "status": "processing",
            "purpose": read_text(given, "purpose"),
            "utr": None,
            "mode": given["mode"],
            "reference_id": read_reference(given, "reference_id"),
            "narration": given.get("narration"),
            "batch_id": None,
            "failure_reason": None,
            "created_at": unix_now(),
            "fee_type": None,
            "status_details": {"reason": None, "description": None, "source": None},
        }
        self.store.put("payout", payout)
        self.bank.send_event("payout.initiated", {}, payout=payout)
        ends = (self.store.use_plan("payout") or {"payout": "processed"})["payout"]
        if ends != "pending":
            self.store.schedule("payout", payout["id"], PENDING_SECONDS, {"ends": ends})
        return payout

    def decide_payout(self, id: str, outcome: str, how: Delivery) -> Thing:
        """End a payout. A processed one can still be reversed by the payee's bank."""
        with self.store.open():
            payout = self.bank.find_entity("payout", id)
            if payout["status"] != "processing" and (payout["status"], outcome) != ("processed", "reversed"):
                refuse(f"This payout is already {payout['status']}.")
            changes: Thing = {"utr": f"{unix_now()}{id[-6:].lower()}"} if outcome == "processed" else _payout_failure()
            payout = self.store.put("payout", payout | {"status": outcome} | changes)
            self.bank.send_event(f"payout.{outcome}", how, payout=payout)
            return payout

    def list_payouts(self) -> Thing:
        return newest_page(self.store.all("payout"))

    def show_payout(self, id: str) -> Thing:
        return self.bank.find_entity("payout", id)


def _payout_failure() -> Thing:
    why = "The beneficiary's bank could not credit the account."
    return {
        "failure_reason": why,
        "status_details": {"reason": "beneficiary_bank_failure", "description": why, "source": "beneficiary_bank"},
    }


def _account_details(kind: str, given: Thing) -> Thing:
    if kind == "vpa":
        address = read_text(given, "address")
        name, at, handle = address.partition("@")
        return (
            {"username": name, "handle": handle, "address": address}
            if at and name and handle
            else refuse("Invalid VPA. Please enter a valid Virtual Payment Address")
        )
    ifsc: Any = read_text(given, "ifsc")
    if not re.fullmatch(r"[A-Z]{4}0[A-Z0-9]{6}", ifsc):
        refuse("Invalid IFSC Code in Bank Account", field="ifsc")
    number = read_text(given, "account_number")
    if not re.fullmatch(r"[A-Za-z0-9]{5,35}", number):
        refuse(
            "The account number may only contain letters and numbers, and be between 5 and 35 characters.",
            field="account_number",
        )
    return {
        "ifsc": ifsc,
        "bank_name": "Sandbox Bank",
        "name": read_text(given, "name"),
        "notes": [],
        "account_number": number,
    }

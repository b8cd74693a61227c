"""Money on its way out: shares of a payment for linked accounts, and payouts to anybody's bank."""

from __future__ import annotations

import re
from typing import Any

from flask import request

from app.sandbox.razorpay_bank import SOON, Bank, How
from app.sandbox.razorpay_wire import (
    Route,
    Thing,
    amount,
    body,
    collection,
    new_id,
    newest,
    no,
    notes,
    now,
    public,
    short,
    text,
)

OUTCOMES = ("processed", "reversed", "failed")
_CONTACTS = ("vendor", "customer", "employee", "self")
_MODES = ("NEFT", "RTGS", "IMPS", "UPI", "card")


class Out:
    def __init__(self, bank: Bank) -> None:
        self.bank, self.store = bank, bank.store
        bank.postman.rounds.append(self.keep_going)

    def routes(self) -> list[Route]:
        return [
            ("/v1/payments/<id>/transfers", "POST", self.share),
            ("/v1/payments/<id>/transfers", "GET", self.list_shares),
            ("/v1/transfers", "POST", self.transfer),
            ("/v1/transfers", "GET", self.list_transfers),
            ("/v1/transfers/<id>", "GET", self.show_transfer),
            ("/v1/transfers/<id>", "PATCH", self.hold_transfer),
            ("/v1/transfers/<id>/reversals", "POST", self.reverse),
            ("/v1/contacts", "POST", self.make_contact),
            ("/v1/contacts", "GET", self.list_contacts),
            ("/v1/contacts/<id>", "GET", self.show_contact),
            ("/v1/fund_accounts", "POST", self.make_account),
            ("/v1/fund_accounts", "GET", self.list_accounts),
            ("/v1/fund_accounts/<id>", "GET", self.show_account),
            ("/v1/payouts", "POST", self.pay_out),
            ("/v1/payouts", "GET", self.list_payouts),
            ("/v1/payouts/<id>", "GET", self.show_payout),
        ]

    def keep_going(self) -> None:
        with self.store.open():
            for id, how in self.store.due("transfer"):
                transfer = self.bank.find("transfer", id)
                if transfer["status"] == "pending":
                    self.bank.tell(
                        "transfer.processed",
                        how,
                        transfer=self.store.put("transfer", transfer | {"status": "processed", "processed_at": now()}),
                    )
            for id, how in self.store.due("payout"):
                if self.bank.find("payout", id)["status"] == "processing":  # nobody was quicker
                    self.decide(id, str(how["ends"]), {})

    # --- transfers ---

    def share(self, id: str) -> Thing:
        """Of one captured payment, and never more than there is of it."""
        with self.store.open():
            payment = self.bank.find("payment", id)
            if not payment["captured"]:
                no("The payment status should be captured for action to be taken")
            asked = body().get("transfers")
            if not isinstance(asked, list) or not asked or not all(isinstance(each, dict) for each in asked):
                no("The transfers field is required.", field="transfers")
            if payment["order_id"] and self.bank.order(payment["order_id"])["_partial"]:
                no("Transfers cannot be created on an order with partial payment.")
            made = [self._new(each, id, f"transfers.{at}.") for at, each in enumerate(asked)]
            shared = sum(each["amount"] - each["amount_reversed"] for each in self.store.all("transfer", id))
            if shared + sum(each["amount"] for each in made) > payment["amount"] - payment["amount_refunded"]:
                no("The sum of amount requested for transfer is greater than the captured amount")
            return collection([self._send(each) for each in made])

    def transfer(self) -> Thing:
        given = body()
        return self.bank.once(
            "transfer",
            request.headers.get("X-Transfer-Idempotency"),
            given,
            lambda: public(self._send(self._new(given, "acc_sandbox", ""))),
        )

    def _new(self, given: Thing, source: str, where: str) -> Thing:
        asked = amount(given, words=f"The {where}amount must be at least 100.", field=f"{where}amount")
        if not re.fullmatch(r"acc_[A-Za-z0-9]{14}", str(given.get("account"))):
            no(f"{given.get('account')} is an invalid account_code.", field=f"{where}account")
        if given.get("currency") != "INR":
            no("The currency should be INR for transfers", field=f"{where}currency")
        said, shown = notes(given), given.get("linked_account_notes") or []
        if not isinstance(shown, list) or any(each not in (said or {}) for each in shown):
            no("Keys sent in linked_account_notes must exist in notes", field=f"{where}linked_account_notes")
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
            "notes": said,
            "linked_account_notes": shown,
            "on_hold": bool(given.get("on_hold")),
            "on_hold_until": given.get("on_hold_until"),
            "recipient_settlement_id": None,
            "created_at": now(),
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

    def _send(self, transfer: Thing) -> Thing:
        self.store.soon("transfer", transfer["id"], SOON, {})
        return self.store.put("transfer", transfer, transfer["source"])

    def list_shares(self, id: str) -> Thing:
        return collection(self.store.all("transfer", self.bank.payment(id)["id"]))

    def list_transfers(self) -> Thing:
        return newest(self.store.all("transfer"))

    def show_transfer(self, id: str) -> Thing:
        return public(self.bank.find("transfer", id))

    def hold_transfer(self, id: str) -> Thing:
        said = {name: value for name, value in body().items() if name in ("on_hold", "on_hold_until", "notes")}
        with self.store.open():
            return public(self.store.put("transfer", self.bank.find("transfer", id) | said))

    def reverse(self, id: str) -> Thing:
        with self.store.open():
            transfer = self.bank.find("transfer", id)
            left = transfer["amount"] - transfer["amount_reversed"]
            asked = amount({"amount": left} | body(), least=1)
            if asked > left:
                no("The amount may not be greater than the remaining amount of the transfer.", field="amount")
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
                "created_at": now(),
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
        given = body()
        name = text(given, "name", 50)
        if given.get("type") not in (None, "", *_CONTACTS):
            no(f"Invalid type: {given['type']}", field="type")
        contact = {
            "id": new_id("cont"),
            "entity": "contact",
            "name": name,
            "contact": given.get("contact"),
            "email": given.get("email"),
            "type": given.get("type"),
            "reference_id": short(given, "reference_id"),
            "batch_id": None,
            "active": True,
            "notes": notes(given),
            "created_at": now(),
        }
        return self.store.put("contact", contact)

    def list_contacts(self) -> Thing:
        return newest(self.store.all("contact"))

    def show_contact(self, id: str) -> Thing:
        return self.bank.find("contact", id)

    def make_account(self) -> Thing:
        given = body()
        contact = self.bank.find("contact", text(given, "contact_id"))
        kind = given.get("account_type")
        if kind not in ("bank_account", "vpa"):
            no("The selected account type is invalid.", field="account_type")
        details = given.get(kind)
        if not isinstance(details, dict):
            no(f"The {str(kind).replace('_', ' ')} field is required.", field=str(kind))
        account = {
            "id": new_id("fa"),
            "entity": "fund_account",
            "contact_id": contact["id"],
            "account_type": kind,
            kind: _details(str(kind), details),
            "batch_id": None,
            "active": True,
            "created_at": now(),
        }
        return self.store.put("fund_account", account, contact["id"])

    def list_accounts(self) -> Thing:
        return newest(self.store.all("fund_account", request.args.get("contact_id")))

    def show_account(self, id: str) -> Thing:
        return self.bank.find("fund_account", id)

    def pay_out(self) -> Thing:
        key = request.headers.get("X-Payout-Idempotency")
        if not key:
            no(
                "Idempotency key is missing. Include idempotency header and key in the request.",
                field="X-Payout-Idempotency",
            )
        if not re.fullmatch(r"[A-Za-z0-9_ -]{4,36}", key):
            no(
                "The idempotency key must be between 4 and 36 characters long, of letters, digits, hyphens, underscores and spaces.",
                field="X-Payout-Idempotency",
            )
        given = body()
        return self.bank.once("payout", key, given, lambda: public(self._pay_out(given)))

    def _pay_out(self, given: Thing) -> Thing:
        asked = amount(given, words="The amount must be at least INR 1.00")
        text(given, "account_number")
        account = self.bank.find("fund_account", text(given, "fund_account_id"))
        if given.get("currency") != "INR":
            no("The selected currency is invalid.", field="currency")
        if given.get("mode") not in _MODES or (given["mode"] == "UPI") != (account["account_type"] == "vpa"):
            no("Payout mode is invalid", field="mode")
        payout = {
            "id": new_id("pout"),
            "entity": "payout",
            "fund_account_id": account["id"],
            "amount": asked,
            "currency": "INR",
            "notes": notes(given),
            "fees": 0,
            "tax": 0,
            "status": "processing",
            "purpose": text(given, "purpose"),
            "utr": None,
            "mode": given["mode"],
            "reference_id": short(given, "reference_id"),
            "narration": given.get("narration"),
            "batch_id": None,
            "failure_reason": None,
            "created_at": now(),
            "fee_type": None,
            "status_details": {"reason": None, "description": None, "source": None},
        }
        self.store.put("payout", payout)
        self.bank.tell("payout.initiated", {}, payout=payout)
        ends = (self.store.planned("payout") or {"payout": "processed"})["payout"]
        if ends != "pending":
            self.store.soon("payout", payout["id"], SOON, {"ends": ends})
        return payout

    def decide(self, id: str, outcome: str, how: How) -> Thing:
        """A payout that was made may still be sent back by the payee's bank; nothing else is decided twice."""
        with self.store.open():
            payout = self.bank.find("payout", id)
            if payout["status"] != "processing" and (payout["status"], outcome) != ("processed", "reversed"):
                no(f"This payout is already {payout['status']}.")
            changes: Thing = {"utr": f"{now()}{id[-6:].lower()}"} if outcome == "processed" else _no_account()
            payout = self.store.put("payout", payout | {"status": outcome} | changes)
            self.bank.tell(f"payout.{outcome}", how, payout=payout)
            return payout

    def list_payouts(self) -> Thing:
        return newest(self.store.all("payout"))

    def show_payout(self, id: str) -> Thing:
        return self.bank.find("payout", id)


def _no_account() -> Thing:
    why = "The beneficiary's bank could not credit the account."
    return {
        "failure_reason": why,
        "status_details": {"reason": "beneficiary_bank_failure", "description": why, "source": "beneficiary_bank"},
    }


def _details(kind: str, given: Thing) -> Thing:
    if kind == "vpa":
        address = text(given, "address")
        name, at, handle = address.partition("@")
        return (
            {"username": name, "handle": handle, "address": address}
            if at and name and handle
            else no("Invalid VPA. Please enter a valid Virtual Payment Address")
        )
    ifsc: Any = text(given, "ifsc")
    if not re.fullmatch(r"[A-Z]{4}0[A-Z0-9]{6}", ifsc):
        no("Invalid IFSC Code in Bank Account", field="ifsc")
    number = text(given, "account_number")
    if not re.fullmatch(r"[A-Za-z0-9]{5,35}", number):
        no(
            "The account number may only contain letters and numbers, and be between 5 and 35 characters.",
            field="account_number",
        )
    return {
        "ifsc": ifsc,
        "bank_name": "Sandbox Bank",
        "name": text(given, "name"),
        "notes": [],
        "account_number": number,
    }

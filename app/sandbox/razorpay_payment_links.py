"""Razorpay payment links, simulated: an order with its own page, part payments, cancelling and expiry."""

from __future__ import annotations

import re
from typing import Any

from flask import request

from app.sandbox.razorpay_bank import Bank, Delivery
from app.sandbox.razorpay_wire import (
    Route,
    Thing,
    is_whole,
    json_body,
    new_id,
    newest_page,
    public_fields,
    read_amount,
    read_notes,
    read_reference,
    refuse,
    unix_now,
)

SHORTEST_EXPIRY = 15 * 60  # seconds from now


class PaymentLinks:
    def __init__(self, bank: Bank) -> None:
        self.bank, self.store = bank, bank.store
        bank.on_order_paid.append(self._record_payment)
        bank.sender.periodic.append(self.expire_due)

    def routes(self) -> list[Route]:
        return [
            ("/v1/payment_links", "POST", self.create_link),
            ("/v1/payment_links/", "POST", self.create_link),
            ("/v1/payment_links", "GET", self.list_links),
            ("/v1/payment_links/<id>", "GET", self.show_link),
            ("/v1/payment_links/<id>/cancel", "POST", self.cancel_link),
        ]

    def create_link(self) -> Thing:
        given = json_body()
        asked = read_amount(given, words="The amount must be atleast INR 1.00")
        reference = read_reference(given, "reference_id")
        if reference and self.store.all("payment_link", str(reference)):
            refuse(f"payment link creation with reference ID ({reference}) already attempted", field="reference_id")
        back = given.get("callback_url") or ""
        if back and (not re.match(r"https?://", str(back)) or given.get("callback_method") != "get"):
            refuse("The callback_method must be get when a callback_url is sent.", field="callback_method")
        return public_fields(self._new_link(given, asked, reference, _expiry(given), str(back)))

    def _new_link(self, given: Thing, asked: int, reference: Any, until: int, back: str) -> Thing:
        id, partial = new_id("plink"), given.get("accept_partial") is True
        link_notes, customer = read_notes(given), given.get("customer")
        with self.store.open():
            order = self.bank.open_order(
                asked, str(given.get("currency") or "INR"), None, link_notes, partial=partial, link=id
            )
            link = {
                "id": id,
                "entity": "payment_link",
                "amount": asked,
                "amount_paid": 0,
                "currency": order["currency"],
                "accept_partial": partial,
                "first_min_partial_amount": given.get("first_min_partial_amount", 0),
                "description": given.get("description", ""),
                "customer": customer if isinstance(customer, dict) else {},
                "expire_by": until,
                "expired_at": 0,
                "cancelled_at": 0,
                "notify": given.get("notify") or {"email": False, "sms": False},
                "notes": link_notes or None,
                "order_id": order["id"],
                "payments": None,
                "reference_id": reference or "",
                "reminder_enable": bool(given.get("reminder_enable")),
                "reminders": [],
                "short_url": f"{self.bank.settings.base_url.rstrip('/')}/sandbox/razorpay/l/{id}",
                "status": "created",
                "upi_link": False,
                "callback_url": back,
                "callback_method": "get" if back else "",
                "created_at": unix_now(),
                "updated_at": unix_now(),
                "user_id": "",
            }
            if until:
                self.store.schedule("link", id, until - unix_now(), {})
            return self.store.put("payment_link", link, str(reference or ""))

    def list_links(self) -> Thing:
        wanted = request.args.get("payment_id"), request.args.get("reference_id")
        every = [
            each
            for each in self.store.all("payment_link", wanted[1])
            if not wanted[0] or wanted[0] in str(each["payments"])
        ]
        listed = newest_page(every)
        return {"payment_links": listed["items"]} | {name: listed[name] for name in ("entity", "count")}

    def show_link(self, id: str) -> Thing:
        return public_fields(self.find_link(id))

    def find_link(self, id: str) -> Thing:
        return self.bank.find_entity("payment_link", id)

    def cancel_link(self, id: str) -> Thing:
        with self.store.open():
            link = self.find_link(id)
            if link["status"] in ("paid", "partially_paid"):
                refuse("cannot cancel or expire an already paid/partially paid link")
            if link["status"] != "created":
                refuse("cannot cancel or expire an expired link")
            return public_fields(self._end_link(link, "cancelled", {}))

    def expire_due(self) -> None:
        with self.store.open():
            for id, how in self.store.take_due("link"):
                link = self.find_link(id)
                if link["status"] in ("created", "partially_paid"):
                    self._end_link(link, "expired", how)

    def expire_link(self, id: str, how: Delivery) -> Thing:
        """Expire a link now, whatever its expiry time."""
        with self.store.open():
            link = self.find_link(id)
            return (
                public_fields(self._end_link(link, "expired", how))
                if link["status"] in ("created", "partially_paid")
                else refuse("cannot cancel or expire an expired link")
            )

    def _end_link(self, link: Thing, status: str, how: Delivery) -> Thing:
        ended = self._update_link(link, status=status, **{f"{status}_at": unix_now()})
        self.bank.send_event(f"payment_link.{status}", how, payment_link=ended)
        return ended

    def _update_link(self, link: Thing, **changes: Any) -> Thing:
        return self.store.put("payment_link", link | changes | {"updated_at": unix_now()})

    # --- paying ---

    def pay_link(self, link: Thing, outcome: str, how: Delivery, **changes: Any) -> Thing:
        if link["status"] not in ("created", "partially_paid"):
            refuse(f"This payment link is {link['status'].replace('_', ' ')}.")
        due = link["amount"] - link["amount_paid"]
        asked = changes.get("amount", due)
        if asked > due or (asked < due and not link["accept_partial"]):
            refuse(
                "Payment amount is greater than the amount due for order"
                if asked > due
                else "partial payment is not enabled on this link",
                field="amount",
            )
        if asked < due and not link["amount_paid"] and asked < link["first_min_partial_amount"]:
            refuse("The amount must be at least the first minimum partial amount.", field="amount")
        return self.bank.attempt_payment(link["order_id"], outcome, how, **changes)

    def _record_payment(self, order: Thing, payment: Thing, how: Delivery) -> None:
        if not order["_link"]:
            return
        link = self.find_link(order["_link"])
        paid = {
            "amount": payment["amount"],
            "created_at": payment["created_at"],
            "method": payment["method"],
            "payment_id": payment["id"],
            "plink_id": link["id"],
            "status": "captured",
            "updated_at": unix_now(),
        }
        status = "paid" if order["status"] == "paid" else "partially_paid"
        link = self._update_link(
            link, amount_paid=order["amount_paid"], status=status, payments=[*(link["payments"] or []), paid]
        )
        # In this webhook Razorpay sends the ids without their prefixes.
        inner = order | {
            "id": order["id"].removeprefix("order_"),
            "product_id": link["id"].removeprefix("plink_"),
            "product_type": "payment_link_v2",
        }
        self.bank.send_event(f"payment_link.{status}", how, payment_link=link, order=inner, payment=payment)

    def callback_fields(self, link: Thing, payment: Thing) -> dict[str, str]:
        signed = {
            "payment_link_id": link["id"],
            "payment_link_reference_id": link["reference_id"],
            "payment_link_status": link["status"],
            "payment_id": payment["id"],
        }
        return {f"razorpay_{name}": value for name, value in signed.items()} | {
            "razorpay_signature": self.bank.sign("|".join(signed.values()))
        }


def _expiry(given: Thing) -> int:
    until = given.get("expire_by", 0)
    if not isinstance(until, int) or not is_whole(until):
        refuse("expire_by: must be an integer.", field="expire_by")
    if until and until < unix_now() + SHORTEST_EXPIRY:
        refuse("timestamp must be atleast 15 minutes in future", field="expire_by")
    return until

"""Payment links: an order with an address of its own, which can be paid in parts, cancelled, and runs out."""

from __future__ import annotations

import re
from typing import Any

from flask import request

from app.sandbox.razorpay_bank import Bank, How
from app.sandbox.razorpay_wire import Route, Thing, amount, body, new_id, newest, no, notes, now, public, short, whole

SOONEST = 15 * 60  # seconds from now until a link may run out


class Links:
    def __init__(self, bank: Bank) -> None:
        self.bank, self.store = bank, bank.store
        bank.when_paid.append(self._take)
        bank.postman.rounds.append(self.let_run_out)

    def routes(self) -> list[Route]:
        return [
            ("/v1/payment_links", "POST", self.make),
            ("/v1/payment_links/", "POST", self.make),
            ("/v1/payment_links", "GET", self.list_all),
            ("/v1/payment_links/<id>", "GET", self.show),
            ("/v1/payment_links/<id>/cancel", "POST", self.cancel),
        ]

    def make(self) -> Thing:
        given = body()
        asked = amount(given, words="The amount must be atleast INR 1.00")
        reference = short(given, "reference_id")
        if reference and self.store.all("payment_link", str(reference)):
            no(f"payment link creation with reference ID ({reference}) already attempted", field="reference_id")
        back = given.get("callback_url") or ""
        if back and (not re.match(r"https?://", str(back)) or given.get("callback_method") != "get"):
            no("The callback_method must be get when a callback_url is sent.", field="callback_method")
        return public(self._keep_new(given, asked, reference, _until(given), str(back)))

    def _keep_new(self, given: Thing, asked: int, reference: Any, until: int, back: str) -> Thing:
        id, partial = new_id("plink"), given.get("accept_partial") is True
        said, customer = notes(given), given.get("customer")
        with self.store.open():
            order = self.bank.open_order(
                asked, str(given.get("currency") or "INR"), None, said, partial=partial, link=id
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
                "notes": said or None,
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
                "created_at": now(),
                "updated_at": now(),
                "user_id": "",
            }
            if until:
                self.store.soon("link", id, until - now(), {})
            return self.store.put("payment_link", link, str(reference or ""))

    def list_all(self) -> Thing:
        wanted = request.args.get("payment_id"), request.args.get("reference_id")
        every = [
            each
            for each in self.store.all("payment_link", wanted[1])
            if not wanted[0] or wanted[0] in str(each["payments"])
        ]
        told = newest(every)
        return {"payment_links": told["items"]} | {name: told[name] for name in ("entity", "count")}

    def show(self, id: str) -> Thing:
        return public(self.find(id))

    def find(self, id: str) -> Thing:
        return self.bank.find("payment_link", id)

    def cancel(self, id: str) -> Thing:
        with self.store.open():
            link = self.find(id)
            if link["status"] in ("paid", "partially_paid"):
                no("cannot cancel or expire an already paid/partially paid link")
            if link["status"] != "created":
                no("cannot cancel or expire an expired link")
            return public(self._end(link, "cancelled", {}))

    def let_run_out(self) -> None:
        with self.store.open():
            for id, how in self.store.due("link"):
                link = self.find(id)
                if link["status"] in ("created", "partially_paid"):
                    self._end(link, "expired", how)

    def expire(self, id: str, how: How) -> Thing:
        """Its time is over now, whatever it said."""
        with self.store.open():
            link = self.find(id)
            return (
                public(self._end(link, "expired", how))
                if link["status"] in ("created", "partially_paid")
                else no("cannot cancel or expire an expired link")
            )

    def _end(self, link: Thing, status: str, how: How) -> Thing:
        ended = self._keep(link, status=status, **{f"{status}_at": now()})
        self.bank.tell(f"payment_link.{status}", how, payment_link=ended)
        return ended

    def _keep(self, link: Thing, **changes: Any) -> Thing:
        return self.store.put("payment_link", link | changes | {"updated_at": now()})

    # --- paying ---

    def pay(self, link: Thing, outcome: str, how: How, **changes: Any) -> Thing:
        if link["status"] not in ("created", "partially_paid"):
            no(f"This payment link is {link['status'].replace('_', ' ')}.")
        due = link["amount"] - link["amount_paid"]
        asked = changes.get("amount", due)
        if asked > due or (asked < due and not link["accept_partial"]):
            no(
                "Payment amount is greater than the amount due for order"
                if asked > due
                else "partial payment is not enabled on this link",
                field="amount",
            )
        if asked < due and not link["amount_paid"] and asked < link["first_min_partial_amount"]:
            no("The amount must be at least the first minimum partial amount.", field="amount")
        return self.bank.attempt(link["order_id"], outcome, how, **changes)

    def _take(self, order: Thing, payment: Thing, how: How) -> None:
        if not order["_link"]:
            return
        link = self.find(order["_link"])
        paid = {
            "amount": payment["amount"],
            "created_at": payment["created_at"],
            "method": payment["method"],
            "payment_id": payment["id"],
            "plink_id": link["id"],
            "status": "captured",
            "updated_at": now(),
        }
        status = "paid" if order["status"] == "paid" else "partially_paid"
        link = self._keep(
            link, amount_paid=order["amount_paid"], status=status, payments=[*(link["payments"] or []), paid]
        )
        # Razorpay sends the order in another dress here: its id has lost its beginning.
        inner = order | {
            "id": order["id"].removeprefix("order_"),
            "product_id": link["id"].removeprefix("plink_"),
            "product_type": "payment_link_v2",
        }
        self.bank.tell(f"payment_link.{status}", how, payment_link=link, order=inner, payment=payment)

    def proof(self, link: Thing, payment: Thing) -> dict[str, str]:
        said = {
            "payment_link_id": link["id"],
            "payment_link_reference_id": link["reference_id"],
            "payment_link_status": link["status"],
            "payment_id": payment["id"],
        }
        return {f"razorpay_{name}": value for name, value in said.items()} | {
            "razorpay_signature": self.bank.sign("|".join(said.values()))
        }


def _until(given: Thing) -> int:
    until = given.get("expire_by", 0)
    if not isinstance(until, int) or not whole(until):
        no("expire_by: must be an integer.", field="expire_by")
    if until and until < now() + SOONEST:
        no("timestamp must be atleast 15 minutes in future", field="expire_by")
    return until

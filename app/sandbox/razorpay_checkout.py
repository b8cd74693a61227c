"""Razorpay Checkout, simulated: the hosted page, the page of a payment link, and checkout.js for a shop's page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Response, current_app, redirect, render_template, request

from app.kernel import clock
from app.sandbox.razorpay_bank import Bank
from app.sandbox.razorpay_payment_links import PaymentLinks
from app.sandbox.razorpay_wire import ApiError, Route, Thing, format_amount, read_amount, read_input, refuse

_KEPT = ("key_id", "order_id", "name", "description", "callback_url", "cancel_url")


class Checkout:
    def __init__(self, bank: Bank, links: PaymentLinks) -> None:
        self.bank, self.links = bank, links

    def routes(self) -> list[Route]:
        return [
            ("/v1/checkout/embedded", "POST", self.show_checkout),
            ("/checkout/<id>", "POST", self.press_button),
            ("/l/<id>", "GET", self.show_link),
            ("/l/<id>", "POST", self.pay_from_link),
            ("/sim/checkout.js", "GET", self.serve_script),
            ("/sim/back", "POST", self.show_returned),
            ("/sim/away", "GET", self.show_cancelled),
        ]

    def show_checkout(self) -> Any:
        form = request.form
        try:
            if form.get("key_id") != self.bank.settings.razorpay_key:
                raise ApiError("The api key provided is invalid")
            return self._checkout_page(self.bank.find_order(form.get("order_id", "")), form)
        except ApiError as wrong:
            return _error_page(wrong.text)

    def _checkout_page(
        self, order: Thing, form: Mapping[str, str], trouble: str = "", failed: Mapping[str, str] | None = None
    ) -> str:
        _safe_address(form, "callback_url")
        kept = {name: value for name, value in form.items() if name in _KEPT or name.startswith(("prefill[", "notes["))}
        due = format_amount(order["amount_due"] or order["amount"], order["currency"])
        return render_template(
            "sandbox/checkout.html",
            order=order,
            kept=kept,
            trouble=trouble,
            failed=failed,
            amount=due,
            shop=form.get("name", "the merchant"),
        )

    def press_button(self, id: str) -> Any:
        """Handle a button of the payer. The result goes back as Razorpay sends it: a form posted to the shop."""
        try:
            return self._handle_press(self.bank.find_order(id), request.form)
        except ApiError as wrong:
            return _error_page(wrong.text, request.form.get("cancel_url", ""))

    def _handle_press(self, order: Thing, form: Mapping[str, str]) -> Any:
        if order["status"] == "paid" and form.get("cancel_url"):
            return redirect(_safe_address(form, "cancel_url"), 303)  # paid in another tab; the shop shows that
        press, back, payer = form.get("press"), _safe_address(form, "callback_url"), _payer_details(form)
        if press == "pay":
            if trouble := _card_trouble(form):
                return self._checkout_page(order, form, trouble), 400
            paid = self.bank.attempt_payment(order["id"], "captured", {}, **payer)
            return render_template("sandbox/back.html", to=back, fields=self.bank.checkout_proof(paid))
        if press == "fail":
            failed = self.bank.attempt_payment(order["id"], "failed", {}, **payer)
            return self._checkout_page(
                order,
                form,
                failed["error_description"] + " Try again, or return to the website.",
                _failure_fields(failed),
            )
        if press == "late":
            self.bank.attempt_payment(order["id"], "late", {}, **payer)
        if not form.get("cancel_url"):  # optional at Razorpay, which then keeps the payer here
            return render_template("sandbox/sorry.html", words="You can close this page.", away="")
        return redirect(_safe_address(form, "cancel_url"), 303)

    # --- page of a payment link ---

    def show_link(self, id: str) -> Any:
        try:
            return self._link_page(self.links.find_link(id))
        except ApiError as wrong:
            return _error_page(wrong.text)

    def _link_page(self, link: Thing, trouble: str = "") -> str:
        due = link["amount"] - link["amount_paid"]
        return render_template(
            "sandbox/link.html", link=link, due=due, amount_due=format_amount(due, link["currency"]), trouble=trouble
        )

    def pay_from_link(self, id: str) -> Any:
        try:
            link = self.links.find_link(id)
            if trouble := _card_trouble(request.form):
                return self._link_page(link, trouble), 400
            part = {"amount": read_amount(read_input(), least=1)} if request.form.get("amount") else {}
            if request.form.get("press") == "fail":
                failed = self.links.pay_link(link, "failed", {}, **part)
                return self._link_page(link, failed["error_description"] + " Please try again.")
            paid = self.links.pay_link(link, "captured", {}, **part)
        except ApiError as wrong:
            return _error_page(wrong.text)
        link = self.links.find_link(id)
        if link["callback_url"]:
            address = link["callback_url"]
            return redirect(
                f"{address}{'&' if '?' in address else '?'}{urlencode(self.links.callback_fields(link, paid))}", 303
            )
        return self._link_page(link)

    # --- checkout.js for a shop's page ---

    def serve_script(self) -> Response:
        return current_app.send_static_file("sandbox/checkout.js")

    def show_returned(self) -> str:
        """End page of a checkout opened by checkout.js: passes the result to the page around it."""
        return render_template("sandbox/told.html", fields=request.form)

    def show_cancelled(self) -> str:
        return render_template("sandbox/told.html", fields={})


def _error_page(words: str, away: str = "") -> tuple[str, int]:
    return render_template("sandbox/sorry.html", words=words, away=away), 400


def _payer_details(form: Mapping[str, str]) -> Thing:
    """Copy the prefilled payer details and notes into the payment, as Razorpay does."""
    details = {name: form[f"prefill[{name}]"] for name in ("email", "contact") if form.get(f"prefill[{name}]")}
    order_notes = {
        name[6:-1]: value for name, value in form.items() if name.startswith("notes[") and name.endswith("]")
    }
    return details | {"notes": order_notes or [], "description": form.get("description")}


def _failure_fields(failed: Thing) -> dict[str, str]:
    """Fields of a failed payment, as Razorpay posts them to the callback address."""
    fields = {
        f"error[{name}]": str(failed[f"error_{name}"]) for name in ("code", "description", "source", "step", "reason")
    }
    return fields | {"error[metadata]": json.dumps({"payment_id": failed["id"], "order_id": failed["order_id"]})}


def _safe_address(form: Mapping[str, str], name: str) -> str:
    """Return an address of the form; only http(s) or a path, so that it cannot be a script."""
    address = form.get(name, "")
    return address if re.match(r"https?://|/(?!/)", address) else refuse(f"The {name} field is required.", field=name)


def _card_trouble(form: Mapping[str, str]) -> str:
    """Say why a card cannot be charged, or "". Without a card number it is a UPI payment."""
    number, expiry = form.get("card", "").replace(" ", ""), form.get("expiry", "")
    if not number:
        return ""
    if not re.fullmatch(r"[0-9]{12,19}", number):
        return "Please enter a valid card number."
    valid = re.fullmatch(r"\s*(0?[1-9]|1[0-2])\s*/\s*(?:20)?([0-9]{2})\s*", expiry)
    if not valid:
        return "Please enter a valid expiry date."
    today = clock.now()
    if (2000 + int(valid[2]), int(valid[1])) < (today.year, today.month):
        return "Your card has expired. Please use another card."
    if not re.fullmatch(r"[0-9]{3,4}", form.get("cvv", "").strip()):
        return "Please enter a valid CVV."
    return ""

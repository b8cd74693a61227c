"""What the payer sees: the hosted checkout, its buttons, the page behind a payment link, and the script that opens it all in a shop's own page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Response, current_app, redirect, render_template, request

from app.kernel import clock
from app.sandbox.razorpay_bank import Bank
from app.sandbox.razorpay_payment_links import Links
from app.sandbox.razorpay_wire import Route, Thing, Wrong, amount, asked, no, shown

_KEPT = ("key_id", "order_id", "name", "description", "callback_url", "cancel_url")


class Checkout:
    def __init__(self, bank: Bank, links: Links) -> None:
        self.bank, self.links = bank, links

    def routes(self) -> list[Route]:
        return [
            ("/v1/checkout/embedded", "POST", self.show),
            ("/checkout/<id>", "POST", self.press),
            ("/l/<id>", "GET", self.show_link),
            ("/l/<id>", "POST", self.press_link),
            ("/sim/checkout.js", "GET", self.script),
            ("/sim/back", "POST", self.back),
            ("/sim/away", "GET", self.away),
        ]

    def show(self) -> Any:
        form = request.form
        try:
            if form.get("key_id") != self.bank.settings.razorpay_key:
                raise Wrong("The api key provided is invalid")
            return self._page(self.bank.order(form.get("order_id", "")), form)
        except Wrong as wrong:
            return _sorry(wrong.text)

    def _page(
        self, order: Thing, form: Mapping[str, str], trouble: str = "", failed: Mapping[str, str] | None = None
    ) -> str:
        _address(form, "callback_url")
        kept = {name: value for name, value in form.items() if name in _KEPT or name.startswith(("prefill[", "notes["))}
        due = shown(order["amount_due"] or order["amount"], order["currency"])
        return render_template(
            "sandbox/checkout.html",
            order=order,
            kept=kept,
            trouble=trouble,
            failed=failed,
            amount=due,
            shop=form.get("name", "the merchant"),
        )

    def press(self, id: str) -> Any:
        """One of the payer's buttons. What came of it is sent back as Razorpay does it: a form, posted to the shop."""
        try:
            return self._press(self.bank.order(id), request.form)
        except Wrong as wrong:
            return _sorry(wrong.text, request.form.get("cancel_url", ""))

    def _press(self, order: Thing, form: Mapping[str, str]) -> Any:
        if order["status"] == "paid" and form.get("cancel_url"):
            return redirect(_address(form, "cancel_url"), 303)  # paid in another tab: the shop knows, and says so
        press, back, payer = form.get("press"), _address(form, "callback_url"), _payer(form)
        if press == "pay":
            if trouble := _card_trouble(form):
                return self._page(order, form, trouble), 400
            paid = self.bank.attempt(order["id"], "captured", {}, **payer)
            return render_template("sandbox/back.html", to=back, fields=self.bank.proof(paid))
        if press == "fail":
            failed = self.bank.attempt(order["id"], "failed", {}, **payer)
            return self._page(
                order, form, failed["error_description"] + " Try again, or return to the website.", _told(failed)
            )
        if press == "late":
            self.bank.attempt(order["id"], "late", {}, **payer)
        if not form.get("cancel_url"):  # Razorpay asks for none, and then leaves the payer here
            return render_template("sandbox/sorry.html", words="You can close this page.", away="")
        return redirect(_address(form, "cancel_url"), 303)

    # --- the page behind a link ---

    def show_link(self, id: str) -> Any:
        try:
            return self._link_page(self.links.find(id))
        except Wrong as wrong:
            return _sorry(wrong.text)

    def _link_page(self, link: Thing, trouble: str = "") -> str:
        due = link["amount"] - link["amount_paid"]
        return render_template(
            "sandbox/link.html", link=link, due=due, shown=shown(due, link["currency"]), trouble=trouble
        )

    def press_link(self, id: str) -> Any:
        try:
            link = self.links.find(id)
            if trouble := _card_trouble(request.form):
                return self._link_page(link, trouble), 400
            part = {"amount": amount(asked(), least=1)} if request.form.get("amount") else {}
            if request.form.get("press") == "fail":
                failed = self.links.pay(link, "failed", {}, **part)
                return self._link_page(link, failed["error_description"] + " Please try again.")
            paid = self.links.pay(link, "captured", {}, **part)
        except Wrong as wrong:
            return _sorry(wrong.text)
        link = self.links.find(id)
        if link["callback_url"]:
            address = link["callback_url"]
            return redirect(f"{address}{'&' if '?' in address else '?'}{urlencode(self.links.proof(link, paid))}", 303)
        return self._link_page(link)

    # --- the script for a shop's own page ---

    def script(self) -> Response:
        return current_app.send_static_file("sandbox/checkout.js")

    def back(self) -> str:
        """Where the hosted page goes when the script opened it: it tells the page around it."""
        return render_template("sandbox/told.html", fields=request.form)

    def away(self) -> str:
        return render_template("sandbox/told.html", fields={})


def _sorry(words: str, away: str = "") -> tuple[str, int]:
    return render_template("sandbox/sorry.html", words=words, away=away), 400


def _payer(form: Mapping[str, str]) -> Thing:
    """What the shop filled in about the payer becomes part of the payment, as at Razorpay."""
    known = {name: form[f"prefill[{name}]"] for name in ("email", "contact") if form.get(f"prefill[{name}]")}
    said = {name[6:-1]: value for name, value in form.items() if name.startswith("notes[") and name.endswith("]")}
    return known | {"notes": said or [], "description": form.get("description")}


def _told(failed: Thing) -> dict[str, str]:
    """The fields of a failure, as Razorpay posts them to the callback address."""
    told = {
        f"error[{name}]": str(failed[f"error_{name}"]) for name in ("code", "description", "source", "step", "reason")
    }
    return told | {"error[metadata]": json.dumps({"payment_id": failed["id"], "order_id": failed["order_id"]})}


def _address(form: Mapping[str, str], name: str) -> str:
    """Where the payer goes next; a page is not made to run somebody's script."""
    address = form.get(name, "")
    return address if re.match(r"https?://|/(?!/)", address) else no(f"The {name} field is required.", field=name)


def _card_trouble(form: Mapping[str, str]) -> str:
    """The words for a card that cannot be charged; a payment without a card is Razorpay's UPI, and always fine."""
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

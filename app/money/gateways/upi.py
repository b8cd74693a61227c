"""UPI payment links: the address and amount in the QR code that Indian payment apps scan."""

from __future__ import annotations

import re
from urllib.parse import quote

from app.money.sums.amount import Money

_VPA = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}@[A-Za-z][A-Za-z0-9]{1,63}")


def is_vpa(text: str) -> bool:
    """Check a UPI address (VPA), such as cityclinic@okbank."""
    return _VPA.fullmatch(text) is not None


def payable_by_upi(vpa: str, due: Money) -> bool:
    return is_vpa(vpa) and due.currency == "INR" and due.amount > 0


def upi_link(vpa: str, name: str, due: Money, *, note: str, reference: str) -> str:
    """Return the link for the QR code, with a fixed amount and a reference for the bank statement."""
    if not payable_by_upi(vpa, due):
        raise ValueError("UPI pays rupees that are due, to an address like name@bank.")
    fields = {
        "pa": vpa,
        "pn": _plain(name, 50),
        "am": due.plain,
        "cu": due.currency,
        "tn": _plain(note, 50),
        "tr": reference[:35],
    }
    return "upi://pay?" + "&".join(f"{key}={quote(value, safe='@')}" for key, value in fields.items())


def _plain(text: str, longest: int) -> str:
    """Return one short line, because payment apps cut or refuse anything else."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:longest].strip()

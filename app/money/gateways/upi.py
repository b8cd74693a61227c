"""UPI: the payment that an Indian phone starts by looking at a square."""

from __future__ import annotations

import re
from urllib.parse import quote

from app.money.sums.amount import Money

_VPA = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}@[A-Za-z][A-Za-z0-9]{1,63}")


def is_vpa(text: str) -> bool:
    """The payee's address at a bank: cityclinic@okbank."""
    return _VPA.fullmatch(text) is not None


def payable_by_upi(vpa: str, due: Money) -> bool:
    return is_vpa(vpa) and due.currency == "INR" and due.amount > 0


def upi_link(vpa: str, name: str, due: Money, *, note: str, reference: str) -> str:
    """What the square says. The amount is fixed in it, and the reference comes back on the bank's statement."""
    if not payable_by_upi(vpa, due):
        raise ValueError("UPI pays rupees that are due, to an address like name@bank.")
    said = {
        "pa": vpa,
        "pn": _plain(name, 50),
        "am": due.plain,
        "cu": due.currency,
        "tn": _plain(note, 50),
        "tr": reference[:35],
    }
    return "upi://pay?" + "&".join(f"{key}={quote(value, safe='@')}" for key, value in said.items())


def _plain(text: str, longest: int) -> str:
    """One line, and short: payment apps cut or refuse the rest."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:longest].strip()

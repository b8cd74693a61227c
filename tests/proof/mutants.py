"""Mutation tests: faults put into a copy of the code on purpose, each of which the proof has to notice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
COPIED = ("app", "deploy", "migrations", "static", "templates", "tests", "config.py", "worker.py", "pyproject.toml")
STORIES, ORDERS, RACES = (f"tests/proof/test_{name}.py" for name in ("stories", "orders", "races"))


@dataclass(frozen=True)
class Mutant:
    """One change of the code, what it breaks, and the part of the proof that should notice."""

    breaks: str
    file: str
    old: str
    new: str
    asked: str = STORIES
    about: str = ""  # the tests that are likeliest to notice, for speed; empty asks all of the file

    def applies(self) -> bool:
        return (ROOT / self.file).read_text().count(self.old) == 1


MUTANTS = [
    Mutant(
        "a payment of a different amount is accepted",
        "app/money/bills/payment.py",
        "elif charge.money != self.bill.price:",
        "elif False:",
        about="another",
    ),
    Mutant(
        "a second payment is treated as the first",
        "app/money/bills/payment.py",
        'elif self.bill.state == "paid":',
        "elif False:",
        about="twice or counter",
    ),
    Mutant(
        "a capture is posted once per payment request, not per payment",
        "app/money/bills/payment.py",
        'f"capture {self.id}",',
        'f"capture {self.bill_id}",',
        about="twice or counter",
    ),
    Mutant(
        "a failed payment can no longer be captured",
        "app/money/bills/payment.py",
        'waits = self.state in ("created", "failed", "authorized")',
        'waits = self.state in ("created", "authorized")',
        ORDERS,
    ),
    Mutant(
        "an old failure overwrites a later state",
        "app/money/bills/payment.py",
        'elif charge.state == "failed" and self.state == "created":',
        'elif charge.state == "failed":',
        ORDERS,
    ),
    Mutant(
        "a refund is not deducted from the payment request",
        "app/money/bills/bill.py",
        "        self.left = left.as_json()\n",
        "",
        about="cancelled or part",
    ),
    Mutant(
        "a refund is taken from an unallocated payment",
        "app/money/bills/bill.py",
        "        if payment.pays:\n            sides = self._reverse_revenue(money, f",
        "        if not payment.pays:\n            sides = self._reverse_revenue(money, f",
        about="cancelled or part",
    ),
    Mutant(
        "a payment after the appointment is not earned",
        "app/money/bills/bill.py",
        "        if self.thing.is_delivered:\n            self.deliver()\n",
        "",
        about="hour",
    ),
    Mutant(
        "income earned twice is posted once",
        "app/money/bills/bill.py",
        'key = f"earn {self.id}/{self.paying.id if self.paying else 0}"',
        'key = f"earn {self.id}"',
        about="hour",
    ),
    Mutant(
        "a bounced cheque still counts as paid",
        "app/money/bills/bill.py",
        'payment.pays, payment.owed_back = False, ""',
        'payment.owed_back = ""',
        about="bounces",
    ),
    Mutant(
        "lost payments are not looked for",
        "app/money/bills/bill.py",
        "look_at=clock.ahead(minutes=2),",
        "look_at=None,",
        ORDERS,
        "lost",
    ),
    Mutant(
        "a completed refund is not posted",
        "app/money/bills/refund.py",
        '        self._post("refund", "paid out", (account, -self.money))\n',
        "",
        about="cancelled or part",
    ),
    Mutant(
        "a refund is retried with its old key",
        "app/money/bills/refund.py",
        "self.tries, self.gateway_id, self.trouble, self.looked = self.tries + 1,",
        "self.tries, self.gateway_id, self.trouble, self.looked = self.tries,",
        about="tried",
    ),
    Mutant(
        "a refund from the gateway's dashboard replaces no other",
        "app/money/bills/refund.py",
        "            if short.amount > 0:\n",
        "            if False:\n",
        about="dashboard or before_we",
    ),
    Mutant(
        "unknown refunds are processed before known ones",
        "app/money/bills/refund.py",
        "key=lambda it: cls.find_match(payment, it) is None)",
        "key=lambda it: cls.find_match(payment, it) is not None)",
        about="dashboard",
    ),
    Mutant(
        "a declined refund still counts as promised",
        "app/money/bills/refund.py",
        "        self.trouble = asked.why\n        self.payment.back -= self.money\n",
        "        self.trouble = asked.why\n",
        about="declined",
    ),
    Mutant(
        "a returned coupon use is not counted",
        "app/money/sums/coupon.py",
        "        self.coupon.used -= 1\n",
        "        pass\n",
        about="coupon",
    ),
    Mutant(
        "a late payment skips the coupon check",
        "app/packs/bookings/booking/booking.py",
        "if no := coupon.redeem_again(self, self.person):",
        "if no := None:",
        about="coupon",
    ),
    Mutant(
        "a late payment skips the place check",
        "app/packs/bookings/booking/booking.py",
        "seat = self.find_free_seat(self.slot)",
        "seat = self.seat",
        about="seat",
    ),
    Mutant(
        "cancelling refunds nothing",
        "app/packs/bookings/booking/changes.py",
        '        give_back(booking, back, f"{self.number} was cancelled: {why}")\n',
        "",
        about="cancelled",
    ),
    Mutant(
        "cancelling earns nothing",
        "app/packs/bookings/booking/changes.py",
        "            bill.deliver()  # what is not refunded is earned\n",
        "",
        about="cancelled",
    ),
    Mutant(
        "a lost dispute is not posted",
        "app/money/bills/dispute.py",
        '        self._post("lost", "lost", ("disputes-lost", self.kept_back), ("disputed", -self.kept_back))\n',
        "",
        about="dispute",
    ),
    Mutant(
        "the second line of a settlement is not posted",
        "app/money/reconcile/settlement.py",
        'f"settled {self.gateway} {self.kind} {self.entity_id}",',
        'f"settled {self.gateway}",',
        about="paid_out or paid",
    ),
    Mutant("numbers are skipped", "app/kernel/numbering.py", "Series.last + 1", "Series.last + 2", about="part"),
    Mutant(
        "rows are read without a lock",
        "app/kernel/db.py",
        'session.refresh(self, with_for_update={"of": type(self), "key_share": True})',
        "session.refresh(self)",
        RACES,
        "holds",
    ),
]


def run(mutant: Mutant) -> tuple[bool, float]:
    """Run the tests on the mutant; return whether they noticed, and after how many seconds."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as place:
        home = Path(place)
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, home / name)
        file = home / mutant.file
        file.write_text(file.read_text().replace(mutant.old, mutant.new))
        asked = [
            sys.executable,
            "-m",
            "pytest",
            mutant.asked,
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            *(["-k", mutant.about] if mutant.about else []),
        ]
        quick = {name: value for name, value in os.environ.items() if not name.startswith("PROOF_")} | {
            "PYTHONPATH": place,
            "ORDERS": "60",
        }
        answer = subprocess.run(asked, cwd=home, env=quick, capture_output=True, text=True, check=False)
    if answer.returncode not in (0, 1) or "\nERROR " in answer.stdout:
        raise RuntimeError(
            f"{mutant.breaks}: the tests could not be asked\n{answer.stdout[-3000:]}{answer.stderr[-1000:]}"
        )
    return answer.returncode == 1, time.monotonic() - began

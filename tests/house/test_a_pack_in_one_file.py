"""Tests of the low-code promise: the lending library of the packs' README works as printed there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.conftest import ROOT

FOUND = re.search(r"```python\n(.*?)```", (ROOT / "app/packs/README.md").read_text(), re.DOTALL)

# Runs in its own process and database, because a declared noun stays in the metadata.
TRIAL = """
import sys, types
library = types.ModuleType("app.packs.library")
library.__dict__["__name__"] = "app.packs.library"
sys.modules["app.packs.library"] = library
exec(compile(SOURCE, "library.py", "exec"), library.__dict__)

from datetime import timedelta
from flask_jwt_extended import create_access_token
from sqlalchemy import select
from app import create_app
from app.desk.sign_in import security
from app.desk.sign_in.session import StaffSession
from app.kernel import clock, db, jobs
from app.kernel.db import session
from app.messages.message import Message
from app.packs import PACKS

app = create_app(packs=[*PACKS, library.pack])
told = app.test_cli_runner().invoke(args=["migrate"])
assert told.exit_code == 0, (told.output, told.exception)
with app.app_context():
    for noun in library.pack.nouns:
        noun.__table__.create(db.engine())
    sm = app.extensions["appbuilder"].sm
    ids = {}
    for name, role in (("dina", "Desk"), ("omar", "Auditor"), ("sven", "Practitioner")):
        email = name + "@example.com"
        user = security.add_user(sm, name, name=name, email=email, role=role, password="a long password")
        ids[name] = user.id
    tokens = {
        name: {"Authorization": "Bearer " + create_access_token(identity=str(id), fresh=True)}
        for name, id in ids.items()
    }
client = app.test_client()

def ask(who, method, path, **body):
    return client.open("/api/v1/" + path, method=method, json=body or None, headers=tokens[who])

# screens, REST, roles, moves
book = ask("dina", "POST", "item/", title="Middlemarch", author="George Eliot")
assert book.status_code == 201, book.text
assert (ask("omar", "GET", "item/").json["count"], ask("sven", "GET", "item/").status_code) == (1, 403)
assert ask("omar", "POST", "item/1/lend", name="Kim", email="kim@example.com").status_code == 403
lent = ask("dina", "POST", "item/1/lend", name="Kim", email="kim@example.com", days=3)
assert lent.json["result"]["state"] == "out", lent.text
assert ask("dina", "POST", "item/1/lend", name="Lee", email="lee@example.com").status_code == 409

def sign_in():
    with client.session_transaction() as cookie:
        cookie["_user_id"], cookie["_fresh"] = str(ids["dina"]), True
        cookie["sitting"] = StaffSession.begin(ids["dina"], address="127.0.0.1", device="the suite")

sign_in()
for path in (
    "item", "item/1", "item/new", "item/1/edit", "item/export.csv", "loan", "loan/1", "fine", "reports/late_loans/"
):
    page = client.get("/desk/" + path, follow_redirects=True)
    assert page.status_code == 200, (path, page.status_code, page.text[-1500:])

# the public page
shown = client.get("/library?q=middle").text
assert "Middlemarch" in shown and "George Eliot" in shown

# the reminder, the day before
def work_off():
    with app.app_context():
        while jobs.do_one():
            pass

with clock.frozen_at(clock.now() + timedelta(days=2, minutes=1)):
    work_off()
    with app.app_context():
        told = session.scalars(select(Message).where(Message.template == "library/due")).one()
        sent = told.state, told.subject
        assert sent == ("sent", "Middlemarch is due tomorrow"), (*sent, told.trouble)

# the fine, and the report, five days after
with clock.frozen_at(clock.now() + timedelta(days=8, minutes=1)):
    assert ask("dina", "POST", "loan/1/bring_back").json["result"]["state"] == "back"
    fine = ask("dina", "GET", "fine/1").json["result"]
    assert (fine["state"], fine["price"]["amount"]) == ("open", 5000), fine
    with app.app_context():
        row = library.Fine.get(1)
        address, bill = f"/owed/fine/{row.token}", row.bill
        token = bill.token
    assert "₹50.00" in client.get(address).text
    paid = ask("dina", "POST", "fine/1/mark_paid", how="cash", reference="R-1")
    assert paid.json["result"]["state"] == "paid", paid.text
    page = client.get(address).text
    assert "Paid. Thank you." in page and "Invoice" in page
    assert client.get(f"/pay/{token}").location == address
    assert ask("dina", "POST", "fine/1/waive").status_code == 409
assert ask("dina", "POST", "item/1/lend", name="Lee", email="lee@example.com", days=1).status_code == 200
assert "Middlemarch" not in client.get("/desk/reports/late_loans/").text
with clock.frozen_at(clock.now() + timedelta(days=2)):
    sign_in()
    assert "Middlemarch" in client.get("/desk/reports/late_loans/").text
print("the library is open")
"""


def test_a_small_pack_is_one_file_of_at_most_eighty_lines() -> None:
    assert FOUND
    assert len([line for line in FOUND[1].splitlines() if line.strip()]) <= 80


@pytest.mark.proof
def test_the_library_works_as_it_stands(sandbox: str, copied: Callable[[str], dict[str, str]]) -> None:
    assert FOUND
    own_house = copied("one_file")
    trial = f"SOURCE = {FOUND[1]!r}\n{TRIAL}"
    told = subprocess.run(
        [sys.executable, "-c", trial], cwd=ROOT, env=os.environ | own_house, capture_output=True, text=True, check=False
    )
    assert told.stdout.endswith("the library is open\n"), told.stdout + told.stderr

"""Tests of the low-code promise: the noun of the README's example works as printed there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.conftest import ROOT

EXAMPLE = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)

# Runs in its own process and database, because a declared noun stays in the metadata.
TRIAL = """
from typing import Any
from flask_jwt_extended import create_access_token
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship
from app import create_app
from app.desk.sign_in import security
from app.desk.declare.resource import Resource
from app.desk.sign_in.session import StaffSession
from app.kernel import db
from app.kernel.access import own
from app.kernel.db import Noun
from app.kernel.pack import Pack
from app.kernel.workflow import move
from app.packs import PACKS

{example}

app = create_app(packs=[*PACKS, Pack(name="library", label="Library", nouns=[Loan], resources=[loans])])
told = app.test_cli_runner().invoke(args=["migrate"])
assert told.exit_code == 0, told.output
with app.app_context():
    Loan.__table__.create(db.engine())
    sm = app.extensions["appbuilder"].sm
    people = {{"dina": "Desk", "kim": "Keeper", "lee": "Keeper", "omar": "Auditor", "sven": "Practitioner"}}
    def add(name, role):
        email = name + "@example.com"
        return security.add_user(sm, name, name=name, email=email, role=role, password="a long password")
    users = {{name: add(name, role) for name, role in people.items()}}
    ids = {{name: user.id for name, user in users.items()}}
    tokens = {{
        name: {{"Authorization": "Bearer " + create_access_token(identity=str(id), fresh=True)}}
        for name, id in ids.items()
    }}
client = app.test_client()

def ask(name, method, path, **body):
    return client.open("/api/v1/loan/" + path, method=method, json=body or None, headers=tokens[name])

mine = ask("dina", "POST", "", reader="Meera", keeper=ids["kim"])
assert mine.status_code == 201, mine.text
other = ask("dina", "POST", "", reader="Kabir", fine=50, keeper=ids["lee"])
first, second = mine.get_json()["id"], other.get_json()["id"]
assert ask("kim", "GET", "").get_json()["ids"] == [first]
assert ask("kim", "GET", str(second)).status_code == 404
assert ask("kim", "POST", f"{{second}}/take_back").status_code == 404
assert ask("omar", "GET", "").get_json()["count"] == 2
assert ask("omar", "POST", f"{{first}}/take_back").status_code == 403
assert ask("sven", "GET", "").status_code == 403
refused = ask("dina", "POST", f"{{first}}/write_off")
assert (refused.status_code, refused.get_json()["error"]["message"]) == (409, "Enter the fine first.")
assert ask("dina", "PUT", str(first), state="back").status_code == 422
assert ask("kim", "POST", f"{{first}}/take_back").get_json()["result"]["state"] == "back"
assert ask("kim", "POST", f"{{first}}/take_back").status_code == 409
assert "/api/v1/loan/{{pk}}/take_back" in client.get("/api/v1/_openapi", headers=tokens["dina"]).get_json()["paths"]
with client.session_transaction() as cookie:
    cookie["_user_id"], cookie["_fresh"] = str(ids["dina"]), True
    cookie["sitting"] = StaffSession.begin(ids["dina"], address="127.0.0.1", device="the suite")
for path in ("", "1", "new", "1/edit", "export.csv", "2/do/write_off", "?q=meera&f.state=back"):
    page = client.get("/desk/loan/" + path)
    assert page.status_code == 200, (path, page.status_code, page.text[-2000:])
assert "taken back" in client.get("/desk/loan/1").text.lower()
print("the library is open")
"""


def test_a_scoped_noun_with_two_guarded_moves_takes_at_most_twenty_lines() -> None:
    assert EXAMPLE
    assert len([line for line in EXAMPLE[1].splitlines() if line.strip()]) <= 20


@pytest.mark.proof
def test_the_readmes_example_works_as_it_stands(copied: Callable[[str], dict[str, str]]) -> None:
    assert EXAMPLE
    trial, own_house = TRIAL.format(example=EXAMPLE[1]), copied("library")
    told = subprocess.run(
        [sys.executable, "-c", trial], cwd=ROOT, env=os.environ | own_house, capture_output=True, text=True, check=False
    )
    assert told.stdout.endswith("the library is open\n"), told.stdout + told.stderr

"""Tests of saved views and column choices of lists, which never show more than the user may see."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.desk.lists.saved_view import SavedView
from app.kernel.db import session, transaction
from app.kernel.people import Person

Enter = Callable[[str], FlaskClient]


@pytest.fixture(autouse=True)
def people(app: Any) -> None:
    with transaction():
        session.add_all([Person(name=f"Person {n}", email=f"p{n}@example.com", notes="likes tea") for n in range(3)])


def head(page: str) -> list[str]:
    return [re.sub(r"<[^>]+>", "", each).strip() for each in re.findall(r"<th scope=\"col\".*?</th>", page, re.DOTALL)]


def tabs(page: str) -> list[str]:
    found = re.search(r'aria-label="Views"><ul>(.*?)</ul>', page, re.DOTALL)
    return (
        [
            re.sub(r"<[^>]+>", " ", each).split(",")[0].strip()
            for each in re.findall(r"<li>(.*?)</li>", found[1], re.DOTALL)
        ]
        if found
        else []
    )


def keep(desk: FlaskClient, question: str, **form: str) -> Any:
    return desk.post(f"/desk/person/views?{question}", data=form)


def test_the_reader_chooses_columns_and_their_order_and_the_export_follows(enter: Enter) -> None:
    dina = enter("dina")
    assert head(dina.get("/desk/person/?cols=notes,name").text) == ["Notes", "Name"]
    assert head(dina.get("/desk/person/?cols=notes&cols=name&up=name").text) == ["Name", "Notes"]
    rows = list(csv.reader(StringIO(dina.get("/desk/person/export.csv?cols=notes,email").text.removeprefix("\ufeff"))))
    assert rows[:2] == [["Notes", "Email"], ["likes tea", "p0@example.com"]]


def test_only_what_is_shown_anyway_can_be_a_column(enter: Enter) -> None:
    for wrong in ("password", "handle", "person.user.password", "nosuch"):
        answer = enter("ada").get(f"/desk/booking/?cols={wrong}")
        assert answer.status_code == 400
        assert "no column" in answer.text


def test_a_view_is_kept_named_changed_and_deleted(enter: Enter) -> None:
    dina = enter("dina")
    kept = keep(dina, "q=Person+1&cols=email,notes&order=-email", name="Tea  drinkers")
    assert kept.status_code == 302
    page = dina.get(kept.location).text
    assert tabs(page) == ["All", "Tea drinkers"]
    assert (head(page), "p1@" in page, "p2@" in page) == (["Email", "Notes"], True, False)
    dina.post("/desk/person/views/1", data={"name": "Coffee"})
    assert tabs(dina.get("/desk/person/?view=1").text) == ["All", "Coffee"]
    dina.post("/desk/person/views/1?q=Person+2", data={"now": "yes"})
    assert "q=Person+2" in dina.get("/desk/person/").text
    dina.post("/desk/person/views/1/delete")
    assert tabs(dina.get("/desk/person/").text) == []


def test_a_name_is_asked_for_and_given_once(enter: Enter) -> None:
    dina = enter("dina")
    assert keep(dina, "q=x", name="  ").status_code == 422
    keep(dina, "q=x", name="Mine")
    again = keep(dina, "q=y", name="Mine")
    assert again.status_code == 409
    assert "You already have a view with this name." in again.text
    assert 'value="Mine"' in again.text
    assert keep(dina, "cols=password", name="Secrets").status_code == 400


def test_a_shared_view_is_seen_by_readers_of_the_list_and_changed_by_its_owner_alone(enter: Enter) -> None:
    dina, omar, asha = enter("dina"), enter("omar"), enter("asha")
    keep(dina, "q=Person+1", name="For all", shared="on")
    keep(dina, "q=Person+2", name="For me")
    assert tabs(omar.get("/desk/person/").text) == ["All", "For all"]
    assert asha.get("/desk/person/views").status_code == 403
    for answer in (
        omar.post("/desk/person/views/1", data={"name": "Mine now"}),
        omar.post("/desk/person/views/1/delete"),
    ):
        assert answer.status_code == 403
        assert "This view belongs to Dina" in answer.text
    assert omar.post("/desk/person/views/2/delete").status_code == 404
    assert dina.post("/desk/booking/views/1/delete").status_code == 404
    assert tabs(dina.get("/desk/person/").text) == ["All", "For all", "For me"]


def test_one_view_opens_the_list_and_everything_is_one_step_away(enter: Enter) -> None:
    dina = enter("dina")
    keep(dina, "q=Person+1", name="First", first="on")
    keep(dina, "q=Person+2", name="Second", first="on")
    opened = dina.get("/desk/person/")
    assert opened.status_code == 302
    assert "q=Person+2" in opened.location
    assert dina.get("/desk/person/?view=all").text.count("data-href") == 3
    assert enter("ada").get("/desk/person/").status_code == 200
    with transaction():
        session.query(SavedView).filter_by(name="Second").one().asked = {"cols": "gone"}
    assert dina.get("/desk/person/").status_code == 200


def test_a_view_that_somebody_shares_opens_the_list_of_whoever_wants_that(enter: Enter) -> None:
    dina, omar = enter("dina"), enter("omar")
    keep(dina, "q=Person+1", name="For all", shared="on")
    keep(dina, "q=Person+0", name="For me")
    keep(omar, "q=Person+2", name="Mine", first="on")
    assert omar.post("/desk/person/views/2/opens", data={"opens": "yes"}).status_code == 404
    assert omar.post("/desk/person/views/1/opens", data={"opens": "yes"}).status_code == 302
    assert "q=Person+1" in omar.get("/desk/person/").location
    assert "The list opens with this view, for you." in omar.get("/desk/person/views").text
    assert dina.get("/desk/person/").status_code == enter("ada").get("/desk/person/").status_code == 200, (
        "and nobody else's does"
    )
    omar.post("/desk/person/views/3", data={"name": "Mine", "first": "on"})
    assert "q=Person+2" in omar.get("/desk/person/").location, "the latest choice counts"
    omar.post("/desk/person/views/1/opens", data={"opens": "yes"})
    omar.post("/desk/person/views/1/opens", data={"opens": "no"})
    assert omar.get("/desk/person/").status_code == 200
    omar.post("/desk/person/views/1/opens", data={"opens": "yes"})
    dina.post("/desk/person/views/1", data={"name": "For all"})
    assert omar.get("/desk/person/").status_code == 200, "it is shared no more"
    dina.post("/desk/person/views/1/delete")
    assert omar.get("/desk/person/").status_code == 200

"""Tests of imports (CSV): checked first, done once, errors by line, and undone."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO, StringIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.desk.imports import import_run as intakes
from app.desk.imports.csv_table import Table, decode_file, parse_table
from app.desk.imports.import_run import ImportLine, ImportRun
from app.kernel import clock, jobs
from app.kernel.audit import Change
from app.kernel.db import session, transaction
from app.kernel.errors import Invalid
from app.kernel.people import Person
from app.packs.bookings.hours.hours import Hours
from app.packs.bookings.offer.practitioner import Practitioner

Enter = Callable[[str], FlaskClient]
PEOPLE = (
    "Name,E-mail,Phone,Notes\nMeera Shah,meera@example.com,+91 98200 12345,=1+1\n"
    "Ravi,not an address,,\n,ravi@example.com,,\nNo One,no.one@example.com,,'-2\n"
)


def send(desk: FlaskClient, noun: str, content: str | bytes, once: str = "") -> str:
    """The address of the intake that the file became."""
    raw = content if isinstance(content, bytes) else content.encode()
    answer = desk.post(f"/desk/{noun}/import", data={"file": (BytesIO(raw), "people.csv"), "once": once})
    assert answer.status_code == 302, answer.text
    return str(answer.location)


def work() -> None:
    while jobs.do_one():
        pass


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def tried(desk: FlaskClient, noun: str, content: str | bytes, **columns: str) -> str:
    address = send(desk, noun, content)
    page = desk.get(address).text
    chosen = {
        name: re.search(r'value="([^"]*)" selected', options)
        for name, options in re.findall(r'<select class="control" name="(c-\d+)".*?>(.*?)</select>', page, re.DOTALL)
    }
    answer = desk.post(
        f"{address}/try", data={name: found[1] if found else "" for name, found in chosen.items()} | columns
    )
    assert answer.status_code == 302, words(answer.text)
    work()
    return address


def taken(desk: FlaskClient, noun: str, content: str | bytes, **columns: str) -> str:
    address = tried(desk, noun, content, **columns)
    assert desk.post(f"{address}/take").status_code == 302
    work()
    return address


def names() -> list[str]:
    session.rollback()
    return [*session.scalars(select(Person.name).order_by(Person.id))]


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_whatever_a_spreadsheet_writes_is_read(encoding: str, mark: str) -> None:
    text = f'Name{mark}Price\r\n"Zoë{mark} or ""Zo"""{mark}1.5\r\n\r\nBjörn{mark}"two\nlines"\r\n'
    table = parse_table(decode_file(text.encode(encoding)))
    assert table == Table(["Name", "Price"], [(2, [f'Zoë{mark} or "Zo"', "1.5"]), (4, ["Björn", "two\nlines"])])


def test_a_comma_in_an_amount_does_not_part_what_semicolons_part() -> None:
    assert (
        parse_table("sep=;\r\nName;Price\r\nA;1,50\r\n").heads
        == parse_table("Name;Price\nA;1,50\nB;2,50\n").heads
        == ["Name", "Price"]
    )


@pytest.mark.parametrize(
    ("raw", "no"),
    [
        (b"", "Choose a file"),
        (b"PK\x03\x04....", "This workbook can’t be read"),
        (b"\xd0\xcf\x11\xe0....", "in an old format or has a password"),
        (b"\x81\x8d\xff,1\n", "isn’t a text table"),
        (b"Name\n", "This file has no rows"),
        (b"Name\n" + b"a\n" * 20_001, "at most 20,000 rows"),
        (b"a" * (5 * 1024 * 1024 + 1), "at most 5 MB"),
        (b'Name\n"' + b"a" * 200_000, "quotation mark"),
    ],
)
def test_what_is_no_table_is_refused_in_words(raw: bytes, no: str) -> None:
    with pytest.raises(Invalid, match=no):
        parse_table(decode_file(raw))


# --- tried ------------------------------------------------------------------------------------------------------------


def test_columns_find_each_other_by_name_and_can_be_chosen_otherwise(app: Flask, enter: Enter) -> None:
    dina = enter("dina")
    address = send(dina, "person", "FULL NAME;e-mail;Telephone\nMeera;meera@example.com;\n")
    page = dina.get(address).text
    assert re.findall(r'value="(\w+)" selected', page) == ["email"]
    refused = dina.post(f"{address}/try", data={"c-1": "email"})
    assert (refused.status_code, "Name: Choose the column of the file for this field." in words(refused.text)) == (
        422,
        True,
    )
    twice = dina.post(f"{address}/try", data={"c-0": "name", "c-1": "email", "c-2": "name"})
    assert (twice.status_code, "Two columns of the file are matched to this field" in twice.text) == (422, True)
    assert dina.post(f"{address}/try", data={"c-0": "name", "c-1": "state"}).status_code == 422
    assert dina.post(f"{address}/try", data={"c-0": "name", "c-1": "email"}).status_code == 302


def test_a_trial_says_what_is_wrong_and_writes_nothing(app: Flask, enter: Enter) -> None:
    dina = enter("dina")
    address = tried(dina, "person", PEOPLE)
    page = words(dina.get(address).text)
    assert "2 rows can be imported. Nothing has been imported yet." in page
    assert "2 rows would be left out." in page
    assert "3 Email not an address" in page
    assert "4 Name – This field is required." in page
    assert (names(), session.scalars(select(Change).where(Change.noun == "person")).all()) == ([], [])
    report = [*csv.reader(StringIO(dina.get(f"{address}/problems.csv").text.removeprefix("\ufeff")))]
    assert [line[:3] for line in report] == [
        ["Line", "Column", "Value"],
        ["3", "Email", "not an address"],
        ["4", "Name", ""],
    ]


def test_two_lines_that_exclude_each_other_are_found_by_the_trial(app: Flask, enter: Enter) -> None:
    ada = enter("ada")
    address = tried(ada, "service", "Name,Slug,Minutes,Price\nA,one,30,100\nB,one,30,100\nC,two,half,1.005\n")
    page = words(ada.get(address).text)
    assert "1 row can be imported" in page
    assert "3 Whole row – " in page
    assert "4 Duration (min) half Enter a whole number." in page
    assert "4 Price 1.005 Enter an amount with at most 2 decimal places." in page


# --- taken in ---------------------------------------------------------------------------------------------------------


def test_right_rows_come_in_and_wrong_ones_hold_nobody_up(app: Flask, enter: Enter) -> None:
    dina = enter("dina")
    address = taken(dina, "person", PEOPLE)
    assert names() == ["Meera Shah", "No One"]
    meera, other = session.scalars(select(Person).order_by(Person.id))
    assert (meera.notes, other.notes, meera.timezone) == ("=1+1", "-2", "Asia/Kolkata")
    page = words(dina.get(address).text)
    assert "2 rows were imported." in page
    assert "2 rows were left out." in page
    lines = session.scalars(select(Change).where(Change.noun == "person")).all()
    assert {(each.verb, each.door, each.name.split()[0]) for each in lines} == {("added", "import", "Dina")}


def test_the_same_press_twice_is_one_intake(app: Flask, enter: Enter) -> None:
    dina = enter("dina")
    assert send(dina, "person", PEOPLE, once="x") == send(dina, "person", PEOPLE, once="x")
    address = tried(dina, "person", PEOPLE)
    assert [dina.post(f"{address}/take").status_code for _ in range(2)] == [302, 302]
    work()
    assert dina.post(f"{address}/take").status_code == 302
    work()
    assert names() == ["Meera Shah", "No One"]


def test_a_worker_that_dies_leaves_the_rest_to_the_next(
    app: Flask, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dina = enter("dina")
    monkeypatch.setattr(intakes, "IMPORT_BATCH", 4)
    address = tried(dina, "person", "name,email\n" + "".join(f"P{n},p{n}@example.com\n" for n in range(10)))
    dina.post(f"{address}/take")

    class Killed(BaseException):
        pass

    real, many = ImportRun._add_row, iter(range(100))

    def dies(self: ImportRun, cells: Any) -> Any:
        row = real(self, cells)
        if next(many) == 5:
            raise Killed
        return row

    with monkeypatch.context() as patched:
        patched.setattr(ImportRun, "_add_row", dies)
        with pytest.raises(Killed):
            work()
    session.remove()
    assert names() == [f"P{n}" for n in range(5)]
    assert "Importing" in dina.get(address).text
    monkeypatch.setattr(clock, "now", lambda now=clock.now: now() + timedelta(minutes=2))
    work()
    assert names() == [f"P{n}" for n in range(10)]
    assert "10 rows were imported" in words(dina.get(address).text)


def test_what_should_not_happen_is_said_and_can_be_tried_again(
    app: Flask, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dina = enter("dina")
    address = tried(dina, "person", PEOPLE)
    dina.post(f"{address}/take")
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "ATTEMPTS", 1)
        patched.setattr(ImportRun, "run_batch", lambda self: 1 / 0)
        work()
    assert "The import stopped because of an unexpected error." in dina.get(address).text
    with transaction():
        session.scalars(select(jobs.Job).where(jobs.Job.state == "failed")).one().try_again()
    work()
    assert "2 rows were imported." in words(dina.get(address).text)


def test_a_neighbour_is_known_by_its_name_and_nobody_is_guessed(app: Flask, enter: Enter, asha: Practitioner) -> None:
    ada = enter("ada")
    with transaction():
        session.add_all(Person(name="Twin", email=f"twin{n}@example.com", phone="+919820012345") for n in range(2))
    address = tried(
        ada,
        "opt_in",
        "Person,Channel,How\nTwin,whatsapp,paper\nTWIN1@example.com,WhatsApp,paper\nNobody,whatsapp,paper\n",
    )
    page = words(ada.get(address).text)
    assert "2 Customer Twin Several records have this name." in page
    assert "4 Customer Nobody This record doesn’t exist, or you don’t have access to it." in page
    assert "3 Customer" not in page


# --- taken back -------------------------------------------------------------------------------------------------------


def test_what_was_taken_in_is_taken_back_unless_somebody_used_it(app: Flask, enter: Enter) -> None:
    dina = enter("dina")
    address = taken(dina, "person", "name,email\n" + "".join(f"P{n},p{n}@example.com\n" for n in range(4)))
    _, changed, *_ = people = session.scalars(select(Person).order_by(Person.id)).all()
    assert (
        dina.post(
            f"/desk/person/{changed.id}/edit", data={"name": "Used", "email": "p1@example.com", "timezone": "UTC"}
        ).status_code
        == 302
    )
    assert dina.post(f"/desk/person/{people[2].id}/remark", data={"words": "Ask her"}).status_code == 302
    assert dina.post(f"{address}/undo").status_code == 302
    work()
    page = words(dina.get(address).text)
    assert "It has been changed since." in page
    assert "Other records refer to it." in page
    assert names() == ["Used", "P2"]
    gone = session.scalars(select(Change).where(Change.noun == "person", Change.verb == "removed")).all()
    assert {each.door for each in gone} == {"import"}
    assert dina.post(f"{address}/undo").status_code == 302


def test_a_row_that_others_stand_on_stays(app: Flask, enter: Enter) -> None:
    dina = enter("dina")
    address = taken(dina, "person", "name,email,phone\nMeera,meera@example.com,+919820012345\n")
    taken(dina, "opt_in", "person,channel,how\nMeera,whatsapp,paper\n")
    dina.post(f"{address}/undo")
    work()
    assert "Other records refer to it." in dina.get(address).text
    assert names() == ["Meera"]


def test_after_a_day_the_file_is_gone_and_nothing_is_taken_back(
    app: Flask, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dina = enter("dina")
    address, left = taken(dina, "person", PEOPLE), tried(dina, "person", PEOPLE)
    monkeypatch.setattr(clock, "now", lambda now=clock.now: now() + timedelta(hours=25))
    intakes.forget_what_was_brought()
    assert dina.post(f"{address}/undo").status_code == 409
    assert dina.get(left).status_code == 404
    assert "not an address" not in dina.get(address).text
    assert names() == ["Meera Shah", "No One"]


# --- whose it is ------------------------------------------------------------------------------------------------------


def test_only_who_may_add_brings_a_table_and_only_they_see_it(app: Flask, enter: Enter, asha: Practitioner) -> None:
    dina, omar = enter("dina"), enter("omar")
    address = tried(dina, "person", PEOPLE)
    assert "/desk/person/import" in dina.get("/desk/person/").text
    assert "/desk/person/import" not in omar.get("/desk/person/").text
    for door in ("/desk/person/import", address, f"{address}/problems.csv", "/desk/person/import/blank.csv"):
        assert omar.get(door).status_code == 403
    for door in ("try", "take", "undo"):
        assert omar.post(f"{address}/{door}").status_code == 403
    assert dina.get(address.replace("person", "opt_in")).status_code == 404
    assert enter("ada").get(address).status_code == 200
    assert dina.get("/desk/job/import").status_code in (403, 404)
    sealed = session.connection().exec_driver_sql("select sheet from intake").scalar()
    assert b"Meera" not in bytes(sealed)


def test_what_is_brought_stays_within_ones_own_rows(app: Flask, enter: Enter, asha: Practitioner) -> None:
    desk, mine = enter("asha"), asha.id
    address = taken(
        desk, "hours", "Practitioner;Weekday;Opens;Closes\nAsha Rao;monday;09:00;12:00\nDev Mehta;Monday;09:00;12:00\n"
    )
    page = words(desk.get(address).text)
    assert "3 Practitioner Dev Mehta This record doesn’t exist, or you don’t have access to it." in page
    assert [each.practitioner_id for each in session.scalars(select(Hours))] == [mine]


def test_who_may_no_longer_add_adds_nothing_by_what_is_still_running(
    app: Flask, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dina = enter("dina")
    address = tried(dina, "person", PEOPLE)
    dina.post(f"{address}/take")
    user = app.extensions["appbuilder"].sm.find_user(username="dina")
    user.active = False
    session.commit()
    try:
        work()
    finally:
        user = app.extensions["appbuilder"].sm.find_user(username="dina")
        user.active = True
        session.commit()
    assert names() == []
    assert {each.wrong[""] for each in session.scalars(select(ImportLine))} == {
        "You no longer have permission to add this."
    }

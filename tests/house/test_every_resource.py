"""Tests of every resource of every pack: access, forms, lists, REST and history, without a test of its own.

A new resource is tested once it is declared and has rows in its pack's demo data.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text

from app.desk.built_in.money_resources import money
from app.desk.built_in.resources import house
from app.desk.declare.resource import Resource
from app.desk.lists import filters
from app.kernel import db
from app.kernel.access import scope_condition
from app.kernel.audit import Change
from app.kernel.db import session
from app.kernel.workflow import move_questions, moves
from app.packs import PACKS
from tests.conftest import CAST

RESOURCES: list[Resource] = [each for pack in [house, money, *PACKS] for each in pack.resources]
STAFF = [name for name in CAST if name != "nobody"]
Token = Callable[[str], dict[str, str]]
Enter = Callable[[str], FlaskClient]

every_resource = pytest.mark.parametrize("resource", RESOURCES, ids=lambda each: each.name)


@pytest.fixture
def app(peopled: Flask) -> Flask:
    return peopled


def reads(resource: Resource, name: str) -> bool:
    return name == "ada" or "read" in resource.rights(CAST[name])


def may(resource: Resource, name: str, verb: str) -> bool:
    return verb in resource.verbs if name == "ada" else verb in resource.rights(CAST[name])


def visible_ids(resource: Resource, name: str, by: Any) -> set[int]:
    with by(name):
        return set(session.scalars(select(resource.noun.id).where(scope_condition(resource.noun))))


def all_ids(resource: Resource) -> set[int]:
    return set(session.scalars(select(resource.noun.id)))


def error_of(response: Any) -> dict[str, Any]:
    """Check the common shape of an error and return it."""
    body = response.get_json()
    assert body.keys() == {"error"}, body
    assert body["error"].keys() == {"code", "message", "fields"}, body
    assert body["error"]["message"].endswith((".", "…", "?")), body
    return dict(body["error"])


@every_resource
def test_a_stranger_is_sent_away_at_every_door(resource: Resource, client: FlaskClient) -> None:
    for path in ("", "1", "_info"):
        response = client.get(f"/api/v1/{resource.name}/{path}")
        assert response.status_code == 401
        assert error_of(response)["code"] == "not_signed_in"
    for path in ("", "1", "export.csv"):
        assert client.get(f"/desk/{resource.name}/{path}").status_code == 302


@every_resource
def test_reading_is_for_the_roles_that_may_and_for_their_rows(
    resource: Resource, client: FlaskClient, token: Token, by: Any
) -> None:
    for name in CAST:
        listed = client.get(f"/api/v1/{resource.name}/?size=100", headers=token(name))
        assert listed.status_code == (200 if reads(resource, name) else 403), name
        if not reads(resource, name):
            continue
        mine = visible_ids(resource, name, by)
        assert listed.get_json()["count"] == len(mine), name
        assert set(listed.get_json()["ids"]) <= mine, name
        assert mine, f"the demo world shows no {resource.label.lower()} to {name}"
        one = client.get(f"/api/v1/{resource.name}/{min(mine)}", headers=token(name))
        assert one.status_code == 200, name
        assert not [
            path
            for path in one.get_json()["result"]
            if any(each.path == path and each.secret for each in resource.show)
        ]
        for foreign in sorted(all_ids(resource) - mine)[:1]:
            assert client.get(f"/api/v1/{resource.name}/{foreign}", headers=token(name)).status_code == 404, name


@every_resource
def test_the_screens_show_the_same_rows(resource: Resource, enter: Enter, by: Any) -> None:
    for name in STAFF:
        desk, mine = enter(name), visible_ids(resource, name, by)
        page = desk.get(f"/desk/{resource.name}/")
        assert page.status_code == (200 if reads(resource, name) else 403), name
        if not reads(resource, name):
            continue
        assert desk.get(f"/desk/{resource.name}/{min(mine)}").status_code == 200, name
        for foreign in sorted(all_ids(resource) - mine)[:1]:
            assert desk.get(f"/desk/{resource.name}/{foreign}").status_code == 404, name
            assert f'href="/desk/{resource.name}/{foreign}"' not in desk.get(f"/desk/{resource.name}/?size=100").text, (
                name
            )


@every_resource
def test_the_export_holds_the_readers_rows_and_the_columns_of_the_list(
    resource: Resource, enter: Enter, by: Any
) -> None:
    for name in STAFF:
        if reads(resource, name):
            rows = list(
                csv.reader(StringIO(enter(name).get(f"/desk/{resource.name}/export.csv").text.removeprefix("\ufeff")))
            )
            assert rows[0] == [each.label for each in resource.list]
            assert len(rows) - 1 == len(visible_ids(resource, name, by))


@every_resource
def test_the_number_of_queries_does_not_grow_with_the_rows(
    resource: Resource, client: FlaskClient, token: Token, enter: Enter, count_queries: Any
) -> None:
    who, desk = (
        token("dina") if reads(resource, "dina") else token("ada"),
        enter("dina" if reads(resource, "dina") else "ada"),
    )
    for path in (f"/api/v1/{resource.name}/", f"/desk/{resource.name}/"):
        caller = client if "api" in path else desk
        few = count_queries(lambda: caller.get(f"{path}?size=1", headers=who if "api" in path else {}))  # noqa: B023  # called at once
        many = count_queries(lambda: caller.get(f"{path}?size=100", headers=who if "api" in path else {}))  # noqa: B023
        assert many <= few, f"{path} asks {few} times for one row and {many} times for many"


@every_resource
def test_what_its_rows_are_called_costs_no_question(resource: Resource, app: Flask, count_queries: Any) -> None:
    rows = [*session.scalars(select(resource.noun).limit(20)).unique()]
    assert count_queries(lambda: [str(row) for row in rows]) == 0


BAD_LISTS = [
    "page=abc",
    "page=-1",
    "page=0",
    "page=99999999999999999999",
    "page=²",
    "size=²",
    "q=(page:'²')",
    "size=abc",
    "order=nosuch",
    "order=-password",
    "f.nosuch=1",
    "w=nosuch:is:1",
    "w=id:is:1;password:has:x",
    "cols=password",
    "after=x",
    "f.id.from=x",
    "q=(filters:!((col:password,opr:sw,value:s)))",
    "q=(((",
    "q=(page:x)",
]


@every_resource
def test_a_bad_question_is_a_clear_no_and_never_a_crash(
    resource: Resource, client: FlaskClient, token: Token, enter: Enter
) -> None:
    ada, desk = token("ada"), enter("ada")
    for query in BAD_LISTS:
        response = client.get(f"/api/v1/{resource.name}/?{query}", headers=ada)
        assert response.status_code == 400, (query, response.text)
        error_of(response)
        if not query.startswith("q="):  # as a script asks, for the message without a page
            assert (
                desk.get(f"/desk/{resource.name}/?{query}", headers={"Accept": "application/json"}).status_code == 400
            ), query


@every_resource
def test_a_page_is_never_larger_than_a_hundred(resource: Resource, client: FlaskClient, token: Token) -> None:
    for query in ("size=100000", "q=(page_size:100000)"):
        assert client.get(f"/api/v1/{resource.name}/?{query}", headers=token("ada")).get_json()["page_size"] == 100


@every_resource
def test_every_declared_filter_order_and_search_works(resource: Resource, client: FlaskClient, token: Token) -> None:
    samples = {
        "state": lambda each: each.choices[0],
        "moment": lambda each: "2026-11-24",
        "day": lambda each: "2026-11-24",
        "relation": lambda each: "1",
        "choice": lambda each: each.choices[0],
        "yesno": lambda each: "on",
    }
    filters = [f"f.{each.path}={samples.get(each.kind, lambda _: '1')(each)}" for each in resource.filters]
    spans = [
        f"f.{each.path}.{how}=2026-11-24"
        for each in resource.filters
        if each.kind in ("moment", "day")
        for how in ("from", "to")
    ]
    questions_ = [
        "&".join(filters),
        "&".join(spans),
        *filters[:1],
    ]  # each comparison has its own test
    questions_ += [f"order={sign}{each.path}" for each in resource.list for sign in ("", "-")]
    questions_ += ["q=100%25_x"] if resource.search else []
    for query in questions_:
        response = client.get(f"/api/v1/{resource.name}/?{query}", headers=token("ada"))
        assert response.status_code == 200, (query, response.text)


SAMPLES = {
    "state": "",
    "choice": "",
    "moment": "2026-11-24",
    "day": "2026-11-24",
    "relation": "1",
    "yesno": "on",
    "time": "09:00",
}


def compared(resource: Resource) -> list[str]:
    """Build addresses with every comparison of every column, thirty in each."""
    said = []
    for column in filters.filterable_columns(resource):
        one = SAMPLES.get(column.kind, "1") or str(column.choices[0])
        for how in filters.OPERATORS[column.kind]:
            value = {"between": f"{one},{one}", "within": "this-month"}.get(
                how, "7" if how in ("last", "next", "older", "later") else one
            )
            said.append(str(filters.Condition(column.path, how, value)))
    return [filters.OR.join(said[at : at + filters.MOST]) for at in range(0, len(said), filters.MOST)]


@every_resource
def test_every_column_and_every_comparison_answers_within_scope(
    resource: Resource, enter: Enter, by: Any, client: FlaskClient, token: Token
) -> None:
    every = ",".join(each.path for each in resource.choosable)
    for name in ("ada", "asha"):
        if not reads(resource, name):
            continue
        mine, desk = visible_ids(resource, name, by), enter(name)
        for question in compared(resource):
            found = client.get(
                f"/api/v1/{resource.name}/", query_string={"w": question, "size": 100}, headers=token(name)
            )
            assert found.status_code == 200, (question, found.text)
            assert set(found.get_json()["ids"]) <= mine
        assert desk.get(f"/desk/{resource.name}/", query_string={"cols": every, "size": 100}).status_code == 200
        assert desk.get(f"/desk/{resource.name}/filter").status_code == 200


WRONG: list[Any] = [
    [],
    {},
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00",
    {"amount": 100, "currency": "XXX"},
    {"amount": 10**18, "currency": "INR"},
    "x" * 30_000,
    -1,
    2**40,
    1.5,
    True,
    "\x00",
    "1 · x",
    {"amount": "1"},
    "2026-13-45",
    None,
]


@every_resource
def test_bad_fields_are_named_and_never_crash(resource: Resource, client: FlaskClient, token: Token) -> None:
    if "add" not in resource.verbs:
        assert client.post(f"/api/v1/{resource.name}/", json={}, headers=token("ada")).status_code == 405
        return
    unknown = client.post(f"/api/v1/{resource.name}/", json={"state": "x", "id": 7, "nosuch": 1}, headers=token("ada"))
    assert unknown.status_code == 422
    assert error_of(unknown)["fields"].keys() >= {"state", "id", "nosuch"}
    for wrong in WRONG:  # all columns at once, so that all errors are reported together
        response = client.post(
            f"/api/v1/{resource.name}/",
            json=dict.fromkeys([each.path for each in resource.add], wrong),
            headers=token("ada"),
        )
        assert response.status_code in (201, 400, 409, 422), (wrong, response.text)
        session.rollback()
    for body in (b"", b"[]", b"{", b'"x"'):
        response = client.post(
            f"/api/v1/{resource.name}/", data=body, headers=token("ada"), content_type="application/json"
        )
        assert response.status_code == 400
        error_of(response)


@every_resource
def test_writing_is_for_the_roles_that_may_and_leaves_a_line(
    resource: Resource, client: FlaskClient, token: Token, by: Any
) -> None:
    column = next((each for each in resource.edit if each.kind in ("text", "number", "long")), None)
    if column is None:
        return
    for name in CAST:
        mine = visible_ids(resource, name, by) if reads(resource, name) else all_ids(resource)
        row = min(mine)
        current = client.get(f"/api/v1/{resource.name}/{row}", headers=token("ada")).get_json()["result"]
        before = session.scalar(select(func.count()).select_from(Change))
        changed = f"{current.get(column.path)}x" if column.kind != "number" else (current.get(column.path) or 0) + 1
        response = client.put(
            f"/api/v1/{resource.name}/{row}",
            json={column.path: changed.strip() if isinstance(changed, str) else changed},
            headers=token(name),
        )
        assert response.status_code == (200 if may(resource, name, "edit") else 403), (name, response.text)
        session.rollback()
        written = session.scalar(select(func.count()).select_from(Change))
        assert (written or 0) - (before or 0) == (1 if may(resource, name, "edit") and resource.noun.audited else 0)


# One person of each role is enough; scope is tested above.
ONE_OF_EACH = {role: name for name, role in reversed(CAST.items())}.values()


@every_resource
def test_every_move_from_every_state_by_everybody(
    resource: Resource, client: FlaskClient, token: Token, by: Any
) -> None:
    """The right role in the right state moves it; anything else is refused without a change."""
    noun = resource.noun
    for name in ONE_OF_EACH if noun.states else ():
        mine = visible_ids(resource, name, by) if reads(resource, name) else all_ids(resource)
        row, headers = max(mine), token(name)
        for move in moves(noun).values():
            asks = {each.name: "2026-11-24" for each in move_questions(move.asks)} if move.asks else {}
            for state in (
                noun.states if move.by and may(resource, name, move.name) else noun.states[:1]
            ):  # without the right, no state matters
                force(noun, row, state)
                response = client.post(f"/api/v1/{resource.name}/{row}/{move.name}", json=asks, headers=headers)
                after = state_of(noun, row)
                expected = (404, 405) if not move.by else (200, 409, 422) if may(resource, name, move.name) else (403,)
                assert response.status_code in expected, (name, move.name, state, response.text)
                assert response.status_code != 200 or state in move.sources, (name, move.name, state)
                ends = {move.to} if move.to else reached(noun, state)
                assert after in (ends if response.status_code == 200 else {state}), (name, move.name, state, after)


@every_resource
def test_a_move_on_somebody_elses_row_finds_nothing(
    resource: Resource, client: FlaskClient, token: Token, enter: Enter, by: Any
) -> None:
    for name in STAFF:
        if not reads(resource, name):
            continue
        for foreign in sorted(all_ids(resource) - visible_ids(resource, name, by))[:1]:
            for move in (each for each in resource.moves.values() if may(resource, name, each.name)):
                assert (
                    client.post(f"/api/v1/{resource.name}/{foreign}/{move.name}", headers=token(name)).status_code
                    == 404
                )
                assert enter(name).get(f"/desk/{resource.name}/{foreign}/do/{move.name}").status_code == 404


@every_resource
def test_every_operation_is_in_the_description(resource: Resource, client: FlaskClient, token: Token) -> None:
    paths = client.get("/api/v1/_openapi", headers=token("ada")).get_json()["paths"]
    assert f"/api/v1/{resource.name}/" in paths
    for move in (each for each in resource.moves.values() if each.by):
        assert "post" in paths[f"/api/v1/{resource.name}/{{pk}}/{move.name}"]
    assert ("post" in paths[f"/api/v1/{resource.name}/"]) == ("add" in resource.verbs)


@every_resource
def test_nothing_is_listed_by_default(resource: Resource) -> None:
    """By default Flask-AppBuilder lists every column, password hashes included."""
    assert resource.list
    assert all(each.kind != "facts" for each in resource.search)
    assert not any(
        "password" in each.path for each in [*resource.list, *resource.show, *resource.search, *resource.filters]
    )


def reached(noun: Any, state: str) -> set[str]:
    """List the states in which a move without a target may leave a row: the same, or one reached by another move."""
    return {state} | {each.to for each in moves(noun).values() if each.to and state in each.sources}


def force(noun: Any, row: int, state: str) -> None:
    session.rollback()
    session.expire_all()
    with db.engine().begin() as connection:
        connection.execute(
            text(f"update {noun.__tablename__} set state = :state where id = :row"), {"state": state, "row": row}
        )


def state_of(noun: Any, row: int) -> str:
    session.rollback()
    with db.engine().connect() as connection:
        return str(
            connection.execute(
                text(f"select state from {noun.__tablename__} where id = :row"), {"row": row}
            ).scalar_one()
        )

"""Frontdesk's side of the benchmark: nouns declared as a pack. `python -m bench.ours begin | start | serve`."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from functools import partial

from flask import Flask
from sqlalchemy import ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app import create_app
from app.desk.declare.resource import Resource
from app.desk.sign_in import security
from app.desk.sign_in.session import StaffSession
from app.kernel import db
from app.kernel.access import everything
from app.kernel.db import Noun
from app.kernel.pack import Pack
from bench.rows import SHOWN, fill, other_nouns
from bench.side import Pages, Side, main

ROLES = {"Desk": "read write moves delete"}


class Customer(Noun):
    """A customer who waits for a parcel."""

    name: Mapped[str]
    email: Mapped[str]
    city: Mapped[str]


class Parcel(Noun):
    """A parcel on its way to a customer."""

    states = "waiting", "sent", "delivered"

    number: Mapped[str]
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), index=True)
    customer: Mapped[Customer] = relationship()
    weight: Mapped[int]
    due_at: Mapped[datetime]
    note: Mapped[str]


def _noun(name: str) -> type[Noun]:
    annotations = {"name": Mapped[str], "weight": Mapped[int]}
    return type(name, (Noun,), {"__doc__": "One of many.", "__annotations__": annotations, "__module__": __name__})


def pack(nouns: int) -> Pack:
    """Build a pack of that many nouns; only the first two are requested."""
    plain = [_noun(name) for name in other_nouns(nouns)]
    fields = "number customer state weight due_at note"
    written = "number customer weight due_at note"
    resources = [
        Resource(
            Customer, list="name email city", add="name email city", search="name email", roles=ROLES, scope=everything
        ),
        Resource(
            Parcel,
            list=fields,
            show=fields,
            add=written,
            search="number customer.name",
            filters="state customer due_at",
            roles=ROLES,
            scope=everything,
        ),
        *(
            Resource(each, list="name weight", add="name weight", search="name", roles=ROLES, scope=everything)
            for each in plain
        ),
    ]
    return Pack(name="bench", label="Parcels", nouns=[Customer, Parcel, *plain], resources=resources)


def begin(nouns: int, app: Flask) -> None:
    """Migrate the database and fill it."""
    result = app.test_cli_runner().invoke(args=["migrate"])
    assert result.exit_code == 0, result.output
    with app.app_context(), db.engine().begin() as connection:
        fill(connection, db.metadata, nouns)
        connection.execute(
            text(
                "insert into change "
                "(created_at, changed_at, version, noun, row_id, verb, before, after, why, name, door) "
                f"select now(), now(), 1, 'parcel', {SHOWN}, 'changed', '{{\"weight\": 1}}', '{{\"weight\": 2}}', "
                "'', 'Dina', 'desk' from generate_series(1, 3)"
            )
        )
        security.add_user(
            app.extensions["appbuilder"].sm,
            "bench",
            name="Dina Desk",
            email="bench@example.com",
            role="Desk",
            password="a long password",
        )


def side(app: Flask) -> Side:
    with app.app_context():
        key = StaffSession.begin(
            app.extensions["appbuilder"].sm.find_user(username="bench").id, address="127.0.0.1", device="the bench"
        )
    pages = Pages(
        "/desk/", "/desk/parcel/?size=50", f"/desk/parcel/{SHOWN}", "/api/v1/parcel/?size=50", f"/api/v1/parcel/{SHOWN}"
    )
    return Side.signed_in(app, pages, sitting=key)


if __name__ == "__main__":
    NOUNS = int(os.environ["BENCH_NOUNS"])
    main(sys.argv[1], partial(create_app, packs=[pack(NOUNS)]), partial(begin, NOUNS), side)

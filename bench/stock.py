"""The other side: the same tables under Flask-AppBuilder as its own documentation sets it up. `python -m bench.stock begin | start | serve`."""

from __future__ import annotations

import logging
import os
import sys
from functools import partial
from pathlib import Path

from flask import Flask
from flask_appbuilder import AppBuilder, Model, ModelRestApi, ModelView
from flask_appbuilder.models.sqla.interface import SQLAInterface
from flask_appbuilder.utils.legacy import get_sqla_class
from sqlalchemy import Column, DateTime, ForeignKey, Integer, String, Text
from sqlalchemy.orm import relationship

from bench.rows import SHOWN, fill, others
from bench.side import Pages, Side, main

FIELDS = ["number", "customer", "state", "weight", "due_at", "note"]


class Always:
    """The columns that each table has."""

    id = Column(Integer, primary_key=True)
    created_at = Column(DateTime(timezone=True), nullable=False)
    changed_at = Column(DateTime(timezone=True), nullable=False)
    version = Column(Integer, nullable=False)


class Customer(Always, Model):
    """Whoever waits for a parcel."""

    __tablename__ = "customer"
    name = Column(Text, nullable=False)
    email = Column(Text, nullable=False)
    city = Column(Text, nullable=False)

    def __repr__(self) -> str:
        return str(self.name)


class Parcel(Always, Model):
    """What is on its way to a customer."""

    __tablename__ = "parcel"
    number = Column(Text, nullable=False)
    customer_id = Column(Integer, ForeignKey("customer.id"), nullable=False)
    customer = relationship(Customer)
    state = Column(String(20), nullable=False)
    weight = Column(Integer, nullable=False)
    due_at = Column(DateTime(timezone=True), nullable=False)
    note = Column(Text, nullable=False)

    def __repr__(self) -> str:
        return str(self.number)


class Parcels(ModelView):
    """The columns are named, and so is what can be searched: left to itself, it would show and search them all."""

    datamodel = SQLAInterface(Parcel)
    list_columns, show_columns = FIELDS, FIELDS
    search_columns = ["number", "customer", "state", "due_at"]
    add_columns = edit_columns = ["number", "customer", "weight", "due_at", "note"]
    page_size = 50


class ParcelApi(ModelRestApi):
    """The relation by its id and name, as ours says it."""

    datamodel = SQLAInterface(Parcel)
    resource_name = "parcel"
    list_columns = show_columns = [
        "id",
        "version",
        "number",
        "customer.id",
        "customer.name",
        "state",
        "weight",
        "due_at",
        "note",
    ]
    search_columns = ["number", "state"]


class Customers(ModelView):
    """Beside the parcels in the menu."""

    datamodel = SQLAInterface(Customer)
    list_columns = show_columns = add_columns = edit_columns = search_columns = ["name", "email", "city"]


class CustomerApi(ModelRestApi):
    """And beside them in the API."""

    datamodel = SQLAInterface(Customer)
    resource_name = "customer"
    list_columns = show_columns = ["id", "name", "email", "city"]
    search_columns = ["name"]


def _other(name: str) -> tuple[type[ModelView], type[ModelRestApi]]:
    noun = type(
        name,
        (Always, Model),
        {
            "__tablename__": name.lower(),
            "name": Column(Text, nullable=False),
            "weight": Column(Integer, nullable=False),
        },
    )
    shown = {
        each: ["name", "weight"]
        for each in ("list_columns", "show_columns", "add_columns", "edit_columns", "search_columns")
    }
    view = type(f"{name}View", (ModelView,), {"datamodel": SQLAInterface(noun)} | shown)
    return view, type(
        f"{name}Api", (ModelRestApi,), {"datamodel": SQLAInterface(noun), "resource_name": name.lower()} | shown
    )


def create_app(views: list[tuple[type[ModelView], type[ModelRestApi]]]) -> Flask:
    app = Flask("stock", root_path=str(Path(__file__).parent))  # none of our templates in place of its own
    app.config.from_mapping(
        SECRET_KEY=os.environ["SECRET_KEY"], SQLALCHEMY_DATABASE_URI=os.environ["STOCK_DATABASE_URL"]
    )
    db = get_sqla_class()()
    with app.app_context():
        db.init_app(app)
        builder = AppBuilder(app, db.session)
        for view, api in ((Parcels, ParcelApi), (Customers, CustomerApi), *views):
            builder.add_view(view, view.__name__, category="Parcels")
            builder.add_api(api)
    return app


def begin(nouns: int, app: Flask) -> None:
    """A role like our Desk: in the database, and allowed everything that is shown."""
    with app.app_context():
        sm, session = app.extensions["appbuilder"].sm, app.extensions["sqlalchemy"].session
        sm.add_user("bench", "Dina", "Desk", "bench@example.com", sm.find_role("Admin"), password="a long password")
        with session.get_bind().begin() as connection:
            fill(connection, Model.metadata, nouns)


def side(app: Flask) -> Side:
    pages = Pages(
        "/", "/parcels/list/", f"/parcels/show/{SHOWN}", "/api/v1/parcel/?q=(page_size:50)", f"/api/v1/parcel/{SHOWN}"
    )
    return Side.of(app, pages)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # it tells of each permission that it writes
    NOUNS = int(os.environ["BENCH_NOUNS"])
    main(sys.argv[1], partial(create_app, [_other(name) for name in others(NOUNS)]), partial(begin, NOUNS), side)

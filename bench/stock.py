"""Stock Flask-AppBuilder's side of the benchmark, as its documentation sets it up.

`python -m bench.stock begin | start | serve`"""

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

from bench.rows import SHOWN, fill, other_nouns
from bench.side import Pages, Side, main

FIELDS = ["number", "customer", "state", "weight", "due_at", "note"]


class CommonColumns:
    """Columns of every table."""

    id = Column(Integer, primary_key=True)
    created_at = Column(DateTime(timezone=True), nullable=False)
    changed_at = Column(DateTime(timezone=True), nullable=False)
    version = Column(Integer, nullable=False)


class Customer(CommonColumns, Model):
    """A customer who waits for a parcel."""

    __tablename__ = "customer"
    name = Column(Text, nullable=False)
    email = Column(Text, nullable=False)
    city = Column(Text, nullable=False)

    def __repr__(self) -> str:
        return str(self.name)


class Parcel(CommonColumns, Model):
    """A parcel on its way to a customer."""

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
    """Screens of parcels. Columns are named, as by default all would be shown and searched."""

    datamodel = SQLAInterface(Parcel)
    list_columns, show_columns = FIELDS, FIELDS
    search_columns = ["number", "customer", "state", "due_at"]
    add_columns = edit_columns = ["number", "customer", "weight", "due_at", "note"]
    page_size = 50


class ParcelApi(ModelRestApi):
    """REST API of parcels, with the customer's id and name as in ours."""

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
    """Screens of customers."""

    datamodel = SQLAInterface(Customer)
    list_columns = show_columns = add_columns = edit_columns = search_columns = ["name", "email", "city"]


class CustomerApi(ModelRestApi):
    """REST API of customers."""

    datamodel = SQLAInterface(Customer)
    resource_name = "customer"
    list_columns = show_columns = ["id", "name", "email", "city"]
    search_columns = ["name"]


def _other(name: str) -> tuple[type[ModelView], type[ModelRestApi]]:
    noun = type(
        name,
        (CommonColumns, Model),
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
    app = Flask("stock", root_path=str(Path(__file__).parent))  # so that our templates are not found
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
    """Fill the database and add a user with every permission, stored in the database as our Desk role is."""
    with app.app_context():
        sm, session = app.extensions["appbuilder"].sm, app.extensions["sqlalchemy"].session
        sm.add_user("bench", "Dina", "Desk", "bench@example.com", sm.find_role("Admin"), password="a long password")
        with session.get_bind().begin() as connection:
            fill(connection, Model.metadata, nouns)


def side(app: Flask) -> Side:
    pages = Pages(
        "/", "/parcels/list/", f"/parcels/show/{SHOWN}", "/api/v1/parcel/?q=(page_size:50)", f"/api/v1/parcel/{SHOWN}"
    )
    return Side.signed_in(app, pages)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # it logs each permission that it adds
    NOUNS = int(os.environ["BENCH_NOUNS"])
    main(sys.argv[1], partial(create_app, [_other(name) for name in other_nouns(NOUNS)]), partial(begin, NOUNS), side)

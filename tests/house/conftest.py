"""Fixtures of the product-wide tests: demo data of all packs, built once and restored after each writing test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, time
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select, text

from app.desk.reports.subscription import Subscription
from app.kernel import clock, db, process_cache
from app.kernel.db import session, transaction
from app.money.bills.bill import Bill
from app.money.bills.business import Business
from app.money.bills.dispute import Dispute
from app.money.gateways.gateway import Charge, GatewayDispute, SettlementLine
from app.money.reconcile.gateway_webhooks import Event
from app.money.reconcile.settlement import Settlement
from app.money.reconcile.tally import Tally
from app.money.sums.amount import Money
from app.packs import PACKS
from app.packs.bookings.offer.practitioner import Practitioner
from tests.conftest import CAST, REMEMBERED, user_id

WRITES = re.compile(r"\s*(?:insert into|update|delete from)\s+\"?(\w+)", re.IGNORECASE)


class Stage:
    """Demo data, built once; tables that a test has written to are restored from a copy before the next test."""

    def __init__(self, tables: list[str]) -> None:
        self.tables, self.written = tables, set[str]()

    def watch(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if found := WRITES.match(statement):
            self.written.add(found[1])

    def _run(self, *statements: str) -> None:
        with db.engine().begin() as connection:
            connection.execute(
                text("set local session_replication_role = replica")
            )  # triggers protect history and ledger
            for statement in statements:
                connection.execute(text(statement))

    def clear(self) -> None:
        self._run(f"truncate {', '.join(self.tables)} restart identity cascade")

    def remember(self) -> None:
        self._run("drop schema if exists remembered cascade", "create schema remembered")
        self._run(*(f"create table remembered.{each} as select * from {each}" for each in self.tables))
        self.written.clear()

    def distrust(self) -> None:
        """Restore everything next time, as other tests wrote without being watched."""
        self.written.update(self.tables)

    def put_back(self) -> None:
        follows = {
            each.name
            for each in db.metadata.sorted_tables
            for key in each.foreign_keys
            if key.ondelete and key.column.table.name in self.written
        }
        by_trigger = {"account"} if self.written & {"line", "hold"} else set()
        tables = [each for each in self.tables if each in self.written | follows | by_trigger]
        if tables:
            self._run(
                *(f"delete from {each}" for each in tables),
                *(f"insert into {each} select * from remembered.{each}" for each in tables),
            )
            self._run(
                *(
                    f"select setval(pg_get_serial_sequence('{each}', 'id'), "
                    f"1 + (select coalesce(max(id), 0) from {each}), false)"
                    for each in tables
                )
            )
        if self.written & REMEMBERED:
            process_cache.clear_all()
            process_cache.refresh_all()
        self.written.clear()


@pytest.fixture(scope="session")
def world(built: Flask, kept: list[str]) -> Iterator[Stage]:
    """Demo data of all packs, with data that only a gateway sends, and with practitioners who can sign in."""
    stage = Stage(kept)
    stage.clear()
    with built.app_context():
        Business.create_row()
        with transaction():
            Business.get(1).name = "Asha & Dev"
        for pack in PACKS:
            assert pack.demo
            pack.demo()
        with transaction():
            for name in ("Asha Rao", "Dev Mehta"):
                practitioner = session.scalars(select(Practitioner).where(Practitioner.name == name)).one()
                practitioner.user_id = user_id(built, name.split()[0].lower())
        _hear_from_a_gateway()
        _send_reports(built)
        session.remove()
    stage.remember()
    yield stage
    with db.engine().begin() as connection:
        connection.execute(text("drop schema remembered cascade"))


@pytest.fixture(scope="module")
def stage(world: Stage, built: Flask) -> Iterator[Stage]:
    """The demo data, watched for writes."""
    world.distrust()
    event.listen(db.engine(), "before_cursor_execute", world.watch)
    yield world
    event.remove(db.engine(), "before_cursor_execute", world.watch)
    world.clear()  # number series start again for later tests
    process_cache.clear_all()
    with built.app_context():
        process_cache.refresh_all()


def _hear_from_a_gateway() -> None:
    """Add a payment, a dispute, a webhook, a settlement line and a reconciled day."""
    bill = session.scalars(select(Bill).where(Bill.state == "open").order_by(Bill.id)).first()
    assert bill
    bill.apply_charges([Charge("pay_1", "captured", bill.price, "upi")])
    zero = Money(0, "INR")
    with transaction():
        told = GatewayDispute(
            "disp_1", "pay_1", "open", bill.price, reason="goods_not_received", respond_by=clock.ahead(days=7)
        )
        Dispute._open(bill.payments[0], told).apply_report(told)
        session.add(Event(gateway="razorpay", event_id="evt_1", kind="order.paid", body="{}"))
        session.add(
            Tally(gateway="razorpay", day=date(2026, 11, 20), there=bill.price, here=bill.price, difference=zero)
        )
        Settlement.record(
            "razorpay",
            date(2026, 11, 21),
            SettlementLine(
                "pay_1", "payment", bill.price, zero, Money(2000, "INR"), Money(360, "INR"), "UTR1", clock.now()
            ),
        )


def _send_reports(app: Flask) -> None:
    """Subscribe every team member to a report."""
    with transaction():
        for name in (name for name, role in CAST.items() if role != "Public"):
            made = Subscription(
                title="Revenue",
                report="revenue",
                who_id=user_id(app, name),
                asked_by="Ada",
                day=1,
                at=time(7),
                rhythm="weekly",
                weekday="monday",
            )
            made.tidy()
            session.add(made)


@pytest.fixture
def peopled(stage: Stage, built: Flask) -> Iterator[Flask]:
    """The app with the demo data."""
    stage.put_back()
    built.extensions["appbuilder"].sm.limiter.reset()
    with built.app_context():
        yield built
        session.remove()

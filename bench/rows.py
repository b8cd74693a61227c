"""Benchmark data of both sides: customers, their parcels, and other nouns that make the menu long."""

from __future__ import annotations

from sqlalchemy import Connection, MetaData, text

CUSTOMERS, PARCELS = 200, 5000
SHOWN = 17  # the parcel whose page is opened


def other_nouns(nouns: int) -> list[str]:
    """Name the other nouns: Noun01, Noun02, …"""
    return [f"Noun{n:02}" for n in range(1, nouns - 1)]


def fill(connection: Connection, declared: MetaData, nouns: int) -> None:
    """Create the tables that a side declares and fill them with the same rows."""
    named = ["customer", "parcel", *(name.lower() for name in other_nouns(nouns))]
    declared.create_all(connection, tables=[declared.tables[name] for name in named])
    always, now = "created_at, changed_at, version", "now(), now(), 1"
    connection.execute(
        text(
            f"insert into customer ({always}, name, email, city) "
            f"select {now}, 'Customer ' || n, 'customer' || n || '@example.com', 'Mysuru' "
            f"from generate_series(1, {CUSTOMERS}) n"
        )
    )
    connection.execute(
        text(
            f"insert into parcel ({always}, number, customer_id, state, weight, due_at, note) "
            f"select {now}, 'PC-' || lpad(n::text, 6, '0'), 1 + n % {CUSTOMERS}, "
            "(array['waiting', 'sent', 'delivered'])[1 + n % 3], n % 40, "
            "timestamptz '2026-11-01 09:00+00' + n * interval '1 minute', 'Leave it with the neighbour' "
            f"from generate_series(1, {PARCELS}) n"
        )
    )
    connection.execute(text("analyze"))

"""PostgreSQL status page: size, connections, long transactions, slow queries and tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import text

from app.kernel.db import session
from app.ops.console_card import Card, Cell, Tile, format_age, format_duration, format_size, number_cell, size_cell

LONG = 5  # seconds; our lock timeout is as long
TABLES = 40

_DATABASE = text(
    """
    select current_setting('server_version') as version, pg_postmaster_start_time() as since,
           pg_database_size(current_database()) as bytes, current_setting('max_connections')::int as most,
           (select count(*) from pg_stat_activity) as connected, xact_commit as kept, xact_rollback as undone,
           deadlocks, blks_hit::float / nullif(blks_hit + blks_read, 0) as warm
    from pg_stat_database where datname = current_database()
    """
)
_CONNECTIONS = text(
    """
    select coalesce(application_name, '') as program, coalesce(state, 'unknown') as state, count(*) as many,
           min(state_change) as since
    from pg_stat_activity where datname = current_database() group by 1, 2 order by 3 desc
    """
)
_LONG_TRANSACTIONS = text(
    """
    select pid, usename, state, wait_event_type, xact_start, left(query, 300) as query,
           extract(epoch from clock_timestamp() - xact_start)::float as age,
           cardinality(pg_blocking_pids(pid)) as blocked
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
      and xact_start < clock_timestamp() - make_interval(secs => :long)
    order by xact_start limit 50
    """
)
_TABLES = text(
    """
    select relname, n_live_tup as alive, n_dead_tup as dead, pg_table_size(relid) as bytes,
           pg_indexes_size(relid) as indexes, seq_scan, idx_scan, greatest(last_vacuum, last_autovacuum) as swept
    from pg_stat_user_tables order by pg_total_relation_size(relid) desc, relname limit :most
    """
)
_SLOW_QUERIES = text(
    """
    select left(query, 300) as query, calls, mean_exec_time as usual, total_exec_time as total, rows
    from pg_stat_statements
    where dbid = (select oid from pg_database where datname = current_database())
    order by total_exec_time desc limit 25
    """
)


def _all_rows(asked: Any, **values: Any) -> list[Any]:
    return [*session.execute(asked, values)]


def cards() -> Iterator[Card]:
    it = session.execute(_DATABASE).one()
    facts = {
        "Version": Cell(it.version),
        "Started": Cell(format_age(it.since)),
        "Size": Cell(format_size(it.bytes)),
        "Connections": Cell(f"{it.connected} of {it.most}", tone="warn" if it.connected > it.most * 0.8 else ""),
        "Transactions": Cell(f"{it.kept:,} committed, {it.undone:,} rolled back"),
        "Deadlocks": number_cell(it.deadlocks),
        "Cache hit rate": Cell(f"{it.warm:.1%}" if it.warm is not None else "–"),
    }
    yield Card("PostgreSQL", "box", facts=[*facts.items()])
    yield _long_transactions_card()
    rows = [
        [Cell(each.program or "–"), Cell(each.state), number_cell(each.many), Cell(format_age(each.since))]
        for each in _all_rows(_CONNECTIONS)
    ]
    yield Card(
        "Connections", "users", heads=("Application", "State", "Connections", "Longest in this state"), rows=rows
    )
    yield from _slow_queries_card()
    tables = (
        "Table",
        "Rows (estimated)",
        "Dead rows",
        "Size",
        "Index size",
        "Sequential scans",
        "Index scans",
        "Last vacuum",
    )
    yield Card(
        "Tables",
        "book",
        heads=tables,
        rows=[_table_row(each) for each in _all_rows(_TABLES, most=TABLES)],
        note=f"The {TABLES} largest tables.",
    )


def _long_transactions_card() -> Card:
    heads = ("Process ID", "Open for", "State", "Waiting for", "Last query")
    rows = [
        [
            Cell(each.pid, figure=True),
            Cell(format_duration(each.age), tone="bad"),
            Cell(each.state or "–"),
            Cell(f"{each.wait_event_type or '–'}" + (f", blocked by {each.blocked}" if each.blocked else "")),
            Cell(each.query, long=True),
        ]
        for each in _all_rows(_LONG_TRANSACTIONS, long=LONG)
    ]
    return Card(
        f"Transactions open for more than {LONG} seconds",
        "clock",
        heads=heads,
        rows=rows,
        empty="No long-running transactions.",
    )


def _slow_queries_card() -> Iterator[Card]:
    """Show the slowest queries, if the pg_stat_statements extension is installed."""
    if session.scalar(text("select to_regclass('pg_stat_statements')")) is None:
        yield Card(
            "Slowest queries",
            "chart",
            facts=[
                (
                    "Not available",
                    Cell("Install the pg_stat_statements extension in this database to see query statistics."),
                )
            ],
        )
        return
    heads = ("Query", "Calls", "Mean time", "Total time", "Rows")
    rows = [
        [
            Cell(each.query, long=True),
            number_cell(each.calls),
            Cell(format_duration(each.usual / 1000), figure=True),
            Cell(format_duration(each.total / 1000), figure=True),
            number_cell(each.rows),
        ]
        for each in _all_rows(_SLOW_QUERIES)
    ]
    yield Card("Slowest queries", "chart", heads=heads, rows=rows, note="Sorted by total time.")


def _table_row(each: Any) -> list[Cell]:
    heavy = each.dead > 10_000 and each.dead > each.alive
    dead = Cell(f"{each.dead:,}", figure=True, tone="warn" if heavy else "")
    counts = [number_cell(each.seq_scan), number_cell(each.idx_scan)]
    return [
        Cell(each.relname),
        number_cell(each.alive),
        dead,
        size_cell(each.bytes),
        size_cell(each.indexes),
        *counts,
        Cell(format_age(each.swept) if each.swept else "Never"),
    ]


def tiles() -> Iterator[Tile]:
    it, long = session.execute(_DATABASE).one(), _all_rows(_LONG_TRANSACTIONS, long=LONG)
    tone = "bad" if long else "warn" if it.connected > it.most * 0.8 else "good"
    told = (
        f"{len(long)} long-running transaction{'' if len(long) == 1 else 's'}"
        if long
        else f"{it.connected} of {it.most} connections"
    )
    yield Tile("PostgreSQL", format_size(it.bytes), "ops_database", told, tone)

"""Benchmark report in Markdown: docs/bench.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version

from bench.rows import CUSTOMERS, PARCELS
from bench.turns import PAGES, SIDES, Comparison

HEAD = """# What a request costs

`make bench` writes this page. It starts its own PostgreSQL and Redis, fills two databases with the same {parcels:,}
parcels of {customers} customers, and requests the same five pages from Frontdesk and from stock Flask-AppBuilder {fab}
in turn, each in its own process. Stock is set up as its documentation describes, with the same columns listed, shown
and searched. The user is signed in with a role stored in the database that has every permission, and has visited
before: the browser sends the cookie it was given. The times are the median processor time of the web process per
request, without PostgreSQL.

Frontdesk’s pages contain more than those of stock (filters, history, limits, headers), and its rate limiter asks Redis
on every request. None of this is turned off.

Two shortcuts are kept because they pay, measured in turn with and without. With a hundred nouns the web app starts in
1.0 s of processor time, and in 2.4 s without `app/site/lazy_rule.py`, which overrides a private method of Werkzeug.
Remembering the addresses without values (`cached_url_for` in `app/site/frame.py`) saves 7 to 9% of the home page and of
a record page. Overrides in Flask-JWT-Extended and Flask-Limiter showed no gain and were removed.

One thing costs and is kept: each page reads from one snapshot, so that its rows and totals agree, on a connection that
was just checked. That takes 0.5 to 1.5 ms more than statements in autocommit on connections that are trusted.

Measured with Python {python} on {cores} cores, {machine}.
"""


def format_report(runs: Sequence[Comparison]) -> str:
    machine = {
        "parcels": PARCELS,
        "customers": CUSTOMERS,
        "fab": version("flask-appbuilder"),
        "python": platform.python_version(),
    }
    head = HEAD.format(**machine, cores=os.cpu_count(), machine=f"{platform.system()} on {platform.machine()}")
    return "\n".join([head, *(line for run in runs for line in _run(run))])


def _run(run: Comparison) -> Iterator[str]:
    yield f"## With {run.nouns} nouns\n"
    yield "| | Frontdesk | stock | times faster | queries | queries (stock) | size | size (stock) |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for page, label in PAGES.items():
        ours, stock = (run.pages[side][page] for side in SIDES)
        yield (
            f"| {label} | {ours.median:.1f} ms | {stock.median:.1f} ms | **{stock.median / ours.median:.1f}** "
            f"| {ours.queries} | {stock.queries} | {ours.bytes / 1024:.0f} kB | {stock.bytes / 1024:.0f} kB |"
        )
    ours_start, stock_start = (run.starts[side] for side in SIDES)
    yield (
        f"\nBuilding the web app after all imports: {ours_start['cpu']:.2f} s of processor time, "
        f"{ours_start['statements']:.0f} statements, {ours_start['writes']:.0f} of them writes "
        f"(stock: {stock_start['cpu']:.2f} s, {stock_start['statements']:.0f}, {stock_start['writes']:.0f}).\n"
    )

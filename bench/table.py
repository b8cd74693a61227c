"""What was measured, as a page for people: docs/bench.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version

from bench.rows import CUSTOMERS, PARCELS
from bench.turns import PAGES, SIDES, Compared

HEAD = """# What a request costs

`make bench` writes this page. It starts a PostgreSQL and a Redis of its own, fills two databases with the same {parcels:,} parcels of {customers} customers,
and asks Frontdesk and stock Flask-AppBuilder {fab} for the same five pages by turns, each in a process of its own. Stock is set up as its
documentation does it, with the same columns listed, shown and searched; whoever asks is signed in with a role that stands in the database, may
do everything there is, and has been there before: a browser sends the cookie that it was given. Measured is the processor time of the web process for one request, the middle one of all; what PostgreSQL spends is not in it.

Frontdesk's pages hold more than the other's (filters, history, limits, headers), and its limiter asks Redis at each request; nothing of that is switched off.

Measured with Python {python} on {cores} cores, {machine}.
"""


def written(runs: Sequence[Compared]) -> str:
    machine = {"parcels": PARCELS, "customers": CUSTOMERS, "fab": version("flask-appbuilder"), "python": platform.python_version()}
    head = HEAD.format(**machine, cores=os.cpu_count(), machine=f"{platform.system()} on {platform.machine()}")
    return "\n".join([head, *(line for run in runs for line in _run(run))])


def _run(run: Compared) -> Iterator[str]:
    yield f"## With {run.nouns} nouns\n"
    yield "| | Frontdesk | stock | times cheaper | queries | stock's | size | stock's |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for page, label in PAGES.items():
        ours, stock = (run.pages[side][page] for side in SIDES)
        yield (
            f"| {label} | {ours.usual:.1f} ms | {stock.usual:.1f} ms | **{stock.usual / ours.usual:.1f}** | {ours.queries} | {stock.queries} "
            f"| {ours.bytes / 1024:.0f} kB | {stock.bytes / 1024:.0f} kB |"
        )
    ours_start, stock_start = (run.starts[side] for side in SIDES)
    yield (
        f"\nTo put the web app together, once everything is imported: {ours_start['cpu']:.2f} s of processor, {ours_start['statements']:.0f} statements, "
        f"{ours_start['writes']:.0f} of which write (stock: {stock_start['cpu']:.2f} s, {stock_start['statements']:.0f}, {stock_start['writes']:.0f}).\n"
    )

"""Tests of contracts: what programs and bookmarks rely on stays as `contracts.txt` lists it.

A removed line is a broken promise. Add a line to the file for each new promise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from flask import Flask

from app.desk.built_in.money_resources import money
from app.desk.built_in.resources import house
from app.kernel import jobs
from app.kernel.workflow import move_questions, moves
from app.packs import PACKS
from config import Settings

KEPT = Path(__file__).with_name("contracts.txt")


def contracts(app: Flask) -> Iterator[str]:
    """List addresses, fields, moves with inputs, states, reports, messages, features, settings, commands and jobs."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield f"address {method} {rule.rule}"
    for pack in [house, money, *PACKS]:
        yield from (f"message {each if '/' in each else f'{pack.name}/{each}'}" for each in pack.messages)
        yield from (f"feature {each.name}" for each in pack.features)
        for resource in pack.resources:
            yield from (f"field {resource.name} {each.path}" for each in resource.declared.all_columns)
            yield from (f"state {resource.name} {each}" for each in resource.noun.states)
            for move in moves(resource.noun).values():
                yield f"move {resource.name} {move.name} to {move.to or 'wherever it leads'}"
                yield from (
                    f"move {resource.name} {move.name} asks {each.name}"
                    for each in (move_questions(move.asks) if move.asks else ())
                )
        for report in pack.reports:
            yield from (f"report {report.name} asks {each.name}" for each in report.questions)
            yield from (f"report {report.name} has {each.name}" for each in report.columns)
    yield from (f"setting {each.metadata['env']}" for each in dataclasses.fields(Settings))
    yield from (f"command {name}" for name in app.cli.commands)
    yield from (f"job {name}" for name in jobs.known_names())


def test_what_programs_rely_on_is_still_there(built: Flask) -> None:
    gone = set(KEPT.read_text().splitlines()) - set(contracts(built))
    assert not gone, f"{len(gone)} gone: " + "\n".join(sorted(gone))

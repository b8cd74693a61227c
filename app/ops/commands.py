"""Commands: `flask migrate`, `revision`, `clock` (the scheduler), `map`, `words`, `reseal`, `search-rebuild`."""

from __future__ import annotations

import logging
import os
import re
import secrets
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy import select

from app.desk.attention import search
from app.desk.declare.resource import registered_resources, resource_of
from app.desk.sign_in import security
from app.kernel import jobs
from app.kernel.access import Actor, acting
from app.kernel.db import Noun, session
from app.kernel.pack import Pack
from app.kernel.workflow import moves
from app.money.bills.business import Business
from app.ops import translation_catalogue
from app.ops.rotate_keys import reseal

CLOCK = Actor("the clock", "clock")


@click.command("migrate")
@with_appcontext
def migrate() -> None:
    """Update the database: tables, roles, the first administrator and, in a demo, sample data."""
    command.upgrade(_alembic_config(), "head")
    settings, desk = current_app.extensions["settings"], current_app.extensions["appbuilder"]
    security.write_roles(desk)
    Business.create_row()
    _first_administrator(desk.sm, settings)
    search.rebuild_index()
    if settings.env == "demo":
        _demo_staff(desk.sm)
        for pack in _packs():
            if pack.demo:
                pack.demo()


def _demo_staff(sm: Any) -> None:
    """Create one account for each role; the password is the username."""
    roles = sorted({role for resource in registered_resources() for role in resource.roles})
    for role in roles:
        security.add_user(
            sm,
            role.lower(),
            name=f"Demo {role}",
            email=f"{role.lower()}@frontdesk.example",
            role=role,
            password=role.lower(),
        )
    click.echo(
        f"Sign in to the desk as admin, {', '.join(role.lower() for role in roles)}. "
        "Each password is the same as the username until you change it."
    )


@click.command("demo-large")
@click.argument("count", default=10_000)
@with_appcontext
def demo_large(count: int) -> None:
    """Fill the demo with as much data as a busy practice has after a year. Works in a demo only."""
    if current_app.extensions["settings"].env != "demo":
        raise click.ClickException("This command creates fictional customers. It runs only with FRONTDESK_ENV=demo.")
    for pack in _packs():
        for made in pack.large(count) if pack.large else ():
            click.echo(f"\r{pack.label}: {made} of {count}", nl=False)
    click.echo("")


@click.command("revision")
@click.argument("message")
@with_appcontext
def revision(message: str) -> None:
    """Generate a migration from the changes to the tables. Review it before you run it."""
    config = _alembic_config()
    last = ScriptDirectory.from_config(config).get_current_head() or "0000"
    slug = re.sub(r"\W+", "_", message.lower()).strip("_")
    command.revision(config, message, autogenerate=True, rev_id=f"{int(last[:4]) + 1:04d}_{slug}"[:32])


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(current_app.root_path) / "migrations"))
    config.set_main_option("file_template", "%%(rev)s")  # 0029_what_it_changes
    return config


def _first_administrator(sm: Any, settings: Any) -> None:
    if session.scalar(select(sm.user_model.id).limit(1)):
        return
    given = os.environ.get("ADMIN_PASSWORD", "")
    password = given or ("admin" if settings.env == "demo" else secrets.token_urlsafe(12))
    security.add_user(sm, "admin", name="Administrator", email=settings.business_email, role="Admin", password=password)
    if settings.env != "demo":
        click.echo(
            "Sign in to the desk as admin"
            + (f" with the password {password}" if not given else ", with ADMIN_PASSWORD.")
        )


@click.command("clock")
@with_appcontext
def clock() -> None:
    """Run the scheduler: once a second, queue the jobs that are due and wake the workers."""
    over = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: over.set())
    with acting(CLOCK):
        while not over.wait(1):
            try:
                jobs.tick()
            except Exception:  # the database may be away for a while; the clock must not stop for that
                logging.getLogger(__name__).exception("the scheduler missed a run")
                session.remove()


@click.command("reseal")
@with_appcontext
def reseal_all() -> None:
    """After a change of DATA_KEYS, encrypt everything with the first key, so that older keys can go."""
    for where, done in reseal():
        click.echo(f"{where}: {done} encrypted again.")


@click.command("search-rebuild")
@with_appcontext
def search_rebuild() -> None:
    """Rebuild the index of the desk’s search, for rows that were not added through the program.

    Every release does this too.
    """
    click.echo(f"{search.rebuild_index()} records are indexed.")


@click.command("map")
@with_appcontext
def show_map() -> None:
    """List what this build contains: packs, nouns, states, moves, roles, messages, schedule."""
    for line in describe_build():
        click.echo(line)


@click.command("words")
def update_words() -> None:
    """Update the catalogues in translations/ from the texts in the program, and report missing translations."""
    for name, missing in translation_catalogue.update_catalogues():
        click.echo(
            f"{name}: {missing} translation{'' if missing == 1 else 's'} missing." if missing else f"{name}: complete."
        )


def describe_build() -> Iterator[str]:
    for pack in _packs():
        yield f"{pack.label}"
        for noun in pack.nouns:
            yield from _describe_noun(noun)
        yield from (f"    message {name}" for name in pack.messages)
    yield "Clock"
    yield from (f"    every {span}  {name}" for name, span in jobs.job_schedule().items())


def _describe_noun(noun: type[Noun]) -> Iterator[str]:
    yield f"    {noun.__name__}" + (f"  [{' · '.join(noun.states)}]" if noun.states else "")
    for move in moves(noun).values():
        by = f"  by {', '.join(sorted(move.by))}" if move.by else ""
        yield f"        {move.name}: {' | '.join(move.sources)} → {move.to or 'unchanged'}{by}"
    resource = resource_of(noun)
    for role, rights in (resource.roles if resource else {}).items():
        yield f"        {role} can {rights}"


def _packs() -> list[Pack]:
    packs: list[Pack] = current_app.extensions["packs"]
    return packs

"""Console pages: active settings without secrets, software versions, stored files and process caches."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import current_app
from sqlalchemy import inspect, select

from app.kernel.audit import MASK
from app.kernel.db import nouns, session, spaced, stable_name
from app.ops.console_card import Card, Cell, Tile, format_size, number_cell, size_cell
from config import Settings

FULL = 0.9  # of a disk
_CACHE = type(cache(lambda: None))
LIBRARIES = "flask", "flask-appbuilder", "flask-admin", "sqlalchemy", "psycopg", "redis", "rq", "gunicorn"


def _settings() -> Settings:
    settings: Settings = current_app.extensions["settings"]
    return settings


# --- settings ---------------------------------------------------------------------------------------------------------


def settings() -> Iterator[Card]:
    active = _settings()
    rows = [
        [
            Cell(each.metadata["env"]),
            Cell(display_setting(each, getattr(active, each.name)), long=True),
            Cell(_origin(each, active)),
        ]
        for each in fields(active)
    ]
    note = "Read once, when the process started. Secret values are never shown."
    yield Card("Active settings", "gear", heads=("Setting", "Value", "Source"), rows=rows, note=note)
    libraries = [(name, Cell(version(name))) for name in LIBRARIES]
    yield Card("Software versions", "code", facts=[("Python", Cell(sys.version.partition(" ")[0])), *libraries])


def display_setting(setting: Any, value: Any) -> str:
    """Return the text of a setting: a secret is masked, and so is the password in an address."""
    if not setting.repr:
        many = len(value) if isinstance(value, tuple) else 1
        return ", ".join([MASK] * many) if value else "not set"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return _without_password(value) if isinstance(value, str) and "://" in value else str(value) or "not set"


def _without_password(address: str) -> str:
    """Mask the password and the query, which may hold another one."""
    parts = urlsplit(address)
    place = parts.netloc.rpartition("@")[2]
    who = f"{parts.username or ''}:{MASK}@" if parts.password else f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme}://{who}{place}{parts.path}" + (f"?{MASK}" if parts.query else "")


def _origin(setting: Any, it: Settings) -> str:
    if os.environ.get(setting.metadata["env"], "").strip():
        return "environment"
    default = setting.metadata["default"] or ""
    return (
        "default"
        if str(getattr(it, setting.name)) in (default, str(default)) or not getattr(it, setting.name)
        else "derived"
    )


# --- files ------------------------------------------------------------------------------------------------------------


def files() -> Iterator[Card]:
    folder = _settings().files
    there = {each.name: each.stat().st_size for each in folder.rglob("*") if each.is_file()} if folder.exists() else {}
    known = {noun: set(session.scalars(select(noun.place))) for noun in _nouns_with_files()}
    disk = _disk_usage(folder)
    facts = {
        "Folder": Cell(folder.name),
        "Files": number_cell(len(there)),
        "Size": size_cell(sum(there.values())),
        "Free disk space": Cell(
            f"{format_size(disk.free)} of {format_size(disk.total)}",
            tone="bad" if disk.used > disk.total * FULL else "",
        ),
    }
    yield Card("Stored files", "file", facts=[*facts.items()])
    rows = [
        [Cell(spaced(stable_name(noun))), number_cell(len(places)), _missing_cell(places - there.keys())]
        for noun, places in known.items()
    ]
    yield Card("Files by record type", "box", heads=("Record type", "Records", "Missing files"), rows=rows)
    strays = sorted(there.keys() - set().union(*known.values()))
    rows = [[Cell(name), size_cell(there[name])] for name in strays[:50]]
    note = f"{len(strays):,} in total" if strays else ""
    yield Card(
        "Orphaned files",
        "search",
        heads=("File", "Size"),
        rows=rows,
        empty="Every file belongs to a record.",
        note=note,
    )


def _nouns_with_files() -> list[Any]:
    """Return the nouns whose rows have a file."""
    return [each for each in nouns() if {"place", "sha256"} <= {column.key for column in inspect(each).column_attrs}]


def _missing_cell(names: set[str]) -> Cell:
    return Cell(f"{len(names):,}", figure=True, tone="bad" if names else "")


def _disk_usage(folder: Path) -> Any:
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    return shutil.disk_usage(there)


def tiles() -> Iterator[Tile]:
    disk = _disk_usage(_settings().files)
    yield Tile(
        "Disk",
        f"{disk.used / disk.total:.0%}",
        "ops_files",
        f"{format_size(disk.free)} free",
        "bad" if disk.used > disk.total * FULL else "good",
    )


# --- caches -----------------------------------------------------------------------------------------------------------


def caches() -> Iterator[Card]:
    """List the caches of this process; each process has its own."""
    found = sorted((f"{name.removeprefix('app.')}.{key}", it.cache_info()) for name, key, it in _caches_of_modules())
    rows = [
        [
            Cell(name),
            number_cell(it.currsize),
            Cell(f"{it.maxsize:,}" if it.maxsize else "no limit", figure=True),
            number_cell(it.hits),
            number_cell(it.misses),
        ]
        for name, it in found
    ]
    heads = ("Cache", "Entries", "Limit", "Hits", "Misses")
    yield Card(
        "Caches of this process",
        "history",
        heads=heads,
        rows=rows,
        note=f"Process {os.getpid()}. Each web process has its own caches.",
    )
    pages = current_app.jinja_env.cache
    yield Card("Page templates", "file", facts=[("Compiled", number_cell(len(pages) if pages is not None else 0))])


def _caches_of_modules() -> Iterator[tuple[str, str, Any]]:
    for name, module in [*sys.modules.items()]:
        if name.startswith("app."):
            yield from (
                (name, key, it) for key, it in vars(module).items() if isinstance(it, _CACHE) and it.__module__ == name
            )

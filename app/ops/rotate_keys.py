"""Sealing anew: after a change of DATA_KEYS everything that an older key sealed is sealed with the first one, so that the older one can go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import LargeBinary, Table, select, type_coerce, update

from app.kernel.db import nouns, session, transaction
from app.kernel.files import Upload
from app.kernel.secrets import Sealed, is_fresh, seal_bytes, unseal_bytes

AT_ONCE = 500


def reseal() -> Iterator[tuple[str, int]]:
    """Where, and how many were not fresh. Safe to break off and to begin again."""
    for noun in nouns():
        for column in noun.__table__.columns:
            if isinstance(column.type, Sealed):
                yield f"{noun.__tablename__}.{column.name}", _column(noun.__table__, column, column.type.place)
    yield "files", _files()


def _column(table: Table, column: Any, place: str) -> int:
    last, done = 0, 0
    while True:
        with transaction():
            raw = type_coerce(column, LargeBinary)
            rows = session.execute(
                select(table.c.id, raw)
                .where(column.is_not(None), table.c.id > last)
                .order_by(table.c.id)
                .limit(AT_ONCE)
                .with_for_update()
            ).all()
            for id, sealed in rows:
                if not is_fresh(bytes(sealed)):
                    anew = seal_bytes(unseal_bytes(bytes(sealed), place), place)
                    change = update(table).where(table.c.id == id).values({column.name: type_coerce(anew, LargeBinary)})
                    session.execute(change, execution_options={"unaudited": "The same words under another key."})
                    done += 1
        if len(rows) < AT_ONCE:
            return done
        last = rows[-1][0]


def _files() -> int:
    return sum(
        each.seal_anew() for each in session.scalars(select(Upload).where(Upload.is_sealed, Upload.state != "gone"))
    )

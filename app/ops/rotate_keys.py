"""Key rotation: after a change of DATA_KEYS, encrypt everything with the first key, so that older keys can go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import LargeBinary, Table, select, type_coerce, update

from app.kernel.db import nouns, session, transaction
from app.kernel.files import Upload
from app.kernel.secrets import Sealed, has_current_key, seal_bytes, unseal_bytes

AT_ONCE = 500


def reseal() -> Iterator[tuple[str, int]]:
    """Yield each place, and how many of its values were encrypted anew. Safe to interrupt and repeat."""
    for noun in nouns():
        for column in noun.__table__.columns:
            if isinstance(column.type, Sealed):
                yield f"{noun.__tablename__}.{column.name}", _reseal_column(noun.__table__, column, column.type.place)
    yield "files", _reseal_files()


def _reseal_column(table: Table, column: Any, place: str) -> int:
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
                if not has_current_key(bytes(sealed)):
                    anew = seal_bytes(unseal_bytes(bytes(sealed), place), place)
                    change = update(table).where(table.c.id == id).values({column.name: type_coerce(anew, LargeBinary)})
                    session.execute(change, execution_options={"unaudited": "The same words under another key."})
                    done += 1
        if len(rows) < AT_ONCE:
            return done
        last = rows[-1][0]


def _reseal_files() -> int:
    return sum(
        each.reencrypt() for each in session.scalars(select(Upload).where(Upload.is_sealed, Upload.state != "gone"))
    )

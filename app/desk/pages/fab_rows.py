"""Row scope for Flask-AppBuilder: its data interface and session see only the rows that the current user can see."""

from __future__ import annotations

from typing import Any

from flask_appbuilder.models.sqla.interface import SQLAInterface
from sqlalchemy.orm import Query, Session

from app.kernel import access, db


class _ScopedSession:
    """A session whose queries are limited to visible rows, also where Flask-AppBuilder skips its base filters."""

    def __init__(self, real: Session) -> None:
        self._real = real

    def query(self, *entities: Any) -> Query[Any]:
        query: Query[Any] = self._real.query(*entities)
        for entity in entities:
            if isinstance(entity, type) and issubclass(entity, db.Noun):
                query = query.filter(access.scope_condition(entity))
        return query

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class ScopedInterface(SQLAInterface):
    """The data interface for everything that is inherited from Flask-AppBuilder."""

    @property
    def session(self) -> Any:
        return _ScopedSession(db.session())

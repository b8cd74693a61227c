"""Database: the base class of all tables (Noun), the session, and transaction(), the one place that commits.

It also turns a broken constraint into a refusal that a person can read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

# These lines share Flask-AppBuilder's metadata: its users and our nouns are one database with one history.
from flask_appbuilder.models.sqla import Model
from sqlalchemy import (
    BindParameter,
    CheckConstraint,
    DateTime,
    Engine,
    Executable,
    String,
    Text,
    bindparam,
    create_engine,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InvalidRequestError,
    OperationalError,
)
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, declared_attr, mapped_column, scoped_session, sessionmaker
from sqlalchemy.orm.exc import StaleDataError

from app.kernel import clock
from app.kernel.errors import Busy, Missing, Refused, Unreadable
from app.kernel.translation import say

metadata = Model.metadata
metadata.naming_convention = {
    "pk": "%(table_name)s_pkey",
    "ix": "%(table_name)s_%(column_0_N_name)s",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "ck": "%(table_name)s_%(constraint_name)s",
}
Model.registry.update_type_annotation_map(
    {datetime: DateTime(timezone=True), dict[str, Any]: JSONB, list[Any]: JSONB, str: Text}
)

# Every move reads its row again under a lock, so a commit need not expire what was loaded.
session: scoped_session[Session] = scoped_session(sessionmaker(expire_on_commit=False))


def read_snapshot() -> None:
    """Read everything from one snapshot, a page's rows and their total alike, until a transaction() begins."""
    session().bind = _snapshot_engine(engine())


@cache
def _snapshot_engine(engine: Engine) -> Engine:
    return engine.execution_options(isolation_level="REPEATABLE READ")


def _leave_snapshot() -> None:
    """Return to READ COMMITTED, so that a lock reads what others have committed by then."""
    here = session()
    if here.bind is not None and here.bind is not engine():
        here.commit()
        here.bind = engine()


# The current time in a statement: from the clock of the program, read when the statement is sent.
NOW: BindParameter[datetime] = bindparam("now", callable_=clock.now, type_=DateTime(timezone=True))

# Constraint name -> the refusal that a user reads when it is broken.
_words: dict[str, str] = {}
_nouns: dict[str, type[Noun]] = {}
_labels: dict[str, str] = {}  # table name -> what a person calls one row


def connect(url: str) -> Engine:
    """Bind the session to the database, in UTC and with a lock timeout of five seconds.

    JIT compilation is off: it took a second of a report that is read in fifty milliseconds.
    """
    engine = create_engine(
        re.sub(r"^postgresql(\+\w+)?://", "postgresql+psycopg://", url),
        pool_size=5,
        pool_pre_ping=True,
        max_overflow=5,
        pool_use_lifo=True,  # the most recently used connection has most statements prepared
        connect_args={"options": "-c timezone=UTC -c lock_timeout=5s -c jit=off"},
    )
    session.remove()
    session.configure(bind=engine)
    return engine


def separate_session() -> Session:
    """Open a session apart from the one of the request, for values that outlive it."""
    return session.session_factory()


def engine() -> Engine:
    bound = session.session_factory.kw["bind"]
    assert isinstance(bound, Engine)
    return bound


class Noun(Model):  # type: ignore[misc]  # Flask-AppBuilder's Model is untyped
    """Base of every table: a thing that staff would name. One file holds its columns, states and moves."""

    __abstract__ = True

    # What a person calls one row ("uploaded file"), if neither the class name nor a resource says so.
    known_as: ClassVar[str] = ""
    states: ClassVar[tuple[str, ...]] = ()
    # Labels of states, and of keys in a JSON column, whose name does not say it: {"no_show": "No-show"}.
    state_labels: ClassVar[dict[str, str]] = {}
    fact_labels: ClassVar[dict[str, str]] = {}
    audited: ClassVar[bool] = True
    publishes_added: ClassVar[bool] = True  # false where one statement writes many rows
    final: ClassVar[bool] = False  # the database refuses to change a row of it
    refusals: ClassVar[dict[str, str]] = {}

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    changed_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)
    version: Mapped[int] = mapped_column(default=1)

    if TYPE_CHECKING:
        state: Mapped[str]
        more: Mapped[dict[str, Any] | None]
        __tablename__: str

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805  # a declared attribute is given the class
        return {"version_id_col": cls.version}

    def __init_subclass__(cls, table: str = "", **kwargs: Any) -> None:
        """`table` keeps the table, the REST path and the permissions of a noun whose class was renamed."""
        cls.__tablename__ = table or snake(cls.__name__)
        if cls.states:
            cls.state = mapped_column(String(20), default=cls.states[0], index=True)
            listed = ", ".join(f"'{each}'" for each in cls.states)
            known = CheckConstraint(f"state in ({listed})", name="state_known")
            cls.__table_args__ = (*vars(cls).get("__table_args__", ()), known)
        if not cls.final:  # values of custom fields
            cls.more = mapped_column(JSONB(none_as_null=True))
        _words.update(cls.refusals)
        _nouns[cls.__tablename__] = cls
        if cls.known_as:
            set_label(cls, cls.known_as)
        super().__init_subclass__(**kwargs)

    @classmethod
    def state_label(cls, state: str) -> str:
        return cls.state_labels.get(state) or spaced(state)

    @classmethod
    def get(cls, id: int) -> Self:
        found = session.get(cls, id)
        if found is None:
            raise Missing
        return found

    def lock(self) -> Self:
        """Read this row again under a lock that lasts until the commit.

        A noun overrides it to lock the rows it depends on first, so that all transactions lock in one order.
        """
        ours = session().info.get("locked")
        if ours is None or self not in ours:
            if self in session.dirty:
                session.flush()  # reading again would forget what is not written yet
            try:
                session.refresh(self, with_for_update={"of": type(self), "key_share": True})
            except InvalidRequestError:
                raise Missing(say("This no longer exists.")) from None
            if ours is not None:
                ours.add(self)
        return self

    def __str__(self) -> str:
        return str(
            getattr(self, "number", None)
            or getattr(self, "name", None)
            or f"{label_of_table(self.__tablename__)} {self.id}"
        )


def noun_of_table(table: str) -> type[Noun]:
    """Find the noun of a table: jobs, bills and history lines store a table name and a row ID."""
    return _nouns[table]


def stable_name(noun: type[Any]) -> str:
    """Name a noun in permissions, view endpoints and the API description; it follows the table, not the class."""
    return _camel_case(noun.__tablename__)


@cache
def _camel_case(table: str) -> str:
    return "".join(each.capitalize() for each in table.removeprefix("ab_").split("_"))


def set_label(noun: type[Noun], one: str) -> None:
    _labels[noun.__tablename__] = one[:1].upper() + one[1:]


def label_of_table(table: str) -> str:
    """What a person calls one row of this table: "Uploaded file"."""
    return _labels.get(table) or spaced(table.removeprefix("ab_"))


def table_labels() -> dict[str, str]:
    """The label of every noun by table name: the choices of a column that holds a table name."""
    return {table: label_of_table(table) for table in _nouns}


def nouns() -> list[type[Noun]]:
    return [*_nouns.values()]


def changed_in_bulk(state: ORMExecuteState) -> type[Noun] | None:
    """Return the noun whose rows an UPDATE or DELETE changes without loading them, if it is one."""
    if not (state.is_update or state.is_delete):
        return None
    return _nouns.get(getattr(getattr(state.statement, "table", None), "name", ""))


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def spaced(name: str) -> str:
    return snake(name).replace("_", " ").capitalize()


def within_a_sentence(words: str) -> str:
    """Lower the first letter: “Gateway events” becomes “gateway events”; “API tokens” and “WhatsApp messages” stay."""
    first = words.partition(" ")[0]
    return words if any(each.isupper() or each.isdigit() for each in first[1:]) else words[:1].lower() + words[1:]


@contextmanager
def transaction() -> Iterator[None]:
    """Commit everything or nothing. A transaction inside another one joins it."""
    here = session()
    if here.info.get("open"):
        yield
        return
    _leave_snapshot()
    here.info["open"] = True
    here.info["after_commit"] = []
    here.info["locked"] = set()
    try:
        yield
        here.commit()
    except BaseException as error:
        here.rollback()
        refusal = as_refusal(error)
        if refusal is error:
            raise
        raise refusal from error
    finally:
        here.info["open"] = False
        here.info["locked"] = None
    for each in here.info["after_commit"]:
        each()


def in_own_transaction(statement: Executable) -> int:
    """Execute and commit apart from the open transaction, for rows that others only refer to; return the row count."""
    with engine().begin() as connection:
        return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount


def after_commit(call: Callable[[], None]) -> None:
    """Call a function once, after the open transaction has committed."""
    if not session().info.get("open"):
        raise RuntimeError("after_commit() is part of a change: call it inside the transaction.")
    waiting = session().info["after_commit"]
    if call not in waiting:
        waiting.append(call)


def require_no_transaction() -> None:
    """Refuse to call an external service inside a transaction, and give the connection back before the call."""
    here = session()
    if here.info.get("open") or here.new or here.dirty or here.deleted:
        raise RuntimeError("An external service is called while a transaction is open. Commit first, then call.")
    here.commit()


def as_refusal(error: BaseException) -> BaseException:  # noqa: PLR0911  # one case for each kind of database error
    """Turn a broken constraint or a lock timeout into a refusal; return every other error unchanged."""
    match error:
        case IntegrityError():
            return _integrity(error)
        case StaleDataError():
            return Refused(
                say("Someone else changed this while you were editing. Reload the page to see the latest version.")
            )
        case OperationalError() if getattr(error.orig, "sqlstate", "") in ("55P03", "40P01"):
            return Busy(say("Someone else is changing this right now. Please try again in a moment."))
        case DataError() if getattr(error.orig, "sqlstate", None) is None:
            return Unreadable(say("This contains a character that can’t be saved."))
        case UnicodeEncodeError(reason="surrogates not allowed"):
            return Unreadable(say("This contains a character that can’t be saved."))
        case DBAPIError() if getattr(error.orig, "sqlstate", "") in ("22003", "22001", "22007", "22008"):
            return Refused("This value is too large.")
    return error


def _integrity(error: IntegrityError) -> Refused:
    diagnosis = getattr(error.orig, "diag", None)
    name = getattr(diagnosis, "constraint_name", None) or ""
    if name in _words:
        return Refused(say(_words[name]))
    match getattr(error.orig, "sqlstate", ""):
        case "23505":
            return Refused(say("This already exists."))
        case "23503":
            return Refused("Other records still use this. Remove them first.")
        case "23502":
            column = getattr(diagnosis, "column_name", "") or "a field"
            return Refused(
                f"{spaced(column.removesuffix('_id'))} is required.", fields={column: "This field is required."}
            )
    return Refused("This conflicts with existing data.")

"""The base of every table and the one place that commits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

# The two lines that share Flask-AppBuilder's metadata: its users and our nouns are one database with one history.
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

# Rows are read again under their lock by every move, so what was loaded need not be thrown away at each commit.
session: scoped_session[Session] = scoped_session(sessionmaker(expire_on_commit=False))


def read_snapshot() -> None:
    """Read everything from one snapshot, a page's rows and their total alike, until a transaction() begins."""
    session().bind = engine().execution_options(isolation_level="REPEATABLE READ")


def _leave_snapshot() -> None:
    """What is read and locked from here on is what others have committed by then."""
    here = session()
    if here.bind is not None and here.bind is not engine():
        here.commit()
        here.bind = engine()


# The time within a statement: by the one clock of the program, and read when the statement is sent.
NOW: BindParameter[datetime] = bindparam("now", callable_=clock.now, type_=DateTime(timezone=True))

# What the database says when a constraint breaks, in the user's words: constraint name -> sentence.
_words: dict[str, str] = {}
_nouns: dict[str, type[Noun]] = {}
_labels: dict[str, str] = {}  # by the name of its table, what a person calls one of them


def connect(url: str) -> Engine:
    """Bind the one session to the one database. UTC inside; nobody waits for a lock longer than five seconds.

    Nothing is compiled before it is read: that took a second of a report which is read in fifty milliseconds.
    """
    engine = create_engine(
        re.sub(r"^postgresql(\+\w+)?://", "postgresql+psycopg://", url),
        pool_size=5,
        pool_pre_ping=True,
        max_overflow=5,
        pool_use_lifo=True,  # the warmest connection first: it has planned most of what is asked
        connect_args={"options": "-c timezone=UTC -c lock_timeout=5s -c jit=off"},
    )
    session.remove()
    session.configure(bind=engine)
    return engine


def separate_session() -> Session:
    """A session of its own, to read with what outlives a request."""
    return session.session_factory()


def engine() -> Engine:
    bound = session.session_factory.kw["bind"]
    assert isinstance(bound, Engine)
    return bound


class Noun(Model):  # type: ignore[misc]  # Flask-AppBuilder's Model is untyped
    """A thing that staff would name. One file holds its columns, its states and its verbs."""

    __abstract__ = True

    known_as: ClassVar[str] = (
        ""  # what a person calls one of them ("uploaded file"), where its name does not say it and no resource does
    )
    states: ClassVar[tuple[str, ...]] = ()
    fact_labels: ClassVar[dict[str, str]] = {}  # the same for names within a JSON column: {"there": "At the gateway"}
    state_labels: ClassVar[
        dict[str, str]
    ] = {}  # how a state is called on a screen, where its name does not say it: {"no_show": "No-show"}
    audited: ClassVar[bool] = True
    publishes_added: ClassVar[bool] = True  # row by row; not where one statement writes many
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
        if not cls.final:  # what stands in the fields that an administrator added
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
        """Read this row again and keep it ours until the commit. A noun that others stand on locks those first: one order for all."""
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
    """The noun behind a table's name: how a job, a bill or a line of history finds what it is about."""
    return _nouns[table]


def stable_name(noun: type[Any]) -> str:
    """The name of a noun in permissions, view endpoints and the API description. It follows the table, so a class can be renamed."""
    return _camel_case(noun.__tablename__)


@cache
def _camel_case(table: str) -> str:
    return "".join(each.capitalize() for each in table.removeprefix("ab_").split("_"))


def set_label(noun: type[Noun], one: str) -> None:
    """Said by the noun itself, or by its resource on the desk."""
    _labels[noun.__tablename__] = one[:1].upper() + one[1:]


def label_of_table(table: str) -> str:
    """What a person calls one of them, wherever it is named: "Uploaded file"."""
    return _labels.get(table) or spaced(table.removeprefix("ab_"))


def table_labels() -> dict[str, str]:
    """What a person calls one of each noun, by the name of its table: what a column may say that names one."""
    return {table: label_of_table(table) for table in _nouns}


def nouns() -> list[type[Noun]]:
    return [*_nouns.values()]


def changed_in_bulk(state: ORMExecuteState) -> type[Noun] | None:
    """The noun whose rows an UPDATE or DELETE changes without loading them, whether it names the class or the table."""
    if not (state.is_update or state.is_delete):
        return None
    return _nouns.get(getattr(getattr(state.statement, "table", None), "name", ""))


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def spaced(name: str) -> str:
    return snake(name).replace("_", " ").capitalize()


def within_a_sentence(words: str) -> str:
    """“Gateway events” are gateway events, and “API tokens” and “WhatsApp messages” stay what they are."""
    first = words.partition(" ")[0]
    return words if any(each.isupper() or each.isdigit() for each in first[1:]) else words[:1].lower() + words[1:]


@contextmanager
def transaction() -> Iterator[None]:
    """All of this or none of it. A transaction inside a transaction is the same one."""
    here = session()
    if here.info.get("open"):
        yield
        return
    _leave_snapshot()
    here.info["open"] = True
    here.info["afterwards"] = []
    here.info["locked"] = set()
    try:
        yield
        here.commit()
    except BaseException as error:
        here.rollback()
        told = as_refusal(error)
        if told is error:
            raise
        raise told from error
    finally:
        here.info["open"] = False
        here.info["locked"] = None
    for each in here.info["afterwards"]:
        each()


def in_own_transaction(statement: Executable) -> int:
    """Kept whatever becomes of the transaction around it, and locked for nobody: for rows that are only there to be pointed at. Answers how many it touched."""
    with engine().begin() as connection:
        return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount


def after_commit(call: Callable[[], None]) -> None:
    """Once, when the transaction that is open now has really happened."""
    if not session().info.get("open"):
        raise RuntimeError("What comes after a change is written inside its transaction.")
    waiting = session().info["afterwards"]
    if call not in waiting:
        waiting.append(call)


def require_no_transaction() -> None:
    """Called at every stranger's door: nobody keeps a lock, or a connection, while a stranger takes their time."""
    here = session()
    if here.info.get("open") or here.new or here.dirty or here.deleted:
        raise RuntimeError("A stranger is called while a transaction is open. Commit first, call, then begin another.")
    here.commit()


def as_refusal(error: BaseException) -> BaseException:  # noqa: PLR0911  # one line for each way in which a database says no
    """A broken constraint is a refusal, not a crash; everything else stays what it is."""
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

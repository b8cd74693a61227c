"""Import: an uploaded CSV or Excel file whose rows are validated, added in the background, and undone on request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, delete, exists, false, func, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column, undefer

from app.desk.declare.column import Column
from app.desk.declare.field import added_columns_leading_to
from app.desk.declare.resource import Resource, resource_of
from app.desk.imports.csv_table import Table, cell_of, cell_to_form_value, decode_file, parse_table
from app.desk.records.writing import delete_row, write_row
from app.desk.sign_in import security
from app.desk.sign_in.user import User
from app.kernel import access, clock
from app.kernel.access import ADMIN, Actor, acting, actor
from app.kernel.db import Noun, as_refusal, metadata, noun_of_table, nouns, session, transaction
from app.kernel.errors import Busy, Forbidden, Invalid, Missing, Refused
from app.kernel.jobs import Job, every, job, job_name, later
from app.kernel.secrets import sealed
from app.kernel.workflow import move

KEPT_HOURS = 24  # for which the file is stored and the import can be undone
VALIDATE_BATCH, IMPORT_BATCH = 500, 100  # rows in a batch: a few seconds, far within the lease of a job
_BOOKKEEPING = {"change", "finding", "job", "notice", "call"}  # tables that refer to every row

Errors = dict[str, str]


def _why_not_undo(intake: ImportRun) -> str | None:
    return None if intake.can_be_undone else f"An import can only be undone for {KEPT_HOURS} hours."


class ImportRun(Noun, table="intake"):
    """One import: its file, the mapping of columns, and its progress."""

    known_as = "import"

    states = "waiting", "trying", "tried", "running", "done", "undoing", "undone"
    state_labels: ClassVar[dict[str, str]] = {
        "waiting": "Not validated",
        "trying": "Validating",
        "tried": "Validated",
        "running": "Importing",
        "done": "Imported",
        "undoing": "Undoing",
        "undone": "Import undone",
    }
    audited = False  # each added row has its own history
    __table_args__ = (Index("intake_mine", "user_id", "resource", "id"),)
    refusals: ClassVar[dict[str, str]] = {"intake_once_key": "This file has already been uploaded."}

    resource: Mapped[str]
    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"))
    maker: Mapped[str]  # their name at the upload
    name: Mapped[str] = mapped_column(String(100))
    once: Mapped[str] = mapped_column(unique=True)  # the upload form's key: sent twice, it is one import
    sheet: Mapped[str | None] = sealed("intake.sheet")
    columns: Mapped[dict[str, Any]] = mapped_column(default=dict)  # position in the file -> path of the form field
    rows: Mapped[int]
    at: Mapped[int] = mapped_column(default=0)
    good: Mapped[int] = mapped_column(default=0)
    bad: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[datetime | None]

    @classmethod
    def upload(cls, resource: Resource, name: str, raw: bytes, once: str) -> ImportRun:
        """Parse the file as a table and store it."""
        who = actor()
        mark = f"{who.user_id}:{resource.name}:{once}"
        text = decode_file(raw)
        table = parse_table(text)
        printed = "".join(each for each in name if each.isprintable())[:100] or "file"
        made = cls(
            resource=resource.name,
            user_id=who.user_id,
            maker=who.name,
            name=printed,
            once=mark,
            sheet=text,
            rows=len(table.rows),
        )
        made.columns = _match_columns(resource, table)
        try:
            with transaction():
                session.add(made)
        except Refused:
            first: ImportRun | None = session.scalar(select(cls).where(cls.once == mark))
            if first is None:
                raise
            return first
        return made

    @classmethod
    def get_own(cls, resource: Resource, id: int) -> ImportRun:
        found = session.get(cls, id) if id < 2**31 else None
        if (
            found is None
            or found.resource != resource.name
            or not (found.user_id == actor().user_id or ADMIN in actor().roles)
        ):
            raise Missing
        return found

    @classmethod
    def recent(cls, resource: Resource) -> Sequence[ImportRun]:
        """Return the current user's last imports of this resource."""
        own = select(cls).where(cls.resource == resource.name, cls.user_id == actor().user_id)
        return session.scalars(own.order_by(cls.id.desc()).limit(10)).all()

    @property
    def is_going(self) -> bool:
        return self.state in ("trying", "running", "undoing")

    @property
    def is_stuck(self) -> bool:
        """Return whether the background job has failed and has to be retried by hand."""
        known = exists().where(Job.name == job_name(go_on), Job.row_id == self.id, Job.state == "failed")
        return self.is_going and bool(session.scalar(select(known)))

    @property
    def can_be_undone(self) -> bool:
        return self.done_at is not None and clock.now() < self.done_at + timedelta(hours=KEPT_HOURS)

    @property
    def target(self) -> Resource:
        found = resource_of(noun_of_table(self.resource))
        assert found is not None
        return found

    def table(self) -> Table | None:
        """Return the table while the file is stored. The column is deferred, so that locking does not load it."""
        text = session.scalar(select(ImportRun.sheet).where(ImportRun.id == self.id))
        return parse_table(text) if text is not None else None

    def lines(self) -> Sequence[ImportLine]:
        return session.scalars(
            select(ImportLine).where(ImportLine.intake_id == self.id).order_by(ImportLine.line)
        ).all()

    # --- moves of the user ---

    @move("waiting", "tried", to="trying", label="Validate")
    def try_out(self, columns: Mapping[str, str]) -> None:
        """Match the columns of the file and check every row. Nothing is added."""
        missing = {
            each.path: "Choose the column of the file for this field."
            for each in importable_columns(self.target)
            if each.required and each.path not in columns.values()
        }
        if missing:
            raise Invalid.for_fields(missing)
        self.columns = dict(columns)
        self._restart()

    @move("tried", to="running", label="Import")
    def take(self) -> None:
        self._restart()

    @move("done", to="undoing", label="Undo import", when=_why_not_undo)
    def take_back(self) -> None:
        later(go_on, self)

    def _restart(self) -> None:
        session.execute(delete(ImportLine).where(ImportLine.intake_id == self.id))
        self.at = self.good = self.bad = 0
        later(go_on, self)

    # --- the background job ---

    @move("trying", to="tried")
    def tried_out(self) -> None: ...

    @move("running", to="done")
    def finish(self) -> None:
        self.done_at = clock.now()

    @move("undoing", to="undone")
    def is_undone(self) -> None: ...

    def acting_maker(self) -> Actor:
        """Return the user who uploaded the file, with their present rights."""
        user = session.get(User, self.user_id)
        assert user is not None
        who = replace(security.desk_actor(user), name=self.maker, door="import")
        return who if user.is_active else replace(who, roles=frozenset(), rights=frozenset())

    def run_batch(self) -> None:
        """Work on one batch. After a crash, the next worker starts at the same row."""
        match self.state:
            case "trying":
                self._validate_batch()
            case "running":
                self._import_batch()
            case "undoing":
                self._undo_batch()

    def _validate_batch(self) -> None:
        """Write each row as the form would, then roll back. Conflicts between rows of a batch are found as well."""
        began, wrong, many = self.at, dict[int, Errors](), 0
        with suppress(_RollBack), transaction():
            for line, cells in self._next_lines(VALIDATE_BATCH):
                many += 1
                try:
                    with session.begin_nested():
                        self._add_row(cells)
                except (Refused, SQLAlchemyError, UnicodeEncodeError) as error:
                    wrong[line] = _row_errors(as_refusal(error))
            raise _RollBack
        with transaction():
            self.lock()
            if self.state != "trying" or self.at != began:
                return
            session.add_all(ImportLine(intake_id=self.id, line=line, wrong=why) for line, why in wrong.items())
            self.at, self.good, self.bad = began + many, self.good + many - len(wrong), self.bad + len(wrong)
            self._continue_or(self.tried_out)

    def _import_batch(self) -> None:
        began, many = self.at, 0
        for line, cells in self._next_lines(IMPORT_BATCH):
            many += 1
            self._import_line(line, cells)
        with transaction():
            self.lock()
            if self.state != "running" or self.at != began:
                return
            self.at = began + many
            self.good, self.bad = (
                self._count_lines(ImportLine.row_id.is_not(None)),
                self._count_lines(ImportLine.row_id.is_(None)),
            )
            self._continue_or(self.finish)

    def _continue_or(self, end: Any) -> None:
        if self.at < self.rows:
            later(go_on, self)
        else:
            end()

    def _import_line(self, line: int, cells: Sequence[str]) -> None:
        """Commit the row together with its import line, so that no row is added twice."""
        try:
            with transaction():
                if self._is_pending(line):
                    row = self._add_row(cells)
                    session.add(ImportLine(intake_id=self.id, line=line, row_id=row.id, row_version=row.version))
        except Refused as no:
            why = _row_errors(no)
            with transaction():
                if self._is_pending(line):
                    session.add(ImportLine(intake_id=self.id, line=line, wrong=why))

    def _is_pending(self, line: int) -> bool:
        self.lock()
        known = exists().where(ImportLine.intake_id == self.id, ImportLine.line == line)
        return self.state == "running" and not session.scalar(select(known))

    def _undo_batch(self) -> None:
        owed = select(ImportLine).where(
            ImportLine.intake_id == self.id, ImportLine.row_id.is_not(None), ImportLine.undone.is_(None)
        )
        some = session.scalars(owed.order_by(ImportLine.line.desc()).limit(IMPORT_BATCH)).all()
        for line in some:
            self._undo_line(line)
        with transaction():
            self.lock()
            if self.state == "undoing" and len(some) == IMPORT_BATCH:
                later(go_on, self)
            elif self.state == "undoing":
                self.is_undone()

    def _undo_line(self, line: ImportLine) -> None:
        try:
            with transaction():
                if line.lock().undone is None:
                    _delete_imported(noun_of_table(self.resource), line)
                    line.undone = ""
        except Busy:
            raise
        except Refused as no:
            with transaction():
                if line.lock().undone is None:
                    line.undone = no.words

    def _next_lines(self, many: int) -> Iterator[tuple[int, Sequence[str]]]:
        table = self.table()
        yield from table.rows[self.at : self.at + many] if table else ()

    def _add_row(self, cells: Sequence[str]) -> Any:
        """Add a row as the form would, with the same parsing, rules and rights."""
        resource = self.target
        if not actor().may(resource.noun, "add"):
            raise Forbidden("You no longer have permission to add this.")
        values, wrong = _read_cells(self._mapped_columns(resource), cells)
        if wrong:
            raise Invalid.for_fields(wrong)
        row = resource.noun()
        write_row(row, [each for each in importable_columns(resource) if each.required or each.path in values], values)
        return row

    def _mapped_columns(self, resource: Resource) -> list[tuple[int, Column]]:
        found = [(int(at), resource.column(path, importable_columns(resource))) for at, path in self.columns.items()]
        return [(at, column) for at, column in found if column]

    def _count_lines(self, condition: Any) -> int:
        return session.scalar(select(func.count()).where(ImportLine.intake_id == self.id, condition)) or 0


class ImportLine(Noun, table="intake_line"):
    """The result of one line of the file: the added row, or the errors; and later whether it was undone."""

    known_as = "import row"

    audited = False
    __table_args__ = (UniqueConstraint("intake_id", "line"),)

    intake_id: Mapped[int] = mapped_column(ForeignKey("intake.id", ondelete="CASCADE"))
    line: Mapped[int]
    row_id: Mapped[int | None]
    row_version: Mapped[int | None]
    wrong: Mapped[dict[str, Any]] = mapped_column(default=dict)  # errors by path, or by "" for the whole row
    undone: Mapped[str | None]  # why the row stays, or "" if it was deleted


class _RollBack(Exception):
    """Raised to roll back a validation."""


def importable_columns(resource: Resource) -> list[Column]:
    """Return the form columns that a file can fill: all but pictures and JSON."""
    return [each for each in resource.add if each.kind not in ("picture", "facts")]


def _read_cells(where: Sequence[tuple[int, Column]], cells: Sequence[str]) -> tuple[dict[str, str], Errors]:
    """Convert the cells of a row; an empty cell leaves the default of the form."""
    values, wrong = dict[str, str](), Errors()
    with session.no_autoflush:
        for at, column in where:
            if cell := cell_of(cells, at):
                try:
                    values[column.path] = cell_to_form_value(column, cell)
                    column.parse(values[column.path])
                except ValueError as error:
                    wrong[column.path] = str(error)
            elif column.required:
                wrong[column.path] = "This field is required."
    return values, wrong


def _match_columns(resource: Resource, table: Table) -> dict[str, str]:
    """Match headings with form fields by label or path; each field once."""
    found: dict[str, str] = {}
    for at, head in enumerate(table.heads):
        for each in importable_columns(resource):
            if (
                each.path not in found.values()
                and str(at) not in found
                and _normalised(head) in (_normalised(each.label), _normalised(each.path))
            ):
                found[str(at)] = each.path
    return found


def _normalised(text: str) -> str:
    return "".join(each for each in text.casefold() if each.isalnum())


def _row_errors(error: BaseException) -> Errors:
    """Return the errors of a row. Unexpected and temporary errors are raised, so that the job is retried."""
    if isinstance(error, Busy) or not isinstance(error, Refused):
        raise error
    if isinstance(error, Missing):
        return {"": "You can’t add this record because you wouldn’t have access to it."}
    return error.fields or {"": error.words}


def _delete_imported(noun: type[Noun], line: ImportLine) -> None:
    row = session.scalars(access.visible_rows(noun).where(noun.id == line.row_id)).unique().one_or_none()
    if row is None:
        raise Refused("It no longer exists.")
    if row.lock().version != line.row_version:
        raise Refused("It has been changed since.")
    if _is_referred_to(row):
        raise Refused("Other records refer to it.")
    delete_row(row, {})


def _is_referred_to(row: Noun) -> bool:
    """Return whether other rows refer to it by foreign key, by table and id, or in a custom field.

    Deleting would not always fail then, and might cascade.
    """
    keys = [
        key
        for table in metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name == row.__tablename__
    ]
    by_key = [exists().where(key.parent == row.id) for key in keys]
    about: list[Any] = [
        each
        for each in nouns()
        if {"noun", "row_id"} <= {*each.__table__.columns.keys()} and each.__tablename__ not in _BOOKKEEPING
    ]
    by_name = [exists().where(each.noun == row.__tablename__, each.row_id == row.id) for each in about]
    by_field = [exists().where(each.expression(each.noun) == row.id) for each in added_columns_leading_to(type(row))]
    return bool(session.scalar(select(or_(false(), *by_key, *by_name, *by_field))))


@job("Import rows", was="desk.intake.go_on")
def go_on(intake: ImportRun) -> None:
    with acting(intake.acting_maker()):
        intake.run_batch()


@every("Delete old imports", was="desk.intake.forget_what_was_brought", minutes=30)
def forget_what_was_brought() -> None:
    """Delete the file of an import after a day, and the whole import if it was never run."""
    with transaction():
        over = (
            select(ImportRun)
            .options(undefer(ImportRun.sheet))
            .where(ImportRun.sheet.is_not(None), ImportRun.created_at < clock.ahead(hours=-KEPT_HOURS))
        )
        old = over.where(ImportRun.state.not_in(["trying", "running"]))
        for each in session.scalars(old.with_for_update(skip_locked=True)).all():
            if each.state in ("waiting", "tried"):
                session.delete(each)
            else:
                each.sheet = None

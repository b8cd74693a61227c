"""Writing a row: validate, save and delete what a form, the API or an import sends, in one place for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import cast, not_, or_
from sqlalchemy.types import String

from app.desk.declare.column import Column
from app.desk.declare.resource import resource_of
from app.desk.lists.archive import is_archived
from app.desk.lists.filters import like_pattern
from app.kernel import access
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid, Refused
from app.kernel.feature import is_on

MOST_OPTIONS = 50  # options of a select; with more rows, the field is a search


class AffectsOthers(Refused):
    """The change would leave other records inconsistent. It is made once it is confirmed."""

    code = "strands"


class EditConflict(Refused):
    """Another user saved the row first. Both versions are shown, and saving again overwrites theirs."""

    code = "overtaken"


def write_row(row: Any, columns: Sequence[Column], given: Mapping[str, Any]) -> None:
    """Save the input, if it is valid, based on the current version, and leaves the row in the user's scope."""
    with transaction():
        require_feature(row)
        _require_current(row, given)
        values, wrong = _parse_all([each for each in columns if not _is_unchanged(each, row, given)], given)
        for column, value in values.items():
            try:
                column.assign(row, value)
            except Invalid as error:
                wrong[column.path] = next(iter(error.fields.values()))
        if wrong:  # report all errors at once
            raise Invalid.for_fields(wrong)
        if hasattr(row, "tidy"):
            row.tidy()
        session.add(row)
        access.require_in_scope(row)
        _require_others_unaffected(row, given)


def delete_row(row: Any, given: Mapping[str, Any]) -> None:
    """Delete the row, if nothing refers to it."""
    with transaction():
        session.delete(row)
        session.flush()
        _require_others_unaffected(row, given)


def _is_unchanged(column: Column, row: Any, given: Mapping[str, Any]) -> bool:
    """Whether to skip the column: a picture without a new file, or the same related row as before.

    The user may keep a related row that they could not choose.
    """
    if column.kind == "picture":
        return not getattr(given.get(column.path), "filename", "")
    there = column.sort_value(row) if column.kind == "relation" and row.id is not None else None
    return there is not None and str(given.get(column.path)).split("·")[0].strip() == str(there)


def require_feature(row: Any) -> None:
    resource = resource_of(type(row))
    if row.id is None and resource is not None and not is_on(resource.part):
        raise Refused(f"{resource.label} are turned off. An administrator can turn them on under “Features”.")


def _require_others_unaffected(row: Any, given: Mapping[str, Any]) -> None:
    resource = resource_of(type(row))
    if resource is None or resource.strands is None or given.get("sure") in (True, "yes", "true"):
        return
    if left := resource.strands(row):
        many = (
            "one record, which stays as it is. Review it"
            if len(left) == 1
            else f"{len(left)} records, which stay as they are. Review them"
        )
        raise AffectsOthers(f"This affects {many}, then confirm.", fields=left)


def _parse_all(columns: Sequence[Column], given: Mapping[str, Any]) -> tuple[dict[Column, Any], dict[str, str]]:
    """Return the parsed values, and the error messages of the others."""
    values, wrong = {}, {}
    with session.no_autoflush:
        for column in columns:
            try:
                values[column] = column.parse(given.get(column.path))
            except ValueError as error:
                wrong[column.path] = str(error)
    return values, wrong


def _require_current(row: Any, given: Mapping[str, Any]) -> None:
    if row.id is None:
        return
    row.lock()
    seen = str(given.get("version", row.version))
    if seen != str(row.version):
        raise EditConflict(
            "Someone else changed this while you were editing. Review their changes below, then save to keep yours."
        )


def selectable_rows(target: type[Noun], words: str = "") -> list[Any]:
    """Return up to fifty rows that match the words and that the user can see."""
    statement = access.visible_rows(target)
    resource = resource_of(target)
    if resource and resource.archive:
        statement = statement.where(not_(is_archived(target)))
    named = [each for each in (resource.search if resource else []) if len(each.steps) == 1]
    if words:
        texts: list[Any] = [cast(each.expression(target), String).ilike(like_pattern(words)) for each in named] or [
            cast(target.id, String) == words
        ]
        statement = statement.where(or_(*texts))
    return [*session.scalars(statement.order_by(target.id).limit(MOST_OPTIONS)).unique()]

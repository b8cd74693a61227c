"""File uploads on public forms: stored under a token, and downloaded by that token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO, cast

from flask import Blueprint, g, request
from werkzeug.datastructures import FileStorage

from app.desk.records.download import as_download
from app.kernel.errors import Invalid, Missing
from app.kernel.files import Upload
from app.kernel.forms import Edition
from app.kernel.question import Question
from app.site.throttle import limit_uploads

files = Blueprint("file", __name__, url_prefix="/file")


@files.get("/<token>")
def show(token: str) -> Any:
    """Download a file by its token, once it belongs to a record."""
    upload = Upload.by_token(token)
    if upload.state != "kept":
        raise Missing
    return as_download(upload)


@files.app_template_global()
def waiting_upload(token: object) -> Upload | None:
    """Return the upload that this token of a form stands for, while it is not attached to a record yet."""
    try:
        upload = Upload.by_token(str(token)) if token else None
    except Missing:
        return None
    return upload if upload and upload.state == "waiting" else None


def read_answers(edition: Edition | None, minutes: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Read the answers of a form, with each file stored and replaced by its token; and the errors, by field.

    The result is cached for the request, so that no file is read twice.
    """
    asked = edition.id if edition else 0
    if g.get("form_answers", (None,))[0] != asked:
        g.form_answers = asked, _parse_answers(edition, minutes)
    answers, wrong = g.form_answers[1]
    return dict(answers), dict(wrong)


def _parse_answers(edition: Edition | None, minutes: int) -> tuple[dict[str, Any], dict[str, str]]:
    answers = edition.answers_from_page(request.form.getlist) if edition else {}
    wrong: dict[str, str] = {}
    for each in edition.parsed_questions if edition else ():
        if each.kind != "file" or edition is None:
            continue
        if request.form.get(f"{each.name}-none"):
            answers.pop(each.name, None)
        chosen = _chosen_file(request.files.getlist(each.name))
        if chosen:
            try:
                answers[each.name] = keep_upload(
                    chosen, each, edition, minutes, request.form.get("once", "")[:64]
                ).token
            except Invalid as no:
                wrong |= no.fields
    return answers, wrong


def keep_upload(chosen: FileStorage, asked: Question, edition: Edition, minutes: int, once: str = "") -> Upload:
    with limit_uploads(asked.name):
        stream = cast(BinaryIO, chosen.stream)
        stream.seek(0)
        try:
            return Upload.store(stream, chosen.filename or "", asked, edition.form_id, minutes=minutes, once=once)
        except ValueError as no:
            raise Invalid.for_fields({asked.name: str(no)}) from None


def _chosen_file(files: Sequence[FileStorage]) -> FileStorage | None:
    """A file field left empty is sent without a file name."""
    return next((each for each in files if each.filename), None)

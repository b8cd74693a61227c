"""Files that somebody sends with their answers: read from a form, kept by a token, and handed out by a link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, g, request
from werkzeug.datastructures import FileStorage

from app.desk.records.download import handed_out
from app.kernel.errors import Invalid, Missing
from app.kernel.files import Upload
from app.kernel.forms import Edition
from app.kernel.question import Question
from app.site.throttle import sending

files = Blueprint("file", __name__, url_prefix="/file")


@files.get("/<token>")
def show(token: str) -> Any:
    """What belongs to something, for whoever was given its link; while it only waits, there is nothing to show."""
    upload = Upload.by_token(token)
    if upload.state != "kept":
        raise Missing
    return handed_out(upload)


@files.app_template_global()
def sent_before(token: object) -> Upload | None:
    """What a token in a form stands for, while it waits."""
    try:
        upload = Upload.by_token(str(token)) if token else None
    except Missing:
        return None
    return upload if upload and upload.state == "waiting" else None


def answers_sent(edition: Edition | None, minutes: int) -> tuple[dict[str, Any], dict[str, str]]:
    """What stands in the fields of a form, each file kept and named by its token; and which of them could not be kept, and why.

    Asked twice in one request it answers the same, and nothing is read twice.
    """
    asked = edition.id if edition else 0
    if g.get("answers_sent", (None,))[0] != asked:
        g.answers_sent = asked, _read(edition, minutes)
    answers, wrong = g.answers_sent[1]
    return dict(answers), dict(wrong)


def _read(edition: Edition | None, minutes: int) -> tuple[dict[str, Any], dict[str, str]]:
    answers = edition.picked(request.form.getlist) if edition else {}
    wrong: dict[str, str] = {}
    for each in edition.asked if edition else ():
        if each.kind != "file" or edition is None:
            continue
        if request.form.get(f"{each.name}-none"):
            answers.pop(each.name, None)
        chosen = _chosen(request.files.getlist(each.name))
        if chosen:
            try:
                answers[each.name] = kept(chosen, each, edition, minutes, request.form.get("once", "")[:64]).token
            except Invalid as no:
                wrong |= no.fields
    return answers, wrong


def kept(chosen: FileStorage, asked: Question, edition: Edition, minutes: int, once: str = "") -> Upload:
    with sending(asked.name):
        chosen.stream.seek(0)
        try:
            return Upload.keep(chosen.stream, chosen.filename or "", asked, edition.form_id, minutes=minutes, once=once)  # type: ignore[arg-type]  # it reads
        except ValueError as no:
            raise Invalid.fields_said({asked.name: str(no)}) from None


def _chosen(files: Sequence[FileStorage]) -> FileStorage | None:
    """A field in which nothing was chosen is sent all the same, without a name."""
    return next((each for each in files if each.filename), None)

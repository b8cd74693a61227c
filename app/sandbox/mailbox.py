"""A mail server that delivers to a page: whatever is sent to anybody can be read at /sandbox/mail."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email import message_from_bytes, policy
from io import BytesIO
from typing import Any

from flask import Blueprint, Response, abort, jsonify, render_template, request, send_file

from app.sandbox.state_file import Store

KEPT = 500


class Letterbox:
    """aiosmtpd's handler: takes every letter, for everybody."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # the name that aiosmtpd calls
        with self.store.open() as file:
            recipients = ", ".join(envelope.rcpt_tos)
            file.execute(
                "insert into mail (received, sender, recipients, raw) values (?, ?, ?, ?)",
                (time.time(), envelope.mail_from, recipients, envelope.content),
            )
            file.execute("delete from mail where id <= (select max(id) from mail) - ?", (KEPT,))
        return "250 OK"


def pages(store: Store) -> Blueprint:
    mail = Blueprint("mailbox", __name__, url_prefix="/sandbox")

    @mail.get("/")
    def index() -> str:
        return render_template("sandbox/index.html")

    @mail.get("/mail")
    def inbox() -> str:
        return render_template("sandbox/mail.html", letters=letters(store))

    @mail.get("/mail.json")
    def as_json() -> Response:
        return jsonify(letters(store, request.args.get("to", "")))

    @mail.get("/mail/<int:id>")
    def letter(id: int) -> str:
        return render_template("sandbox/letter.html", letter=_read(_row(store, id)))

    @mail.get("/mail/<int:id>.html")
    def html(id: int) -> Response:
        """Only ever shown in a frame that may do nothing."""
        locked = {
            "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
            "X-Frame-Options": "SAMEORIGIN",
        }
        return Response(_read(_row(store, id))["html"], headers=locked)

    @mail.get("/mail/<int:id>.eml")
    def raw(id: int) -> Response:
        return Response(_row(store, id)["raw"], mimetype="text/plain")

    @mail.get("/mail/<int:id>/<int:number>")
    def attachment(id: int, number: int) -> Response:
        """As a download, whatever it says it is: what was mailed to somebody is nothing that our pages run."""
        found = _attachments(message_from_bytes(_row(store, id)["raw"], policy=policy.default))
        if number >= len(found):
            abort(404)
        name = _name(found[number])
        content = found[number].get_payload(decode=True) or b""
        return send_file(BytesIO(content), mimetype="application/octet-stream", as_attachment=True, download_name=name)

    @mail.delete("/mail")
    def empty() -> Response:
        with store.open() as file:
            file.execute("delete from mail")
        return jsonify(empty=True)

    return mail


def letters(store: Store, to: str = "") -> list[dict[str, Any]]:
    """Newest first."""
    with store.open() as file:
        rows = file.execute(
            "select * from mail where instr(lower(recipients), lower(?)) order by id desc", (to,)
        ).fetchall()
    return [_read(row) for row in rows]


def _row(store: Store, id: int) -> Any:
    with store.open() as file:
        return file.execute("select * from mail where id = ?", (id,)).fetchone() or abort(404)


def _read(row: Any) -> dict[str, Any]:
    message = message_from_bytes(row["raw"], policy=policy.default)
    return {
        "id": row["id"],
        "to": row["recipients"],
        "from": str(message["From"]),
        "subject": " ".join(str(message["Subject"]).split()),
        "message_id": str(message["Message-ID"]),
        "text": _part(message, "plain"),
        "html": _part(message, "html"),
        "attachments": [_name(each) for each in _attachments(message)],
        "received_at": datetime.fromtimestamp(row["received"], UTC).isoformat(timespec="seconds"),
    }


def _attachments(message: Any) -> list[Any]:
    return list(message.iter_attachments()) if message.is_multipart() else []


def _name(part: Any) -> str:
    return str(part.get_filename() or "attachment")


def _part(message: Any, kind: str) -> str:
    """One letter that lies about its alphabet must not close the whole mailbox."""
    body = message.get_body((kind,))
    if body is None:  # and not merely false: a part without headers has the length nought
        return ""
    try:
        return str(body.get_content())
    except LookupError:
        return str((body.get_payload(decode=True) or b"").decode("utf-8", "replace"))

"""A mail server that delivers to a page: whatever is sent to anybody can be read at /sandbox/mail."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import Any

from flask import Blueprint, Response, abort, jsonify, render_template, request

from app.sandbox.store import Store

KEPT = 500


class Letterbox:
    """aiosmtpd's handler: takes every letter, for everybody."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # the name that aiosmtpd calls
        with self.store.open() as file:
            recipients = ", ".join(envelope.rcpt_tos)
            file.execute(
                "insert into mail (received, sender, recipients, raw) values (?, ?, ?, ?)", (time.time(), envelope.mail_from, recipients, envelope.content)
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
        found = next((each for each in letters(store) if each["id"] == id), None) or abort(404)
        return render_template("sandbox/letter.html", letter=found)

    @mail.get("/mail/<int:id>.html")
    def html(id: int) -> Response:
        """Only ever shown in a frame that may do nothing."""
        found = next((each for each in letters(store) if each["id"] == id), None) or abort(404)
        locked = {
            "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
            "X-Frame-Options": "SAMEORIGIN",
        }
        return Response(found["html"], headers=locked)

    @mail.get("/mail/<int:id>.eml")
    def raw(id: int) -> Response:
        with store.open() as file:
            row = file.execute("select raw from mail where id = ?", (id,)).fetchone() or abort(404)
        return Response(row["raw"], mimetype="text/plain")

    @mail.delete("/mail")
    def empty() -> Response:
        with store.open() as file:
            file.execute("delete from mail")
        return jsonify(empty=True)

    return mail


def letters(store: Store, to: str = "") -> list[dict[str, Any]]:
    """Newest first."""
    with store.open() as file:
        rows = file.execute("select * from mail where recipients like ? order by id desc", (f"%{to}%",)).fetchall()
    return [_read(row) for row in rows]


def _read(row: Any) -> dict[str, Any]:
    message = message_from_bytes(row["raw"], policy=policy.default)
    return {
        "id": row["id"], "to": row["recipients"], "from": str(message["From"]), "subject": str(message["Subject"]), "message_id": str(message["Message-ID"]),
        "text": _part(message, "plain"), "html": _part(message, "html"), "attachments": [each.get_filename() for each in message.iter_attachments()],
        "received_at": datetime.fromtimestamp(row["received"], UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def _part(message: Any, kind: str) -> str:
    body = message.get_body((kind,))
    return str(body.get_content()) if body else ""

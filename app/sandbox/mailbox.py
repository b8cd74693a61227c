"""SMTP server and mailbox of the sandbox: every email sent can be read at /sandbox/mail."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email import message_from_bytes, policy
from io import BytesIO
from typing import Any

from flask import Blueprint, Response, abort, jsonify, render_template, request, send_file

from app.sandbox.state_file import Store

MAX_MAILS = 500


class MailHandler:
    """Handler for aiosmtpd: accepts mail to every recipient and keeps the newest MAX_MAILS."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd calls it by this name
        with self.store.open() as file:
            recipients = ", ".join(envelope.rcpt_tos)
            file.execute(
                "insert into mail (received, sender, recipients, raw) values (?, ?, ?, ?)",
                (time.time(), envelope.mail_from, recipients, envelope.content),
            )
            file.execute("delete from mail where id <= (select max(id) from mail) - ?", (MAX_MAILS,))
        return "250 OK"


def create_blueprint(store: Store) -> Blueprint:
    mail = Blueprint("mailbox", __name__, url_prefix="/sandbox")

    @mail.get("/")
    def index() -> str:
        return render_template("sandbox/index.html")

    @mail.get("/mail")
    def inbox() -> str:
        return render_template("sandbox/mail.html", letters=list_mail(store))

    @mail.get("/mail.json")
    def as_json() -> Response:
        return jsonify(list_mail(store, request.args.get("to", "")))

    @mail.get("/mail/<int:id>")
    def letter(id: int) -> str:
        return render_template("sandbox/letter.html", letter=_parse_mail(_find_mail(store, id)))

    @mail.get("/mail/<int:id>.html")
    def html(id: int) -> Response:
        """Show the HTML part, locked down by CSP and meant for a frame."""
        locked = {
            "Content-Security-Policy": (
                "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
            ),
            "X-Frame-Options": "SAMEORIGIN",
        }
        return Response(_parse_mail(_find_mail(store, id))["html"], headers=locked)

    @mail.get("/mail/<int:id>.eml")
    def raw(id: int) -> Response:
        return Response(_find_mail(store, id)["raw"], mimetype="text/plain")

    @mail.get("/mail/<int:id>/<int:number>")
    def attachment(id: int, number: int) -> Response:
        """Send as a download whatever its type, so that a mailed file never runs on our pages."""
        found = _attachments(message_from_bytes(_find_mail(store, id)["raw"], policy=policy.default))
        if number >= len(found):
            abort(404)
        name = _file_name(found[number])
        content = found[number].get_payload(decode=True) or b""
        return send_file(BytesIO(content), mimetype="application/octet-stream", as_attachment=True, download_name=name)

    @mail.delete("/mail")
    def empty() -> Response:
        with store.open() as file:
            file.execute("delete from mail")
        return jsonify(empty=True)

    return mail


def list_mail(store: Store, to: str = "") -> list[dict[str, Any]]:
    """List the emails to a recipient, newest first."""
    with store.open() as file:
        rows = file.execute(
            "select * from mail where instr(lower(recipients), lower(?)) order by id desc", (to,)
        ).fetchall()
    return [_parse_mail(row) for row in rows]


def _find_mail(store: Store, id: int) -> Any:
    with store.open() as file:
        return file.execute("select * from mail where id = ?", (id,)).fetchone() or abort(404)


def _parse_mail(row: Any) -> dict[str, Any]:
    message = message_from_bytes(row["raw"], policy=policy.default)
    return {
        "id": row["id"],
        "to": row["recipients"],
        "from": str(message["From"]),
        "subject": " ".join(str(message["Subject"]).split()),
        "message_id": str(message["Message-ID"]),
        "text": _body_text(message, "plain"),
        "html": _body_text(message, "html"),
        "attachments": [_file_name(each) for each in _attachments(message)],
        "received_at": datetime.fromtimestamp(row["received"], UTC).isoformat(timespec="seconds"),
    }


def _attachments(message: Any) -> list[Any]:
    return list(message.iter_attachments()) if message.is_multipart() else []


def _file_name(part: Any) -> str:
    return str(part.get_filename() or "attachment")


def _body_text(message: Any, kind: str) -> str:
    """Decode the text, even with a wrong charset: one bad email must not break the mailbox."""
    body = message.get_body((kind,))
    if body is None:  # a part without headers is falsy, too
        return ""
    try:
        return str(body.get_content())
    except LookupError:
        return str((body.get_payload(decode=True) or b"").decode("utf-8", "replace"))

"""The one door to SMTP: Flask-Mail with a timeout, and the same Message-ID for the same message."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parseaddr

import flask_mail

from app.kernel import db
from app.messages.template import Said

WAIT = 10  # seconds for each step; Flask-Mail by itself waits for ever
_mail: flask_mail.Mail | None = None


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a message."""

    name: str
    kind: str
    content: bytes


class _Connection(flask_mail.Connection):
    def configure_host(self) -> smtplib.SMTP:
        mail = self.mail
        host = smtplib.SMTP(mail.server, mail.port, timeout=WAIT)
        if mail.use_tls:
            host.starttls()
        if mail.username and mail.password:
            host.login(mail.username, mail.password)
        return host


def use(mail: flask_mail.Mail) -> None:
    global _mail
    _mail = mail


def send(*, to: str, said: Said, stable_id: str, attached: Sequence[Attachment] = ()) -> None:
    if _mail is None:
        raise RuntimeError("No mail server is set.")
    db.step_outside()
    message = flask_mail.Message(subject=said.subject, recipients=[to], body=said.text, html=said.html)
    for each in attached:
        message.attach(each.name, each.kind, each.content)
    _, sender = parseaddr(str(message.sender))
    message.msgId = f"<{stable_id}@{sender.partition('@')[2] or 'frontdesk'}>"
    with _Connection(_mail) as connection:
        connection.send(message)

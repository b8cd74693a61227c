"""The one door to SMTP: Flask-Mail with a timeout, and the same Message-ID for the same message."""

from __future__ import annotations

import smtplib
from email.utils import parseaddr

import flask_mail

from app.kernel import db
from app.messages.template import Said

WAIT = 10  # seconds for each step; Flask-Mail by itself waits for ever
_mail: flask_mail.Mail | None = None


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


def send(*, to: str, said: Said, stable_id: str) -> None:
    if _mail is None:
        raise RuntimeError("No mail server is set.")
    db.step_outside()
    message = flask_mail.Message(subject=said.subject, recipients=[to], body=said.text, html=said.html)
    _, sender = parseaddr(str(message.sender))
    message.msgId = f"<{stable_id}@{sender.partition('@')[2] or 'frontdesk'}>"
    with _Connection(_mail) as connection:
        connection.send(message)

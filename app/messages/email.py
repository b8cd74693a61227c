"""Email by SMTP: Flask-Mail with a timeout, and a stable Message-ID per message."""

from __future__ import annotations

import smtplib
from collections.abc import Mapping
from email.utils import parseaddr

import flask_mail

from app.kernel import db
from app.kernel.errors import Missing
from app.kernel.people import Person
from app.messages.channel import Declined, OutgoingMessage, WebhookNews

WAIT = 10  # seconds per SMTP command; Flask-Mail has no timeout
FOR_GOOD = 500  # from this SMTP code on, a refusal is permanent


class _Connection(flask_mail.Connection):
    def configure_host(self) -> smtplib.SMTP:
        mail = self.mail
        host = smtplib.SMTP(mail.server, mail.port, timeout=WAIT)
        if mail.use_tls:
            host.starttls()
        if mail.username and mail.password:
            host.login(mail.username, mail.password)
        return host


class Email:
    name = "email"
    label = "Email"
    deduplicates = True
    confirms = False

    def __init__(self, mail: flask_mail.Mail) -> None:
        self.mail = mail

    def address(self, person: Person) -> str:
        return person.email

    def send(self, letter: OutgoingMessage) -> str:
        db.require_no_transaction()
        message = flask_mail.Message(
            subject=letter.content.subject, recipients=[letter.to], body=letter.content.text, html=letter.content.html
        )
        for each in letter.attachments:
            message.attach(each.name, each.kind, each.content)
        _, sender = parseaddr(str(message.sender))
        message.msgId = f"<message-{letter.id}@{sender.partition('@')[2] or 'frontdesk'}>"
        try:
            with _Connection(self.mail) as connection:
                connection.send(message)
        except smtplib.SMTPRecipientsRefused as no:
            code, words = next(iter(no.recipients.values()), (0, b""))
            if code < FOR_GOOD:
                raise
            raise Declined(
                f"The mail server rejected {letter.to}: {code} {words.decode('utf-8', 'replace')[:300]}"
            ) from None
        return str(message.msgId)

    def parse_webhook(self, raw: bytes, headers: Mapping[str, str], path: str) -> WebhookNews:
        raise Missing

    def answer_challenge(self, asked: Mapping[str, str]) -> str:
        raise Missing

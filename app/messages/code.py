"""Sign-in code: a one-time code of six digits, sent by email to customers who open their account."""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime
from hashlib import sha256
from typing import ClassVar

from sqlalchemy import ForeignKey, String, func, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.access import signature
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid
from app.kernel.jobs import job, later
from app.kernel.people import Person
from app.kernel.translation import say, unsaid
from app.kernel.workflow import move
from app.messages import channel
from app.messages.channel import OutgoingMessage
from app.messages.template import render_message

MINUTES = 10
TRIES = 5
WRONG = unsaid("This code is wrong or has expired. Check it, or request a new one.")


class Code(Noun):
    """A code for one email address. Unknown addresses get a row as well, so that nothing tells them apart.

    Neither the digits nor the address are stored: the digits derive from the secret key, and the address is hashed.
    """

    known_as = "sign-in code"
    states = "open", "used", "over"
    state_labels: ClassVar[dict[str, str]] = {"open": "Active", "over": "Expired"}
    audited = False  # the row is its own record

    handle: Mapped[str] = mapped_column(String(22), unique=True, default=lambda: secrets.token_urlsafe(16))
    mailbox: Mapped[str] = mapped_column(index=True, info={"personal": True, "label": "Email fingerprint"})
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"), index=True)
    person: Mapped[Person | None] = relationship(lazy="joined")
    expires_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0, info={"label": "Attempts"})
    used_at: Mapped[datetime | None]

    @classmethod
    def request(cls, mailbox: str) -> Code:
        """Send a new code; earlier ones for this address expire."""
        with transaction():
            whose = (
                select(Person.id)
                .where(func.lower(Person.email) == mailbox.lower(), Person.state == "known")
                .order_by(Person.id.desc())
                .limit(1)
            )
            for each in session.scalars(select(cls).where(cls.mailbox == _print(mailbox), cls.state == "open")):
                each.lapse()
            code = cls(
                mailbox=_print(mailbox), person_id=session.scalar(whose), expires_at=clock.ahead(minutes=MINUTES)
            )
            session.add(code)
            later(send, code)
        return code

    @classmethod
    def find_by_handle(cls, handle: str) -> Code | None:
        return session.scalar(select(cls).where(cls.handle == handle))

    @property
    def digits(self) -> str:
        return f"{int(sha256(signature(f'code:{self.handle}').encode()).hexdigest(), 16) % 10**6:06}"

    def is_for(self, mailbox: str) -> bool:
        return hmac.compare_digest(self.mailbox, _print(mailbox))

    def verify(self, typed: str) -> None:
        """Check the digits and use the code, or raise Invalid; every attempt counts."""
        given = "".join(each for each in typed if each.isascii() and each.isdecimal())
        with transaction():
            self.lock()
            right = self.state == "open" and self.expires_at > clock.now() and self.tries < TRIES
            self.tries += 1
            right = hmac.compare_digest(given, self.digits) and self.person_id is not None and right
            if right:
                self.use()
        if not right:
            raise Invalid.for_fields({"code": say(WRONG)})

    @move("open", to="used")
    def use(self) -> None:
        """Sign the customer in with this code. It works once."""
        self.used_at = clock.now()

    @move("open", "used", to="over")
    def lapse(self) -> None:
        """Invalidate the code after a newer one was requested, or after signing out."""

    def send(self) -> None:
        """Email the code directly: it must not appear in the message log."""
        if self.person is not None and self.state == "open" and self.expires_at > clock.now():
            content = render_message("house/code", self.person, {"code": self})
            # A negative ID, which no message of the log has.
            channel.get_channel("email").send(OutgoingMessage(-self.id, self.person.email, content))


def _print(mailbox: str) -> str:
    return signature(f"mailbox:{mailbox.lower()}")


@job("Send sign-in code")
def send(code: Code) -> None:
    code.send()

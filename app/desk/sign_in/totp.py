"""Second: what somebody signs in with beside their password: a code of their telephone, or one from a sheet of paper."""

from __future__ import annotations

import hmac
import secrets
import struct
from base64 import b32encode
from datetime import datetime
from hashlib import sha256
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import segno
from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, mapped_column

from app.kernel import audit, clock
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid, Missing
from app.kernel.secrets import sealed

SPAN, DIGITS = 30, 6  # as RFC 6238 has them, and as every program for it expects
SHEET = 10


class TwoFactor(Noun, table="second"):
    """One for each person. A code is good once, and a few seconds before and after its time, for clocks differ."""

    known_as = "two-factor authentication"

    audited = False  # each code that is used changes it; that it was switched on, off or renewed is said
    refusals: ClassVar[dict[str, str]] = {
        "second_user_id_key": "You already started this in another window. Reload the page."
    }

    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"), unique=True)
    secret: Mapped[Any] = sealed("second.secret")
    since: Mapped[datetime | None]
    last: Mapped[int] = mapped_column(default=0)  # the step of the last code, so that none is good twice
    sheet: Mapped[list[Any]] = mapped_column(default=list, info={"secret": True})

    @classmethod
    def of(cls, user_id: int) -> TwoFactor | None:
        return session.scalar(select(cls).where(cls.user_id == user_id).execution_options(populate_existing=True))

    @classmethod
    def is_on_for(cls, user_id: int) -> bool:
        return session.scalar(select(cls.id).where(cls.user_id == user_id, cls.since.is_not(None))) is not None

    @classmethod
    def begin(cls, user_id: int) -> TwoFactor:
        """A secret to be taken into the telephone; nothing depends on it before its first code was right."""
        with transaction():
            it = cls.of(user_id)
            if it is None:
                it = cls(user_id=user_id)
                session.add(it)
            if it.since is None:
                it.secret = secrets.token_hex(20)
        return it

    def switch_on(self, typed: str) -> list[str]:
        """From now on it is asked for; answers the sheet of paper, which is shown this once."""
        with transaction():
            self.lock()
            if self.since is not None:
                raise Invalid.fields_said({"code": "Two-factor authentication is already on."})
            self._take_code(typed)
            audit.note(self, "switched_on")
            self.since = clock.now()
            return self._new_sheet()

    def new_sheet(self, typed: str) -> list[str]:
        with transaction():
            self.lock()
            self._take_code(typed)
            audit.note(self, "wrote_new_sheet")
            return self._new_sheet()

    def switch_off(self, typed: str) -> None:
        with transaction():
            self.lock()
            self._take(typed)
            self.go("switched_off")

    @classmethod
    def take_from(cls, user_id: int) -> None:
        """Without a code, by an administrator: for whoever lost the telephone and the sheet."""
        it = cls.of(user_id)
        if it is None or it.since is None:
            raise Missing
        with transaction():
            it.lock()
            it.go("taken_away")

    def go(self, verb: str) -> None:
        audit.note(self, verb)
        self.since, self.secret, self.sheet = None, None, []

    def passes(self, typed: str) -> None:
        """Let them in with this code, once, or say no."""
        with transaction():
            self.lock()
            self._take(typed)

    def _take(self, typed: str) -> None:
        on_paper = _digest(typed)
        if on_paper in self.sheet:
            self.sheet = [each for each in self.sheet if each != on_paper]
            audit.note(self, "used_sheet")
        else:
            self._take_code(typed)

    def _take_code(self, typed: str) -> None:
        now, typed = int(clock.now().timestamp()) // SPAN, "".join(typed.split())
        for step in (now, now - 1, now + 1):
            if step > self.last and hmac.compare_digest(code_at(self.secret, step).encode(), typed.encode()):
                self.last = step
                return
        raise Invalid.fields_said(
            {
                "code": "This code is incorrect or was already used. Enter the next code from your authenticator app, or another recovery code."
            }
        )

    def _new_sheet(self) -> list[str]:
        words = [secrets.token_hex(8) for _ in range(SHEET)]
        self.sheet = [_digest(each) for each in words]
        return ["-".join(each[at : at + 4] for at in range(0, 16, 4)) for each in words]

    @property
    def said(self) -> str:
        """The secret for somebody whose telephone has no camera, in fours."""
        words = b32encode(bytes.fromhex(self.secret)).decode()
        return " ".join(words[at : at + 4] for at in range(0, len(words), 4))

    def drawn(self, house: str, name: str) -> str:
        """The secret as a picture that a telephone reads: an SVG of our own, fetched from nobody."""
        asked = urlencode({"secret": self.said.replace(" ", ""), "issuer": house}, quote_via=quote)
        address = f"otpauth://totp/{quote(house)}:{quote(name)}?{asked}"
        return str(segno.make(address, error="m", micro=False).svg_inline(scale=5, light="#fff", omitsize=True))


def code_at(secret: str, step: int) -> str:
    """RFC 4226, 5.3: six digits of a keyed hash over the number of half minutes since 1970."""
    hashed = hmac.digest(bytes.fromhex(secret), struct.pack(">Q", step), "sha1")
    at = hashed[-1] & 15
    return f"{(struct.unpack('>I', hashed[at : at + 4])[0] & 0x7FFFFFFF) % 10**DIGITS:0{DIGITS}}"


def _digest(typed: str) -> str:
    """Sixty-four random bits: nobody finds them again by trying, so a plain hash is enough."""
    return sha256("".join(typed.split()).replace("-", "").lower().encode()).hexdigest()

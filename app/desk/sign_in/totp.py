"""TOTP two-factor authentication: a code from an authenticator app, or a recovery code, after the password."""

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

STEP_SECONDS, DIGITS = 30, 6  # the defaults of RFC 6238, which every authenticator app expects
RECOVERY_CODES = 10


class TwoFactor(Noun, table="second"):
    """One for each user. A code works once, and one step early or late because clocks differ."""

    known_as = "two-factor authentication"

    audited = False  # every code changes it; switching on or off and renewing write their own history entries
    refusals: ClassVar[dict[str, str]] = {
        "second_user_id_key": "You already started this in another window. Reload the page."
    }

    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"), unique=True)
    secret: Mapped[Any] = sealed("second.secret")
    since: Mapped[datetime | None]
    last: Mapped[int] = mapped_column(default=0)  # the time step of the last code, so that no code works twice
    sheet: Mapped[list[Any]] = mapped_column(default=list, info={"secret": True})

    @classmethod
    def get_for(cls, user_id: int) -> TwoFactor | None:
        return session.scalar(select(cls).where(cls.user_id == user_id).execution_options(populate_existing=True))

    @classmethod
    def is_on_for(cls, user_id: int) -> bool:
        return session.scalar(select(cls.id).where(cls.user_id == user_id, cls.since.is_not(None))) is not None

    @classmethod
    def begin_setup(cls, user_id: int) -> TwoFactor:
        """Create a secret for the authenticator app. It is not used until `switch_on` has seen its first code."""
        with transaction():
            factor = cls.get_for(user_id)
            if factor is None:
                factor = cls(user_id=user_id)
                session.add(factor)
            if factor.since is None:
                factor.secret = secrets.token_hex(20)
        return factor

    def switch_on(self, typed: str) -> list[str]:
        """Require a code from now on. Return the recovery codes, which are shown once."""
        with transaction():
            self.lock()
            if self.since is not None:
                raise Invalid.for_fields({"code": "Two-factor authentication is already on."})
            self._use_app_code(typed)
            audit.name_change(self, "switched_on")
            self.since = clock.now()
            return self._make_recovery_codes()

    def renew_recovery_codes(self, typed: str) -> list[str]:
        with transaction():
            self.lock()
            self._use_app_code(typed)
            audit.name_change(self, "wrote_new_sheet")
            return self._make_recovery_codes()

    def switch_off(self, typed: str) -> None:
        with transaction():
            self.lock()
            self._use_code(typed)
            self.clear_secret("switched_off")

    @classmethod
    def reset_for(cls, user_id: int) -> None:
        """Turn it off without a code, by an administrator, for a user who lost the phone and the recovery codes."""
        factor = cls.get_for(user_id)
        if factor is None or factor.since is None:
            raise Missing
        with transaction():
            factor.lock()
            factor.clear_secret("taken_away")

    def clear_secret(self, verb: str) -> None:
        audit.name_change(self, verb)
        self.since, self.secret, self.sheet = None, None, []

    def verify_code(self, typed: str) -> None:
        """Accept an app code or a recovery code, once, or refuse."""
        with transaction():
            self.lock()
            self._use_code(typed)

    def _use_code(self, typed: str) -> None:
        recovery = _hash_recovery_code(typed)
        if recovery in self.sheet:
            self.sheet = [each for each in self.sheet if each != recovery]
            audit.name_change(self, "used_sheet")
        else:
            self._use_app_code(typed)

    def _use_app_code(self, typed: str) -> None:
        now, typed = int(clock.now().timestamp()) // STEP_SECONDS, "".join(typed.split())
        for step in (now, now - 1, now + 1):
            if step > self.last and hmac.compare_digest(code_at(self.secret, step).encode(), typed.encode()):
                self.last = step
                return
        raise Invalid.for_fields(
            {
                "code": "This code is incorrect or was already used. "
                "Enter the next code from your authenticator app, or another recovery code."
            }
        )

    def _make_recovery_codes(self) -> list[str]:
        codes = [secrets.token_hex(8) for _ in range(RECOVERY_CODES)]
        self.sheet = [_hash_recovery_code(each) for each in codes]
        return ["-".join(each[at : at + 4] for at in range(0, 16, 4)) for each in codes]

    @property
    def secret_in_groups(self) -> str:
        """The secret in groups of four, to be typed where a QR code cannot be scanned."""
        secret = b32encode(bytes.fromhex(self.secret)).decode()
        return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))

    def qr_code(self, house: str, name: str) -> str:
        """Draw the secret as a QR code: inline SVG, so that no other site sees it."""
        query = urlencode({"secret": self.secret_in_groups.replace(" ", ""), "issuer": house}, quote_via=quote)
        address = f"otpauth://totp/{quote(house)}:{quote(name)}?{query}"
        return str(segno.make(address, error="m", micro=False).svg_inline(scale=5, light="#fff", omitsize=True))


def code_at(secret: str, step: int) -> str:
    """RFC 4226, 5.3: six digits of an HMAC over the number of time steps since 1970."""
    hashed = hmac.digest(bytes.fromhex(secret), struct.pack(">Q", step), "sha1")
    at = hashed[-1] & 15
    return f"{(struct.unpack('>I', hashed[at : at + 4])[0] & 0x7FFFFFFF) % 10**DIGITS:0{DIGITS}}"


def _hash_recovery_code(typed: str) -> str:
    """Recovery codes have 64 random bits, so a plain hash is enough against guessing."""
    return sha256("".join(typed.split()).replace("-", "").lower().encode()).hexdigest()

"""Passkey: a key pair in somebody's telephone, computer or stick. We keep the public half, and what it signs lets them in."""

from __future__ import annotations

import json
import secrets
import struct
from datetime import datetime
from ipaddress import ip_address
from typing import Any, ClassVar
from urllib.parse import urlsplit

import webauthn
from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String, select
from sqlalchemy.orm import Mapped, mapped_column
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from app.kernel import audit, clock
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid, Missing, NotSignedIn, Refused

LONGEST_NAME = 60
MOST = 20  # of one person
_WRONG = (
    WebAuthnException,
    struct.error,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
)  # the library has a word of its own for most, not for all
_TRANSPORTS = frozenset(each.value for each in AuthenticatorTransport)


class Passkey(Noun):
    """It asks for a finger, a face or its own code each time, so it is both factors at once."""

    audited = False  # each use changes it, and is said of the sitting that it begins
    refusals: ClassVar[dict[str, str]] = {"passkey_credential_key": "This passkey has already been added."}

    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    credential: Mapped[bytes] = mapped_column(LargeBinary, unique=True, info={"secret": True})
    public_key: Mapped[bytes] = mapped_column(LargeBinary, info={"secret": True})
    handle: Mapped[bytes] = mapped_column(
        LargeBinary, info={"secret": True}
    )  # whose it is, in the authenticator's words: the same for all of one person's
    sign_count: Mapped[int] = mapped_column(BigInteger, default=0)  # four bytes without a sign
    transports: Mapped[list[Any]] = mapped_column(default=list)
    used_at: Mapped[datetime | None]

    @classmethod
    def of(cls, user_id: int) -> list[Passkey]:
        return [*session.scalars(select(cls).where(cls.user_id == user_id).order_by(cls.id))]

    @classmethod
    def one(cls, user_id: int, id: int) -> Passkey:
        found = next((each for each in cls.of(user_id) if each.id == id), None)
        if found is None:
            raise Missing
        return found

    @classmethod
    def add(cls, user_id: int, *, name: str, answer: str, asked: Asked) -> Passkey:
        """What an authenticator made for this person, when it was asked to."""
        name = called(name)
        if len(cls.of(user_id)) >= MOST:
            raise Refused(f"You have {MOST} passkeys. Remove one before you add another.")
        made, told = asked.made(answer)
        with transaction():
            it = cls(
                user_id=user_id,
                name=name,
                credential=made.credential_id,
                public_key=made.credential_public_key,
                handle=asked.handle,
                sign_count=made.sign_count,
                transports=told,
            )
            session.add(it)
            audit.note(it, "added")
        return it

    @classmethod
    def shown(cls, credential: bytes) -> Passkey | None:
        return session.scalar(select(cls).where(cls.credential == credential))

    def passes(self, answer: dict[str, Any], asked: Asked) -> None:
        """Let its owner in, or say no. One that counts backwards is a copy of it, or has one."""
        count = asked.signed(answer, self)
        with transaction():
            self.lock()
            is_ahead = count > self.sign_count or count == self.sign_count == 0
            if is_ahead:
                self.sign_count, self.used_at = count, clock.now()
            else:
                audit.note(self, "counted_backwards")
                audit.line(self, "counted_backwards")
        if not is_ahead:
            raise NotSignedIn("This passkey may have been copied. Sign in with your password and remove it.")

    def call(self, name: str) -> None:
        name = called(name)
        with transaction():
            self.lock()
            audit.note(self, "renamed")
            self.name = name

    def remove(self) -> None:
        with transaction():
            self.lock()
            audit.note(self, "removed")
            session.delete(self)


class Asked:
    """One question to an authenticator, for one address: a browser signs for no other."""

    def __init__(self, home: str, challenge: bytes | None = None, handle: bytes = b"") -> None:
        self.home, self.host = origin(home), urlsplit(home).hostname or ""
        self.challenge, self.handle = challenge or secrets.token_bytes(32), handle

    def to_make(self, *, house: str, user: Any, known: list[Passkey]) -> str:
        """For `navigator.credentials.create`: one that can be found without a name, and that asks who is there."""
        self.handle = known[0].handle if known else secrets.token_bytes(32)
        have = [
            PublicKeyCredentialDescriptor(
                id=each.credential, transports=[AuthenticatorTransport(it) for it in each.transports]
            )
            for each in known
        ]
        wanted = AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        )
        options = webauthn.generate_registration_options(
            rp_id=self.host,
            rp_name=house,
            user_name=user.username,
            user_display_name=" ".join(filter(None, (user.first_name, user.last_name))) or user.username,
            user_id=self.handle,
            challenge=self.challenge,
            exclude_credentials=have,
            authenticator_selection=wanted,
        )
        return webauthn.options_to_json(options)

    def to_sign(self) -> str:
        """For `navigator.credentials.get`: whichever passkey of ours is there."""
        options = webauthn.generate_authentication_options(
            rp_id=self.host, challenge=self.challenge, user_verification=UserVerificationRequirement.REQUIRED
        )
        return webauthn.options_to_json(options)

    def made(self, answer: str) -> tuple[Any, list[str]]:
        told = read(answer)
        try:
            made = webauthn.verify_registration_response(
                credential=told,
                expected_challenge=self.challenge,
                expected_rp_id=self.host,
                expected_origin=self.home,
                require_user_verification=True,
            )
        except _WRONG:
            raise Invalid(
                "This passkey could not be verified and was not added. Please try again, or use another one."
            ) from None
        transports = told["response"].get("transports")
        return made, [each for each in transports if each in _TRANSPORTS] if isinstance(transports, list) else []

    def signed(self, answer: dict[str, Any], passkey: Passkey) -> int:
        """How often it has signed by now, by its own count; we hold that against ours under a lock."""
        try:
            told = webauthn.verify_authentication_response(
                credential=answer,
                expected_challenge=self.challenge,
                expected_rp_id=self.host,
                expected_origin=self.home,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=0,
                require_user_verification=True,
            )
            if webauthn.base64url_to_bytes(answer["response"]["userHandle"]) != passkey.handle:
                raise ValueError
        except _WRONG:
            raise NotSignedIn(
                "This passkey could not be verified. Please try again, or sign in with your password."
            ) from None
        return int(told.new_sign_count)


def read(answer: str) -> dict[str, Any]:
    """What a browser hands on of an authenticator."""
    try:
        told = json.loads(answer)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("response"), dict):
        raise Invalid("The passkey response isn’t valid. Please try again.")
    return told


def credential_of(answer: dict[str, Any]) -> bytes:
    try:
        return webauthn.base64url_to_bytes(answer["rawId"])
    except _WRONG:
        raise Invalid("The passkey response isn’t valid. Please try again.") from None


def origin(home: str) -> str:
    """As a browser writes it: small letters, and a port only where it is not the usual one."""
    there = urlsplit(home)
    usual = {"http": 80, "https": 443}.get(there.scheme)
    return f"{there.scheme}://{there.hostname}" + (f":{there.port}" if there.port not in (None, usual) else "")


def can_be_at(home: str) -> bool:
    """A passkey belongs to a name: browsers make none for an address of figures."""
    try:
        ip_address(urlsplit(home).hostname or "")
    except ValueError:
        return True
    return False


def called(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid.fields_said({"name": f"Enter a name of at most {LONGEST_NAME} characters."})
    return name

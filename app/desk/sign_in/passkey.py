"""Passkey (WebAuthn): a key pair on a phone, computer or security key; we store the public key only."""

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
MAX_PASSKEYS = 20  # for each user
# The library has an exception of its own for most malformed answers, but not for all of them.
_VERIFICATION_ERRORS = WebAuthnException, struct.error, ValueError, KeyError, TypeError, IndexError
_TRANSPORTS = frozenset(each.value for each in AuthenticatorTransport)


class Passkey(Noun):
    """User verification (fingerprint, face or PIN) is required each time, so a passkey counts as both factors."""

    audited = False  # every use changes it, and the session that it begins is in the history
    refusals: ClassVar[dict[str, str]] = {"passkey_credential_key": "This passkey has already been added."}

    user_id: Mapped[int] = mapped_column(ForeignKey("ab_user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    credential: Mapped[bytes] = mapped_column(LargeBinary, unique=True, info={"secret": True})
    public_key: Mapped[bytes] = mapped_column(LargeBinary, info={"secret": True})
    # The WebAuthn user handle: the same for all passkeys of one user.
    handle: Mapped[bytes] = mapped_column(LargeBinary, info={"secret": True})
    sign_count: Mapped[int] = mapped_column(BigInteger, default=0)  # an unsigned 32-bit number
    transports: Mapped[list[Any]] = mapped_column(default=list)
    used_at: Mapped[datetime | None]

    @classmethod
    def list_for(cls, user_id: int) -> list[Passkey]:
        return [*session.scalars(select(cls).where(cls.user_id == user_id).order_by(cls.id))]

    @classmethod
    def get_for(cls, user_id: int, id: int) -> Passkey:
        found = next((each for each in cls.list_for(user_id) if each.id == id), None)
        if found is None:
            raise Missing
        return found

    @classmethod
    def register(cls, user_id: int, *, name: str, answer: str, challenge: Challenge) -> Passkey:
        """Verify an authenticator's answer to a registration challenge and store its public key."""
        name = checked_name(name)
        if len(cls.list_for(user_id)) >= MAX_PASSKEYS:
            raise Refused(f"You have {MAX_PASSKEYS} passkeys. Remove one before you add another.")
        made, transports = challenge.verify_registration(answer)
        with transaction():
            passkey = cls(
                user_id=user_id,
                name=name,
                credential=made.credential_id,
                public_key=made.credential_public_key,
                handle=challenge.handle,
                sign_count=made.sign_count,
                transports=transports,
            )
            session.add(passkey)
            audit.name_change(passkey, "added")
        return passkey

    @classmethod
    def find_by_credential(cls, credential: bytes) -> Passkey | None:
        return session.scalar(select(cls).where(cls.credential == credential))

    def verify(self, answer: dict[str, Any], challenge: Challenge) -> None:
        """Verify a sign-in, or refuse. A counter that did not increase means that the passkey was copied."""
        count = challenge.verify_signature(answer, self)
        with transaction():
            self.lock()
            is_ahead = count > self.sign_count or count == self.sign_count == 0
            if is_ahead:
                self.sign_count, self.used_at = count, clock.now()
            else:
                audit.name_change(self, "counted_backwards")
                audit.record_line(self, "counted_backwards")
        if not is_ahead:
            raise NotSignedIn("This passkey may have been copied. Sign in with your password and remove it.")

    def rename(self, name: str) -> None:
        name = checked_name(name)
        with transaction():
            self.lock()
            audit.name_change(self, "renamed")
            self.name = name

    def remove(self) -> None:
        with transaction():
            self.lock()
            audit.name_change(self, "removed")
            session.delete(self)


class Challenge:
    """One WebAuthn challenge to an authenticator, bound to our origin."""

    def __init__(self, home: str, challenge: bytes | None = None, handle: bytes = b"") -> None:
        self.home, self.host = browser_origin(home), urlsplit(home).hostname or ""
        self.challenge, self.handle = challenge or secrets.token_bytes(32), handle

    def registration_options(self, *, house: str, user: Any, known: list[Passkey]) -> str:
        """Options for `navigator.credentials.create`: a discoverable credential with user verification."""
        self.handle = known[0].handle if known else secrets.token_bytes(32)
        existing = [
            PublicKeyCredentialDescriptor(
                id=each.credential, transports=[AuthenticatorTransport(name) for name in each.transports]
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
            exclude_credentials=existing,
            authenticator_selection=wanted,
        )
        return webauthn.options_to_json(options)

    def authentication_options(self) -> str:
        """Options for `navigator.credentials.get`: any discoverable passkey for this site."""
        options = webauthn.generate_authentication_options(
            rp_id=self.host, challenge=self.challenge, user_verification=UserVerificationRequirement.REQUIRED
        )
        return webauthn.options_to_json(options)

    def verify_registration(self, answer: str) -> tuple[Any, list[str]]:
        parsed = parse_answer(answer)
        try:
            made = webauthn.verify_registration_response(
                credential=parsed,
                expected_challenge=self.challenge,
                expected_rp_id=self.host,
                expected_origin=self.home,
                require_user_verification=True,
            )
        except _VERIFICATION_ERRORS:
            raise Invalid(
                "This passkey could not be verified and was not added. Please try again, or use another one."
            ) from None
        transports = parsed["response"].get("transports")
        return made, [each for each in transports if each in _TRANSPORTS] if isinstance(transports, list) else []

    def verify_signature(self, answer: dict[str, Any], passkey: Passkey) -> int:
        """Return the authenticator's signature counter; the caller compares it with ours under a lock."""
        try:
            verified = webauthn.verify_authentication_response(
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
        except _VERIFICATION_ERRORS:
            raise NotSignedIn(
                "This passkey could not be verified. Please try again, or sign in with your password."
            ) from None
        return int(verified.new_sign_count)


def parse_answer(answer: str) -> dict[str, Any]:
    """Parse the authenticator's answer as the browser posts it."""
    try:
        parsed = json.loads(answer)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict) or not isinstance(parsed.get("response"), dict):
        raise Invalid("The passkey response isn’t valid. Please try again.")
    return parsed


def credential_id(answer: dict[str, Any]) -> bytes:
    try:
        return webauthn.base64url_to_bytes(answer["rawId"])
    except _VERIFICATION_ERRORS:
        raise Invalid("The passkey response isn’t valid. Please try again.") from None


def browser_origin(home: str) -> str:
    """Write the origin as a browser does: in lower case, without the default port."""
    url = urlsplit(home)
    default = {"http": 80, "https": 443}.get(url.scheme)
    return f"{url.scheme}://{url.hostname}" + (f":{url.port}" if url.port not in (None, default) else "")


def allows_passkeys(home: str) -> bool:
    """Browsers create passkeys for domain names only, never for IP addresses."""
    try:
        ip_address(urlsplit(home).hostname or "")
    except ValueError:
        return True
    return False


def checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Invalid.for_fields({"name": f"Enter a name of at most {LONGEST_NAME} characters."})
    return name

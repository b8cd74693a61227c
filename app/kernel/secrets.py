"""Encryption at rest (AES-GCM): encrypted columns and files, with key rotation; each value is bound to its column."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Dialect, LargeBinary
from sqlalchemy.orm import MappedColumn, mapped_column
from sqlalchemy.types import TypeDecorator

_FORMAT = b"\x01"  # a sealed value: this byte, the key ID, a nonce, the ciphertext
_ID, _NONCE = 4, 12

_key_ring: dict[bytes, AESGCM] = {}
_current_key_id = b""


class Unsealable(Exception):
    """Decryption failed: the key is missing, the bytes were changed, or they belong to another column."""


def configure(*keys: str) -> None:
    """Set the data keys: the first encrypts, the others still decrypt, so that a key can be rotated."""
    global _key_ring, _current_key_id
    made = [(_derive_key("which", key)[:_ID], AESGCM(_derive_key("seals", key))) for key in keys if key]
    _key_ring, _current_key_id = dict(reversed(made)), made[0][0] if made else b""


def _derive_key(purpose: str, key: str) -> bytes:
    return hashlib.sha256(f"frontdesk data key, {purpose}: {key}".encode()).digest()


def seal(value: Any, place: str) -> bytes:
    """Encrypt a JSON value for one place, such as "booking.sealed_answers"."""
    return seal_bytes(json.dumps(value, ensure_ascii=False).encode(), place)


def unseal(sealed: bytes, place: str) -> Any:
    return json.loads(unseal_bytes(sealed, place))


def seal_bytes(content: bytes, place: str) -> bytes:
    """Encrypt bytes, such as a file outside the database."""
    if not _key_ring:
        raise Unsealable("There is no data key. Set DATA_KEYS.")
    head, nonce = _FORMAT + _current_key_id, secrets.token_bytes(_NONCE)
    return head + nonce + _key_ring[_current_key_id].encrypt(nonce, content, _associated_data(head, place))


def unseal_bytes(sealed: bytes, place: str) -> bytes:
    head, nonce, rest = sealed[: 1 + _ID], sealed[1 + _ID : 1 + _ID + _NONCE], sealed[1 + _ID + _NONCE :]
    key = _key_ring.get(head[1:])
    if head[:1] != _FORMAT or key is None:
        raise Unsealable(f"{place} was encrypted with a key that is not in DATA_KEYS.")
    try:
        return key.decrypt(nonce, rest, _associated_data(head, place))
    except InvalidTag:
        raise Unsealable(f"{place} was changed after it was encrypted, or was encrypted for another column.") from None


def has_current_key(sealed: bytes) -> bool:
    """True if it was encrypted with the first key."""
    return sealed[: 1 + _ID] == _FORMAT + _current_key_id


def _associated_data(head: bytes, place: str) -> bytes:
    """Data that is authenticated but not encrypted: format, key ID and place."""
    return head + place.encode()


class Sealed(TypeDecorator[Any]):
    """An encrypted JSON value: bytes in the database, the value in Python."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, place: str = "") -> None:
        super().__init__()
        self.place = place

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        return None if value is None else seal(value, self.place)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else unseal(bytes(value), self.place)


def sealed(place: str, **info: Any) -> MappedColumn[Any]:
    """Declare an encrypted column, loaded only on access: `diagnosis: Mapped[Any] = sealed("patient.diagnosis")`."""
    return mapped_column(Sealed(place), nullable=True, deferred=True, info={"secret": True} | info)

"""The encrypted column and its key ring: what is sealed is read with a key of this house, in the place it was sealed for, or not at all."""

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

_FORMAT = b"\x01"  # of the bytes: this mark, which key, a nonce, and what it sealed
_ID, _NONCE = 4, 12

_key_ring: dict[bytes, AESGCM] = {}
_current_key_id = b""


class Unsealable(Exception):
    """No key of this house opens it here: the key is gone, the bytes were changed, or they were taken from another place."""


def configure(*keys: str) -> None:
    """The first key seals; the others still open what they sealed, so that a key can be changed without breaking what is kept."""
    global _key_ring, _current_key_id
    made = [(_derive_key("which", key)[:_ID], AESGCM(_derive_key("seals", key))) for key in keys if key]
    _key_ring, _current_key_id = dict(reversed(made)), made[0][0] if made else b""


def _derive_key(purpose: str, key: str) -> bytes:
    return hashlib.sha256(f"frontdesk data key, {purpose}: {key}".encode()).digest()


def seal(value: Any, place: str) -> bytes:
    """What can be said in JSON, for one place alone: "booking.sealed_answers"."""
    return seal_bytes(json.dumps(value, ensure_ascii=False).encode(), place)


def unseal(sealed: bytes, place: str) -> Any:
    return json.loads(unseal_bytes(sealed, place))


def seal_bytes(content: bytes, place: str) -> bytes:
    """The same for bytes, such as a file that is kept outside the database."""
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
    """Was it sealed with the key that seals today?"""
    return sealed[: 1 + _ID] == _FORMAT + _current_key_id


def _associated_data(head: bytes, place: str) -> bytes:
    """What is not secret and must not be changed either: how, with which key, and where."""
    return head + place.encode()


class Sealed(TypeDecorator[Any]):
    """Bytes in the database, and in the program what they mean."""

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
    """A column that is not even opened until somebody asks for it: `diagnosis: Mapped[Any] = sealed("patient.diagnosis")`."""
    return mapped_column(Sealed(place), nullable=True, deferred=True, info={"secret": True} | info)

"""Password hashing: bcrypt with twelve rounds over a SHA-256 of the whole password."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import bcrypt
from werkzeug.security import check_password_hash

ROUNDS = 12
_PREFIX = "sha256+"

# Compared when there is no such user, so that both cases take equally long. No password matches it.
DUMMY_HASH = _PREFIX + "$2b$12$mLgYD1F.J8RWElQavOZPAu8AysdewCdzkUbDH43znwhXvS05PNGsC"


def hash_password(password: str) -> str:
    return _PREFIX + bcrypt.hashpw(_prehashed(password), bcrypt.gensalt(ROUNDS)).decode()


def check_password(stored: str, password: str) -> bool:
    """Compare with a stored hash, also with an older one of Flask-AppBuilder, for which `needs_rehash` is true."""
    if needs_rehash(stored):
        return bool(stored) and check_password_hash(stored, password)
    return bcrypt.checkpw(_prehashed(password), stored.removeprefix(_PREFIX).encode())


def needs_rehash(stored: str) -> bool:
    return not stored.startswith(_PREFIX)


def _prehashed(password: str) -> bytes:
    """bcrypt ignores everything after 72 bytes or a zero byte; the encoded hash is shorter and has no zero byte."""
    return b64encode(sha256(password.encode()).digest())

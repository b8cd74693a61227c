"""Passwords as they are kept: bcrypt at twelve rounds over a hash of the whole of what was typed."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import bcrypt
from werkzeug.security import check_password_hash

ROUNDS = 12
_MARK = "sha256+"

# For whoever is not there: made like the others, so that looking takes as long, and fitting nothing that can be typed.
NOBODYS = _MARK + "$2b$12$mLgYD1F.J8RWElQavOZPAu8AysdewCdzkUbDH43znwhXvS05PNGsC"


def hashed(password: str) -> str:
    return _MARK + bcrypt.hashpw(_short(password), bcrypt.gensalt(ROUNDS)).decode()


def fits(kept: str, password: str) -> bool:
    """Also what Flask-AppBuilder kept before; `is_old` says that it is to be kept anew."""
    if is_old(kept):
        return bool(kept) and check_password_hash(kept, password)
    return bcrypt.checkpw(_short(password), kept.removeprefix(_MARK).encode())


def is_old(kept: str) -> bool:
    return not kept.startswith(_MARK)


def _short(password: str) -> bytes:
    """bcrypt looks at 72 bytes and stops at a zero: of this it sees all, and there is none in it."""
    return b64encode(sha256(password.encode()).digest())

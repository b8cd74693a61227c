"""Uploads: checked, drawn again, stored under a name of ours, and shown only by whoever holds the row."""

from __future__ import annotations

import hashlib
import secrets
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Self

from PIL import Image, ImageOps, UnidentifiedImageError
from sqlalchemy.orm import Mapped

from app.kernel.db import Noun, session
from app.kernel.errors import Invalid

LARGEST = 8 * 1024 * 1024
Image.MAX_IMAGE_PIXELS = 40_000_000
_folder = Path("var/files")


def keep_in(folder: Path) -> None:
    global _folder
    _folder = folder


class Picture(Noun):
    """An image somebody uploaded. What is stored is our drawing of it: no metadata, no script, no surprise."""

    name: Mapped[str]
    place: Mapped[str]
    sha256: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]

    @classmethod
    def keep(cls, upload: BinaryIO, name: str) -> Self:
        drawn, (width, height) = _draw_again(upload.read(LARGEST + 1))
        place = f"{secrets.token_hex(16)}.webp"
        _folder.mkdir(parents=True, exist_ok=True)
        (_folder / place).write_bytes(drawn)
        picture = cls(name=Path(name).name[:100], place=place, sha256=hashlib.sha256(drawn).hexdigest(), width=width, height=height)
        session.add(picture)
        return picture

    @property
    def path(self) -> Path:
        return (_folder / self.place).resolve()


def _draw_again(raw: bytes) -> tuple[bytes, tuple[int, int]]:
    if len(raw) > LARGEST:
        raise Invalid.fields_said({"photo": "At most 8 MB, please."})
    try:
        with Image.open(BytesIO(raw), formats=("JPEG", "PNG", "WEBP")) as image:
            upright = ImageOps.exif_transpose(image)  # a telephone writes down which way it was held, and we drop what it wrote
            upright.thumbnail((1600, 1600))
            out = BytesIO()
            upright.convert("RGB").save(out, "WEBP", quality=85)
            return out.getvalue(), upright.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        raise Invalid.fields_said({"photo": "This is not a JPEG, PNG or WebP picture."}) from None

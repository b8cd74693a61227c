"""Uploads: pictures and files sent with a form, checked by content, re-encoded, stored under random names.

Pictures lose their metadata (EXIF); answers to a sensitive question are encrypted. Unused uploads are deleted.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Self

from PIL import Image, ImageOps, UnidentifiedImageError
from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, mapped_column, undefer

from app.kernel import clock
from app.kernel.access import Linked, signature
from app.kernel.db import Noun, session, transaction
from app.kernel.errors import Invalid, Missing, Refused
from app.kernel.jobs import every, job, later
from app.kernel.question import Question
from app.kernel.secrets import has_current_key, seal_bytes, sealed, unseal_bytes
from app.kernel.translation import say, unsaid
from app.kernel.workflow import move

LARGEST = 8 * 1024 * 1024
Image.MAX_IMAGE_PIXELS = 40_000_000
_folder = Path("var/files")


def configure(folder: Path) -> None:
    global _folder
    _folder = folder


class Picture(Noun):
    """An uploaded image, stored re-encoded: without metadata and without scripts."""

    name: Mapped[str]
    place: Mapped[str]
    sha256: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]

    @classmethod
    def store(cls, upload: BinaryIO, name: str) -> Self:
        raw = upload.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise Invalid.for_fields({"photo": "Upload an image of 8 MB or less."})
        try:
            drawn, (width, height) = _reencode(raw, 1600)
        except ValueError:
            raise Invalid.for_fields({"photo": "Upload a JPEG, PNG or WebP image."}) from None
        place = f"{secrets.token_hex(16)}.webp"
        _folder.mkdir(parents=True, exist_ok=True)
        (_folder / place).write_bytes(drawn)
        picture = cls(
            name=Path(name).name[:100],
            place=place,
            sha256=hashlib.sha256(drawn).hexdigest(),
            width=width,
            height=height,
        )
        session.add(picture)
        return picture

    @property
    def path(self) -> Path:
        return (_folder / self.place).resolve()


def _reencode(raw: bytes, longest: int) -> tuple[bytes, tuple[int, int]]:
    try:
        with Image.open(BytesIO(raw), formats=("JPEG", "PNG", "WEBP")) as image:
            upright = ImageOps.exif_transpose(image)  # rotate, since the EXIF orientation will be dropped
            upright.thumbnail((longest, longest))
            out = BytesIO()
            upright.convert("RGB").save(out, "WEBP", quality=85)
            return out.getvalue(), upright.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        raise ValueError("no picture") from None


# --- files sent as answers --------------------------------------------------------------------------------------------

GONE = unsaid("This file is no longer available. Please choose it again.")
_PDF, _WEBP = "application/pdf", "image/webp"


def _why_expired(upload: Upload) -> str | None:
    return say(GONE) if upload.expires_at <= clock.now() else None


class Upload(Noun, Linked):
    """A file sent as the answer to a question of a form. Until it belongs to a row, only its token leads to it."""

    known_as = "uploaded file"
    link_kind = "upload"
    states = "waiting", "kept", "gone"
    audited = False  # its row has a history, and its name is private
    __table_args__ = (Index("upload_row", "noun", "row_id"),)
    refusals: ClassVar[dict[str, str]] = {"upload_mark_key": "This file was already uploaded."}

    form_id: Mapped[int] = mapped_column(ForeignKey("form.id"))
    question: Mapped[str]
    noun: Mapped[str | None]
    row_id: Mapped[int | None]
    name: Mapped[str | None] = sealed("upload.name", personal=True)
    kind: Mapped[str]
    length: Mapped[int]
    place: Mapped[str] = mapped_column(info={"secret": True})
    is_sealed: Mapped[bool]
    mark: Mapped[str | None] = mapped_column(unique=True, info={"secret": True})
    expires_at: Mapped[datetime]

    @classmethod
    def store(cls, stream: BinaryIO, name: str, asked: Question, form_id: int, *, minutes: int, once: str = "") -> Self:
        """Check the content of a file and store it; ValueError says what is wrong. A resent page stores it once."""
        most = asked.max_megabytes * 1024 * 1024
        raw = stream.read(most + 1)
        if len(raw) > most:
            raise ValueError(say("Upload a file of %(n)s MB or less.", n=asked.max_megabytes))
        content, kind = _check_content(raw)
        mark = signature(f"{once}:{form_id}:{asked.name}:{hashlib.sha256(content).hexdigest()}") if once else None
        if known := cls._find_same(mark, minutes):
            return known
        place = secrets.token_hex(16)
        _path(place).parent.mkdir(parents=True, exist_ok=True)
        _path(place).write_bytes(seal_bytes(content, place) if asked.secret else content)
        made = cls(
            form_id=form_id,
            question=asked.name,
            name=_safe_name(name, kind),
            kind=kind,
            length=len(content),
            place=place,
            is_sealed=asked.secret,
            mark=mark,
            expires_at=clock.ahead(minutes=minutes),
        )
        try:
            with transaction():
                session.add(made)
        except Refused:
            _path(place).unlink()
            if first := cls._find_same(mark, minutes):  # stored a moment earlier by another process, from the same page
                return first
            raise
        return made

    @classmethod
    def _find_same(cls, mark: str | None, minutes: int) -> Self | None:
        with transaction():
            known = (
                session.scalars(select(cls).where(cls.mark == mark, cls.state != "gone")).one_or_none()
                if mark
                else None
            )
            if known:
                known.expires_at = clock.ahead(minutes=minutes)
        return known

    @classmethod
    def find_waiting(cls, token: str, form_id: int, question: str) -> Self:
        """Find a file that waits to be attached for this question; ValueError if there is none."""
        try:
            found = cls.by_token(token)
        except Missing:
            raise ValueError(say(GONE)) from None
        if (found.form_id, found.question, found.state) != (form_id, question, "waiting") or _why_expired(found):
            raise ValueError(say(GONE))
        return found

    @classmethod
    def attached_to(cls, row: Noun) -> Sequence[Self]:
        return session.scalars(
            select(cls).where(cls.noun == row.__tablename__, cls.row_id == row.id, cls.state == "kept").order_by(cls.id)
        ).all()

    @property
    def as_answer(self) -> dict[str, Any]:
        return {"file": self.id, "name": self.name}

    @property
    def content(self) -> bytes:
        try:
            raw = _path(self.place).read_bytes()
        except FileNotFoundError:
            raise Missing from None
        return unseal_bytes(raw, self.place) if self.is_sealed else raw

    @property
    def size(self) -> str:
        return (
            f"{self.length / 1024 / 1024:.1f} MB" if self.length >= 100 * 1024 else f"{max(self.length // 1024, 1)} kB"
        )

    @move("waiting", to="kept", when=_why_expired)
    def take(self, row: Noun) -> None:
        """Attach the file to a record. It is deleted only together with that record."""
        self.noun, self.row_id = row.__tablename__, row.id

    @move("kept", to="waiting")
    def hand_back(self) -> None:
        """Detach the file while the record it belongs to is being corrected."""
        self.expires_at = clock.ahead(minutes=15)

    @move("kept", to="gone")
    def go(self) -> None:
        """Delete the file because its owner asked for their data to be erased."""
        later(unlink, self)

    def on_forget(self) -> None:
        if self.state == "kept":
            self.go()

    def unlink(self) -> None:
        _path(self.place).unlink(missing_ok=True)

    def reencrypt(self) -> bool:
        """Encrypt the file again if an older key did, by replacing it with a complete new file."""
        path = _path(self.place)
        if not self.is_sealed or not path.exists() or has_current_key(path.read_bytes()):
            return False
        beside = path.with_suffix(".new")
        beside.write_bytes(seal_bytes(self.content, self.place))
        beside.replace(path)
        return True

    def export_extras(self) -> dict[str, Any]:
        """The file's name and link, for the export of personal data."""
        return {"File name": self.name, "Link": f"/file/{self.token}"}


def _path(place: str) -> Path:
    return (_folder / "sent" / place).resolve()


def _safe_name(name: str, kind: str) -> str:
    """The name of a file without its path and without special characters, with the ending of its type."""
    stem = Path(name.replace("\\", "/")).stem
    printable = "".join(each for each in stem if each.isprintable() and each not in '<>:"/|?*').strip(" .")[:80]
    return f"{printable or 'file'}.{'pdf' if kind == _PDF else 'webp'}"


def _check_content(raw: bytes) -> tuple[bytes, str]:
    """Accept a PDF that begins and ends like one (so it is no HTML page as well), or re-encode a picture."""
    if raw.startswith(b"%PDF-") and b"%%EOF" in raw[-2048:]:
        return raw, _PDF
    try:
        return _reencode(raw, 2400)[0], _WEBP
    except ValueError:
        raise ValueError(say("Upload a PDF or a JPEG, PNG or WebP image.")) from None


@job("Delete file")
def unlink(upload: Upload) -> None:
    upload.unlink()


@every("Delete unused uploads", was="kernel.files.sweep_what_nobody_took", minutes=5)
def delete_unused_uploads() -> None:
    """Delete files that were uploaded for a form which was never sent."""
    with transaction():
        over = (
            select(Upload)
            .options(undefer(Upload.name))
            .where(Upload.state == "waiting", Upload.expires_at <= clock.now())
        )
        for each in session.scalars(over.with_for_update(skip_locked=True)).all():
            each.unlink()
            session.delete(each)

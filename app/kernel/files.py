"""Uploads: checked, drawn again, stored under a name of ours, and shown only by whoever holds the row."""

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
    """An image somebody uploaded. What is stored is our drawing of it: no metadata, no script, no surprise."""

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
            drawn, (width, height) = _draw_again(raw, 1600)
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


def _draw_again(raw: bytes, longest: int) -> tuple[bytes, tuple[int, int]]:
    try:
        with Image.open(BytesIO(raw), formats=("JPEG", "PNG", "WEBP")) as image:
            upright = ImageOps.exif_transpose(
                image
            )  # a telephone writes down which way it was held, and we drop what it wrote
            upright.thumbnail((longest, longest))
            out = BytesIO()
            upright.convert("RGB").save(out, "WEBP", quality=85)
            return out.getvalue(), upright.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        raise ValueError("no picture") from None


# --- what somebody sends as an answer -----------------------------------------------------------------------------------

GONE = unsaid("This file is no longer available. Please choose it again.")
_PDF, _WEBP = "application/pdf", "image/webp"


def _is_over(upload: Upload) -> str | None:
    return say(GONE) if upload.expires_at <= clock.now() else None


class Upload(Noun, Linked):
    """A file that somebody sent as an answer. Until there is something that it belongs to, its token alone stands for it."""

    known_as = "uploaded file"
    link_kind = "upload"
    states = "waiting", "kept", "gone"
    audited = False  # what it belongs to is in the history, and its name is nobody else's business
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
        """Checked by what is in it, whatever it is called; ValueError says what is wrong. The same file of the same page is one."""
        most = asked.max_megabytes * 1024 * 1024
        raw = stream.read(most + 1)
        if len(raw) > most:
            raise ValueError(say("Upload a file of %(n)s MB or less.", n=asked.max_megabytes))
        content, kind = _read(raw)
        mark = signature(f"{once}:{form_id}:{asked.name}:{hashlib.sha256(content).hexdigest()}") if once else None
        if known := cls._again(mark, minutes):
            return known
        place = secrets.token_hex(16)
        _path(place).parent.mkdir(parents=True, exist_ok=True)
        _path(place).write_bytes(seal_bytes(content, place) if asked.secret else content)
        made = cls(
            form_id=form_id,
            question=asked.name,
            name=_called(name, kind),
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
            if first := cls._again(mark, minutes):  # the same page, a moment earlier, in another process
                return first
            raise
        return made

    @classmethod
    def _again(cls, mark: str | None, minutes: int) -> Self | None:
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
        """What waits to be taken, for this very question; ValueError where there is no such thing."""
        try:
            found = cls.by_token(token)
        except Missing:
            raise ValueError(say(GONE)) from None
        if (found.form_id, found.question, found.state) != (form_id, question, "waiting") or _is_over(found):
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

    @move("waiting", to="kept", when=_is_over)
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

    def seal_anew(self) -> bool:
        """With the key that seals today, if it was another one: written beside it and put in its place at once, so that it is never half a file."""
        here = _path(self.place)
        if not self.is_sealed or not here.exists() or has_current_key(here.read_bytes()):
            return False
        beside = here.with_suffix(".new")
        beside.write_bytes(seal_bytes(self.content, self.place))
        beside.replace(here)
        return True

    def export_extras(self) -> dict[str, Any]:
        """For whose it is: what it is called, and where it is to be had."""
        return {"File name": self.name, "Link": f"/file/{self.token}"}


def _path(place: str) -> Path:
    return (_folder / "sent" / place).resolve()


def _called(name: str, kind: str) -> str:
    """Its own name, without what only a file system understands."""
    stem = Path(name.replace("\\", "/")).stem
    shown = "".join(each for each in stem if each.isprintable() and each not in '<>:"/|?*').strip(" .")[:80]
    return f"{shown or 'file'}.{'pdf' if kind == _PDF else 'webp'}"


def _read(raw: bytes) -> tuple[bytes, str]:
    """A PDF as it is, if it begins and ends like one; a picture as we draw it. A page of the web that also reads as a PDF does not begin like one."""
    if raw.startswith(b"%PDF-") and b"%%EOF" in raw[-2048:]:
        return raw, _PDF
    try:
        return _draw_again(raw, 2400)[0], _WEBP
    except ValueError:
        raise ValueError(say("Upload a PDF or a JPEG, PNG or WebP image.")) from None


@job("Delete file")
def unlink(upload: Upload) -> None:
    upload.unlink()


@every("Delete unused uploads", was="kernel.files.sweep_what_nobody_took", minutes=5)
def delete_unused_uploads() -> None:
    """Sent, and then the form was left: nothing of it stays."""
    with transaction():
        over = (
            select(Upload)
            .options(undefer(Upload.name))
            .where(Upload.state == "waiting", Upload.expires_at <= clock.now())
        )
        for each in session.scalars(over.with_for_update(skip_locked=True)).all():
            each.unlink()
            session.delete(each)

"""Tests of uploads: checked by content, re-encoded, stored under random names."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
from flask.testing import FlaskClient
from PIL import Image

from app.kernel.db import session, transaction
from app.kernel.errors import Invalid
from app.kernel.files import LARGEST, Picture
from app.packs.bookings.offer.practitioner import Practitioner


def drawn(kind: str = "PNG", size: tuple[int, int] = (200, 100), **how: object) -> BytesIO:
    out = BytesIO()
    Image.new("RGB", size, "teal").save(out, kind, **how)  # type: ignore[arg-type]
    out.seek(0)
    return out


def test_a_picture_is_drawn_again_upright_and_without_what_the_camera_wrote(app: object) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera that knows where it was"
    with transaction():
        picture = Picture.store(drawn("JPEG", exif=exif), "../../etc/me.jpg")
    assert (picture.width, picture.height, picture.name) == (100, 200, "me.jpg")
    with Image.open(picture.path) as kept:
        assert (kept.format, dict(kept.getexif())) == ("WEBP", {})


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<script>alert(1)</script>",
        b"GIF89a" + b"\0" * 40,
        b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
    ],
)
def test_what_is_no_picture_is_refused(app: object, raw: bytes) -> None:
    with pytest.raises(Invalid, match="highlighted fields"):
        Picture.store(BytesIO(raw), "me.png")


def test_a_picture_that_is_too_large_is_refused(app: object) -> None:
    with pytest.raises(Invalid) as no:
        Picture.store(BytesIO(b"\0" * (LARGEST + 1)), "me.png")
    assert no.value.fields == {"photo": "Upload an image of 8 MB or less."}


def test_staff_put_up_a_photo_and_the_public_page_shows_it(
    enter: Callable[[str], FlaskClient], client: FlaskClient, asha: Practitioner
) -> None:
    form = {"name": "Asha Rao", "timezone": "Asia/Kolkata", "version": asha.version}
    assert (
        enter("dina")
        .post(f"/desk/practitioner/{asha.id}/edit", data=form | {"photo": (BytesIO(b"no picture"), "me.png")})
        .status_code
        == 422
    )
    assert (
        enter("dina").post(f"/desk/practitioner/{asha.id}/edit", data=form | {"photo": (drawn(), "me.png")}).status_code
        == 302
    )
    shown = client.get(f"/practitioners/{asha.id}/photo")
    assert (shown.status_code, shown.mimetype) == (200, "image/webp")
    private = enter("dina").get(f"/desk/practitioner/{asha.id}/picture/photo")
    assert private.headers["Cache-Control"] == "private, no-cache"
    assert session.get(Practitioner, asha.id, populate_existing=True).photo.name == "me.png"  # type: ignore[union-attr]

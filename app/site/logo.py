"""Logo of the business on public pages, if one was uploaded."""

from __future__ import annotations

from flask import Blueprint, Response, send_file

from app.kernel.errors import Missing
from app.money.bills.business import Business

sign = Blueprint("sign", __name__)


@sign.get("/logo")
def logo() -> Response:
    """Cacheable, because the address changes with the picture."""
    ours = Business.current()
    if ours is None or ours.logo is None or not ours.logo.path.exists():
        raise Missing
    return send_file(ours.logo.path, mimetype="image/webp", max_age=86400)

"""Download of an uploaded file, as a sandboxed attachment, so that a browser never renders it as a page of ours."""

from __future__ import annotations

from urllib.parse import quote

from flask import Response

from app.kernel.files import Upload

# Nothing in the file can run, and browsers do not guess its type.
DOWNLOAD_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",
}


def as_download(upload: Upload) -> Response:
    answer = Response(upload.content, mimetype=upload.kind, headers=DOWNLOAD_HEADERS)
    answer.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(upload.name or 'file')}"
    return answer

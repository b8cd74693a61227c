"""What carriers of messages tell us by themselves: delivered, read, failed, and what people write back."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app.kernel.access import Actor, acting
from app.messages import channel, delivery_reports

hooks = Blueprint("messages", __name__, url_prefix="/api/messages")

CARRIER = Actor("Messaging provider", "webhook")


@hooks.get("/webhook/<name>")
def greet(name: str) -> Response:
    """Is this address ours? Whoever asks with the right word gets the right answer."""
    return Response(channel.named(name).greet(request.args), mimetype="text/plain")


@hooks.post("/webhook/<name>")
def webhook(name: str) -> Response:
    """Checked and taken down at once. The answer is empty: some carriers would send what it says to whoever wrote."""
    path = request.path + (f"?{request.query_string.decode()}" if request.query_string else "")
    with acting(CARRIER):
        delivery_reports.received(name, request.get_data(), dict(request.headers), path)
    return Response("", mimetype="text/plain")

"""Message provider webhooks (WhatsApp, SMS): delivery reports and replies."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app.kernel.access import Actor, acting
from app.messages import channel, delivery_reports

hooks = Blueprint("messages", __name__, url_prefix="/api/messages")

CARRIER = Actor("Messaging provider", "webhook")


@hooks.get("/webhook/<name>")
def greet(name: str) -> Response:
    """Answer the verification challenge of a provider."""
    return Response(channel.get_channel(name).answer_challenge(request.args), mimetype="text/plain")


@hooks.post("/webhook/<name>")
def webhook(name: str) -> Response:
    """Verify and process at once. The response is empty, because some providers send its text to the customer."""
    path = request.path + (f"?{request.query_string.decode()}" if request.query_string else "")
    with acting(CARRIER):
        delivery_reports.apply_webhook(name, request.get_data(), dict(request.headers), path)
    return Response("", mimetype="text/plain")

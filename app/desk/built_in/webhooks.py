"""Webhooks on the desk: endpoints, the delivery log, and the page that shows a signing secret once."""

from __future__ import annotations

from typing import Any

from flask import render_template, request, url_for
from flask_appbuilder import BaseView, expose

from app.desk.declare.resource import Link, Resource, Waits
from app.kernel.access import ADMIN, actor, everything
from app.kernel.errors import Forbidden, NotSignedIn, Refused
from app.messages.webhook import Webhook
from app.messages.webhook_delivery import WebhookDelivery

hooks = [
    Resource(
        Webhook,
        also="webhook integration endpoint callback zapier",
        icon="code",
        one="webhook",
        label="Webhooks",
        list="name address events state failing_since",
        show="name address events state trouble failing_since rests_until seen_at",
        add="name address events",
        search="name address",
        filters="state",
        labels={"address": "Endpoint URL", "seen_at": "Secret shown"},
        order="name",
        links=[Link("Signing secret", "HookSecret.show", lambda hook: hook.seen_at is None and ADMIN in actor().roles)],
        waits=[
            Waits(
                "Failing webhooks",
                "Desk",
                lambda: Webhook.failing_since.is_not(None) & (Webhook.state == "on"),
                {"f.state": "on"},
                tone="bad",
            )
        ],
        tones={"on": "good"},
        roles={"Desk": "read", "Auditor": "read"},
        scope=everything,
    ),
    Resource(
        WebhookDelivery,
        also="webhook delivery log attempts",
        icon="external",
        one="webhook delivery",
        label="Webhook deliveries",
        list="created_at hook event state attempts status took due_at",
        show="hook event event_id noun row_id state attempts status took trouble since due_at body answer",
        search="event event_id hook.name",
        found=False,
        filters="state event created_at hook",
        labels={"hook": "Webhook", "hook.name": "Webhook"},
        waits=[
            Waits("Failed webhook deliveries", "Desk", lambda: WebhookDelivery.state == "failed", {"f.state": "failed"})
        ],
        tones={"delivered": "good"},
        roles={"Desk": "read moves", "Auditor": "read"},
        scope=everything,
    ),
]


class HookSecret(BaseView):
    """Shows a signing secret once, to administrators, on POST only, so that a followed link does not use it up."""

    route_base = "/desk/hook/secret"
    default_view = "show"
    base_permissions = ["can_read"]

    @expose("/<token>", methods=["GET", "POST"])
    def show(self, token: str) -> Any:
        if actor().user_id is None:
            raise NotSignedIn("Sign in to continue.")
        if ADMIN not in actor().roles:
            raise Forbidden("You don’t have permission to do this.")
        hook = Webhook.by_token(token)
        back = url_for("HookScreens.show", pk=hook.id)
        try:
            secret = hook.show_secret() if request.method == "POST" else ""
        except Refused as no:
            return render_template("desk/secret.html", hook=hook, back=back, secret="", refusal=no.words), no.status
        return render_template("desk/secret.html", hook=hook, back=back, secret=secret, refusal="")

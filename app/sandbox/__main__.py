"""Start the sandbox: its web server, its SMTP server and the thread that delivers webhooks."""

from __future__ import annotations

import logging
import os
import signal
import sys
from urllib.parse import urlsplit

from aiosmtpd.controller import Controller
from werkzeug.serving import make_server

from app.sandbox import create_sandbox
from app.sandbox.mailbox import MailHandler
from app.sandbox.state_file import Store
from app.sandbox.webhooks import WebhookSender
from config import Settings


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    settings = Settings.from_environment()
    here = urlsplit(settings.sandbox_url)
    if not here.hostname or not here.port:
        raise SystemExit("SANDBOX_URL must have a host and a port, such as http://127.0.0.1:8001.")
    store = Store(settings.sandbox_data)
    hooks = os.environ.get("SANDBOX_WEBHOOK_URL") or settings.base_url.rstrip("/") + "/api/payment/webhook/razorpay"
    sender = WebhookSender(store, hooks, settings.razorpay_webhook_secrets[0])
    web = make_server(here.hostname, here.port, create_sandbox(settings, store, sender), threaded=True)
    mail = Controller(MailHandler(store), hostname=here.hostname, port=settings.sandbox_smtp_port, enable_SMTPUTF8=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    mail.start()
    sender.start()
    try:
        web.serve_forever()
    finally:
        mail.stop()


if __name__ == "__main__":
    main()

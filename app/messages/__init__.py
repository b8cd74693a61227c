"""Messages to customers (email, SMS, WhatsApp) and webhooks: queued with the change, sent by a worker, never twice."""

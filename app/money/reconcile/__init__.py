"""Reconciliation: gateway webhooks, settlements and the daily comparison of our books with the gateway."""

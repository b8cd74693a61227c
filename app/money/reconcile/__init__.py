"""Reconciliation with the gateways: webhooks, settlement reports and daily totals, compared with our books."""

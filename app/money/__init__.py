"""Money: prices, bills, payments, refunds, invoices and the ledger.

Amounts are whole minor units, states only move forward, and every captured payment settles its bill or is refunded.
"""

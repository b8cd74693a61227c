"""Payment requests and what follows: orders, payments, refunds, disputes, invoices, carts and the ledger."""

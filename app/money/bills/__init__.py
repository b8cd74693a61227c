"""Payment requests (bills) and what follows: orders, payments, refunds, disputes, invoices, carts, the ledger."""

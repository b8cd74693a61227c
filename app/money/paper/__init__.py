"""PDF documents: the page, tables, fonts and layout of invoices, receipts and credit notes."""

"""PDF documents: pages, tables, fonts, and the layout of invoices, receipts and credit notes."""

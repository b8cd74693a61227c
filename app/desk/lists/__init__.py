"""Lists: the query, filters, saved views, bulk edits, archive and export of the rows of a noun."""

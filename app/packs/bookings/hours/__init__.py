"""Opening hours, special hours, closures, and the times at which practitioners are busy elsewhere."""

"""Public pages and JSON endpoints of bookings."""

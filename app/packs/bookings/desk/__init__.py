"""The desk of bookings: its resources, pages and reports for staff."""

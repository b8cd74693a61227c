"""Staff side of bookings: resources, pages, reports and the setup checklist."""

"""Bookings: the noun itself, its places, meeting, calendar invitation and waiting list."""

"""Bookings: holds, seats, checkout, changes, meetings, calendar invitations, the waiting list and generated slots."""

"""Packs (lines of business) in this build. Add yours to `PACKS`."""

from app.packs.bookings import pack as bookings

PACKS = [bookings]

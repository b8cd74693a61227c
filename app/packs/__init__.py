"""The packs this build knows; add one line here."""

from app.packs.bookings import pack as bookings

PACKS = [bookings]

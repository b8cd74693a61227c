"""What of the bookings can be turned off. What somebody has already, they have a link to; it stays open whatever is turned off."""

from __future__ import annotations

from app.kernel.switch import Feature

_WAYS_IN = "booking.home booking.services booking.choose booking.form booking.book found.sitemap"
_API = "bookings_api.services bookings_api.slots bookings_api.quote bookings_api.book bookings_api.send"

features = [
    Feature(
        "bookings",
        "Booking by customers",
        "The public pages and the API through which customers book. Without them, only staff book; what was booked keeps its page.",
        doors=f"{_WAYS_IN} {_API}",
    ),
    Feature(
        "waiting_line",
        "The waiting list",
        "Customers say when they would like to come, and hear of what comes free. Without it nobody joins; who waits already still hears.",
        doors="in_line.ask in_line.join",
        within="bookings",
    ),
    Feature(
        "packages",
        "Packages",
        "Customers buy several sessions at once. Without them none is sold; what was sold can be used as it was promised.",
        doors="pass.packages pass.form pass.buy",
        within="bookings",
    ),
    Feature(
        "widget",
        "The widget for other sites",
        "The calendar and the form within a page of somebody else. Without it, the frame there says that nothing is offered.",
        doors="embed script",
        within="bookings",
    ),
]

"""Features of the bookings that can be turned off. Existing bookings, packages and their links keep working."""

from __future__ import annotations

from app.kernel.feature import Feature

_PAGES = "booking.home booking.services booking.choose booking.form booking.book found.sitemap"
_API = "bookings_api.services bookings_api.slots bookings_api.quote bookings_api.book bookings_api.send"

features = [
    Feature(
        "bookings",
        "Online booking",
        "Customers book on the public pages or through the API. "
        "When this is off, only staff can book, and existing bookings keep their page.",
        doors=f"{_PAGES} {_API}",
    ),
    Feature(
        "waiting_line",
        "Waiting list",
        "Customers can ask to be notified when a time becomes available. "
        "When this is off, no one can join, but people already waiting are still notified.",
        doors="in_line.ask in_line.join",
        within="bookings",
    ),
    Feature(
        "packages",
        "Packages",
        "Customers can buy several sessions at once. "
        "When this is off, no packages are sold, but those already sold can still be used.",
        doors="pass.packages pass.form pass.buy",
        within="bookings",
    ),
    Feature(
        "widget",
        "Embeddable widget",
        "Shows your calendar and booking form on other websites. "
        "When this is off, the widget says that booking is not available.",
        doors="embed script",
        within="bookings",
    ),
]

"""How the practice is found: what search engines may read, and what they are told in their own words."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, render_template, url_for

from app.money.sums import working_hours
from app.packs.bookings.offer.service import Service
from config import Settings

found = Blueprint("found", __name__)

# What belongs to one person, to staff, or to programs; a form is no place to arrive at.
CLOSED = (
    "/account",
    "/api/",
    "/booking/",
    "/book/*/",
    "/desk",
    "/embed/",
    "/login",
    "/paper/",
    "/pay/",
    "/swagger",
    "/waiting/",
)


@found.get("/robots.txt")
def robots() -> Response:
    lines = ["User-agent: *", *(f"Disallow: {each}" for each in CLOSED), f"Sitemap: {_address('found.sitemap')}"]
    return Response("\n".join(lines) + "\n", mimetype="text/plain")


@found.get("/sitemap.xml")
def sitemap() -> Response:
    pages = [
        _address("booking.home"),
        _address("booking.services"),
        *(_page_of(each) for each in Service.all_offered()),
    ]
    return Response(render_template("bookings/sitemap.xml", pages=pages), mimetype="application/xml")


@found.app_template_global()
def practice_described() -> dict[str, Any]:
    """The practice and what it offers, in the words of schema.org."""
    offers = [_offer(each) | {"itemOffered": _service(each)} for each in Service.all_offered()]
    catalog = {"@type": "OfferCatalog", "name": "Services", "itemListElement": offers}
    return {"@context": "https://schema.org"} | _practice() | ({"hasOfferCatalog": catalog} if offers else {})


@found.app_template_global()
def service_described(service: Service) -> dict[str, Any]:
    """One service, who gives it and what it costs."""
    return {"@context": "https://schema.org"} | _service(service) | {"provider": _practice(), "offers": _offer(service)}


def _practice() -> dict[str, Any]:
    it = _settings()
    said = {
        "name": it.business,
        "url": _address("booking.home"),
        "email": it.business_email,
        "telephone": it.business_phone,
    }
    place = {"address": it.business_address.replace("\\n", ", ")} if it.business_address else {}
    open_at = [f"{each.day[:2]} {each.opens:%H:%M}-{each.closes:%H:%M}" for each in working_hours.configured_hours()]
    opens: dict[str, Any] = {"openingHours": open_at} if open_at else {}
    return (
        opens
        | {"@type": "ProfessionalService", "@id": f"{_address('booking.home')}#practice"}
        | {name: each for name, each in said.items() if each}
        | place
    )


def _service(service: Service) -> dict[str, Any]:
    said = {"@type": "Service", "name": service.name, "url": _page_of(service)}
    return said | ({"description": service.description} if service.description else {})


def _offer(service: Service) -> dict[str, Any]:
    price: dict[str, Any] = {"priceCurrency": service.price.currency, "price": service.price.plain}
    if service.tax_rate:
        price["valueAddedTaxIncluded"] = service.tax_included
    return {
        "@type": "Offer",
        "url": _page_of(service),
        "priceSpecification": {"@type": "UnitPriceSpecification"} | price,
    }


def _page_of(service: Service) -> str:
    return _address("booking.choose", slug=service.slug)


def _address(endpoint: str, **values: Any) -> str:
    """The one address by which the page is known, however it was asked for."""
    return _settings().base_url.rstrip("/") + url_for(endpoint, **values)


def _settings() -> Settings:
    settings: Settings = current_app.extensions["settings"]
    return settings

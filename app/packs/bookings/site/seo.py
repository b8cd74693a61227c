"""SEO: robots.txt, sitemap.xml, and structured data (schema.org JSON-LD) about the practice and its services."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, render_template, url_for

from app.money.sums import working_hours
from app.packs.bookings.offer.service import Service
from config import Settings

seo = Blueprint("found", __name__)

# Personal pages, staff pages, endpoints, and forms.
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


@seo.get("/robots.txt")
def robots() -> Response:
    lines = ["User-agent: *", *(f"Disallow: {each}" for each in CLOSED), f"Sitemap: {_address('found.sitemap')}"]
    return Response("\n".join(lines) + "\n", mimetype="text/plain")


@seo.get("/sitemap.xml")
def sitemap() -> Response:
    pages = [
        _address("booking.home"),
        _address("booking.services"),
        *(_page_of(each) for each in Service.all_offered()),
    ]
    return Response(render_template("bookings/sitemap.xml", pages=pages), mimetype="application/xml")


@seo.app_template_global()
def practice_json_ld() -> dict[str, Any]:
    """Describe the practice and its services for search engines."""
    offers = [_offer(each) | {"itemOffered": _service(each)} for each in Service.all_offered()]
    catalog = {"@type": "OfferCatalog", "name": "Services", "itemListElement": offers}
    return {"@context": "https://schema.org"} | _practice() | ({"hasOfferCatalog": catalog} if offers else {})


@seo.app_template_global()
def service_json_ld(service: Service) -> dict[str, Any]:
    """Describe one service, its provider and its price for search engines."""
    return {"@context": "https://schema.org"} | _service(service) | {"provider": _practice(), "offers": _offer(service)}


def _practice() -> dict[str, Any]:
    settings = _settings()
    facts = {
        "name": settings.business,
        "url": _address("booking.home"),
        "email": settings.business_email,
        "telephone": settings.business_phone,
    }
    place = {"address": settings.business_address.replace("\\n", ", ")} if settings.business_address else {}
    open_at = [f"{each.day[:2]} {each.opens:%H:%M}-{each.closes:%H:%M}" for each in working_hours.configured_hours()]
    opens: dict[str, Any] = {"openingHours": open_at} if open_at else {}
    return (
        opens
        | {"@type": "ProfessionalService", "@id": f"{_address('booking.home')}#practice"}
        | {name: each for name, each in facts.items() if each}
        | place
    )


def _service(service: Service) -> dict[str, Any]:
    facts = {"@type": "Service", "name": service.name, "url": _page_of(service)}
    return facts | ({"description": service.description} if service.description else {})


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
    """Canonical URL of a page, whatever host the request came to."""
    return _settings().base_url.rstrip("/") + url_for(endpoint, **values)


def _settings() -> Settings:
    settings: Settings = current_app.extensions["settings"]
    return settings

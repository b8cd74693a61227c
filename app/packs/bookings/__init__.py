"""Bookings pack: paid appointments with services, practitioners, slots, bookings and their public pages."""

from app.kernel.pack import Pack
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.meeting import Meeting
from app.packs.bookings.booking.prepaid_use import PassUse
from app.packs.bookings.booking.waiting import Waiting
from app.packs.bookings.demo.demo import demo
from app.packs.bookings.demo.large import large
from app.packs.bookings.desk.phone import page as by_phone
from app.packs.bookings.desk.reports import reports
from app.packs.bookings.desk.resources import resources
from app.packs.bookings.desk.setup_checklist import first_steps
from app.packs.bookings.desk.today import page as today
from app.packs.bookings.hours.closure import Closure
from app.packs.bookings.hours.external_busy import Busy, BusyCalendar
from app.packs.bookings.hours.hours import Hours
from app.packs.bookings.hours.presence import Presence
from app.packs.bookings.hours.special_hours import SpecialHours
from app.packs.bookings.offer.assignment import Assignment
from app.packs.bookings.offer.extra import Extra
from app.packs.bookings.offer.features import features
from app.packs.bookings.offer.package import Package
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.prepaid import Pass
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot
from app.packs.bookings.site.account_cards import account_cards
from app.packs.bookings.site.api import api
from app.packs.bookings.site.booking_pages import site
from app.packs.bookings.site.change_pages import changing
from app.packs.bookings.site.embed import embed, script
from app.packs.bookings.site.feeds import feeds
from app.packs.bookings.site.package_pages import package_pages
from app.packs.bookings.site.seo import seo
from app.packs.bookings.site.waiting_pages import waiting_list

pack = Pack(
    name="bookings",
    label="Bookings",
    nouns=[
        Service,
        Extra,
        Practitioner,
        Assignment,
        Hours,
        SpecialHours,
        Closure,
        Slot,
        Booking,
        Presence,
        Meeting,
        BusyCalendar,
        Busy,
        Waiting,
        Package,
        Pass,
        PassUse,
    ],
    resources=resources,
    reports=reports,
    pages=[today, by_phone],
    blueprints=[site, changing, feeds, waiting_list, package_pages, embed, script, seo, api],
    messages=[
        *(
            "received",
            "hold_ends",
            "payment_failed",
            "confirmed",
            "reminder",
            "soon",
            "rescheduled",
            "cancelled",
            "unpaid_again",
        ),
        *("requested", "declined", "to_approve", "new", "waiting", "offer", "passed", "meeting_failed", "late"),
        *("pass_received", "pass_bought", "pass_ends", "pass_cancelled"),
    ],
    message_titles={
        "received": "Booking awaiting payment",
        "hold_ends": "5-minute payment reminder",
        "payment_failed": "Payment failed",
        "confirmed": "Booking confirmed",
        "reminder": "24-hour reminder",
        "soon": "1-hour reminder",
        "rescheduled": "Booking rescheduled",
        "cancelled": "Booking cancelled",
        "unpaid_again": "Payment returned",
        "requested": "Booking request received",
        "declined": "Booking request declined",
        "to_approve": "Booking request to approve (staff)",
        "new": "New booking (staff)",
        "waiting": "Waiting list joined",
        "offer": "Waiting list offer",
        "passed": "Waiting list offer expired",
        "meeting_failed": "Meeting link failed (staff)",
        "late": "Late payment (staff)",
        "pass_received": "Package awaiting payment",
        "pass_bought": "Package code",
        "pass_ends": "Package expiry reminder",
        "pass_cancelled": "Package cancelled",
    },
    first_steps=first_steps,
    features=features,
    demo=demo,
    mine=account_cards,
    large=large,
)

"""Paid consultations: services, practitioners, slots, bookings, and the customer's way through them."""

from app.kernel.pack import Pack
from app.packs.bookings.api import api
from app.packs.bookings.booking import Booking
from app.packs.bookings.busy import Busy, BusyCalendar
from app.packs.bookings.buying import buying
from app.packs.bookings.changing import changing
from app.packs.bookings.closure import Closure
from app.packs.bookings.demo import demo
from app.packs.bookings.desk import resources
from app.packs.bookings.embed import embed, script
from app.packs.bookings.extra import Extra
from app.packs.bookings.features import features
from app.packs.bookings.feeds import feeds
from app.packs.bookings.figures import reports
from app.packs.bookings.first_steps import first_steps
from app.packs.bookings.found import found
from app.packs.bookings.giver import Giver
from app.packs.bookings.hours import Hours
from app.packs.bookings.in_line import in_line
from app.packs.bookings.large import large
from app.packs.bookings.meeting import Meeting
from app.packs.bookings.mine import mine
from app.packs.bookings.other_hours import OtherHours
from app.packs.bookings.package import Package
from app.packs.bookings.pass_ import Pass, PassUse
from app.packs.bookings.phone import page as by_phone
from app.packs.bookings.practitioner import Practitioner
from app.packs.bookings.presence import Presence
from app.packs.bookings.service import Service
from app.packs.bookings.site import site
from app.packs.bookings.slot import Slot
from app.packs.bookings.today import page as today
from app.packs.bookings.waiting import Waiting

pack = Pack(
    name="bookings",
    label="Bookings",
    nouns=[
        Service,
        Extra,
        Practitioner,
        Giver,
        Hours,
        OtherHours,
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
    blueprints=[site, changing, feeds, in_line, buying, embed, script, found, api],
    messages=[
        *("received", "hold_ends", "payment_failed", "confirmed", "reminder", "soon", "rescheduled", "cancelled", "unpaid_again"),
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
    mine=mine,
    large=large,
)

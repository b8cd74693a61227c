"""Resources: lists, forms, filters, calendar and permissions of each bookings noun at the desk and in REST."""

from app.desk.declare.calendar import Calendar, Shuts
from app.desk.declare.resource import Link, Resource, Waits
from app.kernel.access import either, everything, own
from app.packs.bookings.booking.booking import Booking
from app.packs.bookings.booking.meeting import Meeting
from app.packs.bookings.booking.slot_generator import stranded_bookings
from app.packs.bookings.booking.waiting import Waiting
from app.packs.bookings.desk.calendar_background import calendar_background
from app.packs.bookings.hours.closure import Closure
from app.packs.bookings.hours.external_busy import BusyCalendar
from app.packs.bookings.hours.hours import Hours
from app.packs.bookings.hours.special_hours import SpecialHours
from app.packs.bookings.offer.assignment import Assignment
from app.packs.bookings.offer.extra import Extra
from app.packs.bookings.offer.package import Package
from app.packs.bookings.offer.practitioner import Practitioner
from app.packs.bookings.offer.prepaid import Pass
from app.packs.bookings.offer.service import Service
from app.packs.bookings.offer.slot import Slot

resources = [
    Resource(
        Booking,
        also="appointment reservation session export",
        icon="calendar-check",
        list="number person slot.service slot.practitioner slot.starts_at state price",
        show="number state slot slot.service slot.practitioner hold_expires_at | "
        "Customer: person person.email person.phone timezone buyer | Payment: price deposit paid_with policy quote",
        search="number person.name person.email person.phone",
        filters="state slot.practitioner slot.service slot.starts_at",
        related="bill bill.payments bill.invoices",
        below="person",
        labels={"person": "Customer", "quote": "Price quote", "policy": "Cancellation policy"},
        calendar=Calendar(
            starts="slot.starts_at",
            ends="slot.ends_at",
            group="slot.practitioner slot.partner",
            title="person",
            notes="slot.service",
            hides="cancelled expired",
            kin="slot.service",
            drop="reschedule slot",
            around=calendar_background,
            shuts=Shuts(Closure, whose="practitioner", starts="starts_at", ends="ends_at", why="reason"),
            also="schedule diary agenda week availability",
        ),
        order="-id",
        waits=[
            Waits(
                "Bookings to approve",
                "Desk Practitioner",
                lambda: Booking.state == "requested",
                {"f.state": "requested"},
                tone="info",
            )
        ],
        roles={"Desk": "read moves", "Practitioner": "read moves", "Accountant": "read", "Auditor": "read"},
        scope={"Practitioner": either(own("slot.practitioner.user"), own("slot.partner.user"))},
    ),
    Resource(
        Meeting,
        also="video call link zoom jitsi google meet",
        icon="link",
        list="booking booking.slot.starts_at practitioner driver state trouble",
        show="booking booking.slot.starts_at practitioner driver join_url host_url recording_requested "
        "state trouble tries external_id",
        search="booking.number",
        filters="state driver practitioner",
        roles={"Desk": "read moves", "Practitioner": "read moves", "Auditor": "read"},
        scope={"Practitioner": own("practitioner.user")},
        waits=[
            Waits(
                "Meetings without a link", "Desk Practitioner", lambda: Meeting.state == "failed", {"f.state": "failed"}
            )
        ],
    ),
    Resource(
        BusyCalendar,
        also="calendar sync google ical ics outlook busy",
        icon="calendar",
        one="calendar",
        label="Calendar sync",
        many="calendars",
        empty="Add a practitioner’s calendar so that its busy times can’t be booked.",
        list="name practitioner kind refreshed_at state trouble",
        show="name practitioner kind checked_at refreshed_at state trouble",
        add="name practitioner",
        edit="name",
        search="name practitioner.name",
        filters="state practitioner",
        tones={"new": "warn", "read": "good", "stopped": "quiet"},
        roles={"Desk": "read write delete moves", "Practitioner": "read write delete moves", "Auditor": "read"},
        scope={"Practitioner": own("practitioner.user")},
        waits=[
            Waits(
                "Calendars with sync errors",
                "Desk Practitioner",
                lambda: (BusyCalendar.state == "read") & (BusyCalendar.trouble != ""),
                {"f.state": "read"},
            )
        ],
    ),
    Resource(
        Waiting,
        also="waitlist queue",
        part="waiting_line",
        icon="bell",
        one="waiting list entry",
        label="Waiting list",
        many="waiting list entries",
        labels={"person": "Customer"},
        list="service person practitioner first_day last_day state",
        show="service person person.email person.phone practitioner first_day last_day timezone state booking",
        search="person.name person.email",
        filters="state service practitioner",
        below="person",
        order="id",
        tones={"waiting": "info", "offered": "warn", "taken": "good", "passed": "quiet", "left": "quiet"},
        roles={"Desk": "read moves", "Practitioner": "read", "Auditor": "read"},
        scope={"Practitioner": own("practitioner.user")},
    ),
    Resource(
        Slot,
        also="times openings availability appointment",
        icon="rows",
        labels={"partner": "Second practitioner"},
        list="starts_at service practitioner seats state",
        show="starts_at ends_at service practitioner partner seats made state",
        add="practitioner partner service starts_at seats",
        edit="seats",
        filters="state practitioner service starts_at made",
        order="starts_at",
        tones={"withdrawn": "quiet"},
        roles={
            "Desk": "read write delete moves",
            "Practitioner": "read moves",
            "Accountant": "read",
            "Auditor": "read",
        },
        scope={"Practitioner": either(own("practitioner.user"), own("partner.user"))},
    ),
    Resource(
        Service,
        also="treatment offering price duration",
        icon="sparkles",
        labels={"policy": "Cancellation policy", "form": "Intake form"},
        list="name minutes price seats state",
        show="name slug description minutes seats state | "
        "Price: price tax_rate tax_included tax_code deposit_percent policy | "
        "Scheduling: step_minutes before_minutes after_minutes day_cap week_cap together | "
        "Booking rules: notice_minutes days_ahead hold_minutes by_approval form change_hours reminds_again",
        add="name slug description minutes seats price tax_rate tax_included tax_code deposit_percent policy "
        "step_minutes before_minutes after_minutes day_cap week_cap together "
        "notice_minutes days_ahead hold_minutes by_approval form change_hours reminds_again",
        search="name slug description",
        filters="state",
        order="name",
        roles={"Desk": "read write moves", "Practitioner": "read", "Accountant": "read", "Auditor": "read"},
        scope=everything,
    ),
    Resource(
        Extra,
        also="add-on addon upsell",
        icon="tag",
        list="name service price state",
        add="name service price",
        edit="name price",
        search="name",
        filters="state service",
        below="service",
        order="name",
        roles={"Desk": "read write moves", "Practitioner": "read", "Accountant": "read", "Auditor": "read"},
        scope=everything,
    ),
    Resource(
        Package,
        also="bundle prepaid sessions",
        part="packages",
        icon="box",
        list="name service uses price valid_days state",
        add="name service uses price valid_days",
        edit="name price valid_days",
        search="name service.name",
        filters="state service",
        order="name",
        roles={"Desk": "read write moves", "Accountant": "read", "Auditor": "read"},
        scope=everything,
    ),
    Resource(
        Pass,
        also="package sold prepaid credit",
        part="packages",
        icon="receipt",
        one="package sold",
        label="Packages sold",
        labels={"person": "Customer", "quote": "Price quote"},
        list="number person package uses uses_left expires_at state",
        show="number code state package package.service uses uses_left expires_at | "
        "Customer: person person.email | Payment: price paid_with quote",
        search="number code person.name person.email",
        filters="state package expires_at",
        order="-id",
        tones={"open": "warn", "active": "good", "used_up": "quiet", "expired": "quiet", "cancelled": "bad"},
        related="bill bill.payments bill.invoices",
        below="person",
        links=[Link("Customer page", "pass.show", copied=True)],
        roles={"Desk": "read moves", "Accountant": "read", "Auditor": "read"},
        scope=everything,
    ),
    Resource(
        Practitioner,
        also="staff team doctor therapist provider employee calendar",
        icon="user",
        labels={"user": "User account"},
        list="name title timezone state",
        show="photo name title about meets_by room link_says timezone holidays user state",
        add="name title about meets_by room timezone holidays user photo",
        search="name title",
        filters="state",
        order="name",
        roles={"Desk": "read write moves", "Practitioner": "read moves", "Accountant": "read", "Auditor": "read"},
        scope={"Practitioner": own("user")},
        links=[Link("Calendar feed", "feeds.calendar", copied=True)],
    ),
    Resource(
        Hours,
        also="availability opening hours working schedule timetable rota shift",
        icon="clock",
        one="opening hours",
        label="Opening hours",
        list="practitioner weekday opens closes service first_day last_day",
        show="practitioner weekday opens closes service first_day last_day note",
        add="practitioner weekday opens closes service first_day last_day note",
        edit="weekday opens closes service first_day last_day note",
        filters="practitioner weekday service",
        below="practitioner",
        order="id",
        strands=stranded_bookings,
        roles={"Desk": "read write delete", "Practitioner": "read write delete", "Auditor": "read"},
        scope={"Practitioner": own("practitioner.user")},
    ),
    Resource(
        SpecialHours,
        also="availability special hours override exception schedule",
        icon="sun",
        one="day with special hours",
        label="Special hours",
        list="practitioner day how opens closes note",
        add="practitioner day how opens closes note",
        edit="day how opens closes note",
        filters="practitioner day how",
        below="practitioner",
        order="day",
        strands=stranded_bookings,
        roles={"Desk": "read write delete", "Practitioner": "read write delete", "Auditor": "read"},
        scope={"Practitioner": own("practitioner.user")},
    ),
    Resource(
        Closure,
        also="holiday vacation leave time off absence block closed sick",
        icon="lock",
        one="time off or closure",
        label="Time off & closures",
        many="closures",
        list="practitioner starts_at ends_at reason",
        add="practitioner starts_at ends_at reason",
        edit="starts_at ends_at reason",
        filters="practitioner starts_at",
        below="practitioner",
        order="-starts_at",
        strands=stranded_bookings,
        roles={"Desk": "read write delete", "Practitioner": "read write delete", "Auditor": "read"},
        scope={"Practitioner": own("practitioner.user")},
    ),
    Resource(
        Assignment,
        also="service assignment practitioner who provides team",
        icon="cap",
        one="assignment",
        label="Service assignments",
        many="assignments",
        list="service practitioner weight",
        add="service practitioner weight",
        edit="weight",
        filters="service practitioner",
        below="service practitioner",
        order="id",
        roles={"Desk": "read write delete", "Practitioner": "read", "Auditor": "read"},
        scope=everything,
    ),
]

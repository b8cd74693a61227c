"""What staff see of bookings: one declaration a noun."""

from app.desk.calendar import Calendar, Shuts
from app.desk.resource import Link, Resource, Waits
from app.kernel.access import either, everything, own
from app.packs.bookings.around import around
from app.packs.bookings.arrange import stranded
from app.packs.bookings.booking import Booking
from app.packs.bookings.busy import BusyCalendar
from app.packs.bookings.closure import Closure
from app.packs.bookings.extra import Extra
from app.packs.bookings.giver import Giver
from app.packs.bookings.hours import Hours
from app.packs.bookings.meeting import Meeting
from app.packs.bookings.other_hours import OtherHours
from app.packs.bookings.package import Package
from app.packs.bookings.pass_ import Pass
from app.packs.bookings.practitioner import Practitioner
from app.packs.bookings.service import Service
from app.packs.bookings.slot import Slot
from app.packs.bookings.waiting import Waiting

resources = [
    Resource(
        Booking,
        icon="calendar-check",
        list="number person slot.service slot.practitioner slot.starts_at state price",
        show="number state slot slot.service slot.practitioner hold_expires_at | Whose: person person.email person.phone timezone buyer | Money: price deposit paid_with policy quote",
        search="number person.name person.email person.phone",
        filters="state slot.practitioner slot.service slot.starts_at",
        related="bill bill.payments bill.invoices",
        below="person",
        calendar=Calendar(
            starts="slot.starts_at",
            ends="slot.ends_at",
            group="slot.practitioner slot.partner",
            title="person",
            notes="slot.service",
            hides="cancelled expired",
            kin="slot.service",
            drop="reschedule slot",
            around=around,
            shuts=Shuts(Closure, whose="practitioner", starts="starts_at", ends="ends_at", why="reason"),
        ),
        order="-id",
        waits=[Waits("Bookings to approve", "Desk Practitioner", lambda: Booking.state == "requested", {"f.state": "requested"}, tone="info")],
        roles={"Desk": "read moves", "Practitioner": "read moves", "Accountant": "read", "Auditor": "read"},
        scope={"Practitioner": either(own("slot.practitioner.user"), own("slot.partner.user"))},
    ),
    Resource(
        Meeting,
        icon="user",
        list="booking booking.slot.starts_at practitioner driver state trouble",
        show="booking booking.slot.starts_at practitioner driver join_url host_url recording_requested state trouble tries external_id",
        search="booking.number",
        filters="state driver practitioner",
        roles={"Desk": "read moves", "Practitioner": "read moves", "Auditor": "read"},
        scope={"Practitioner": own("practitioner.user")},
        waits=[Waits("Meetings without a link", "Desk Practitioner", lambda: Meeting.state == "failed", {"f.state": "failed"})],
    ),
    Resource(
        BusyCalendar,
        icon="calendar",
        label="Busy times",
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
                "Calendars that cannot be read", "Desk Practitioner", lambda: (BusyCalendar.state == "read") & (BusyCalendar.trouble != ""), {"f.state": "read"}
            )
        ],
    ),
    Resource(
        Waiting,
        part="waiting_line",
        icon="clock",
        label="Waiting list",
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
        icon="clock",
        list="starts_at service practitioner seats state",
        show="starts_at ends_at service practitioner partner seats made state",
        add="practitioner partner service starts_at seats",
        edit="seats",
        filters="state practitioner service starts_at made",
        order="starts_at",
        tones={"withdrawn": "quiet"},
        roles={"Desk": "read write delete moves", "Practitioner": "read moves", "Accountant": "read", "Auditor": "read"},
        scope={"Practitioner": either(own("practitioner.user"), own("partner.user"))},
    ),
    Resource(
        Service,
        icon="sparkles",
        list="name minutes price seats state",
        show="name slug description minutes seats state | Price: price tax_rate tax_included tax_code deposit_percent policy | "
        "When it is given: step_minutes before_minutes after_minutes day_cap week_cap together | "
        "How it is booked: notice_minutes days_ahead hold_minutes by_approval form change_hours reminds_again",
        add="name slug description minutes seats price tax_rate tax_included tax_code deposit_percent policy step_minutes before_minutes after_minutes "
        "day_cap week_cap together notice_minutes days_ahead hold_minutes by_approval form change_hours reminds_again",
        search="name slug description",
        filters="state",
        order="name",
        roles={"Desk": "read write moves", "Practitioner": "read", "Accountant": "read", "Auditor": "read"},
        scope=everything,
    ),
    Resource(
        Extra,
        icon="plus",
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
        part="packages",
        icon="plus",
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
        part="packages",
        icon="receipt",
        label="Sold packages",
        list="number person package uses uses_left expires_at state",
        show="number code state package package.service uses uses_left expires_at | Whose: person person.email | Money: price paid_with quote",
        search="number code person.name person.email",
        filters="state package expires_at",
        order="-id",
        tones={"open": "warn", "active": "good", "used_up": "quiet", "expired": "quiet", "cancelled": "bad"},
        related="bill bill.payments bill.invoices",
        below="person",
        links=[Link("The customer’s page", "pass.show", copied=True)],
        roles={"Desk": "read moves", "Accountant": "read", "Auditor": "read"},
        scope=everything,
    ),
    Resource(
        Practitioner,
        icon="user",
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
        icon="clock",
        label="Hours",
        list="practitioner weekday opens closes service first_day last_day",
        show="practitioner weekday opens closes service first_day last_day note",
        add="practitioner weekday opens closes service first_day last_day note",
        edit="weekday opens closes service first_day last_day note",
        filters="practitioner weekday service",
        below="practitioner",
        order="id",
        strands=stranded,
        roles={"Desk": "read write delete", "Practitioner": "read write delete", "Auditor": "read"},
        scope={"Practitioner": own("practitioner.user")},
    ),
    Resource(
        OtherHours,
        icon="clock",
        label="Other hours",
        list="practitioner day how opens closes note",
        add="practitioner day how opens closes note",
        edit="day how opens closes note",
        filters="practitioner day how",
        below="practitioner",
        order="day",
        strands=stranded,
        roles={"Desk": "read write delete", "Practitioner": "read write delete", "Auditor": "read"},
        scope={"Practitioner": own("practitioner.user")},
    ),
    Resource(
        Closure,
        icon="lock",
        list="practitioner starts_at ends_at reason",
        add="practitioner starts_at ends_at reason",
        edit="starts_at ends_at reason",
        filters="practitioner starts_at",
        below="practitioner",
        order="-starts_at",
        strands=stranded,
        roles={"Desk": "read write delete", "Practitioner": "read write delete", "Auditor": "read"},
        scope={"Practitioner": own("practitioner.user")},
    ),
    Resource(
        Giver,
        icon="user",
        label="Who gives what",
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

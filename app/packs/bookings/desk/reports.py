"""Reports of bookings: revenue, occupancy, lead time, checkout conversion, no-shows, refunds, packages, reminders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Row as Found
from sqlalchemy import TextClause, text

from app.desk.built_in.accounting_reports import Period
from app.desk.declare import column
from app.desk.declare.chart import Chart, Figure
from app.desk.declare.report import NoParameters, Report, Row, RowLink
from app.kernel import clock
from app.kernel.db import session
from app.money.sums.amount import Money
from app.packs.bookings.booking.seats import STANDING

READERS = "Desk Accountant Auditor"

_OF_A_BOOKING = """
    join bill on bill.id = it.bill_id and bill.noun = 'booking' join booking on booking.id = bill.row_id
    join slot on slot.id = booking.slot_id join service on service.id = slot.service_id
"""

_REVENUE = text(f"""
    select date_trunc('week', it.day)::date as week, service.id, service.name, it.total_currency as currency,
           count(distinct booking.id) filter (where sign > 0) as bookings,
           sum(sign * (it.total_amount - it.tax_amount)) as net, sum(sign * it.tax_amount) as tax,
           sum(sign * it.total_amount) as total
    from (
        select invoice.*, case kind when 'credit_note' then -1 else 1 end as sign from invoice where kind <> 'receipt'
    ) it {_OF_A_BOOKING}
    where it.day between :since and :until group by 1, 2, 3, 4 order by 1, 4, 3, 2
""")  # noqa: S608  # constants only

# Time that several services offer at once is counted once, as open and as booked.
_OCCUPANCY = text(f"""
    with times as (
        select practitioner.id, practitioner.name, slot.state, tstzrange(slot.starts_at, slot.ends_at) as during,
               exists (select from booking where booking.slot_id = slot.id and booking.state in {STANDING}) as booked
        from slot join practitioner on practitioner.id in (slot.practitioner_id, slot.partner_id)
        where slot.starts_at >= :first and slot.starts_at < :after
    ), counted as (
        select id, name, range_agg(during) filter (where booked) as booked,
               range_agg(during) filter (where booked or state = 'open') as open
        from times group by id, name
    )
    select id, name,
           (select sum(extract(epoch from upper(each) - lower(each))) from unnest(booked) each)::int / 60 as booked,
           (select sum(extract(epoch from upper(each) - lower(each))) from unnest(open) each)::int / 60 as open
    from counted where open is not null order by name, id
""")  # noqa: S608

_LEAD = text(f"""
    select id, name, count(*) as bookings, count(*) filter (where days = 0) as today,
           count(*) filter (where days between 1 and 3) as soon,
           count(*) filter (where days between 4 and 7) as week, count(*) filter (where days between 8 and 30) as month,
           count(*) filter (where days > 30) as later, percentile_disc(0.5) within group (order by days) as median
    from (
        select service.id, service.name,
               (slot.starts_at at time zone :zone)::date - (booking.created_at at time zone :zone)::date as days
        from booking join slot on slot.id = booking.slot_id join service on service.id = slot.service_id
        where booking.state in {STANDING} and booking.created_at >= :first and booking.created_at < :after
    ) it group by id, name order by name, id
""")  # noqa: S608

# A hold whose customer came back to correct the form has lost its key. It is not counted as abandoned.
_CONVERSION = text("""
    select service.id, service.name, count(*) as held, count(*) filter (where paid_with <> '') as paid,
           count(*) filter (where paid_with = '' and booking.state = 'expired') as lapsed,
           count(*) filter (where paid_with = '' and booking.state = 'cancelled') as called_off,
           count(*) filter (where paid_with = '' and booking.state in ('held', 'requested')) as waiting
    from booking join slot on slot.id = booking.slot_id join service on service.id = slot.service_id
    where booking.created_at >= :first and booking.created_at < :after
          and not (booking.state = 'expired' and request_hash is not null and request_key is null)
    group by service.id, service.name order by service.name, service.id
""")

_ATTENDANCE = text("""
    select practitioner.id, practitioner.name, count(*) filter (where booking.state = 'completed') as came,
           count(*) filter (where booking.state = 'no_show') as missed,
           count(*) filter (where booking.state = 'confirmed') as unsaid
    from booking join slot on slot.id = booking.slot_id join practitioner on practitioner.id = slot.practitioner_id
    where booking.state in ('confirmed', 'completed', 'no_show')
          and slot.starts_at >= :first and slot.starts_at < least(:after, :now)
    group by practitioner.id, practitioner.name order by practitioner.name, practitioner.id
""")

_REFUNDS = text(f"""
    select service.id, service.name, it.money_currency as currency, count(*) as payments,
           count(*) filter (where it.back_amount > 0) as given_back,
           sum(it.money_amount) as paid, sum(it.back_amount) as back
    from payment it {_OF_A_BOOKING}
    where it.captured_at >= :first and it.captured_at < :after group by 1, 2, 3 order by 3, 2, 1
""")  # noqa: S608

_REMINDERS = text("""
    select date_trunc('week', due_at at time zone :zone)::date as week, template,
           count(*) as all, count(sent_at) as sent,
           count(*) filter (where state = 'dropped') as dropped, count(*) filter (where state = 'failed') as failed,
           count(*) filter (where state = 'waiting' and due_at > :now) as to_come
    from message where template in ('bookings/reminder', 'bookings/soon') and due_at >= :first and due_at < :after
    group by 1, 2 order by 1, 2
""")


_PACKAGES = text("""
    select package.id, package.name, it.price_currency as currency, count(*) as sold, sum(it.uses) as uses,
           sum(it.uses_left) filter (where it.state = 'active') as unused,
           (
               select count(*) from pass_use join pass on pass.id = pass_use.pass_id
               where pass.package_id = package.id and pass_use.state = 'taken'
           ) as booked,
           sum(coming.net) as worth
    from pass it join package on package.id = it.package_id
    cross join lateral (
        select coalesce(sum((each->>'net')::bigint), 0) - max(bill.earned_amount) as net
        from bill, jsonb_array_elements(bill."left") each
        where bill.noun = 'pass' and bill.row_id = it.id and bill.state = 'paid'
    ) coming
    where it.paid_with <> '' group by 1, 2, 3 order by 3, 2, 1
""")


def _run_query(query: TextClause, period: Period) -> Iterator[Found[Any]]:
    first, after = period.instants
    params: Mapping[str, Any] = {
        "since": period.since,
        "until": period.until,
        "first": first,
        "after": after,
        "now": clock.now(),
        "zone": column.staff_locale.timezone,
    }
    yield from session.execute(query, {name: params[name] for name in query.compile().params})


def _rate(part: int, whole: int) -> int | None:
    """Share of the whole in basis points; None if the whole is zero."""
    return round(10_000 * part / whole) if whole else None


def _link_to_service(row: Found[Any]) -> RowLink:
    return RowLink("service", row.id, row.name)


def _link_to_practitioner(row: Found[Any]) -> RowLink:
    return RowLink("practitioner", row.id, row.name)


def revenue(period: Period) -> Iterator[Row]:
    for row in _run_query(_REVENUE, period):
        sums = {name: Money(int(getattr(row, name)), row.currency) for name in ("net", "tax", "total")}
        yield {"week": row.week, "service": _link_to_service(row), "bookings": row.bookings} | sums


def occupancy(period: Period) -> Iterator[Row]:
    for row in _run_query(_OCCUPANCY, period):
        booked = row.booked or 0
        yield {
            "practitioner": _link_to_practitioner(row),
            "open": row.open,
            "booked": booked,
            "free": row.open - booked,
            "rate": _rate(booked, row.open),
        }


def lead_time(period: Period) -> Iterator[Row]:
    for row in _run_query(_LEAD, period):
        yield {"service": _link_to_service(row)} | {
            name: getattr(row, name) for name in ("bookings", "today", "soon", "week", "month", "later", "median")
        }


def packages(asked: NoParameters) -> Iterator[Row]:
    for row in session.execute(_PACKAGES):
        counts = {"sold": row.sold, "uses": row.uses, "unused": row.unused or 0, "booked": row.booked}
        worth = Money(int(row.worth or 0), row.currency)
        yield {"package": RowLink("package", row.id, row.name)} | counts | {"worth": worth}


def conversion(period: Period) -> Iterator[Row]:
    for row in _run_query(_CONVERSION, period):
        counts = {name: getattr(row, name) for name in ("held", "paid", "lapsed", "called_off", "waiting")}
        yield {"service": _link_to_service(row)} | counts | {"rate": _rate(row.paid, row.held - row.waiting)}


def no_shows(period: Period) -> Iterator[Row]:
    for row in _run_query(_ATTENDANCE, period):
        yield {
            "practitioner": _link_to_practitioner(row),
            "came": row.came,
            "missed": row.missed,
            "unsaid": row.unsaid,
            "rate": _rate(row.missed, row.came + row.missed),
        }


def refund_rate(period: Period) -> Iterator[Row]:
    for row in _run_query(_REFUNDS, period):
        sums = {name: Money(int(getattr(row, name)), row.currency) for name in ("paid", "back")}
        yield {
            "service": _link_to_service(row),
            "payments": row.payments,
            "given_back": row.given_back,
            "rate": _rate(int(row.back), int(row.paid)),
        } | sums


_WHEN = {"bookings/reminder": "1 day before", "bookings/soon": "1 hour before"}


def reminders(period: Period) -> Iterator[Row]:
    for row in _run_query(_REMINDERS, period):
        counts = {name: getattr(row, name) for name in ("sent", "failed", "dropped", "to_come")}
        late = row.all - sum(counts.values())
        yield {
            "week": row.week,
            "what": _WHEN[row.template],
            "late": late,
            "rate": _rate(row.sent, row.sent + row.failed + late),
        } | counts


reports = [
    Report(
        "revenue",
        also="income sales turnover earnings",
        icon="chart",
        asks=Period,
        columns={
            "week": "day",
            "service": "relation",
            "bookings": "number",
            "net": "money",
            "tax": "money",
            "total": "money",
        },
        labels={"week": "Week of"},
        rows=revenue,
        total="net tax total",
        groups="week",
        chart=Chart("week", "total"),
        figure=Figure("total", "Invoiced for bookings"),
        roles=READERS,
        note="Invoices for bookings less credit notes, by week and service. Matches the tax summary.",
        empty="No invoices in this period. Choose another period.",
    ),
    Report(
        "occupancy",
        also="utilisation capacity",
        icon="clock",
        asks=Period,
        columns={"practitioner": "relation", "open": "number", "booked": "number", "free": "number", "rate": "rate"},
        labels={"open": "Open minutes", "booked": "Booked minutes", "free": "Free minutes", "rate": "Occupancy"},
        rows=occupancy,
        chart=Chart("practitioner", "rate", "bars"),
        figure=Figure("booked / open", "Occupancy"),
        roles=READERS,
        note="The share of open time that was booked and paid. Time offered by several services counts once, "
        "and a group session counts as booked when one place is taken.",
        empty="No opening hours in this period. Choose another period, or add opening hours.",
    ),
    Report(
        "lead_time",
        also="advance notice",
        icon="calendar",
        asks=Period,
        columns={
            "service": "relation",
            "bookings": "number",
            "today": "number",
            "soon": "number",
            "week": "number",
            "month": "number",
            "later": "number",
            "median": "number",
        },
        labels={
            "today": "Same day",
            "soon": "1–3 days",
            "week": "4–7 days",
            "month": "8–30 days",
            "later": "31+ days",
            "median": "Median (days)",
        },
        rows=lead_time,
        chart=Chart("service", "bookings", "bars"),
        figure=Figure("bookings", "Bookings made"),
        roles=READERS,
        note="How many days in advance customers book. Covers confirmed bookings made in this period.",
        empty="No confirmed bookings were made in this period. Choose another period.",
    ),
    Report(
        "conversion",
        also="checkout funnel abandoned",
        label="Checkout conversion",
        icon="filter",
        asks=Period,
        columns={
            "service": "relation",
            "held": "number",
            "paid": "number",
            "lapsed": "number",
            "called_off": "number",
            "waiting": "number",
            "rate": "rate",
        },
        labels={
            "held": "Started",
            "lapsed": "Expired",
            "called_off": "Cancelled unpaid",
            "waiting": "Pending",
            "rate": "Conversion rate",
        },
        rows=conversion,
        chart=Chart("service", "rate", "bars"),
        figure=Figure("paid / paid lapsed called_off", "Checkout conversion rate"),
        roles=READERS,
        note="The share of bookings started in this period that were paid. Free bookings count as paid. "
        "Bookings that customers went back to correct are not counted.",
        empty="No bookings were started in this period. Choose another period.",
    ),
    Report(
        "no_shows",
        also="missed absent",
        label="No-shows",
        icon="x",
        asks=Period,
        columns={"practitioner": "relation", "came": "number", "missed": "number", "unsaid": "number", "rate": "rate"},
        labels={"came": "Attended", "missed": "No-shows", "unsaid": "Not recorded", "rate": "No-show rate"},
        rows=no_shows,
        chart=Chart("practitioner", "missed", "bars"),
        figure=Figure("missed / came missed", "No-show rate", better="down"),
        roles=READERS,
        note="Attended bookings and no-shows in this period. The rate covers only bookings with recorded attendance.",
        empty="No appointments in this period. Choose another period.",
    ),
    Report(
        "given_back",
        also="refund cancellation",
        label="Refund rate",
        icon="history",
        asks=Period,
        columns={
            "service": "relation",
            "payments": "number",
            "given_back": "number",
            "paid": "money",
            "back": "money",
            "rate": "rate",
        },
        labels={"given_back": "Refunded payments", "back": "Refunded", "rate": "Refund rate"},
        rows=refund_rate,
        total="paid back",
        chart=Chart("service", "back", "bars"),
        roles=READERS,
        note="Payments for bookings received in this period, and how much of them was refunded since or is pending.",
        empty="No payments for bookings in this period. Choose another period.",
    ),
    Report(
        "packages",
        also="prepaid bundle",
        label="Package sales",
        part="packages",
        icon="box",
        columns={
            "package": "relation",
            "sold": "number",
            "uses": "number",
            "unused": "number",
            "booked": "number",
            "worth": "money",
        },
        labels={"uses": "Sessions", "unused": "Unused", "booked": "Booked", "worth": "Deferred revenue"},
        rows=packages,
        total="worth",
        chart=Chart("package", "sold", "bars"),
        roles=READERS,
        note="Packages sold and paid, and the sessions customers can still use. "
        "Deferred revenue is net of tax and booked as customer deposits.",
        empty="No packages have been sold yet.",
    ),
    Report(
        "reminders",
        also="delivery messages",
        icon="bell",
        asks=Period,
        columns={
            "week": "day",
            "what": "text",
            "sent": "number",
            "failed": "number",
            "late": "number",
            "dropped": "number",
            "to_come": "number",
            "rate": "rate",
        },
        labels={
            "week": "Week of",
            "what": "Reminder",
            "late": "Overdue",
            "dropped": "No longer needed",
            "to_come": "Scheduled",
            "rate": "Sent rate",
        },
        rows=reminders,
        groups="week",
        chart=Chart("week", "sent"),
        roles=READERS,
        note="Reminders due in this period. "
        "Reminders for rescheduled or cancelled bookings are no longer needed and don’t count as missed.",
        empty="No reminders due in this period. Choose another period.",
    ),
]

"""Accounting reports: trial balance, statements, day book, GST and tax, invoice register, balances, reconciliation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby, islice
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row as Found
from sqlalchemy import String, and_, case, func, select, text
from sqlalchemy.orm import lazyload

from app.desk.declare import column
from app.desk.declare.report import Report, Row, RowLink, Verdict
from app.kernel import clock
from app.kernel.db import noun_of_table, session
from app.kernel.errors import Invalid
from app.kernel.people import Person
from app.kernel.workflow import asked
from app.money.bills.bill import PARTS, Bill
from app.money.bills.invoice import TITLES
from app.money.bills.ledger import KINDS, Account, Line, Posting, imbalance, trial_balance_rows
from app.money.bills.payment import Payment
from app.money.bills.refund import PENDING, Refund
from app.money.gateways.gateway import LABELS
from app.money.reconcile.settlement import Settlement
from app.money.reconcile.tally import Tally
from app.money.sums.amount import Money

ACCOUNTING_ROLES = "Accountant Auditor"
COUNTER_ROLES = "Desk Accountant Auditor"


# --- parameters -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AsOf:
    """A day, in the house's zone; today where nothing is said."""

    day: date = asked("As of", default=None, help="Includes this day")

    def __post_init__(self) -> None:
        object.__setattr__(self, "day", _day_or_default(self.day, clock.today()))


@dataclass(frozen=True)
class Period:
    """From one day to another, both included; this month where nothing is said."""

    since: date = asked("From", default=None)
    until: date = asked("To", default=None)

    def __post_init__(self) -> None:
        until = _day_or_default(self.until, max(clock.today(), _day_or_default(self.since, clock.today())))
        since = _day_or_default(self.since, until.replace(day=1))
        if since > until:
            raise Invalid.for_fields({"until": "The end date must not be before the start date."})
        object.__setattr__(self, "since", since)
        object.__setattr__(self, "until", until)

    @property
    def instants(self) -> tuple[datetime, datetime]:
        """Return the start of the first day and the end of the last, in the business time zone."""
        return _start_of_day(self.since), _start_of_day(self.until + timedelta(days=1))


@dataclass(frozen=True)
class StatementPeriod(Period):
    """Whose page of the books."""

    account: int | None = asked("Account", default=None)
    person: int | None = asked("Customer", default=None)


@dataclass(frozen=True)
class RegisterPeriod(Period):
    """Which papers."""

    papers: str = asked(
        "Documents", default="sold", among=lambda: {"sold": "Invoices and credit notes", "received": "Receipts"}
    )


def _day_or_default(day: date | None, otherwise: date) -> date:
    return otherwise if day is None else day


def _day_text(day: date) -> str:
    return column.KINDS["day"].display(day)


def _start_of_day(day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(column.staff_locale.timezone))


def _period_bounds(period: Period) -> dict[str, date]:
    return {"since": period.since, "until": period.until}


# --- the ledger -------------------------------------------------------------------------------------------------------

_AMOUNT, _CURRENCY = Line.__table__.c.money_amount, Line.__table__.c.money_currency
_CUSTOMER_ACCOUNTS = "received", "to-give-back", "wallet"  # hold customers' money that is not allocated


def _account_link(account: Account) -> RowLink:
    return RowLink("account", account.id, str(account))


def _debit_or_credit(amount: int, currency: str) -> dict[str, Any]:
    return {"debit" if amount > 0 else "credit": Money(abs(amount), currency)}


def trial_balance(when: AsOf) -> Iterator[Row]:
    order = [*dict.fromkeys(KINDS.values())]
    balances = trial_balance_rows(_start_of_day(when.day))
    for account, left, right in sorted(balances, key=lambda row: order.index(row[0].kind)):
        debit, credit = Money(int(left), account.currency), Money(int(right), account.currency)
        yield {
            "account": _account_link(account),
            "kind": account.kind,
            "means": account.means,
            "debit": debit,
            "credit": credit,
            "balance": debit - credit,
        }


def check_balance(when: AsOf) -> Verdict:
    wrong = imbalance()
    if not wrong:
        return Verdict(True, "The books balance. Total debits equal total credits.")
    differences = [
        str(Money(amount, name)) if len(name) == 3 and name.isupper() else f"{name} by {amount}"
        for name, amount in wrong.items()
    ]
    return Verdict(
        False,
        f"The books don’t balance. The difference is {', '.join(differences)}. "
        "Contact your administrator before making any further changes.",
    )


def account_statement(whose: StatementPeriod) -> Iterator[Row]:
    if whose.account is None and whose.person is None:
        return
    mine = [Line.account_id == whose.account] if whose.account is not None else [Account.name.in_(_CUSTOMER_ACCOUNTS)]
    mine += [Posting.person_id == whose.person] if whose.person is not None else []
    before = (
        select(_CURRENCY, func.sum(_AMOUNT))
        .select_from(Line)
        .join(Posting, Line.posting_id == Posting.id)
        .join(Account, Line.account_id == Account.id)
    )
    opening = {
        currency: int(total)
        for currency, total in session.execute(before.where(*mine, Posting.day < whose.since).group_by(_CURRENCY))
    }
    found = (
        select(Line.id, Posting.day, Posting.what, Account, _AMOUNT.label("amount"), _CURRENCY.label("currency"))
        .join(Posting, Line.posting_id == Posting.id)
        .join(Account, Line.account_id == Account.id)
        .where(*mine, Posting.day.between(whose.since, whose.until))
        .order_by(_CURRENCY, Posting.day, Line.id)
    )
    lines = {currency: [*each] for currency, each in groupby(session.execute(found), lambda row: row.currency)}
    for currency in sorted(opening.keys() | lines.keys()):
        yield from _statement_lines(whose, currency, opening.get(currency, 0), lines.get(currency, []))


def _statement_lines(whose: StatementPeriod, currency: str, balance: int, lines: list[Found[Any]]) -> Iterator[Row]:
    """Yield one currency of a statement: opening balance, entries, closing balance."""
    yield {"day": whose.since, "what": "Opening balance", "balance": Money(balance, currency), "mark": "sum"}
    for it in lines:
        balance += it.amount
        shown = {
            "day": it.day,
            "what": RowLink("line", it.id, it.what),
            "account": _account_link(it.Account),
            "balance": Money(balance, currency),
        }
        yield shown | _debit_or_credit(it.amount, currency)
    yield {"day": whose.until, "what": "Closing balance", "balance": Money(balance, currency), "mark": "sum"}


def day_book(period: Period) -> Iterator[Row]:
    found = (
        select(
            Line.id,
            Posting.id.label("no"),
            Posting.day,
            Posting.what,
            Posting.by,
            Person.id.label("of"),
            Person.name,
            Account,
            _AMOUNT.label("amount"),
        )
        .join(Posting, Line.posting_id == Posting.id)
        .join(Account, Line.account_id == Account.id)
        .outerjoin(Person, Posting.person_id == Person.id)
        .where(Posting.day.between(period.since, period.until))
        .order_by(Posting.day, Posting.id, _AMOUNT <= 0, Line.id)
    )
    for it in session.execute(found.execution_options(yield_per=1000)):
        posting = {
            "no": it.no,
            "day": it.day,
            "what": RowLink("line", it.id, it.what),
            "person": RowLink("person", it.of, it.name) if it.of else None,
            "by": it.by,
        }
        yield posting | {"account": _account_link(it.Account)} | _debit_or_credit(it.amount, it.Account.currency)


# --- invoices and tax -------------------------------------------------------------------------------------------------

# Each line of each invoice and credit note in a period; credit notes count as negative.
_INVOICE_LINES = """
    select i.id, i.kind, i.number, i.day, i.place, i.total_currency as currency,
           i.buyer->>'name' as buyer, coalesce(i.buyer->>'tax_number', '') as gstin,
           case i.kind when 'credit_note' then -1 else 1 end as sign,
           line->'taxes' as taxes, line->'rates' as rates, (line->>'net')::bigint as net,
           (select coalesce(sum(value::int), 0) from jsonb_each_text(line->'rates')) as rate,
           (select coalesce(sum(value::bigint), 0) from jsonb_each_text(line->'taxes')) as tax
    from invoice i cross join lateral jsonb_array_elements(i.lines) line
    where i.kind in ('invoice', 'credit_note') and i.day between :since and :until
"""

_TAXES = text(f"""
    select place, coalesce(one.key, 'No tax') as name, (rates->>one.key)::int as rate, currency,
           coalesce(sum(net) filter (where sign > 0), 0) as sold,
           coalesce(sum(net) filter (where sign < 0), 0) as credited,
           sum(sign * net) as taxable, coalesce(sum(sign * one.value::bigint), 0) as tax
    from ({_INVOICE_LINES}) sold left join lateral jsonb_each_text(taxes) one on true
    group by place, one.key, 3, currency order by currency, place, 2, 3
""")  # noqa: S608  # built from constants

_GST_RETURN = text(f"""
    select case when gstin = '' then 'B2C' when sign < 0 then 'CDNR' else 'B2B' end as part, gstin, place, currency,
           case when gstin <> '' then id end as id, case when gstin <> '' then number end as number,
           case when gstin <> '' then day end as day, case when gstin <> '' then buyer end as buyer,
           rate, sum(sign * net) as taxable,
           sum(sign * coalesce((taxes->>'CGST')::bigint, 0)) as cgst,
           sum(sign * coalesce((taxes->>'SGST')::bigint, 0)) as sgst,
           sum(sign * coalesce((taxes->>'IGST')::bigint, 0)) as igst,
           sum(sign * tax) as tax
    from ({_INVOICE_LINES}) sold
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9 order by 1, 4, 2, 7, 6, 3, 9
""")  # noqa: S608

# Every document, and how many numbers are missing before it, counted over the whole series and not only the period.
_REGISTER = """
    select paper.*, at - coalesce(lag(at) over (partition by series order by at), 0) - 1 as missing
    from (select invoice.*, regexp_replace(number, '[0-9]+$', '') as series,
                 substring(number from '[0-9]+$')::int as at from invoice) paper
"""
_DOCUMENTS = text(f"""
    select it.*, person.name as person, bill.number as bill, credits.number as credited
    from ({_REGISTER}) it join person on person.id = it.person_id join bill on bill.id = it.bill_id
    left join invoice credits on credits.id = it.credits_id
    where it.day between :since and :until and it.kind = any(:kinds) order by it.series, it.at
""")  # noqa: S608
_GAPS = text(f"""
    select coalesce(sum(missing), 0), count(*) from ({_REGISTER}) it
    where it.day between :since and :until and it.kind = any(:kinds)
""")  # noqa: S608


def tax_summary(period: Period) -> Iterator[Row]:
    for it in session.execute(_TAXES, _period_bounds(period)):
        sums = {"sold": it.sold, "credited": it.credited, "taxable": it.taxable, "tax": it.tax}
        yield {"place": it.place, "name": it.name, "rate": it.rate or 0} | {
            name: Money(int(value), it.currency) for name, value in sums.items()
        }


def gst_return(period: Period) -> Iterator[Row]:
    for it in session.execute(_GST_RETURN, _period_bounds(period)):
        sums = {"taxable": it.taxable, "cgst": it.cgst, "sgst": it.sgst, "igst": it.igst, "total": it.taxable + it.tax}
        paper = {
            "number": RowLink("invoice", it.id, it.number) if it.id else None,
            "day": it.day,
            "gstin": it.gstin,
            "buyer": it.buyer,
        }
        yield (
            {"part": it.part, "place": it.place, "rate": it.rate}
            | paper
            | {name: Money(int(value), it.currency) for name, value in sums.items()}
        )


def _register_bounds(which: RegisterPeriod) -> dict[str, Any]:
    return {**_period_bounds(which), "kinds": ["receipt"] if which.papers == "received" else ["invoice", "credit_note"]}


def invoice_register(which: RegisterPeriod) -> Iterator[Row]:
    for it in session.execute(_DOCUMENTS, _register_bounds(which)):
        if it.missing:
            first, last = (f"{it.series}{at:06d}" for at in (it.at - it.missing, it.at - 1))
            yield {"number": first if first == last else f"{first} to {last}", "kind": "Missing", "mark": "bad"}
        sign = -1 if it.kind == "credit_note" else 1
        total, tax = (Money(sign * amount, it.total_currency) for amount in (it.total_amount, it.tax_amount))
        yield {
            "number": RowLink("invoice", it.id, it.number),
            "kind": TITLES[it.kind],
            "day": it.day,
            "person": RowLink("person", it.person_id, it.person),
            "bill": RowLink("bill", it.bill_id, it.bill),
            "credited": it.credited,
            "taxable": total - tax,
            "tax": tax,
            "total": total,
        }


def check_numbering(which: RegisterPeriod) -> Verdict:
    missing, count = session.execute(_GAPS, _register_bounds(which)).one()
    if missing:
        return Verdict(
            False,
            f"{missing} document number{'s are' if missing > 1 else ' is'} missing in this period. "
            "Numbering must have no gaps, so investigate this now.",
        )
    return Verdict(True, f"No numbers are missing in {count} document{'s' if count != 1 else ''}.")


# --- outstanding balances and refunds ---------------------------------------------------------------------------------


def outstanding_balances(when: AsOf) -> Iterator[Row]:
    asked_for = (
        select(Bill)
        .where(Bill.state.in_(("open", "unpaid")))
        .order_by(func.coalesce(Bill.due_at, Bill.created_at), Bill.id)
    )
    bills = iter(session.scalars(asked_for))
    while some := [*islice(bills, 1000)]:
        billed = {noun: _billed_rows(noun, some) for noun in {bill.noun for bill in some}}
        for bill in some:
            if billed[bill.noun][bill.row_id].awaits(bill):
                yield _aged_row(bill, when.day)


def _billed_rows(noun: str, bills: list[Bill]) -> dict[int, Any]:
    """Load the rows that these bills are for, in one query."""
    kind = noun_of_table(noun)
    return {
        each.id: each
        for each in session.scalars(
            select(kind).where(kind.id.in_([bill.row_id for bill in bills if bill.noun == noun]))
        )
    }


def _aged_row(bill: Bill, day: date) -> Row:
    due = clock.day_of(bill.due_at or bill.created_at)
    days = (day - due).days
    age = "not_due" if days < 0 else "month" if days <= 30 else "two_months" if days <= 60 else "older"
    who = {
        "bill": RowLink("bill", bill.id, bill.number),
        "person": RowLink("person", bill.person_id, bill.person.name),
        "part": bill.part,
        "due": due,
    }
    return who | {"days": max(days, 0), age: bill.price, "total": bill.price}


def refund_ageing(period: Period) -> Iterator[Row]:
    first, after = period.instants
    order = case(
        {state: at for at, state in enumerate(("failed", "to_approve", "owed", "sent"))}, value=Refund.state, else_=4
    )
    found = (
        select(Refund, Payment.gateway_id, Person.id.label("of"), Person.name)
        .join(Payment, Refund.payment_id == Payment.id)
        .join(Bill, Payment.bill_id == Bill.id)
        .join(Person, Bill.person_id == Person.id)
        .where(Refund.created_at >= first, Refund.created_at < after)
        .order_by(order, Refund.created_at.desc(), Refund.id.desc())
    )
    for refund, paid_with, person, name in session.execute(found.options(lazyload(Refund.payment))):
        until = clock.now() if refund.state in PENDING else refund.done_at or refund.changed_at
        yield {
            "number": RowLink("refund", refund.id, refund.number),
            "state": refund.state,
            "person": RowLink("person", person, name),
            "payment": RowLink("payment", refund.payment_id, paid_with),
            "money": refund.money,
            "asked": clock.day_of(refund.created_at),
            "days": (clock.day_of(until) - clock.day_of(refund.created_at)).days,
            "why": refund.why,
            "trouble": refund.trouble,
            "mark": "bad" if refund.state == "failed" else "",
        }


# --- the gateways -----------------------------------------------------------------------------------------------------


def reconciliation(period: Period) -> Iterator[Row]:
    sums, differing = (_captured_sums(period), _settled_sums(period), _unsettled_sums(period)), [*_mismatches(period)]
    for gateway, currency in sorted({key for each in sums for key in each}):
        shown: dict[str, Any] = {"gateway": gateway, "what": "Total for the period"}
        for each in sums:
            shown |= {
                name: value if name == "unmatched" else Money(int(value), currency)
                for name, value in each.get((gateway, currency), {}).items()
            }
        yield shown | {"mark": "bad" if shown.get("difference") or shown.get("unmatched") else ""}
        yield from (row for row in differing if row["gateway"] == gateway and row["currency"] == currency)


Sums = dict[tuple[str, str], dict[str, int]]


def _captured_sums(period: Period) -> Sums:
    """Sum what was captured at the gateway and here, by the last reconciliation of each day."""
    its = Tally.__table__.c
    there, here, differs = (func.sum(each) for each in (its.there_amount, its.here_amount, its.difference_amount))
    found = (
        select(Tally.gateway, its.there_currency, there, here, differs)
        .where(Tally.day.between(period.since, period.until))
        .group_by(Tally.gateway, its.there_currency)
    )
    return {
        (gateway, currency): {"there": a, "here": b, "difference": c}
        for gateway, currency, a, b, c in session.execute(found)
    }


def _settled_sums(period: Period) -> Sums:
    """Sum what was settled to the bank, the fees and tax, and count the unmatched settlements."""
    its = Settlement.__table__.c
    to_bank = func.sum(its.credit_amount - its.debit_amount - its.fee_amount - its.tax_amount)
    unmatched = func.count().filter(Settlement.state == "differs")
    found = select(
        Settlement.gateway, its.credit_currency, to_bank, func.sum(its.fee_amount), func.sum(its.tax_amount), unmatched
    )
    found = found.where(Settlement.day.between(period.since, period.until)).group_by(
        Settlement.gateway, its.credit_currency
    )
    return {
        (gateway, currency): {"settled": a, "fees": b, "tax": c, "unmatched": d}
        for gateway, currency, a, b, c, d in session.execute(found)
    }


def _unsettled_sums(period: Period) -> Sums:
    """Sum what each gateway owes us at the end of the period, by our books."""
    name = func.substr(Account.name, len("gateway ") + 1, type_=String)
    found = select(name, _CURRENCY, func.sum(_AMOUNT)).select_from(Line).join(Posting, Line.posting_id == Posting.id)
    found = (
        found.join(Account, Line.account_id == Account.id)
        .where(Account.name.like("gateway %"), Posting.day <= period.until)
        .group_by(name, _CURRENCY)
    )
    return {(gateway, currency): {"not_settled": total} for gateway, currency, total in session.execute(found)}


def _mismatches(period: Period) -> Iterator[Row]:
    """Yield each payment and settlement that does not match, with a link."""
    for tally in session.scalars(
        select(Tally).where(Tally.day.between(period.since, period.until), Tally.state == "differs").order_by(Tally.day)
    ):
        for row in tally.rows or [{"payment": "difference", "there": str(tally.there), "here": str(tally.here)}]:
            text = (
                f"{_day_text(tally.day)}, {row['payment']}: {row['there']} at the gateway, {row['here']} in our books"
            )
            yield {
                "gateway": tally.gateway,
                "currency": tally.there.currency,
                "what": RowLink("tally", tally.id, text),
                "mark": "bad",
            }
    odd = (
        select(Settlement)
        .where(Settlement.day.between(period.since, period.until), Settlement.state == "differs")
        .order_by(Settlement.day, Settlement.id)
    )
    for line in session.scalars(odd):
        text = f"{_day_text(line.day)}, {line}: {line.trouble}"
        yield {
            "gateway": line.gateway,
            "currency": line.credit.currency,
            "what": RowLink("settlement", line.id, text),
            "mark": "bad",
        }


def check_reconciliation(period: Period) -> Verdict:
    tallies = select(func.count()).where(Tally.day.between(period.since, period.until), Tally.state == "differs")
    lines = select(func.count()).where(
        and_(Settlement.day.between(period.since, period.until), Settlement.state == "differs")
    )
    days, odd = session.scalar(tallies) or 0, session.scalar(lines) or 0
    if not days and not odd:
        return Verdict(True, "The gateways and our books match. The difference is 0, and all settlements are matched.")
    mismatches = [f"{days} day{'s' if days != 1 else ''} of payments"] * bool(days) + [
        f"{odd} settlement{'s' if odd != 1 else ''}"
    ] * bool(odd)
    return Verdict(False, f"Review {' and '.join(mismatches)} that don’t match. Each is listed below.")


# --- declared ---------------------------------------------------------------------------------------------------------

reports = [
    Report(
        "trial_balance",
        also="accounts ledger bookkeeping",
        icon="book",
        asks=AsOf,
        columns={
            "account": "relation",
            "kind": "choice",
            "means": "text",
            "debit": "money",
            "credit": "money",
            "balance": "balance",
        },
        labels={"kind": "Account type", "means": "Description"},
        rows=trial_balance,
        total="debit credit balance",
        verdict=check_balance,
        watched=True,
        roles=ACCOUNTING_ROLES,
        note="Total debits and credits of every ledger account up to this date. Both columns have the same total.",
        empty="There are no ledger entries yet. They appear with the first payment.",
    ),
    Report(
        "statement",
        also="account customer ledger",
        label="Account statement",
        icon="file",
        asks=StatementPeriod,
        points={"account": Account, "person": Person},
        columns={
            "day": "day",
            "what": "relation",
            "account": "relation",
            "debit": "money",
            "credit": "money",
            "balance": "balance",
        },
        labels={"day": "Date", "what": "Description"},
        rows=account_statement,
        total="debit credit",
        roles=ACCOUNTING_ROLES,
        note="General ledger of one account, with opening and closing balance. "
        "With only a customer chosen, it lists their receipts, allocations and refunds. Cr is the amount we owe them.",
        empty="Choose an account, a customer, or both, and a period.",
    ),
    Report(
        "day_book",
        also="journal daily export accounting",
        label="Day book",
        icon="calendar",
        asks=Period,
        columns={
            "no": "number",
            "day": "day",
            "what": "relation",
            "account": "relation",
            "person": "relation",
            "debit": "money",
            "credit": "money",
            "by": "text",
        },
        labels={"no": "No.", "day": "Date", "what": "Description", "person": "Customer", "by": "Posted by"},
        rows=day_book,
        total="debit credit",
        groups="no day what person by",
        roles=ACCOUNTING_ROLES,
        note="All journal entries in the order they were posted. Debits and credits of each entry are equal.",
        empty="Nothing was posted in this period.",
    ),
    Report(
        "tax_summary",
        also="gst vat",
        icon="receipt",
        asks=Period,
        columns={
            "place": "text",
            "name": "text",
            "rate": "rate",
            "sold": "money",
            "credited": "money",
            "taxable": "money",
            "tax": "money",
        },
        labels={
            "place": "Place of supply",
            "name": "Tax",
            "sold": "Invoiced",
            "credited": "Credit notes",
            "taxable": "Taxable value",
            "tax": "Tax due",
        },
        rows=tax_summary,
        total="tax",
        roles=ACCOUNTING_ROLES,
        note="Invoices less credit notes in this period, by place of supply, tax and rate. "
        "CGST and SGST apply to the same taxable value, so taxable values are not added up.",
        empty="There are no invoices or credit notes in this period.",
    ),
    Report(
        "gst_return",
        also="gstr tax filing",
        label="GST return",
        icon="file",
        asks=Period,
        columns={
            "part": "text",
            "gstin": "text",
            "buyer": "text",
            "number": "relation",
            "day": "day",
            "place": "text",
            "rate": "rate",
            "taxable": "money",
            "cgst": "money",
            "sgst": "money",
            "igst": "money",
            "total": "money",
        },
        labels={
            "part": "Section",
            "gstin": "GSTIN",
            "buyer": "Customer",
            "number": "Document no.",
            "day": "Date",
            "place": "Place of supply",
            "taxable": "Taxable value",
            "cgst": "CGST",
            "sgst": "SGST",
            "igst": "IGST",
            "total": "Invoice value",
        },
        rows=gst_return,
        total="taxable cgst sgst igst total",
        roles=ACCOUNTING_ROLES,
        note="Figures for GSTR-1: each invoice (B2B) and credit note (CDNR) to customers with a GSTIN, "
        "and totals by place of supply and rate for all others (B2C).",
        empty="There are no invoices or credit notes in this period.",
    ),
    Report(
        "invoice_register",
        also="tax gst invoices",
        icon="receipt",
        asks=RegisterPeriod,
        columns={
            "number": "relation",
            "kind": "text",
            "day": "day",
            "person": "relation",
            "bill": "relation",
            "credited": "text",
            "taxable": "money",
            "tax": "money",
            "total": "money",
        },
        labels={
            "kind": "Document type",
            "day": "Date",
            "person": "Customer",
            "bill": "Payment request",
            "credited": "Against invoice",
            "taxable": "Taxable value",
        },
        rows=invoice_register,
        total="taxable tax total",
        verdict=check_numbering,
        roles=ACCOUNTING_ROLES,
        note="All documents in order of their number. Credit notes reduce invoiced amounts, so they count as negative.",
        empty="There are no documents in this period.",
    ),
    Report(
        "owed",
        also="outstanding balance debt receivable unpaid overdue",
        label="Outstanding balances",
        icon="clock",
        asks=AsOf,
        columns={
            "bill": "relation",
            "person": "relation",
            "part": "choice",
            "due": "day",
            "days": "number",
            "not_due": "money",
            "month": "money",
            "two_months": "money",
            "older": "money",
            "total": "money",
        },
        labels={
            "bill": "Payment request",
            "person": "Customer",
            "part": "Type",
            "days": "Days overdue",
            "not_due": "Not due yet",
            "month": "0–30 days",
            "two_months": "31–60 days",
            "older": "Over 60 days",
        },
        choices={"part": PARTS},
        rows=outstanding_balances,
        total="not_due month two_months older total",
        roles=COUNTER_ROLES,
        note="Unpaid payment requests by age on this date. Expired reservations are not included.",
        empty="Nothing is outstanding.",
    ),
    Report(
        "refunds",
        also="refund ageing",
        label="Refund ageing",
        icon="history",
        asks=Period,
        columns={
            "number": "relation",
            "state": "state",
            "person": "relation",
            "payment": "relation",
            "money": "money",
            "asked": "day",
            "days": "number",
            "why": "text",
            "trouble": "text",
        },
        labels={
            "person": "Customer",
            "money": "Amount",
            "asked": "Requested",
            "days": "Days taken",
            "why": "Reason",
            "trouble": "Error",
        },
        states={"state": Refund},
        rows=refund_ageing,
        total="money",
        roles=COUNTER_ROLES,
        note="Refunds requested in this period, and how many days each has taken. "
        "Failed refunds are listed first because they are still owed.",
        empty="No refunds were requested in this period.",
    ),
    Report(
        "reconciliation",
        also="gateway settlement bank",
        icon="chart",
        asks=Period,
        columns={
            "gateway": "text",
            "what": "relation",
            "there": "money",
            "here": "money",
            "difference": "money",
            "settled": "money",
            "fees": "money",
            "tax": "money",
            "not_settled": "money",
            "unmatched": "number",
        },
        labels={
            "what": "Details",
            "there": "At the gateway",
            "here": "In our books",
            "settled": "Settled to bank",
            "tax": "Tax on fees",
            "not_settled": "Not yet settled",
            "unmatched": "Unmatched settlements",
        },
        choices={"gateway": LABELS},
        rows=reconciliation,
        total="there here difference settled fees tax not_settled",
        groups="gateway",
        verdict=check_reconciliation,
        roles=ACCOUNTING_ROLES,
        note="Payments captured by each gateway in this period (in UTC, as gateways report), "
        "compared with our books and with what was settled to the bank. "
        "“Not yet settled” is the amount the gateway owes us at the end of the period.",
        empty="No gateway was reconciled in this period. Reconciliation runs every hour.",
    ),
]

"""PDF layout of an invoice, receipt, credit note or payment request, with its tax table and UPI QR code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import segno

from app.money.gateways.upi import payable_by_upi, upi_link
from app.money.paper.fonts import printable_lines
from app.money.paper.pdf_page import ACCENT, INK, LEFT, MUTED, RIGHT, WIDTH, Sheet, line_height
from app.money.paper.pdf_table import GUTTER, PdfColumn, PdfTable
from app.money.sums.amount import Money
from app.money.sums.amount_in_words import amount_in_words
from app.money.sums.tax import STATES

_ROLES = {"Receipt": "Received from", "Credit note": "Credited to"}
_GSTIN = re.compile(r"\d{2}[A-Z0-9]{13}")


@dataclass(frozen=True)
class Party:
    """The seller or the buyer."""

    name: str
    address: str = ""
    email: str = ""
    phone: str = ""
    tax_number: str = ""
    region: str = ""


@dataclass(frozen=True)
class PaperLine:
    """One line item; rates are in basis points."""

    label: str
    code: str
    quantity: int
    net: Money
    rates: Mapping[str, int]
    taxes: Mapping[str, Money]
    total: Money


@dataclass(frozen=True)
class Paper:
    """The content of one document, as plain data."""

    title: str
    number: str
    date: date
    seller: Party
    buyer: Party
    place_of_supply: str
    lines: Sequence[PaperLine]
    total: Money
    paid: Money
    due: Money
    about: str
    refers_to: str = ""
    notes: Sequence[str] = ()
    upi: str = ""
    pay_link: str = ""


def render_document(paper: Paper) -> bytes:
    """Render the PDF; the same document always gives the same bytes."""
    sheet = Sheet(f"{paper.title} {paper.number}", paper.seller.name, paper.date, _texts_in(paper))
    _draw_head(sheet, paper)
    _draw_parties(sheet, paper)
    PdfTable(sheet, _item_columns(paper)).draw()
    _draw_totals(sheet, paper)
    _draw_tax_by_rate(sheet, paper)
    _draw_payment(sheet, paper)
    _draw_small_print(sheet, paper)
    return bytes(sheet.output())


def _texts_in(value: Any) -> Iterator[str]:
    """Yield every text of a document, for the fonts."""
    if isinstance(value, str):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from _texts_in(getattr(value, field.name))
    elif isinstance(value, Iterable):
        for each in value:
            yield from _texts_in(each)


def _draw_head(sheet: Sheet, paper: Paper) -> None:
    """Draw the seller on the left, title and number on the right, and a coloured rule."""
    half = WIDTH / 2
    top, seller = sheet.y, paper.seller
    sheet.put_line(paper.title, LEFT + half, half, size=22, right=True, y=top - 1.5)
    sheet.y = top + 12
    facts = [("No.", paper.number), ("Date", _date_text(paper.date))]
    if paper.refers_to:
        facts.append(("Against invoice", paper.refers_to))
    for label, text in facts:
        _draw_fact(sheet, label, text)
    right = sheet.y
    sheet.y = top
    for line in sheet.wrap_text(seller.name, half - GUTTER, 13, bold=True)[:4]:
        sheet.put_line(line, LEFT, half - GUTTER, size=13, bold=True)
        sheet.y += line_height(13)
    sheet.y += 1
    _draw_party(sheet, seller, LEFT, half - GUTTER)
    sheet.y = max(sheet.y, right) + 5
    sheet.draw_rule(sheet.y, colour=ACCENT, thick=0.9)
    sheet.y += 6


def _draw_fact(sheet: Sheet, label: str, text: str) -> None:
    """Draw a grey label and its text, aligned to the right edge."""
    room = min(sheet.text_width(text, 9, bold=True), WIDTH / 2 - 30)
    sheet.put_line(label, RIGHT - room - 32, 30, colour=MUTED, right=True)
    sheet.put_line(text, RIGHT - room, room, bold=True, right=True)
    sheet.y += line_height(9) + 0.3


def _draw_parties(sheet: Sheet, paper: Paper) -> None:
    """Draw the buyer on the left, and what was bought on the right."""
    top, half = sheet.y, WIDTH / 2
    sheet.put_line(_ROLES.get(paper.title, "Billed to"), LEFT, half, size=7.5, colour=MUTED)
    sheet.y += 4.2
    for line in sheet.wrap_text(paper.buyer.name, half - GUTTER, 10.5, bold=True)[:4]:
        sheet.put_line(line, LEFT, half - GUTTER, size=10.5, bold=True)
        sheet.y += line_height(10.5)
    sheet.y += 0.6
    _draw_party(sheet, paper.buyer, LEFT, half - GUTTER)
    left, sheet.y = sheet.y, top
    for label, text in (("For", paper.about), ("Place of supply", paper.place_of_supply)):
        if not text:
            continue
        sheet.put_line(label, LEFT + half, half, size=7.5, colour=MUTED)
        sheet.y += 4.2
        for line in sheet.wrap_text(text, half, 9)[:8]:
            sheet.put_line(line, LEFT + half, half)
            sheet.y += line_height(9)
        sheet.y += 2
    sheet.y = max(sheet.y, left) + 7


def _draw_party(sheet: Sheet, party: Party, x: float, width: float) -> None:
    """Draw address, state, tax number and contact; an address is cut after ten lines."""
    contact = " · ".join(each for each in (party.email, party.phone) if each)
    code = party.region.strip()
    region = f"State: {code} {STATES[code]}" if code in STATES else f"State: {code}" if code else ""
    number = (
        f"{'GSTIN' if _GSTIN.fullmatch(party.tax_number) else 'Tax number'}: {party.tax_number}"
        if party.tax_number
        else ""
    )
    address = [line for each in printable_lines(party.address) for line in sheet.wrap_text(each, width, 8.5)][:10]
    details = (line for text in (region, number, contact) for line in sheet.wrap_text(text, width, 8.5)[:3])
    for line in [*address, *details]:
        sheet.put_line(line, x, width, size=8.5, colour=INK if line.startswith(("GSTIN", "Tax number")) else MUTED)
        sheet.y += line_height(8.5)


def _item_columns(paper: Paper) -> list[PdfColumn]:
    lines, names = paper.lines, _tax_names(paper)
    columns = [
        PdfColumn("#", [(str(at), "") for at in range(1, len(lines) + 1)], figures=False),
        PdfColumn("Description", [(each.label, "") for each in lines], figures=False, gives=True),
    ]
    if any(each.code for each in lines):
        columns.append(PdfColumn("HSN/SAC", [(each.code[:12], "") for each in lines]))
    columns.append(PdfColumn("Qty", [(str(each.quantity), "") for each in lines]))
    if not names:
        return [
            *columns,
            PdfColumn(f"Amount ({paper.total.currency})", [(_amount_text(each.total), "") for each in lines]),
        ]
    columns.append(PdfColumn("Taxable value", [(_amount_text(each.net), "") for each in lines]))
    if len(names) > 3:
        columns.append(
            PdfColumn("Tax", [(_amount_text(_tax(each)), _rate_text(sum(each.rates.values()))) for each in lines])
        )
    else:
        columns += [PdfColumn(name, [_tax_cell(each, name) for each in lines]) for name in names]
    return [*columns, PdfColumn(f"Total ({paper.total.currency})", [(_amount_text(each.total), "") for each in lines])]


def _tax_cell(line: PaperLine, name: str) -> tuple[str, str]:
    return (_amount_text(line.taxes[name]), _rate_text(line.rates.get(name, 0))) if name in line.taxes else ("–", "")


def _draw_totals(sheet: Sheet, paper: Paper) -> None:
    """Draw the total in words on the left and in figures on the right, kept on one page."""
    sums = _totals(paper)
    sheet.ensure_room(len(sums) * 5.2 + 8)
    top, x, width = sheet.y, LEFT + 96, WIDTH - 96
    for name, money, strong in sums:
        if strong and sheet.y > top:
            sheet.draw_rule(sheet.y + 0.6, x=x, width=width)
            sheet.y += 1.6
        size = 11 if strong else 9
        sheet.put_line(name, x, width / 2 - 6, size=size, bold=strong, colour=INK if strong else MUTED)
        sheet.put_line(str(money), x + width / 2 - 6, width / 2 + 6, size=size, bold=strong, right=True)
        sheet.y += line_height(size) + 0.6
    bottom, sheet.y = sheet.y, top
    sheet.put_line("Total in words", LEFT, 90, size=7.5, colour=MUTED)
    sheet.y += 4.2
    for line in sheet.wrap_text(amount_in_words(paper.total), 84, 9):
        sheet.put_line(line, LEFT, 84)
        sheet.y += line_height(9)
    sheet.y = max(sheet.y, bottom) + 4


def _totals(paper: Paper) -> list[tuple[str, Money, bool]]:
    """Return the totals as (label, amount, bold), with the rounding as a line of its own."""
    currency = paper.total.currency
    sums = [
        (name, Money.total((each.taxes[name] for each in paper.lines if name in each.taxes), currency), False)
        for name in _tax_names(paper)
    ]
    if sums:
        sums.insert(0, ("Taxable value", Money.total((each.net for each in paper.lines), currency), False))
    if paper.lines and (off := paper.total - Money.total((each.total for each in paper.lines), currency)):
        sums.append(("Rounded off", off, False))
    sums.append(("Total", paper.total, True))
    if paper.paid or paper.due:
        sums += [("Paid", paper.paid, False), ("Balance due", paper.due, bool(paper.due))]
    return sums


def _draw_tax_by_rate(sheet: Sheet, paper: Paper) -> None:
    names = _tax_names(paper)
    if not names:
        return
    rates: dict[int, list[PaperLine]] = {}
    for each in paper.lines:
        rates.setdefault(sum(each.rates.values()), []).append(each)
    groups = [lines for _, lines in sorted(rates.items())]
    zero = Money(0, paper.total.currency)
    columns = [
        PdfColumn("Tax by rate", [(_rate_text(rate), "") for rate in sorted(rates)], figures=False, gives=True),
        PdfColumn("Taxable value", [(_amount_text(sum((each.net for each in lines), zero)), "") for lines in groups]),
        *(
            PdfColumn(
                name,
                [(_amount_text(sum((each.taxes.get(name, zero) for each in lines), zero)), "") for lines in groups],
            )
            for name in names[:4]
        ),
        PdfColumn("Tax", [(_amount_text(sum((_tax(each) for each in lines), zero)), "") for lines in groups]),
    ]
    PdfTable(sheet, columns, WIDTH if len(names) > 2 else 120).draw()
    sheet.y += 3


def _draw_payment(sheet: Sheet, paper: Paper) -> None:
    """Draw the UPI QR code and the payment link, if there is something to pay."""
    if paper.due.amount <= 0:
        return
    qr_code = payable_by_upi(paper.upi, paper.due)
    link = paper.pay_link if paper.pay_link.startswith(("https://", "http://")) else ""
    if not qr_code and not link:
        return
    sheet.ensure_room(44)
    sheet.y += 2
    top, x = sheet.y, LEFT
    if qr_code:
        upi = upi_link(
            paper.upi, paper.seller.name, paper.due, note=f"{paper.title} {paper.number}", reference=paper.number
        )
        _draw_qr_code(sheet, upi, x, top, 36)
        sheet.link(x, top, 36, 36, upi)
        x += 42
    sheet.y = top + 1
    sheet.put_line(f"Pay {paper.due}", x, RIGHT - x, size=13, bold=True)
    sheet.y += line_height(13) + 1
    if qr_code:
        sheet.flow_text(f"Scan with any UPI app, or pay to {paper.upi}", x, RIGHT - x, colour=MUTED)
    if link:
        sheet.flow_text("Or pay by card, netbanking or wallet:" if qr_code else "Pay here:", x, RIGHT - x, colour=MUTED)
        sheet.flow_text(link, x, RIGHT - x, colour=ACCENT, link=link)
    sheet.y = max(sheet.y, top + 36 if qr_code else 0) + 5


def _draw_qr_code(sheet: Sheet, text: str, x: float, y: float, side: float) -> None:
    """Draw the QR code as bars that slightly overlap the next row, so that no viewer shows gaps."""
    rows = [bytes(row) for row in segno.make(text, error="m", boost_error=False, micro=False).matrix]
    dot = side / len(rows)
    sheet.set_fill_color(0)
    for down, row in enumerate(rows):
        for bar in re.finditer(b"\x01+", row):
            sheet.rect(x + bar.start() * dot, y + down * dot, len(bar[0]) * dot, dot + 0.02, style="F")


def _draw_small_print(sheet: Sheet, paper: Paper) -> None:
    """Draw the notes and the statements required by law."""
    for note in paper.notes:
        for line in printable_lines(note):
            sheet.flow_text(line, LEFT, WIDTH, size=8.5)
        sheet.y += 1
    statements = ["This is a computer-generated document and requires no signature."]
    if paper.seller.tax_number and paper.title != "Payment request":
        statements.insert(0, "Tax payable on reverse charge: No")
    sheet.ensure_room(len(statements) * line_height(8) + 8)
    sheet.y += 3
    for line in [f"For {paper.seller.name}", *statements]:
        sheet.flow_text(line, LEFT, WIDTH, size=8, colour=MUTED)


def _tax_names(paper: Paper) -> list[str]:
    return list(dict.fromkeys(name for each in paper.lines for name in each.taxes))


def _tax(line: PaperLine) -> Money:
    return Money.total(line.taxes.values(), line.total.currency)


def _amount_text(money: Money) -> str:
    """Return the amount without its currency sign, which is in the heading."""
    return re.sub(r"[^\d.,-]", "", str(money))


def _rate_text(basis_points: int) -> str:
    return f"{Decimal(basis_points).scaleb(-2).normalize():f}%"


def _date_text(day: date) -> str:
    return f"{day.day} {day:%b %Y}"

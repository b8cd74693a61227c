"""The paper that leaves the house: an invoice, a receipt, a credit note or a payment request, as PDF."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import segno

from app.money.gateways.upi import payable_by_upi, upi_link
from app.money.paper.fonts import lines_of
from app.money.paper.pdf_page import ACCENT, INK, LEFT, MUTED, RIGHT, WIDTH, Sheet, leading
from app.money.paper.pdf_table import GUTTER, Column, Columns
from app.money.sums.amount import Money
from app.money.sums.amount_in_words import in_words
from app.money.sums.tax import STATES

_ROLES = {"Receipt": "Received from", "Credit note": "Credited to"}
_GSTIN = re.compile(r"\d{2}[A-Z0-9]{13}")


@dataclass(frozen=True)
class Party:
    """Who sells, or who buys, as they are named on paper."""

    name: str
    address: str = ""
    email: str = ""
    phone: str = ""
    tax_number: str = ""
    region: str = ""


@dataclass(frozen=True)
class PaperLine:
    """One thing that was sold; a rate is in hundredths of a per cent."""

    label: str
    code: str
    quantity: int
    net: Money
    rates: Mapping[str, int]
    taxes: Mapping[str, Money]
    total: Money


@dataclass(frozen=True)
class Paper:
    """All that is said on one paper, as plain data."""

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


def drawn(paper: Paper) -> bytes:
    """The same paper is the same bytes, today and in ten years."""
    sheet = Sheet(f"{paper.title} {paper.number}", paper.seller.name, paper.date, _texts(paper))
    _head(sheet, paper)
    _parties(sheet, paper)
    Columns(sheet, _lines(paper)).draw()
    _sums(sheet, paper)
    _tax_by_rate(sheet, paper)
    _payment(sheet, paper)
    _small_print(sheet, paper)
    return bytes(sheet.output())


def _texts(told: Any) -> Iterator[str]:
    """Every word on the paper, wherever it stands."""
    if isinstance(told, str):
        yield told
    elif is_dataclass(told):
        for field in fields(told):
            yield from _texts(getattr(told, field.name))
    elif isinstance(told, Iterable):
        for each in told:
            yield from _texts(each)


def _head(sheet: Sheet, paper: Paper) -> None:
    """Who we are on the left, what this is on the right, and the one line of colour."""
    half = WIDTH / 2
    top, seller = sheet.y, paper.seller
    sheet.put(paper.title, LEFT + half, half, size=22, right=True, y=top - 1.5)
    sheet.y = top + 12
    facts = [("No.", paper.number), ("Date", _day(paper.date))]
    if paper.refers_to:
        facts.append(("Against invoice", paper.refers_to))
    for name, said in facts:
        _fact(sheet, name, said)
    right = sheet.y
    sheet.y = top
    for line in sheet.wrapped(seller.name, half - GUTTER, 13, bold=True)[:4]:
        sheet.put(line, LEFT, half - GUTTER, size=13, bold=True)
        sheet.y += leading(13)
    sheet.y += 1
    _about_party(sheet, seller, LEFT, half - GUTTER)
    sheet.y = max(sheet.y, right) + 5
    sheet.rule(sheet.y, colour=ACCENT, thick=0.9)
    sheet.y += 6


def _fact(sheet: Sheet, name: str, said: str) -> None:
    """A name in grey and what it is, both against the right edge."""
    room = min(sheet.wide(said, 9, bold=True), WIDTH / 2 - 30)
    sheet.put(name, RIGHT - room - 32, 30, colour=MUTED, right=True)
    sheet.put(said, RIGHT - room, room, bold=True, right=True)
    sheet.y += leading(9) + 0.3


def _parties(sheet: Sheet, paper: Paper) -> None:
    """Who pays, and beside it what for."""
    top, half = sheet.y, WIDTH / 2
    sheet.put(_ROLES.get(paper.title, "Billed to"), LEFT, half, size=7.5, colour=MUTED)
    sheet.y += 4.2
    for line in sheet.wrapped(paper.buyer.name, half - GUTTER, 10.5, bold=True)[:4]:
        sheet.put(line, LEFT, half - GUTTER, size=10.5, bold=True)
        sheet.y += leading(10.5)
    sheet.y += 0.6
    _about_party(sheet, paper.buyer, LEFT, half - GUTTER)
    left, sheet.y = sheet.y, top
    for name, said in (("For", paper.about), ("Place of supply", paper.place_of_supply)):
        if not said:
            continue
        sheet.put(name, LEFT + half, half, size=7.5, colour=MUTED)
        sheet.y += 4.2
        for line in sheet.wrapped(said, half, 9)[:8]:
            sheet.put(line, LEFT + half, half)
            sheet.y += leading(9)
        sheet.y += 2
    sheet.y = max(sheet.y, left) + 7


def _about_party(sheet: Sheet, party: Party, x: float, width: float) -> None:
    """An address of any length keeps to its place: beyond ten lines it is cut."""
    reached = " · ".join(each for each in (party.email, party.phone) if each)
    code = party.region.strip()
    region = f"State: {code} {STATES[code]}" if code in STATES else f"State: {code}" if code else ""
    number = (
        f"{'GSTIN' if _GSTIN.fullmatch(party.tax_number) else 'Tax number'}: {party.tax_number}"
        if party.tax_number
        else ""
    )
    address = [line for each in lines_of(party.address) for line in sheet.wrapped(each, width, 8.5)][:10]
    for line in [
        *address,
        *(each for told in (region, number, reached) for each in sheet.wrapped(told, width, 8.5)[:3]),
    ]:
        sheet.put(line, x, width, size=8.5, colour=INK if line.startswith(("GSTIN", "Tax number")) else MUTED)
        sheet.y += leading(8.5)


def _lines(paper: Paper) -> list[Column]:
    lines, names = paper.lines, _tax_names(paper)
    columns = [
        Column("#", [(str(at), "") for at in range(1, len(lines) + 1)], figures=False),
        Column("Description", [(each.label, "") for each in lines], figures=False, gives=True),
    ]
    if any(each.code for each in lines):
        columns.append(Column("HSN/SAC", [(each.code[:12], "") for each in lines]))
    columns.append(Column("Qty", [(str(each.quantity), "") for each in lines]))
    if not names:
        return [*columns, Column(f"Amount ({paper.total.currency})", [(_figure(each.total), "") for each in lines])]
    columns.append(Column("Taxable value", [(_figure(each.net), "") for each in lines]))
    if len(names) > 3:
        columns.append(Column("Tax", [(_figure(_tax(each)), _rate(sum(each.rates.values()))) for each in lines]))
    else:
        columns += [Column(name, [_taxed(each, name) for each in lines]) for name in names]
    return [*columns, Column(f"Total ({paper.total.currency})", [(_figure(each.total), "") for each in lines])]


def _taxed(line: PaperLine, name: str) -> tuple[str, str]:
    return (_figure(line.taxes[name]), _rate(line.rates.get(name, 0))) if name in line.taxes else ("–", "")


def _sums(sheet: Sheet, paper: Paper) -> None:
    """The total in words on the left, in figures on the right; they stay on one page."""
    sums = _added_up(paper)
    sheet.need(len(sums) * 5.2 + 8)
    top, x, width = sheet.y, LEFT + 96, WIDTH - 96
    for name, money, strong in sums:
        if strong and sheet.y > top:
            sheet.rule(sheet.y + 0.6, x=x, width=width)
            sheet.y += 1.6
        size = 11 if strong else 9
        sheet.put(name, x, width / 2 - 6, size=size, bold=strong, colour=INK if strong else MUTED)
        sheet.put(str(money), x + width / 2 - 6, width / 2 + 6, size=size, bold=strong, right=True)
        sheet.y += leading(size) + 0.6
    bottom, sheet.y = sheet.y, top
    sheet.put("Total in words", LEFT, 90, size=7.5, colour=MUTED)
    sheet.y += 4.2
    for line in sheet.wrapped(in_words(paper.total), 84, 9):
        sheet.put(line, LEFT, 84)
        sheet.y += leading(9)
    sheet.y = max(sheet.y, bottom) + 4


def _added_up(paper: Paper) -> list[tuple[str, Money, bool]]:
    """What the lines come to, coin by coin; a total that was rounded says by how much."""
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


def _tax_by_rate(sheet: Sheet, paper: Paper) -> None:
    names = _tax_names(paper)
    if not names:
        return
    rates: dict[int, list[PaperLine]] = {}
    for each in paper.lines:
        rates.setdefault(sum(each.rates.values()), []).append(each)
    groups = [lines for _, lines in sorted(rates.items())]
    zero = Money(0, paper.total.currency)
    columns = [
        Column("Tax by rate", [(_rate(rate), "") for rate in sorted(rates)], figures=False, gives=True),
        Column("Taxable value", [(_figure(sum((each.net for each in lines), zero)), "") for lines in groups]),
        *(
            Column(name, [(_figure(sum((each.taxes.get(name, zero) for each in lines), zero)), "") for lines in groups])
            for name in names[:4]
        ),
        Column("Tax", [(_figure(sum((_tax(each) for each in lines), zero)), "") for lines in groups]),
    ]
    Columns(sheet, columns, WIDTH if len(names) > 2 else 120).draw()
    sheet.y += 3


def _payment(sheet: Sheet, paper: Paper) -> None:
    """A square for the phone and a link for the mouse, while there is something to pay."""
    if paper.due.amount <= 0:
        return
    square = payable_by_upi(paper.upi, paper.due)
    link = paper.pay_link if paper.pay_link.startswith(("https://", "http://")) else ""
    if not square and not link:
        return
    sheet.need(44)
    sheet.y += 2
    top, x = sheet.y, LEFT
    if square:
        upi = upi_link(
            paper.upi, paper.seller.name, paper.due, note=f"{paper.title} {paper.number}", reference=paper.number
        )
        _square(sheet, upi, x, top, 36)
        sheet.link(x, top, 36, 36, upi)
        x += 42
    sheet.y = top + 1
    sheet.put(f"Pay {paper.due}", x, RIGHT - x, size=13, bold=True)
    sheet.y += leading(13) + 1
    if square:
        sheet.flow(f"Scan with any UPI app, or pay to {paper.upi}", x, RIGHT - x, colour=MUTED)
    if link:
        sheet.flow("Or pay by card, netbanking or wallet:" if square else "Pay here:", x, RIGHT - x, colour=MUTED)
        sheet.flow(link, x, RIGHT - x, colour=ACCENT, link=link)
    sheet.y = max(sheet.y, top + 36 if square else 0) + 5


def _square(sheet: Sheet, text: str, x: float, y: float, side: float) -> None:
    """Drawn as bars, each reaching a hair into the next row, so that no viewer shows a seam."""
    rows = [bytes(row) for row in segno.make(text, error="m", boost_error=False, micro=False).matrix]
    dot = side / len(rows)
    sheet.set_fill_color(0)
    for down, row in enumerate(rows):
        for bar in re.finditer(b"\x01+", row):
            sheet.rect(x + bar.start() * dot, y + down * dot, len(bar[0]) * dot, dot + 0.02, style="F")


def _small_print(sheet: Sheet, paper: Paper) -> None:
    """Notes, what the law wants said, and who says it."""
    for note in paper.notes:
        for line in lines_of(note):
            sheet.flow(line, LEFT, WIDTH, size=8.5)
        sheet.y += 1
    said = ["This is a computer-generated document and requires no signature."]
    if paper.seller.tax_number and paper.title != "Payment request":
        said.insert(0, "Tax payable on reverse charge: No")
    sheet.need(len(said) * leading(8) + 8)
    sheet.y += 3
    for line in [f"For {paper.seller.name}", *said]:
        sheet.flow(line, LEFT, WIDTH, size=8, colour=MUTED)


def _tax_names(paper: Paper) -> list[str]:
    return list(dict.fromkeys(name for each in paper.lines for name in each.taxes))


def _tax(line: PaperLine) -> Money:
    return Money.total(line.taxes.values(), line.total.currency)


def _figure(money: Money) -> str:
    """The amount without its sign, which stands above the column."""
    return re.sub(r"[^\d.,-]", "", str(money))


def _rate(hundredths: int) -> str:
    return f"{Decimal(hundredths).scaleb(-2).normalize():f}%"


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"

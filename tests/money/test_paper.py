"""Tests of PDF documents: legal content, reproducible bytes, and any text within the margins."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import segno
from fpdf import FPDF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from app.money.gateways.upi import is_vpa, upi_link
from app.money.paper.document import Paper, PaperLine, Party, render_document
from app.money.paper.fonts import printable
from app.money.paper.pdf_page import LEFT, RIGHT
from app.money.sums.amount import Money

CLINIC = Party(
    "City Clinic Private Limited",
    "14 Residency Road\nBengaluru 560025",
    "accounts@cityclinic.test",
    "+91 80 4123 4567",
    "29AAGCC4236P1ZK",
    "29 Karnataka",
)
MEERA = Party(
    "मीरा अय्यर", "12 Ulsoor Road\nBengaluru 560042", "meera@example.test", "+91 98450 12345", "", "29 Karnataka"
)
FIRM = Party(
    "Åsa Łukasiewicz & Co.",
    "Bandra Kurla Complex\nMumbai 400051",
    tax_number="27AAPFU0939F1ZV",
    region="27 Maharashtra",
)


def rupees(amount: int) -> Money:
    return Money(amount, "INR")


def sold(label: str, net: int, *, rate: int = 1800, within: bool = True, quantity: int = 1) -> PaperLine:
    rates = {"CGST": rate // 2, "SGST": rate // 2} if within else {"IGST": rate}
    taxes = {name: rupees(net).percent(each) for name, each in rates.items()}
    return PaperLine(
        label, "999312", quantity, rupees(net), rates, taxes, rupees(net) + Money.total(taxes.values(), "INR")
    )


def untaxed(label: str, money: Money) -> PaperLine:
    return PaperLine(label, "", 1, money, {}, {}, money)


def paper(lines: Sequence[PaperLine] = (), **said: Any) -> Paper:
    lines = lines or [sold("First consultation", 84661)]
    total = Money.total((each.total for each in lines), lines[0].total.currency)
    first = Paper(
        "Tax invoice",
        "INV/2627/000123",
        date(2026, 11, 21),
        CLINIC,
        MEERA,
        "29 Karnataka",
        lines,
        total,
        total,
        total - total,
        "Booking BK-2026-000123, Tue 24 Nov 2026, 10:00 IST",
    )
    return replace(first, **said)


def request(**said: Any) -> Paper:
    due = rupees(99900)
    asked = paper(
        [untaxed("First consultation", due)],
        title="Payment request",
        number="BILL-2026-000044",
        paid=rupees(0),
        due=due,
        upi="clinic@okbank",
    )
    return replace(asked, **said)


def read(paper: Paper) -> str:
    """Return the text of the PDF, regardless of line breaks."""
    return " ".join(
        " ".join(page.extract_text() for page in PdfReader(io.BytesIO(render_document(paper))).pages).split()
    )


def links(paper: Paper) -> set[str]:
    pages = PdfReader(io.BytesIO(render_document(paper))).pages
    return {each.get_object()["/A"]["/URI"] for page in pages for each in page.get("/Annots", ())}


def test_an_invoice_says_what_the_law_asks_for() -> None:
    said = read(paper())
    for each in [
        "Tax invoice",
        "INV/2627/000123",
        "21 Nov 2026",
        "City Clinic Private Limited",
        "14 Residency Road",
        "GSTIN: 29AAGCC4236P1ZK",
        "State: 29 Karnataka",
        "मीरा अय्यर",
        "12 Ulsoor Road",
        "First consultation",
        "999312",
        "846.61",
        "CGST",
        "SGST",
        "76.19",
        "9%",
        "Place of supply",
        "29 Karnataka",
        "₹998.99",
        "Rupees nine hundred ninety-eight and paise ninety-nine only",
        "Tax payable on reverse charge: No",
        "This is a computer-generated document",
        "Page 1 of 1",
    ]:
        assert each in said
    assert "IGST" not in said


def test_over_the_border_of_a_state_it_is_one_tax_and_the_place_is_named() -> None:
    said = read(
        paper(
            [sold("Health check", 1234567_00, within=False, quantity=12)], buyer=FIRM, place_of_supply="27 Maharashtra"
        )
    )
    for each in [
        "Åsa Łukasiewicz & Co.",
        "GSTIN: 27AAPFU0939F1ZV",
        "27 Maharashtra",
        "IGST",
        "2,22,222.06",
        "18%",
        "₹14,56,789.06",
    ]:
        assert each in said
    assert "CGST" not in said


def test_a_state_that_is_known_by_its_code_alone_is_named() -> None:
    assert "State: 27 Maharashtra" in read(paper(buyer=replace(FIRM, region="27")))


def test_taxes_are_summed_by_rate() -> None:
    said = read(
        paper(
            [
                sold("Visit", 10000, rate=1800),
                sold("Bandage", 20000, rate=500),
                sold("Crutch", 40000, rate=500),
                sold("Book", 5000, rate=0),
            ]
        )
    )
    assert "0% 50.00 0.00 0.00 0.00 5% 600.00 15.00 15.00 30.00 18% 100.00 9.00 9.00 18.00" in said


def test_a_credit_note_names_its_invoice_and_asks_for_nothing() -> None:
    said = read(
        paper(
            title="Credit note",
            number="CN/2627/000009",
            refers_to="INV/2627/000123",
            paid=rupees(0),
            notes=["Cancelled two days ahead."],
        )
    )
    for each in ["Credit note", "Against invoice", "INV/2627/000123", "Credited to", "Cancelled two days ahead."]:
        assert each in said
    assert "Due" not in said


def test_a_receipt_without_tax_speaks_of_none() -> None:
    said = read(paper([untaxed("Received", rupees(50000))], title="Receipt", seller=replace(CLINIC, tax_number="")))
    assert "Received from" in said
    assert not any(each in said for each in ("Taxable", "Tax by rate", "GSTIN", "reverse charge", "HSN"))


def test_yen_have_no_smaller_coin() -> None:
    said = read(paper([untaxed("Transfer from Haneda", Money(33000, "JPY"))], place_of_supply=""))
    assert "¥33,000" in said
    assert "Yen thirty-three thousand only" in said
    assert "33,000." not in said


def test_a_total_that_was_rounded_says_by_how_much() -> None:
    assert re.search(r"Rounded off\s+₹0\.01", read(paper(total=rupees(99900))))


def test_a_total_below_zero_is_no_paper() -> None:
    with pytest.raises(ValueError, match="below zero"):
        render_document(paper(total=rupees(-1)))


def test_what_is_due_can_be_scanned_and_pressed(monkeypatch: pytest.MonkeyPatch) -> None:
    bars: list[tuple[float, float, float, float]] = []
    monkeypatch.setattr(FPDF, "rect", lambda self, x, y, w, h, **_: bars.append((x, y, w, h)))
    asked = request(pay_link="https://desk.example.test/pay/8Jk2")
    upi, web = sorted(links(asked))[::-1]
    assert web == "https://desk.example.test/pay/8Jk2"
    assert parse_qs(urlsplit(upi).query) == {
        "pa": ["clinic@okbank"],
        "pn": [CLINIC.name],
        "am": ["999.00"],
        "cu": ["INR"],
        "tn": ["Payment request BILL-2026-000044"],
        "tr": ["BILL-2026-000044"],
    }
    matrix = [bytes(row) for row in segno.make(upi, error="m", boost_error=False, micro=False).matrix]
    assert seen([bar for bar in bars if 0.3 < bar[3] < 0.85 or bar[3] > 0.95], len(matrix)) == matrix


def seen(bars: Sequence[tuple[float, float, float, float]], dots: int) -> list[bytes]:
    """Return the dark modules of the QR code."""
    left, top, dot = min(x for x, *_ in bars), min(y for _, y, *_ in bars), 36 / dots
    rows = [bytearray(dots) for _ in range(dots)]
    for x, y, width, _ in bars:
        for at in range(round(width / dot)):
            rows[round((y - top) / dot)][round((x - left) / dot) + at] = 1
    return [bytes(row) for row in rows]


@pytest.mark.parametrize(
    "asked",
    [
        request(due=rupees(0)),
        request(upi=""),
        request(upi="not an address"),
        request(due=rupees(-5)),
        request(
            lines=[untaxed("Transfer", Money(500, "JPY"))],
            total=Money(500, "JPY"),
            paid=Money(0, "JPY"),
            due=Money(500, "JPY"),
        ),
        request(upi="", pay_link="javascript:alert(1)"),
    ],
)
def test_nothing_to_pay_is_nothing_to_scan_or_press(asked: Paper) -> None:
    assert links(asked) == set()


@pytest.mark.parametrize(
    ("text", "so"),
    [
        ("clinic@okbank", True),
        ("a.b-c_9@upi", True),
        ("clinic", False),
        ("a@b", False),
        ("x@bank&am=1", False),
        ("", False),
    ],
)
def test_an_address_for_upi_is_a_name_at_a_bank(text: str, so: bool) -> None:
    assert is_vpa(text) is so


def test_nothing_in_a_name_becomes_another_amount() -> None:
    link = upi_link("clinic@okbank", "Ann & Sons&am=1.00\n", rupees(5000), note="50% #1", reference="R/1&cu=USD")
    assert parse_qs(urlsplit(link).query) == {
        "pa": ["clinic@okbank"],
        "pn": ["Ann & Sons&am=1.00"],
        "am": ["50.00"],
        "cu": ["INR"],
        "tn": ["50% #1"],
        "tr": ["R/1&cu=USD"],
    }


def test_upi_is_for_rupees_that_are_due() -> None:
    with pytest.raises(ValueError, match="rupees"):
        upi_link("clinic@okbank", "Clinic", Money(500, "USD"), note="", reference="")


def test_the_same_paper_is_the_same_bytes_in_another_process_too() -> None:
    program = "import sys, tests.money.test_paper as t; sys.stdout.buffer.write(t.render_document(t.request()))"
    elsewhere = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run(
        [sys.executable, "-c", program], env=elsewhere, capture_output=True, check=True
    ).stdout == render_document(request())
    assert render_document(request()) == render_document(request())


def test_two_hundred_lines_fill_pages_that_each_say_what_the_columns_are() -> None:
    pages = PdfReader(
        io.BytesIO(render_document(paper([sold(f"Session {at:03d}", 10000 + at) for at in range(200)])))
    ).pages
    said = [page.extract_text() for page in pages]
    assert len(pages) > 4
    assert all(f"Page {at} of {len(pages)}" in each for at, each in enumerate(said, 1))
    assert all("Description" in each for each in said if "Session" in each)
    assert all("INV/2627/000123" in each for each in said)
    assert [int(each) for each in re.findall(r"Session (\d{3})", "\n".join(said))] == list(range(200))


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("₹ Åsa Łuk, Nguyễn, Σίσυφος, Война", "₹ Åsa Łuk, Nguyễn, Σίσυφος, Война"),
        ("क्षत्रिय मीरा", "क्षत्रिय मीरा"),
        ("ಮೀರಾ ಅಯ್ಯರ್, ಬೆಂಗಳೂರು", "mīrā ayyar, beṁgaḷūru"),
        ("தமிழ் 5", "tamiḻ 5"),
        ("ਸਿੰਘ", "siṁgha"),
        ("೫೦", "50"),
        ("a\x00b\u202ec\td\r\ne", "abc d e"),
        ("Ann 👩\u200d⚕️🎉 Lee", "Ann Lee"),
        ("王", "?"),
        ("<b>{nb}**", "<b>{nb}**"),
        ("\ud800\ue000\uf8ff", ""),
        ("e\u0301", "é"),
        ("ﬀ Ⅷ", "ﬀ VIII"),
    ],
)
def test_what_can_be_drawn_stays_and_what_cannot_is_no_empty_box(written: str, printed: str) -> None:
    assert printable(written) == printed


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Collect every line of text; fail if one leaves its space or has a character without a glyph."""
    put: list[str] = []
    really = FPDF.cell

    def cell(self: FPDF, w: float, h: float, text: str, **more: Any) -> Any:
        assert self.x >= LEFT - 0.1
        assert self.x + w <= RIGHT + 0.1
        assert 0 < self.y < 290
        assert text.startswith("Page ") or self.get_string_width(text) <= w + 0.3
        put.append(text)
        return really(self, w, h, text, **more)

    monkeypatch.setattr(FPDF, "cell", cell)
    caplog.set_level(logging.WARNING)
    return put


HOSTILE = [
    "",
    "W" * 1000,
    "word " * 150,
    "\n".join(f"line {at}" for at in range(100)),
    "<b>bold</b> **x** {nb} __y__",
    "\x00\x1b[31m\u202e\u2028",
    "👩\u200d⚕️🎉",
    "क्ष" * 100,
    "ಅ" * 100,
    "שלום عربى 王小明",
    "\ud800",
    "%PDF-1.4 ) Tj (",
    "\u0301" * 50,
    "-" * 400,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_spoils_a_paper(watched: list[str], caplog: pytest.LogCaptureFixture, text: str) -> None:
    party = Party(text, text, text, text, text, text)
    line = replace(sold(text, 10**14), code=text, quantity=10**9)
    spoiled = paper(
        [line, line],
        seller=party,
        buyer=party,
        number=text,
        place_of_supply=text,
        about=text,
        refers_to=text,
        notes=[text],
        upi=text,
        pay_link=text,
    )
    assert PdfReader(io.BytesIO(render_document(spoiled))).pages
    assert watched
    assert caplog.text == ""


@given(text=st.text(max_size=120), amount=st.integers(0, 10**17), rate=st.integers(0, 4000))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_text_and_no_amount_leaves_its_place(
    watched: list[str], caplog: pytest.LogCaptureFixture, text: str, amount: int, rate: int
) -> None:
    render_document(
        paper([sold(text, amount, rate=rate), sold("Visit", 100)], buyer=Party(text, text), about=text, notes=[text])
    )
    assert caplog.text == ""


def test_taxes_of_many_names_share_one_column() -> None:
    taxes = {name: rupees(100) for name in ("CGST", "SGST", "Cess", "Entertainment", "Municipal")}
    line = PaperLine("Show", "9996", 1, rupees(10000), dict.fromkeys(taxes, 100), taxes, rupees(10500))
    assert "5%" in read(paper([line]))

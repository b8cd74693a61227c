"""Invoice, receipt and credit note: numbered without gaps and immutable, with their PDF."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.kernel import clock
from app.kernel.access import Linked
from app.kernel.db import Noun, session
from app.kernel.errors import Invalid
from app.kernel.numbering import next_fiscal_number
from app.kernel.people import Person
from app.kernel.translation import say, unsaid
from app.messages.channel import Attachment
from app.money.gateways.gateway import gateway_label
from app.money.paper.document import Paper, PaperLine, Party, render_document
from app.money.sums.amount import Money, money_column
from app.money.sums.price import Price
from app.money.sums.tax import STATES, is_gstin

if TYPE_CHECKING:  # for types only: at runtime bills, payments and refunds import invoices
    from app.money.bills.bill import Bill
    from app.money.bills.payment import Payment
    from app.money.bills.refund import Refund

TITLES = {"invoice": unsaid("Invoice"), "receipt": unsaid("Receipt"), "credit_note": unsaid("Credit note")}
TAX_INVOICE = unsaid("Tax invoice")
_SERIES = {"invoice": "INV", "receipt": "RC", "credit_note": "CN"}

_seller = Party("Frontdesk")
_upi = ""


def configure(seller: Party, upi: str = "") -> None:
    """Set the seller on new documents; existing ones keep theirs."""
    global _seller, _upi
    _seller, _upi = seller, upi


class Invoice(Noun, Linked):
    """One document: an invoice, a receipt or a credit note. The database refuses to change or delete it."""

    link_kind = "invoice"
    kept_by_law = unsaid("Tax law requires every invoice, receipt and credit note to be kept unchanged.")
    audited, final = False, True
    __table_args__ = (
        # One invoice and one receipt for each payment, one credit note for each refund.
        Index("invoice_once", "kind", "payment_id", unique=True, postgresql_where="kind <> 'credit_note'"),
        Index("invoice_credit_once", "refund_id", unique=True),
    )
    refusals: ClassVar[dict[str, str]] = {"invoice_once": "A document for this already exists."}

    number: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(info={"label": "Document type", "choices": TITLES})
    day: Mapped[date] = mapped_column(index=True, info={"label": "Date"})
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    person: Mapped[Person] = relationship(lazy="joined", innerjoin=True)
    bill_id: Mapped[int] = mapped_column(ForeignKey("bill.id"), index=True)
    bill: Mapped[Bill] = relationship("Bill", back_populates="invoices", lazy="joined", innerjoin=True)
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"), index=True)
    payment: Mapped[Payment] = relationship("Payment", lazy="joined", innerjoin=True)
    refund_id: Mapped[int | None] = mapped_column(ForeignKey("refund.id"))
    refund: Mapped[Refund | None] = relationship("Refund")
    credits_id: Mapped[int | None] = mapped_column(ForeignKey("invoice.id"))
    credits: Mapped[Invoice | None] = relationship(remote_side="Invoice.id")
    seller: Mapped[dict[str, Any]]
    buyer: Mapped[dict[str, Any]] = mapped_column(info={"label": "Billed to"})
    place: Mapped[str] = mapped_column(info={"label": "Place of supply"})
    lines: Mapped[list[Any]] = mapped_column(info={"label": "Line items"})
    total: Mapped[Money] = money_column("total")
    tax: Mapped[Money] = money_column("tax")
    about: Mapped[str] = mapped_column(info={"label": "Description"})
    why: Mapped[str] = mapped_column(default="", info={"label": "Reason for credit note"})

    @classmethod
    def issue(cls, bill: Bill, price: Price, payment: Payment) -> Invoice:
        return cls._write("invoice", bill, price, payment)

    @classmethod
    def issue_receipt(cls, bill: Bill, payment: Payment) -> Invoice:
        return cls._write(
            "receipt",
            bill,
            Price.untaxed(f"Payment received for {bill.number} ({gateway_label(payment.gateway)})", payment.money),
            payment,
        )

    @classmethod
    def issue_credit_note(
        cls, bill: Bill, price: Price, why: str, payment: Payment, refund: Refund | None = None
    ) -> Invoice:
        wrong = next((each for each in bill.invoices if each.kind == "invoice" and each.payment_id == payment.id), None)
        return cls._write("credit_note", bill, price, payment, why=why, refund=refund, credits=wrong)

    @classmethod
    def _write(cls, kind: str, bill: Bill, price: Price, payment: Payment, **more: Any) -> Invoice:
        """Create the document. Its number is assigned last, because it locks the series until the commit."""
        person, buyer = (
            bill.person,
            {"name": bill.person.name, "email": bill.person.email, "phone": bill.person.phone} | bill.buyer,
        )
        paper = cls(
            kind=kind,
            day=clock.today(),
            person=person,
            bill=bill,
            payment=payment,
            seller=vars(_seller),
            buyer=buyer,
            place=_place_of_supply(buyer, _seller),
            lines=price.as_json(),
            total=price.total,
            tax=price.tax,
            about=bill.thing.said_on_paper,
            **more,
        )
        with session.no_autoflush:
            paper.number = next_fiscal_number(_SERIES[kind])
        session.add(paper)
        session.flush()
        return paper

    @property
    def title(self) -> str:
        return TAX_INVOICE if self.kind == "invoice" and self.seller.get("tax_number") else TITLES[self.kind]

    @property
    def file_name(self) -> str:
        return f"{self.number.replace('/', '-')}.pdf"

    def render_pdf(self) -> bytes:
        """Render the PDF. It is rendered anew each time, always with the same bytes."""
        zero = Money(0, self.total.currency)
        paid = zero if self.kind == "credit_note" else self.total
        note = self.why if self.kind == "credit_note" else f"Paid: {self.payment.method_label}"
        return render_document(
            Paper(
                title=self.title,
                number=self.number,
                date=self.day,
                seller=_party(self.seller),
                buyer=_party(self.buyer),
                place_of_supply=self.place,
                lines=document_lines(Price.from_json(self.lines, self.total.currency)),
                total=self.total,
                paid=paid,
                due=zero,
                about=self.about,
                refers_to=self.credits.number if self.credits else "",
                notes=(note,),
            )
        )

    def attachments_for(self, template: str) -> list[Attachment]:
        return [Attachment(self.file_name, "application/pdf", self.render_pdf())]

    def __str__(self) -> str:
        return self.number


def parse_buyer(typed: Mapping[str, str]) -> dict[str, str]:
    """Check the buyer's tax number, state and address for the invoice; fields left empty are left out."""
    fields = {name: str(typed.get(name) or "").strip() for name in ("tax_number", "region", "address")}
    fields["tax_number"] = fields["tax_number"].upper()
    wrong = {}
    if fields["tax_number"] and not is_gstin(fields["tax_number"]):
        wrong["tax_number"] = say("Enter a valid 15-character GSTIN, such as 29ABCDE1234F1ZW.")
    if fields["region"] and fields["region"] not in STATES:
        wrong["region"] = say("Choose a state from the list.")
    if len(fields["address"]) > 300:
        wrong["address"] = say("Use at most %(n)s characters.", n=300)
    if not wrong and fields["tax_number"]:
        fields["region"] = fields["tax_number"][:2]
    if wrong:
        raise Invalid.for_fields(wrong)
    return {name: value for name, value in fields.items() if value}


def payment_request_pdf(bill: Bill, pay_link: str) -> bytes:
    """Render the PDF of a payment request: with a UPI code and a link, and without an invoice number."""
    return render_document(
        Paper(
            title="Payment request",
            number=bill.number,
            date=clock.day_of(bill.created_at),
            seller=_seller,
            buyer=_party(
                {"name": bill.person.name, "email": bill.person.email, "phone": bill.person.phone} | bill.buyer
            ),
            place_of_supply="",
            lines=document_lines(bill.whole_price),
            total=bill.price,
            paid=Money(0, bill.price.currency),
            due=bill.price,
            about=bill.thing.said_on_paper,
            upi=_upi,
            pay_link=pay_link,
        )
    )


def document_lines(price: Price) -> list[PaperLine]:
    return [
        PaperLine(each.label, each.code, each.quantity, each.net, each.rates, each.taxes, each.total)
        for each in price.lines
    ]


def _party(fields: dict[str, Any]) -> Party:
    return Party(
        **{name: fields.get(name, "") for name in ("name", "address", "email", "phone", "tax_number", "region")}
    )


def _place_of_supply(buyer: dict[str, Any], seller: Party) -> str:
    code = buyer.get("region") or seller.region[:2]
    return f"{code[:2]} {STATES[code[:2]]}" if code[:2] in STATES else ""

"""Money on the desk: resources for payments, refunds, payment requests, invoices, ledger, settlements and coupons."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_

from app.desk.built_in.accounting_reports import reports
from app.desk.declare.resource import Link, Resource, Waits
from app.kernel.access import actor, everything
from app.kernel.feature import Feature
from app.kernel.pack import Pack
from app.money.bills.basket import Basket, InBasket
from app.money.bills.bill import Bill
from app.money.bills.business import Business
from app.money.bills.dispute import Dispute
from app.money.bills.invoice import Invoice
from app.money.bills.ledger import Account, Hold, Line, Posting
from app.money.bills.payment import REFUNDABLE, Payment
from app.money.bills.refund import Refund
from app.money.gateways import gateway
from app.money.reconcile.gateway_webhooks import Event
from app.money.reconcile.settlement import Settlement
from app.money.reconcile.tally import Tally
from app.money.sums.coupon import Coupon, CouponUse
from app.money.sums.quote import Quote
from app.money.sums.refund_policy import RefundPolicy

COUNTER = {"Desk": "read moves", "Accountant": "read moves", "Auditor": "read"}
BOOKS = {"Accountant": "read moves", "Auditor": "read"}


def _manual_gateways() -> list[str]:
    return [each.name for each in gateway.all_gateways() if each.by_hand]


def _recorded_by_another() -> ColumnElement[bool]:
    return and_(
        Payment.state == "authorized",
        Payment.gateway.in_(_manual_gateways()),
        Payment.taken_by.is_distinct_from(actor().user_id),
    )


def _requested_by_another() -> ColumnElement[bool]:
    return and_(Refund.state == "to_approve", Refund.asked_by.is_distinct_from(actor().user_id))


def _can_be_paid(bill: Bill) -> bool:
    return bill.wants_money and bill.is_awaited


money = Pack(
    name="money",
    label="Money",
    nouns=[
        Quote,
        Coupon,
        CouponUse,
        RefundPolicy,
        Bill,
        Basket,
        InBasket,
        Business,
        Payment,
        Refund,
        Dispute,
        Invoice,
        Account,
        Hold,
        Posting,
        Line,
        Event,
        Settlement,
        Tally,
    ],
    resources=[
        Resource(
            Payment,
            also="money received paid card upi cash transaction",
            icon="wallet",
            list="gateway_id gateway method bill.number bill.person money state back owed_back captured_at",
            show="gateway_id state money back bill bill.person pays owed_back"
            " | Payment details: gateway method captured_at taken_at cleared_at error",
            search="gateway_id bill.number bill.person.name bill.person.email",
            filters="state gateway captured_at",
            labels={"bill": "Payment request", "bill.number": "Payment request", "bill.person": "Customer"},
            related="refunds disputes",
            below="bill.person",
            waits=[
                Waits(
                    "Payments awaiting second approval",
                    "Accountant",
                    _recorded_by_another,
                    {"f.state": "authorized"},
                ),
                Waits(
                    "Cheques to clear",
                    "Accountant",
                    lambda: and_(
                        Payment.gateway == "cheque", Payment.state.in_(REFUNDABLE), Payment.cleared_at.is_(None)
                    ),
                    {"f.gateway": "cheque", "f.state": ",".join(REFUNDABLE)},
                    tone="info",
                ),
            ],
            tones={"authorized": "warn"},
            roles=COUNTER,
            scope=everything,
        ),
        Resource(
            Refund,
            also="money back return reimbursement",
            icon="history",
            list="number payment.bill.person money state why created_at trouble",
            show="number state money why payment payment.bill payment.bill.person"
            " | Refund details: gateway gateway_id reference elsewhere owed_at done_at tries trouble",
            search="number gateway_id payment.gateway_id payment.bill.person.name",
            labels={"created_at": "Requested", "payment.bill": "Payment request", "payment.bill.person": "Customer"},
            filters="state gateway created_at",
            waits=[
                Waits("Refunds awaiting approval", "Accountant", _requested_by_another, {"f.state": "to_approve"}),
                Waits(
                    "Failed refunds",
                    "Desk Accountant",
                    lambda: Refund.state == "failed",
                    {"f.state": "failed"},
                    tone="bad",
                ),
                Waits(
                    "Refunds to pay out",
                    "Desk Accountant",
                    lambda: and_(Refund.state == "owed", Refund.gateway.in_(_manual_gateways())),
                    {"f.state": "owed"},
                ),
            ],
            tones={"sent": "info", "declined": "quiet"},
            roles=COUNTER,
            scope=everything,
        ),
        Resource(
            Bill,
            also="payment request invoice due pay link outstanding",
            icon="receipt",
            one="payment request",
            list="number person price part state due_at gateway",
            show="number state person price part due_at noun row_id | Line items: lines left buyer"
            " | Revenue: earned delivered_at | Gateway: gateway order_id",
            search="number order_id person.name person.email",
            labels={"person": "Customer", "created_at": "Created"},
            filters="state part due_at created_at",
            related="payments payments.refunds invoices",
            below="person",
            links=[
                Link("Payment request (PDF)", "pay.on_paper", _can_be_paid),
                Link("Payment link", "pay.checkout", _can_be_paid, copied=True),
            ],
            waits=[
                Waits(
                    "Returned payments to collect again",
                    "Desk Accountant",
                    lambda: Bill.state == "unpaid",
                    {"f.state": "unpaid"},
                    tone="bad",
                )
            ],
            roles=COUNTER,
            scope=everything,
        ),
        Resource(
            Basket,
            also="cart checkout order",
            icon="store",
            one="cart",
            list="number person price gateway created_at",
            show="number person price gateway order_id created_at",
            search="number order_id person.name person.email",
            labels={"person": "Customer", "created_at": "Created"},
            filters="gateway created_at",
            related="payments payments.refunds",
            roles=COUNTER,
            scope=everything,
        ),
        Resource(
            Business,
            also="settings company organisation practice address logo gstin tax currency timezone time zone"
            " contact details",
            icon="home",
            one="business details",
            label="Business details",
            list="name email tax_number",
            show="logo name email phone address hours | Tax and payments: tax_number region upi"
            " | Time zone and currency: timezone currency",
            edit="name email phone address hours tax_number region upi timezone currency logo",
            roles={"Desk": "read", "Accountant": "read", "Auditor": "read"},
            scope=everything,
        ),
        Resource(
            Dispute,
            also="chargeback",
            icon="shield",
            list="gateway_id payment payment.bill.person money reason respond_by state",
            show="gateway_id payment payment.bill payment.bill.person money kept_back reason respond_by state",
            search="gateway_id payment.gateway_id",
            labels={
                "payment.bill": "Payment request",
                "payment.bill.person": "Customer",
                "payment.gateway_id": "Payment",
            },
            filters="state respond_by",
            order="respond_by",
            waits=[
                Waits(
                    "Disputes awaiting a response",
                    "Desk Accountant",
                    lambda: Dispute.state == "open",
                    {"f.state": "open"},
                    until="respond_by",
                    tone="bad",
                ),
            ],
            tones={"open": "warn"},
            roles=COUNTER,
            scope=everything,
        ),
        Resource(
            Invoice,
            also="tax invoice credit note bill gst receipt",
            icon="receipt",
            list="number kind day person total tax credits",
            show="number kind day total tax person lines | Details: about why bill payment refund credits"
            " | Seller and customer: seller buyer place",
            search="number person.name person.email",
            labels={"person": "Customer", "bill": "Payment request", "credits": "Against invoice"},
            filters="kind day",
            below="person",
            links=[Link("PDF", "paper.paper")],
            roles=COUNTER,
            scope=everything,
        ),
        Resource(
            Coupon,
            also="discount voucher promo code offer",
            icon="tag",
            part="coupons",
            list="code percent amount until used uses_at_most state",
            show="code percent amount note state | Validity and usage: since until uses_at_most uses_each used"
            " | Limits: minimum off_at_most",
            add="code percent amount since until minimum off_at_most uses_at_most uses_each note",
            search="code note",
            filters="state",
            order="code",
            roles={"Desk": "read write moves", "Accountant": "read", "Auditor": "read"},
            scope=everything,
        ),
        Resource(
            RefundPolicy,
            also="cancellation policy terms cancel",
            icon="file",
            one="cancellation policy",
            label="Cancellation policies",
            list="name tiers state",
            add="name tiers",
            filters="state",
            order="name",
            roles={"Desk": "read write moves", "Accountant": "read", "Auditor": "read"},
            scope=everything,
        ),
        Resource(
            Quote,
            also="estimate offer price",
            icon="tag",
            one="price quote",
            list="created_at about total state holds_until coupon",
            show="created_at about total state holds_until coupon lines basis",
            filters="state created_at",
            labels={"created_at": "Created"},
            roles={"Desk": "read", "Accountant": "read", "Auditor": "read"},
            scope=everything,
        ),
        Resource(
            Account,
            also="chart of accounts ledger bookkeeping",
            icon="book",
            one="ledger account",
            label="Ledger accounts",
            list="name owner kind currency",
            show="name owner kind currency guarded balance held",
            search="name owner",
            filters="kind",
            order="name",
            roles=BOOKS,
            scope=everything,
        ),
        Resource(
            Line,
            also="journal postings entries bookkeeping",
            icon="book",
            one="ledger entry",
            label="General ledger entries",
            list="posting.day posting.what account money posting.person posting.by",
            show="posting.day posting posting.key account money posting.person posting.by posting.noun posting.row_id",
            search="posting.what posting.key account.name",
            found=False,
            labels={"money": "Amount", "posting": "Journal entry", "posting.person": "Customer"},
            filters="account posting.day posting.person",
            roles=BOOKS,
            scope=everything,
        ),
        Resource(
            Event,
            also="gateway webhook razorpay stripe incoming",
            icon="inbox",
            one="gateway event",
            list="created_at gateway kind order_id state trouble",
            show="created_at gateway kind event_id order_id payment_id dispute_id state trouble body",
            search="event_id order_id payment_id",
            labels={"created_at": "Received"},
            filters="state kind gateway created_at",
            waits=[
                Waits(
                    "Unrecognised webhooks", "Desk Accountant", lambda: Event.state == "parked", {"f.state": "parked"}
                )
            ],
            roles=COUNTER,
            scope=everything,
        ),
        Resource(
            Settlement,
            also="payout bank transfer fees",
            icon="download",
            one="settlement",
            list="day gateway kind entity_id credit debit fee tax state",
            show="day gateway kind entity_id reference dispute_id settled_at credit debit fee tax state trouble",
            search="entity_id reference",
            filters="state gateway kind day",
            waits=[
                Waits(
                    "Unmatched settlements",
                    "Accountant",
                    lambda: Settlement.state == "differs",
                    {"f.state": "differs"},
                    tone="bad",
                )
            ],
            roles=BOOKS,
            scope=everything,
        ),
        Resource(
            Tally,
            also="reconciliation recheck daily count",
            icon="chart",
            one="daily reconciliation",
            list="day gateway there here difference state counted_at",
            show="day gateway there here difference state counted_at rows",
            filters="state gateway day",
            order="-day",
            waits=[
                Waits(
                    "Reconciliation mismatches",
                    "Desk Accountant",
                    lambda: Tally.state == "differs",
                    {"f.state": "differs"},
                    tone="bad",
                )
            ],
            roles=COUNTER,
            scope=everything,
        ),
    ],
    reports=reports,
    features=[
        Feature(
            "coupons",
            "Coupons",
            "Customers can enter a coupon code for a discount. When disabled, no codes are accepted. "
            "Anything already sold keeps its discount.",
        ),
        Feature(
            "baskets",
            "Shopping cart",
            "Customers can add several items to a cart and pay for them together. "
            "When disabled, each item is paid for separately.",
            doors="basket.show_collected basket.pay basket.take_out",
        ),
    ],
    messages=[
        "money/refunded",
        "money/invoice",
        "money/pay_link",
        "money/bounced",
        "money/refund_failed",
        "money/refunded_elsewhere",
        "money/disputed",
        "money/dispute_lost",
        "money/differs",
    ],
    message_titles={
        "refunded": "Refund",
        "invoice": "Invoice",
        "pay_link": "Payment request",
        "bounced": "Cheque bounced",
        "refund_failed": "Refund failed",
        "refunded_elsewhere": "Refunded in the gateway dashboard",
        "disputed": "Dispute opened",
        "dispute_lost": "Dispute lost",
        "differs": "Reconciliation mismatch",
    },
)

"""Money invariants in SQL, over the tables alone: nothing here calls the code that it checks."""

from __future__ import annotations

from sqlalchemy import Connection, text

TAKING = "('held', 'requested', 'confirmed', 'completed', 'no_show')"
STANDING = "('confirmed', 'completed', 'no_show')"
BY_HAND = "('cash', 'cheque', 'bank')"

# Totals of a bill's lines; `left` are its lines after refunds.
NET = """(select coalesce(sum((each->>'net')::bigint), 0) from jsonb_array_elements(b."left") each)"""
TOTAL = """(select coalesce(sum((each->>'total')::bigint), 0) from jsonb_array_elements(b."left") each)"""
ASKED = "(select coalesce(sum((each->>'total')::bigint), 0) from jsonb_array_elements(b.lines) each)"


def _lines(accounts: str, postings: str) -> str:
    """The balance of these accounts over these postings, debits above zero."""
    return f"""(select coalesce(sum(l.money_amount), 0) from line l
                join account a on a.id = l.account_id join posting p on p.id = l.posting_id
                where {accounts} and {postings})"""


def _of_bill(accounts: str) -> str:
    return _lines(accounts, "p.noun = 'bill' and p.row_id = b.id")


FIRST_BILL = "b.noun = 'booking' and b.row_id = k.id and b.part in ('whole', 'deposit')"
# The payer's bank was quicker: the amount was paid by a lost dispute, and is no longer owed.
BY_DISPUTE = "exists (select from posting p where p.key = 'settled by dispute ' || f.id)"
OWED_OF_PAYMENT = "p.key in (select 'owe ' || f.id from refund f where f.payment_id = y.id)"
PROMISED = f"(f.state <> 'declined' and f.owed_at is not null or {BY_DISPUTE})"

# Each sentence names a fault, and its query finds the rows that have it.
SENTENCES: dict[str, str] = {
    # --- seats, and what they are paid with ---
    "a place is taken twice": f"""
        select slot_id || '/' || seat from booking where state in {TAKING} group by slot_id, seat
        having count(*) > 1""",
    "a practitioner is in two places": f"""
        select k.number || ' and ' || o.number from booking k join slot ks on ks.id = k.slot_id
        join slot os on os.practitioner_id = ks.practitioner_id and os.id <> ks.id and os.kept && ks.kept
        join booking o on o.slot_id = os.id and o.id > k.id where k.state in {TAKING} and o.state in {TAKING}""",
    "blocked time differs from the bookings": f"""
        select k.number from booking k join slot s on s.id = k.slot_id
        where (k.state in {TAKING}) <> exists (select from presence p where p.booking_id = k.id
            and p.slot_id = s.id and p.practitioner_id = s.practitioner_id and p.during = s.kept)
        or (select count(*) from presence p where p.booking_id = k.id) > 1 + (s.partner_id is not null)::int""",
    "a confirmed booking has an unpaid first payment request": f"""
        select k.number from booking k where k.state in {STANDING} and k.price_amount > 0
        and not exists (select from bill b where {FIRST_BILL} and b.state in ('paid', 'unpaid'))""",
    "a first payment request is paid and its booking is not confirmed": f"""
        select k.number from booking k join bill b on {FIRST_BILL} where k.state in ('held', 'expired')
        and b.state in ('paid', 'unpaid')""",
    "a cancelled booking has an open payment request": """
        select k.number from booking k join bill b on b.noun = 'booking' and b.row_id = k.id
        where k.state = 'cancelled' and b.state in ('open', 'unpaid')""",
    "a paid payment request does not have exactly one payment of exactly its amount": """
        select b.number from bill b where (b.state = 'paid') <> (1 = (select count(*) from payment p
        where p.bill_id = b.id and p.pays
        and p.money_amount = b.price_amount and p.money_currency = b.price_currency
        and p.state in ('captured', 'partly_refunded', 'refunded')))""",
    "a payment settles a payment request of a different amount": """
        select p.gateway_id from payment p join bill b on b.id = p.bill_id where p.pays
        and (p.money_amount, p.money_currency) is distinct from (b.price_amount, b.price_currency)""",
    "a payment request is paid by two payments": """
        select bill_id::text from payment where pays group by bill_id having count(*) > 1""",
    "a payment request is unpaid again and no cheque bounced": """
        select b.number from bill b where b.state = 'unpaid' and not exists (select from payment p
        where p.bill_id = b.id and p.state = 'bounced')""",
    "the amount of a payment request differs from its lines": f"""
        select b.number from bill b where {ASKED} <> b.price_amount""",
    "the payment requests of a booking exceed its price": """
        select k.number from booking k join bill b on b.noun = 'booking' and b.row_id = k.id group by k.id
        having sum(b.price_amount) > k.price_amount""",
    "a deposit is paid and the balance is not requested": f"""
        select k.number from booking k where k.state in {STANDING} and k.price_amount <>
        (select coalesce(sum(b.price_amount), 0) from bill b where b.noun = 'booking' and b.row_id = k.id)""",
    # --- the books ---
    "a posting does not balance": """
        select p.key || ' ' || l.money_currency from posting p join line l on l.posting_id = p.id
        group by p.id, l.money_currency
        having sum(l.money_amount) <> 0""",
    "a posting has no lines": """
        select key from posting p where not exists (select from line l where l.posting_id = p.id)""",
    "the ledger does not balance": """
        select money_currency from line group by money_currency having sum(money_amount) <> 0""",
    "a captured payment does not have exactly one capture in the ledger": """
        select y.gateway_id from payment y where y.captured_at is not null and (y.money_amount) is distinct from
        (select sum(l.money_amount) from posting p join line l on l.posting_id = p.id
        where p.key = 'capture ' || y.id and l.money_amount > 0)""",
    "an uncaptured payment is in the ledger": """
        select y.gateway_id from payment y join posting p on p.key = 'capture ' || y.id where y.captured_at is null""",
    "a received amount is not allocated": f"""
        select b.number from bill b where {_of_bill("a.name = 'received'")} <> 0""",
    "the customer deposits of a payment request differ from its remaining amount": f"""
        select b.number from bill b where {_of_bill("a.name = 'deposits'")} <>
        case when b.state = 'paid' then b.earned_amount - {NET} else 0 end""",
    "the earned income of a payment request differs from its remaining amount": f"""
        select b.number from bill b where {_of_bill("a.name = 'income'")} <>
        case when b.state = 'paid' then -b.earned_amount else 0 end""",
    "more is earned than remains of a payment request, or it is delivered and not fully earned": f"""
        select b.number from bill b where b.earned_amount not between 0 and greatest({NET}, 0) or b.state <> 'paid'
        and b.earned_amount <> 0
        or b.delivered_at is not null and b.earned_amount <> {NET}""",
    "the tax of a payment request differs from its remaining amount": f"""
        select b.number from bill b where {_of_bill("a.name like 'tax %'")} <> case when b.state = 'paid'
        then {NET} - {TOTAL} else 0 end""",
    "customer deposits are below zero": """
        select p.row_id::text from line l join posting p on p.id = l.posting_id
        join account a on a.id = l.account_id where a.name = 'deposits'
        group by p.noun, p.row_id, l.money_currency having sum(l.money_amount) > 0""",
    "a service took place and is not delivered in the ledger": """
        select k.number from booking k join bill b on b.noun = 'booking' and b.row_id = k.id
        where b.state = 'paid'
        and (k.state in ('completed', 'no_show', 'cancelled')) <> (b.delivered_at is not null)
        and k.state <> 'confirmed'""",
    "a guarded account is below its promised amount": """
        select owner from account where guarded and (held < 0 or balance < held)""",
    "the balance of a guarded account differs from its lines": """
        select a.owner from account a where a.guarded and a.balance <> case when a.kind in ('asset', 'expense')
        then 1 else -1 end *
        (select coalesce(sum(l.money_amount), 0) from line l where l.account_id = a.id)""",
    "the held amount of a guarded account differs from its holds": """
        select a.owner from account a where a.guarded and a.held <> (select coalesce(sum(h.money_amount), 0) from hold h
        where h.account_id = a.id and h.state = 'held')""",
    "the amount a gateway owes differs from what it received minus what it paid out": """
        select a.name || ' ' || a.currency from account a where a.name like 'gateway %' and
        (select coalesce(sum(l.money_amount), 0) from line l where l.account_id = a.id) <>
        (select coalesce(sum(y.money_amount), 0) from payment y
         where 'gateway ' || y.gateway = a.name and y.money_currency = a.currency and y.captured_at is not null)
        - (select coalesce(sum(f.money_amount), 0) from refund f where 'gateway ' || f.gateway = a.name
        and f.money_currency = a.currency and f.state = 'done')
        - (select coalesce(sum(s.credit_amount - s.debit_amount), 0) from settlement s
        where 'gateway ' || s.gateway = a.name and s.credit_currency = a.currency)
        - (select coalesce(sum(d.kept_back_amount), 0) from dispute d where 'gateway ' || d.gateway = a.name
        and d.money_currency = a.currency
           and d.state in ('open', 'under_review', 'lost'))""",
    "a cheque is in the wrong account": f"""
        select b.number from bill b where {_of_bill("a.name = 'cheques'")} <>
        (select coalesce(sum(y.money_amount), 0) from payment y where y.bill_id = b.id and y.gateway = 'cheque'
        and y.captured_at is not null and y.cleared_at is null and y.state <> 'bounced')""",
    "cash and bank do not contain the payments recorded by staff": f"""
        select b.number from bill b where {_of_bill("a.name in ('cash', 'bank')")} <>
        (select coalesce(sum(y.money_amount), 0) from payment y where y.bill_id = b.id and y.captured_at is not null
         and (y.gateway in ('cash', 'bank') or y.cleared_at is not null) and y.state <> 'bounced')
        - (select coalesce(sum(f.money_amount), 0) from refund f join payment y on y.id = f.payment_id
           where y.bill_id = b.id and f.state = 'done' and f.gateway in {BY_HAND})""",
    "the amount owed to payers differs from the pending refunds": """
        select a.currency from account a where a.name = 'to-give-back' and
        (select coalesce(-sum(l.money_amount), 0) from line l where l.account_id = a.id) <>
        (select coalesce(sum(f.money_amount), 0) from refund f where f.state in ('owed', 'sent', 'failed')
        and f.money_currency = a.currency)""",
    # --- what goes back ---
    "a captured payment does not have exactly one outcome": """
        select gateway_id from payment where captured_at is not null and state <> 'bounced'
        and pays = (owed_back <> '')""",
    "an unallocated payment is not scheduled for a full refund": """
        select gateway_id from payment where captured_at is not null and state <> 'bounced' and owed_back <> ''
        and back_amount <> money_amount""",
    "the refunds exceed the payment": """
        select gateway_id from payment where captured_at is not null and back_amount not between 0
        and money_amount""",
    "the amount to refund differs from its refunds": f"""
        select y.gateway_id from payment y where y.back_amount <>
        (select coalesce(sum(f.money_amount), 0) from refund f where f.payment_id = y.id and (f.state <> 'declined'
        or {BY_DISPUTE}))""",
    "a refund is for money that was never received": """
        select f.number from refund f join payment y on y.id = f.payment_id where y.captured_at is null""",
    "a completed refund is not in the ledger exactly once": """
        select f.number from refund f where (f.state = 'done') <> exists (select from posting p
        where p.key = 'refund ' || f.id)""",
    "the amount owed to a payer differs from what was promised": f"""
        select y.gateway_id from payment y where
        {_lines("a.name = 'to-give-back'", OWED_OF_PAYMENT)} <>
        -(select coalesce(sum(f.money_amount), 0) from refund f where f.payment_id = y.id and {PROMISED})
        and y.state <> 'bounced'""",
    "a payment is marked as refunded and was not": """
        select y.gateway_id from payment y where y.captured_at is not null
        and y.state in ('captured', 'partly_refunded', 'refunded') and y.state <>
        (select case when coalesce(sum(f.money_amount), 0) = 0 then 'captured'
        when sum(f.money_amount) = y.money_amount then 'refunded'
         else 'partly_refunded' end from refund f where f.payment_id = y.id and f.state = 'done')""",
    # --- papers ---
    "a number series has a gap": """
        select split_part(number, '/', 1) || '/' || split_part(number, '/', 2) from invoice group by 1
        having count(*) <> max(split_part(number, '/', 3)::int)""",
    "a number series is ahead of its last number": """
        select s.kind from series s where s.kind like '% fiscal' and
        s.last <> (select count(*) from invoice i where split_part(i.number, '/', 1) || ' fiscal' = s.kind
        and i.number like '%/' || (s.year % 100) || '-%')""",
    "a payment does not have one invoice and one receipt": """
        select y.gateway_id from payment y where y.pays and (select array_agg(i.kind order by i.kind)
        from invoice i where i.payment_id = y.id
        and i.kind <> 'credit_note') is distinct from '{invoice,receipt}'""",
    "a document differs from the amount paid": """
        select i.number from invoice i join payment y on y.id = i.payment_id
        where i.kind <> 'credit_note' and (i.total_amount, i.total_currency) <> (y.money_amount, y.money_currency)""",
    "the credit notes of a payment differ from its refunds": f"""
        select y.gateway_id from payment y where y.pays and (select coalesce(sum(i.total_amount), 0)
        from invoice i where i.payment_id = y.id
        and i.kind = 'credit_note') <> (select coalesce(sum(f.money_amount), 0) from refund f
        where f.payment_id = y.id and {PROMISED})""",
    "an invoiced payment was lost and is not fully credited": """
        select y.gateway_id from payment y where not y.pays and exists (select from invoice i
        where i.payment_id = y.id and i.kind = 'invoice')
        and (select sum(case i.kind when 'invoice' then i.total_amount when 'credit_note' then -i.total_amount
        else 0 end)
        from invoice i where i.payment_id = y.id) <> 0""",
    "the tax in the ledger differs from the tax on documents": """
        select total_currency from (select total_currency, sum(case kind when 'invoice' then tax_amount
        when 'credit_note' then -tax_amount else 0 end) as said
        from invoice group by 1) papers where said <> (select coalesce(-sum(l.money_amount), 0) from line l
        join account a on a.id = l.account_id
        where a.name like 'tax %' and a.currency = total_currency)""",
    "the remaining amount of a payment request differs from its invoice minus credit notes": f"""
        select b.number from bill b where case when b.state = 'paid' then {TOTAL} <> b.price_amount -
        (select coalesce(sum(i.total_amount), 0)
        from invoice i join payment y on y.id = i.payment_id where y.bill_id = b.id and y.pays
        and i.kind = 'credit_note') else {TOTAL} <> b.price_amount end""",
    # --- several at once ---
    "the total of a cart differs from its payment requests": """
        select b.number from basket b where price_amount <> (select sum(i.price_amount) from in_basket n
        join bill i on i.id = n.bill_id where n.basket_id = b.id)""",
    "the shares of a payment differ from the amount paid, or one belongs to another cart": """
        select y.gateway_id from payment y join basket b on b.id = y.basket_id where y.captured_at is not null
        group by y.gateway, y.gateway_id
        having count(distinct b.id) > 1 or (count(*) > 1 and sum(y.money_amount) <> max(b.price_amount))
        or count(*) not in (1, (select count(*) from in_basket n where n.basket_id = max(b.id)))""",
    # --- coupons, messages, quarrels, settlements ---
    "the use count of a coupon is wrong": """
        select code from coupon c where used <> (select count(*) from coupon_use u where u.coupon_id = c.id
        and u.state = 'taken')
        or used > coalesce(uses_at_most, used)""",
    "a coupon is used by an ended booking, or not by a confirmed one": """
        select k.number from coupon_use u join booking k on u.noun = 'booking' and u.row_id = k.id
        where (u.state = 'taken') <> (k.state in ('held', 'confirmed', 'completed', 'no_show'))
        and k.state <> 'cancelled'""",
    "the use count of a sold package is wrong": """
        select code from pass p where uses_left <> uses - (select count(*) from pass_use u where u.pass_id = p.id
        and u.state <> 'given_back')""",
    (
        "a session of a package is taken by an ended booking, returned by a confirmed one, "
        "or not spent by a completed one"
    ): """
        select k.number from pass_use u join booking k on k.id = u.booking_id where case u.state
        when 'taken' then k.state not in ('held', 'requested', 'confirmed')
        when 'given_back' then k.state not in ('expired', 'cancelled')
        else k.state not in ('completed', 'no_show', 'cancelled') end""",
    "a sold package is active and was not paid": """
        select p.code from pass p where p.state not in ('open', 'cancelled')
        and not exists (select from bill b where b.noun = 'pass' and b.row_id = p.id
        and b.state in ('paid', 'unpaid'))""",
    "all sessions of a package are over and its payment request is not delivered": """
        select p.code from pass p join bill b on b.noun = 'pass' and b.row_id = p.id where b.state = 'paid'
        and b.delivered_at is null and p.uses =
        case when p.state in ('expired', 'cancelled') then p.uses_left else 0 end
        + (select count(*) from pass_use u where u.pass_id = p.id and u.state = 'spent')""",
    "an email address used a coupon more often than allowed": """
        select c.code || ' ' || u.mailbox from coupon c join coupon_use u on u.coupon_id = c.id
        and u.state = 'taken' where c.uses_each is not null
        group by c.id, u.mailbox having count(*) > c.uses_each""",
    "a booking confirmation was not sent exactly once": f"""
        select k.number from booking k where (select count(*) from message m
        where m.template = 'bookings/confirmed' and m.noun = 'booking' and m.row_id = k.id)
        not between case when k.state in {STANDING} then 1 else 0 end and case when k.state in ('held', 'expired')
        then 0 else 1 end""",
    "a reminder was sent for a booking that was not confirmed": """
        select k.number from booking k join message m on m.template = 'bookings/reminder' and m.noun = 'booking'
        and m.row_id = k.id
        where m.state = 'sent' and k.state in ('held', 'expired')""",
    "fees differ from the settlements": """
        select currency from (values ('INR'), ('USD')) as of(currency), (values ('fees'), ('input-tax')) as what(name)
        where (select coalesce(sum(l.money_amount), 0) from line l join account a on a.id = l.account_id
        where a.name = what.name and a.currency = of.currency)
        <> (select coalesce(sum(case what.name when 'fees' then s.fee_amount else s.tax_amount end), 0)
        from settlement s where s.fee_currency = of.currency)""",
    "a dispute is in the ledger with a different outcome": f"""
        select currency from (values ('INR'), ('USD')) as of(currency), (values ('disputes-lost'), ('disputed'))
        as what(name)
        where (select coalesce(sum(l.money_amount), 0) from line l join account a on a.id = l.account_id
        where a.name = what.name and a.currency = of.currency)
        <> (select coalesce(sum(d.kept_back_amount), 0) from dispute d where d.money_currency = of.currency
            and case what.name when 'disputes-lost' then d.state = 'lost' else d.state in ('open', 'under_review') end)
        - case what.name when 'disputes-lost' then (select coalesce(sum(f.money_amount), 0) from refund f
        where f.money_currency = of.currency
          and {BY_DISPUTE}) else 0 end""",
    # --- one currency ---
    "a refund and its payment have different currencies": """
        select f.number from refund f join payment y on y.id = f.payment_id
        where f.money_currency <> y.money_currency or y.back_currency <> y.money_currency""",
    "a payment request and its booking have different currencies": """
        select k.number from bill b join booking k on b.noun = 'booking' and b.row_id = k.id
        where b.price_currency <> k.price_currency or k.deposit_currency <> k.price_currency""",
    "a document and its record have different currencies": """
        select i.number from invoice i join payment y on y.id = i.payment_id
        where i.total_currency <> y.money_currency or i.tax_currency <> i.total_currency""",
}

_ALL = text(
    " union all ".join(
        f"select '{fault}: ' || coalesce(at, '?') from ({query}) as found(at)" for fault, query in SENTENCES.items()
    )
)


def broken(connection: Connection) -> list[str]:
    """Return the faults found, in sentences; normally none."""
    connection.execute(text("set local jit = off"))  # compiling fifty small queries takes longer than running them
    return [str(fault) for (fault,) in connection.execute(_ALL)]

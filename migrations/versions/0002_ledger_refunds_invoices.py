"""Tables of money: ledger, bills, quotes, coupons, refunds, disputes, invoices, settlements.

A trigger enforces double entry (debit = credit) when a transaction commits; postings can never be changed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002_ledger_refunds_invoices"
down_revision = "0001_users_people_bookings"
branch_labels = None
depends_on = None


FILLED = (
    ("bill", "part"),
    ("bill", "lines"),
    ("bill", "left"),
    ("bill", "buyer"),
    ("bill", "orders"),
    ("booking", "deposit_amount"),
    ("booking", "deposit_currency"),
    ("booking", "policy"),
    ("booking", "buyer"),
    ("payment", "back_amount"),
    ("payment", "back_currency"),
    ("payment", "pays"),
    ("service", "tax_rate"),
    ("service", "tax_included"),
    ("service", "tax_code"),
    ("service", "deposit_percent"),
)
CHECKS = (
    ("bill", "state_known", "state in ('open', 'paid', 'void', 'unpaid')"),
    (
        "payment",
        "state_known",
        "state in ('created', 'failed', 'authorized', 'captured', 'partly_refunded', 'refunded', 'bounced')",
    ),
    ("payment", "back", "back_amount between 0 and money_amount"),
    ("payment", "one_currency", "back_currency = money_currency"),
    ("payment", "one_end", "not pays or owed_back = ''"),
    ("service", "tax", "tax_rate between 0 and 10000"),
    ("service", "deposit", "deposit_percent between 1 and 100"),
)

# Data from before the ledger: each bill becomes one line without tax, and each captured payment is posted.
KEEP_WHAT_WENT_BACK = """
update bill set lines = jsonb_build_array(jsonb_build_object('label', number, 'code', '', 'quantity', 1,
  'listed', price_amount, 'off', 0, 'net', price_amount, 'total', price_amount,
  'taxes', '{}'::jsonb, 'rates', '{}'::jsonb));
update bill set "left" = lines;
update booking set deposit_amount = price_amount, deposit_currency = price_currency;
update payment set back_currency = money_currency, taken_at = captured_at,
  pays = (state = 'captured' and owed_back = '');
update payment set back_amount = money_amount where state = 'refunded' and captured_at is not null;

insert into account (name, kind, owner, currency, guarded, balance, held, created_at, changed_at, version)
select name, kind, '', money_currency, false, 0, 0, now(), now(), 1
from (select distinct 'gateway ' || gateway as name, 'asset' as kind, money_currency from payment
      where captured_at is not null and state = 'captured'
      union select distinct 'deposits', 'liability', money_currency from payment
      where captured_at is not null and state = 'captured') as needed;
insert into posting (key, day, what, noun, row_id, person_id, by, created_at, changed_at, version)
select 'capture ' || p.id, p.captured_at::date, p.gateway_id || ' was paid before there were books',
  'bill', b.id, b.person_id, 'the migration', now(), now(), 1
from payment p join bill b on b.id = p.bill_id where p.state = 'captured';
insert into line (posting_id, account_id, money_amount, money_currency, created_at, changed_at, version)
select posting.id, account.id, case account.kind when 'asset' then p.money_amount else -p.money_amount end,
  p.money_currency, now(), now(), 1
from payment p join posting on posting.key = 'capture ' || p.id
join account on account.currency = p.money_currency and account.name in ('gateway ' || p.gateway, 'deposits');
"""

BOOKS_ARE_FINAL = """
create function lines_add_up() returns trigger language plpgsql as $$
declare wrong text;
begin
  if tg_table_name = 'posting' and not exists (select from line where posting_id = new.id) then
    raise exception 'Posting % has no lines.', new.id using errcode = 'check_violation';
  end if;
  select money_currency into wrong from line
    where posting_id = (case tg_table_name when 'posting' then new.id else (to_jsonb(new)->>'posting_id')::int end)
    group by money_currency having sum(money_amount) <> 0 limit 1;
  if found then
    raise exception 'A posting does not add up in %.', wrong
      using errcode = 'check_violation', constraint = 'posting_adds_up';
  end if;
  return null;
end $$;
create constraint trigger posting_adds_up after insert on posting deferrable initially deferred
  for each row execute function lines_add_up();
create constraint trigger line_adds_up after insert on line deferrable initially deferred
  for each row execute function lines_add_up();

create function line_moves_balance() returns trigger language plpgsql as $$
begin
  update account
    set balance = balance + case when kind in ('asset', 'expense') then new.money_amount else -new.money_amount end
    where id = new.account_id and guarded;
  return null;
end $$;
create trigger line_moves_balance after insert on line for each row execute function line_moves_balance();

create trigger posting_is_final before update or delete on posting for each row execute function history_is_final();
create trigger posting_is_whole before truncate on posting for each statement execute function history_is_final();
create trigger line_is_final before update or delete on line for each row execute function history_is_final();
create trigger line_is_whole before truncate on line for each statement execute function history_is_final();
create trigger invoice_is_final before update or delete on invoice for each row execute function history_is_final();
create trigger invoice_is_whole before truncate on invoice for each statement execute function history_is_final();
"""


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("guarded", sa.Boolean(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("not guarded or (held >= 0 and balance >= held)", name=op.f("account_covered")),
        sa.PrimaryKeyConstraint("id", name=op.f("account_pkey")),
        sa.UniqueConstraint("id", "currency", name=op.f("account_id_currency_key")),
        sa.UniqueConstraint("name", "owner", "currency", name=op.f("account_name_owner_currency_key")),
    )
    op.create_table(
        "coupon",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("amount_amount", sa.BigInteger(), nullable=True),
        sa.Column("amount_currency", sa.String(length=3), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("uses_at_most", sa.Integer(), nullable=True),
        sa.Column("uses_each", sa.Integer(), nullable=True),
        sa.Column("minimum_amount", sa.BigInteger(), nullable=True),
        sa.Column("minimum_currency", sa.String(length=3), nullable=True),
        sa.Column("off_at_most_amount", sa.BigInteger(), nullable=True),
        sa.Column("off_at_most_currency", sa.String(length=3), nullable=True),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('active', 'ended')", name=op.f("coupon_state_known")),
        sa.CheckConstraint("(percent > 0) <> (coalesce(amount_amount, 0) > 0)", name=op.f("coupon_one_kind")),
        sa.CheckConstraint("percent between 0 and 100", name=op.f("coupon_percent")),
        sa.CheckConstraint("until > since", name=op.f("coupon_window")),
        sa.CheckConstraint("used >= 0 and (uses_at_most is null or used <= uses_at_most)", name=op.f("coupon_used_up")),
        sa.CheckConstraint(
            "uses_at_most > 0 and uses_each > 0 and minimum_amount >= 0 and "
            "off_at_most_amount > 0 and amount_amount > 0",
            name=op.f("coupon_sense"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("coupon_pkey")),
        sa.UniqueConstraint("code", name=op.f("coupon_code_key")),
    )
    op.create_index(op.f("coupon_state"), "coupon", ["state"], unique=False)
    op.create_table(
        "refund_policy",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tiers", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('in_use', 'retired')", name=op.f("refund_policy_state_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("refund_policy_pkey")),
        sa.UniqueConstraint("name", name=op.f("refund_policy_name_key")),
    )
    op.create_index(op.f("refund_policy_state"), "refund_policy", ["state"], unique=False)
    op.create_table(
        "settlement",
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("dispute_id", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("credit_amount", sa.BigInteger(), nullable=False),
        sa.Column("credit_currency", sa.String(length=3), nullable=False),
        sa.Column("debit_amount", sa.BigInteger(), nullable=False),
        sa.Column("debit_currency", sa.String(length=3), nullable=False),
        sa.Column("fee_amount", sa.BigInteger(), nullable=False),
        sa.Column("fee_currency", sa.String(length=3), nullable=False),
        sa.Column("tax_amount", sa.BigInteger(), nullable=False),
        sa.Column("tax_currency", sa.String(length=3), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('matched', 'differs', 'explained')", name=op.f("settlement_state_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("settlement_pkey")),
        sa.UniqueConstraint("gateway", "kind", "entity_id", name=op.f("settlement_gateway_kind_entity_id_key")),
    )
    op.create_index(op.f("settlement_day"), "settlement", ["day"], unique=False)
    op.create_index(op.f("settlement_entity_id"), "settlement", ["entity_id"], unique=False)
    op.create_index(op.f("settlement_reference"), "settlement", ["reference"], unique=False)
    op.create_index(op.f("settlement_state"), "settlement", ["state"], unique=False)
    op.create_table(
        "tally",
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("there_amount", sa.BigInteger(), nullable=False),
        sa.Column("there_currency", sa.String(length=3), nullable=False),
        sa.Column("here_amount", sa.BigInteger(), nullable=False),
        sa.Column("here_currency", sa.String(length=3), nullable=False),
        sa.Column("difference_amount", sa.BigInteger(), nullable=False),
        sa.Column("difference_currency", sa.String(length=3), nullable=False),
        sa.Column("rows", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('counted', 'agrees', 'differs')", name=op.f("tally_state_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("tally_pkey")),
        sa.UniqueConstraint("gateway", "day", "there_currency", name=op.f("tally_gateway_day_there_currency_key")),
    )
    op.create_index(op.f("tally_day"), "tally", ["day"], unique=False)
    op.create_index(op.f("tally_state"), "tally", ["state"], unique=False)
    op.create_table(
        "coupon_use",
        sa.Column("coupon_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("mailbox", sa.Text(), nullable=False),
        sa.Column("noun", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('taken', 'given_back')", name=op.f("coupon_use_state_known")),
        sa.ForeignKeyConstraint(["coupon_id"], ["coupon.id"], name=op.f("coupon_use_coupon_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("coupon_use_pkey")),
        sa.UniqueConstraint("coupon_id", "noun", "row_id", name=op.f("coupon_use_coupon_id_noun_row_id_key")),
    )
    op.create_index("coupon_use_mailbox", "coupon_use", ["coupon_id", "mailbox"], unique=False)
    op.create_index(op.f("coupon_use_state"), "coupon_use", ["state"], unique=False)
    op.create_table(
        "hold",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("money_amount", sa.BigInteger(), nullable=False),
        sa.Column("money_currency", sa.String(length=3), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('held', 'released', 'taken')", name=op.f("hold_state_known")),
        sa.CheckConstraint("money_amount > 0", name=op.f("hold_something")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("hold_account_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("hold_pkey")),
        sa.UniqueConstraint("key", name=op.f("hold_key_key")),
    )
    op.create_index(op.f("hold_account_id"), "hold", ["account_id"], unique=False)
    op.create_index(op.f("hold_state"), "hold", ["state"], unique=False)
    op.create_table(
        "posting",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("noun", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=True),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("reverses_id", sa.Integer(), nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("posting_person_id_fkey")),
        sa.ForeignKeyConstraint(["reverses_id"], ["posting.id"], name=op.f("posting_reverses_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("posting_pkey")),
        sa.UniqueConstraint("key", name=op.f("posting_key_key")),
        sa.UniqueConstraint("reverses_id", name=op.f("posting_reverses_id_key")),
    )
    op.create_index("posting_about", "posting", ["noun", "row_id"], unique=False)
    op.create_index(op.f("posting_day"), "posting", ["day"], unique=False)
    op.create_index(op.f("posting_person_id"), "posting", ["person_id"], unique=False)
    op.create_table(
        "quote",
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("basis", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("total_amount", sa.BigInteger(), nullable=False),
        sa.Column("total_currency", sa.String(length=3), nullable=False),
        sa.Column("coupon_id", sa.Integer(), nullable=True),
        sa.Column("holds_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("handle", sa.String(length=22), nullable=False),
        sa.CheckConstraint("state in ('named', 'taken', 'lapsed')", name=op.f("quote_state_known")),
        sa.ForeignKeyConstraint(["coupon_id"], ["coupon.id"], name=op.f("quote_coupon_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("quote_pkey")),
        sa.UniqueConstraint("handle", name=op.f("quote_handle_key")),
    )
    op.create_index(op.f("quote_state"), "quote", ["state"], unique=False)
    op.create_table(
        "extra",
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), nullable=False),
        sa.Column("price_currency", sa.String(length=3), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('offered', 'retired')", name=op.f("extra_state_known")),
        sa.CheckConstraint("price_amount >= 0", name=op.f("extra_price")),
        sa.ForeignKeyConstraint(["service_id"], ["service.id"], name=op.f("extra_service_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("extra_pkey")),
    )
    op.create_index(op.f("extra_service_id"), "extra", ["service_id"], unique=False)
    op.create_index(op.f("extra_state"), "extra", ["state"], unique=False)
    op.create_table(
        "line",
        sa.Column("posting_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("money_amount", sa.BigInteger(), nullable=False),
        sa.Column("money_currency", sa.String(length=3), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("money_amount <> 0", name=op.f("line_something")),
        sa.ForeignKeyConstraint(
            ["account_id", "money_currency"], ["account.id", "account.currency"], name=op.f("line_account_id_fkey")
        ),
        sa.ForeignKeyConstraint(["posting_id"], ["posting.id"], name=op.f("line_posting_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("line_pkey")),
    )
    op.create_index(op.f("line_account_id"), "line", ["account_id"], unique=False)
    op.create_index(op.f("line_posting_id"), "line", ["posting_id"], unique=False)
    op.create_table(
        "dispute",
        sa.Column("payment_id", sa.Integer(), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("gateway_id", sa.Text(), nullable=False),
        sa.Column("money_amount", sa.BigInteger(), nullable=False),
        sa.Column("money_currency", sa.String(length=3), nullable=False),
        sa.Column("kept_back_amount", sa.BigInteger(), nullable=False),
        sa.Column("kept_back_currency", sa.String(length=3), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("respond_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("look_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state in ('open', 'under_review', 'won', 'lost', 'closed')", name=op.f("dispute_state_known")
        ),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("dispute_payment_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("dispute_pkey")),
        sa.UniqueConstraint("gateway", "gateway_id", name=op.f("dispute_gateway_gateway_id_key")),
    )
    op.create_index(op.f("dispute_look_at"), "dispute", ["look_at"], unique=False)
    op.create_index(op.f("dispute_payment_id"), "dispute", ["payment_id"], unique=False)
    op.create_index(op.f("dispute_respond_by"), "dispute", ["respond_by"], unique=False)
    op.create_index(op.f("dispute_state"), "dispute", ["state"], unique=False)
    op.create_table(
        "refund",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.Integer(), nullable=False),
        sa.Column("money_amount", sa.BigInteger(), nullable=False),
        sa.Column("money_currency", sa.String(length=3), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("gateway_id", sa.Text(), nullable=True),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=True),
        sa.Column("elsewhere", sa.Boolean(), nullable=False),
        sa.Column("look_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("looked", sa.Integer(), nullable=False),
        sa.Column("owed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state in ('owed', 'to_approve', 'sent', 'done', 'failed', 'declined')", name=op.f("refund_state_known")
        ),
        sa.CheckConstraint("money_amount > 0", name=op.f("refund_something")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("refund_payment_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("refund_pkey")),
        sa.UniqueConstraint("gateway", "gateway_id", name=op.f("refund_gateway_gateway_id_key")),
        sa.UniqueConstraint("number", name=op.f("refund_number_key")),
    )
    op.create_index(op.f("refund_look_at"), "refund", ["look_at"], unique=False)
    op.create_index(op.f("refund_payment_id"), "refund", ["payment_id"], unique=False)
    op.create_index(op.f("refund_state"), "refund", ["state"], unique=False)
    op.create_table(
        "invoice",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("bill_id", sa.Integer(), nullable=False),
        sa.Column("payment_id", sa.Integer(), nullable=False),
        sa.Column("refund_id", sa.Integer(), nullable=True),
        sa.Column("credits_id", sa.Integer(), nullable=True),
        sa.Column("seller", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("buyer", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("total_amount", sa.BigInteger(), nullable=False),
        sa.Column("total_currency", sa.String(length=3), nullable=False),
        sa.Column("tax_amount", sa.BigInteger(), nullable=False),
        sa.Column("tax_currency", sa.String(length=3), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("handle", sa.String(length=22), nullable=False),
        sa.ForeignKeyConstraint(["bill_id"], ["bill.id"], name=op.f("invoice_bill_id_fkey")),
        sa.ForeignKeyConstraint(["credits_id"], ["invoice.id"], name=op.f("invoice_credits_id_fkey")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("invoice_payment_id_fkey")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("invoice_person_id_fkey")),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("invoice_refund_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("invoice_pkey")),
        sa.UniqueConstraint("handle", name=op.f("invoice_handle_key")),
        sa.UniqueConstraint("number", name=op.f("invoice_number_key")),
    )
    op.create_index(op.f("invoice_bill_id"), "invoice", ["bill_id"], unique=False)
    op.create_index("invoice_credit_once", "invoice", ["refund_id"], unique=True)
    op.create_index(op.f("invoice_day"), "invoice", ["day"], unique=False)
    op.create_index(
        "invoice_once", "invoice", ["kind", "payment_id"], unique=True, postgresql_where="kind <> 'credit_note'"
    )
    op.create_index(op.f("invoice_payment_id"), "invoice", ["payment_id"], unique=False)
    op.create_index(op.f("invoice_person_id"), "invoice", ["person_id"], unique=False)
    op.add_column("bill", sa.Column("part", sa.Text(), nullable=False, server_default=sa.text("'whole'")))
    op.add_column(
        "bill",
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), nullable=False, server_default=sa.text("'[]'")),
    )
    op.add_column(
        "bill",
        sa.Column("left", postgresql.JSONB(astext_type=sa.Text()), nullable=False, server_default=sa.text("'[]'")),
    )
    op.add_column(
        "bill",
        sa.Column("buyer", postgresql.JSONB(astext_type=sa.Text()), nullable=False, server_default=sa.text("'{}'")),
    )
    op.add_column("bill", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("bill", sa.Column("orders", sa.Integer(), nullable=False, server_default=sa.text("'0'")))
    op.add_column("bill", sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint(op.f("bill_noun_row_id_key"), "bill", type_="unique")
    op.create_unique_constraint(op.f("bill_noun_row_id_part_key"), "bill", ["noun", "row_id", "part"])
    op.create_index(op.f("bill_person_id"), "bill", ["person_id"], unique=False)
    op.add_column("booking", sa.Column("quote_id", sa.Integer(), nullable=True))
    op.add_column(
        "booking", sa.Column("deposit_amount", sa.BigInteger(), nullable=False, server_default=sa.text("'0'"))
    )
    op.add_column(
        "booking", sa.Column("deposit_currency", sa.String(length=3), nullable=False, server_default=sa.text("'INR'"))
    )
    op.add_column("booking", sa.Column("policy", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column(
        "booking",
        sa.Column("buyer", postgresql.JSONB(astext_type=sa.Text()), nullable=False, server_default=sa.text("'{}'")),
    )
    op.create_foreign_key(op.f("booking_quote_id_fkey"), "booking", "quote", ["quote_id"], ["id"])
    op.add_column("event", sa.Column("payment_id", sa.Text(), nullable=True))
    op.add_column("event", sa.Column("dispute_id", sa.Text(), nullable=True))
    op.add_column("payment", sa.Column("back_amount", sa.BigInteger(), nullable=False, server_default=sa.text("'0'")))
    op.add_column(
        "payment", sa.Column("back_currency", sa.String(length=3), nullable=False, server_default=sa.text("'INR'"))
    )
    op.add_column("payment", sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("payment", sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("payment", sa.Column("pays", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.add_column("payment", sa.Column("taken_by", sa.Integer(), nullable=True))
    op.drop_constraint(op.f("payment_gateway_id_key"), "payment", type_="unique")
    op.create_index(op.f("payment_captured_at"), "payment", ["captured_at"], unique=False)
    op.create_unique_constraint(op.f("payment_gateway_gateway_id_key"), "payment", ["gateway", "gateway_id"])
    op.create_index(op.f("payment_taken_at"), "payment", ["taken_at"], unique=False)
    op.execute(KEEP_WHAT_WENT_BACK)
    op.drop_column("payment", "refund_id")
    op.add_column("service", sa.Column("tax_rate", sa.Integer(), nullable=False, server_default=sa.text("'0'")))
    op.add_column("service", sa.Column("tax_included", sa.Boolean(), nullable=False, server_default=sa.text("true")))
    op.add_column("service", sa.Column("tax_code", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column(
        "service", sa.Column("deposit_percent", sa.Integer(), nullable=False, server_default=sa.text("'100'"))
    )
    op.add_column("service", sa.Column("policy_id", sa.Integer(), nullable=True))
    op.create_foreign_key(op.f("service_policy_id_fkey"), "service", "refund_policy", ["policy_id"], ["id"])
    for table, column in FILLED:
        op.alter_column(table, column, server_default=None)  # a default only for existing rows
    for table, name, condition in CHECKS:
        op.execute(f"alter table {table} drop constraint if exists {table}_{name}")
        op.create_check_constraint(op.f(f"{table}_{name}"), table, condition)
    op.execute(BOOKS_ARE_FINAL)


def downgrade() -> None:
    raise RuntimeError("What is in the books is not unwritten: go back by restoring a backup.")

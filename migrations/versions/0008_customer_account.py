"""Customer accounts, and erasing a person (GDPR): redact_history() masks values in the audit history."""

import sqlalchemy as sa
from alembic import op

revision = "0008_customer_account"
down_revision = "0007_webhooks"
branch_labels = None
depends_on = None

# The history is append-only, with one exception: redact_history() masks the values of given columns and records that.
# The trigger lets no other update through.
HISTORY_CAN_BE_BLANKED = """
create function only_masked(was jsonb, is_now jsonb) returns boolean language sql immutable as $$
  select not exists (
    select from jsonb_each(was) o full join jsonb_each(is_now) n using (key)
    where o.value is distinct from n.value and (o.value is null or n.value is distinct from '"•••"'::jsonb)
  )
$$;

create function masked(document jsonb, columns text[]) returns jsonb language sql immutable as $$
  select coalesce(jsonb_object_agg(
    key, case when key = any(columns) and value <> 'null'::jsonb then '"•••"'::jsonb else value end), '{}'::jsonb)
  from jsonb_each(document)
$$;

create function change_stays() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and current_setting('frontdesk.redacts', true) = 'on'
     and to_jsonb(new) - 'before' - 'after' = to_jsonb(old) - 'before' - 'after'
     and only_masked(old.before, new.before) and only_masked(old.after, new.after) then
    return new;
  end if;
  raise exception 'History is written once: % on % is refused.', tg_op, tg_table_name
    using errcode = 'restrict_violation';
end $$;
drop trigger change_is_final on change;
create trigger change_is_final before update or delete on change for each row execute function change_stays();

create function redact_history(about text, rows int[], columns text[], who text, through text)
returns void language plpgsql as $$
declare touched int[];
begin
  perform set_config('frontdesk.redacts', 'on', true);
  with blanked as (
    update change set before = masked(before, columns), after = masked(after, columns)
    where noun = about and row_id = any(rows) and (before ?| columns or after ?| columns) returning row_id
  )
  select array_agg(distinct row_id) into touched from blanked;
  perform set_config('frontdesk.redacts', 'off', true);
  insert into change (noun, row_id, verb, before, after, why, name, door, created_at, changed_at, version)
  select about, each, 'redact', '{}'::jsonb, '{}'::jsonb,
    'Blanked in the lines before this one: ' || array_to_string(columns, ', ') || '.', who, through, now(), now(), 1
  from unnest(touched) each;
end $$;
"""


def upgrade() -> None:
    op.create_table(
        "code",
        sa.Column("handle", sa.String(length=22), nullable=False),
        sa.Column("mailbox", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('open', 'used', 'over')", name=op.f("code_state_known")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("code_person_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("code_pkey")),
        sa.UniqueConstraint("handle", name=op.f("code_handle_key")),
    )
    op.create_index(op.f("code_mailbox"), "code", ["mailbox"], unique=False)
    op.create_index(op.f("code_person_id"), "code", ["person_id"], unique=False)
    op.create_index(op.f("code_state"), "code", ["state"], unique=False)
    op.add_column("person", sa.Column("state", sa.String(length=20), nullable=True, server_default=sa.text("'known'")))
    op.alter_column("person", "state", server_default=None)  # a default only for existing rows
    op.create_check_constraint(op.f("person_state_known"), "person", "state in ('known', 'forgotten')")
    op.create_index(op.f("person_state"), "person", ["state"], unique=False)
    op.drop_index("person_email_lower", table_name="person")  # indexed the word “email” instead of the column
    op.create_index("person_email_lower", "person", [sa.text("lower(email)")], unique=False)
    op.execute(HISTORY_CAN_BE_BLANKED)


def downgrade() -> None:
    raise RuntimeError("What was promised to customers is not unwritten: go back by restoring a backup.")

"""First tables: users and roles of Flask-AppBuilder, kernel, money, messages and bookings."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001_users_people_bookings"
down_revision = None
branch_labels = None
depends_on = None


HISTORY_IS_FINAL = """
create function history_is_final() returns trigger language plpgsql as $$
begin
  raise exception 'History is written once: % on % is refused.', tg_op, tg_table_name
    using errcode = 'restrict_violation';
end $$;
create trigger change_is_final before update or delete on change for each row execute function history_is_final();
create trigger change_is_whole before truncate on change for each statement execute function history_is_final();
"""


def upgrade() -> None:
    op.execute(
        "create extension if not exists btree_gist"
    )  # for exclusion constraints over a practitioner and a time range
    op.create_table(
        "ab_group",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("label", sa.String(length=150), nullable=True),
        sa.Column("description", sa.String(length=512), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("ab_group_pkey")),
        sa.UniqueConstraint("name", name=op.f("ab_group_name_key")),
    )
    op.create_table(
        "ab_permission",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("ab_permission_pkey")),
        sa.UniqueConstraint("name", name=op.f("ab_permission_name_key")),
    )
    op.create_table(
        "ab_register_user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("first_name", sa.String(length=64), nullable=False),
        sa.Column("last_name", sa.String(length=64), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("password", sa.String(length=256), nullable=True),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("registration_date", sa.DateTime(), nullable=True),
        sa.Column("registration_hash", sa.String(length=256), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("ab_register_user_pkey")),
        sa.UniqueConstraint("email", name=op.f("ab_register_user_email_key")),
        sa.UniqueConstraint("username", name=op.f("ab_register_user_username_key")),
    )
    op.create_table(
        "ab_role",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("ab_role_pkey")),
        sa.UniqueConstraint("name", name=op.f("ab_role_name_key")),
    )
    op.create_table(
        "ab_user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("first_name", sa.String(length=64), nullable=False),
        sa.Column("last_name", sa.String(length=64), nullable=False),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("password", sa.String(length=256), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=True),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("last_login", sa.DateTime(), nullable=True),
        sa.Column("login_count", sa.Integer(), nullable=True),
        sa.Column("fail_login_count", sa.Integer(), nullable=True),
        sa.Column("created_on", sa.DateTime(), nullable=True),
        sa.Column("changed_on", sa.DateTime(), nullable=True),
        sa.Column("created_by_fk", sa.Integer(), nullable=True),
        sa.Column("changed_by_fk", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["changed_by_fk"], ["ab_user.id"], name=op.f("ab_user_changed_by_fk_fkey")),
        sa.ForeignKeyConstraint(["created_by_fk"], ["ab_user.id"], name=op.f("ab_user_created_by_fk_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("ab_user_pkey")),
        sa.UniqueConstraint("email", name=op.f("ab_user_email_key")),
        sa.UniqueConstraint("username", name=op.f("ab_user_username_key")),
    )
    op.create_table(
        "ab_view_menu",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=250), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("ab_view_menu_pkey")),
        sa.UniqueConstraint("name", name=op.f("ab_view_menu_name_key")),
    )
    op.create_table(
        "change",
        sa.Column("noun", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("change_pkey")),
    )
    op.create_index("change_noun_row_id", "change", ["noun", "row_id", "id"], unique=False)
    op.create_table(
        "event",
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('waiting', 'handled', 'parked')", name=op.f("event_state_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("event_pkey")),
        sa.UniqueConstraint("gateway", "event_id", name=op.f("event_gateway_event_id_key")),
    )
    op.create_index(op.f("event_order_id"), "event", ["order_id"], unique=False)
    op.create_index(op.f("event_state"), "event", ["state"], unique=False)
    op.create_table(
        "job",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("noun", sa.Text(), nullable=True),
        sa.Column("row_id", sa.Integer(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease", sa.Text(), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('waiting', 'running', 'done', 'failed')", name=op.f("job_state_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("job_pkey")),
        sa.UniqueConstraint("key", name=op.f("job_key_key")),
    )
    op.create_index(
        "job_due", "job", ["due_at"], unique=False, postgresql_where=sa.text("state in ('waiting', 'running')")
    )
    op.create_index(op.f("job_name"), "job", ["name"], unique=False)
    op.create_index(op.f("job_state"), "job", ["state"], unique=False)
    op.create_table(
        "person",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("person_pkey")),
    )
    op.create_index("person_email_lower", "person", [sa.literal_column("lower('email')")], unique=False)
    op.create_table(
        "picture",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("picture_pkey")),
    )
    op.create_table(
        "series",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("series_pkey")),
        sa.UniqueConstraint("kind", "year", name=op.f("series_kind_year_key")),
    )
    op.create_table(
        "service",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), nullable=False),
        sa.Column("price_currency", sa.String(length=3), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("hold_minutes", sa.Integer(), nullable=False),
        sa.Column("notice_minutes", sa.Integer(), nullable=False),
        sa.Column("days_ahead", sa.Integer(), nullable=False),
        sa.Column("intake", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('offered', 'retired')", name=op.f("service_state_known")),
        sa.CheckConstraint("hold_minutes between 5 and 60", name=op.f("service_hold")),
        sa.CheckConstraint("minutes between 5 and 480", name=op.f("service_minutes")),
        sa.CheckConstraint("price_amount >= 0", name=op.f("service_price")),
        sa.CheckConstraint("seats between 1 and 500", name=op.f("service_seats")),
        sa.PrimaryKeyConstraint("id", name=op.f("service_pkey")),
        sa.UniqueConstraint("slug", name=op.f("service_slug_key")),
    )
    op.create_index(op.f("service_state"), "service", ["state"], unique=False)
    op.create_table(
        "tick",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("tick_pkey")),
        sa.UniqueConstraint("name", name=op.f("tick_name_key")),
    )
    op.create_table(
        "ab_api_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("key_hash", sa.String(length=256), nullable=False),
        sa.Column("lookup_hash", sa.String(length=256), nullable=True),
        sa.Column("key_prefix", sa.String(length=16), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_on", sa.DateTime(), nullable=True),
        sa.Column("expires_on", sa.DateTime(), nullable=True),
        sa.Column("revoked_on", sa.DateTime(), nullable=True),
        sa.Column("last_used_on", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("ab_api_key_user_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("ab_api_key_pkey")),
        sa.UniqueConstraint("lookup_hash", name=op.f("ab_api_key_lookup_hash_key")),
        sa.UniqueConstraint("uuid", name=op.f("ab_api_key_uuid_key")),
    )
    op.create_index("idx_api_key_lookup_hash", "ab_api_key", ["lookup_hash"], unique=True)
    op.create_index("idx_api_key_prefix", "ab_api_key", ["key_prefix"], unique=False)
    op.create_index("idx_api_key_user_id", "ab_api_key", ["user_id"], unique=False)
    op.create_table(
        "ab_group_role",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=True),
        sa.Column("role_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["group_id"], ["ab_group.id"], name=op.f("ab_group_role_group_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["role_id"], ["ab_role.id"], name=op.f("ab_group_role_role_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("ab_group_role_pkey")),
        sa.UniqueConstraint("group_id", "role_id", name=op.f("ab_group_role_group_id_role_id_key")),
    )
    op.create_index("idx_group_id", "ab_group_role", ["group_id"], unique=False)
    op.create_index("idx_group_role_id", "ab_group_role", ["role_id"], unique=False)
    op.create_table(
        "ab_permission_view",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("permission_id", sa.Integer(), nullable=False),
        sa.Column("view_menu_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["permission_id"], ["ab_permission.id"], name=op.f("ab_permission_view_permission_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["view_menu_id"], ["ab_view_menu.id"], name=op.f("ab_permission_view_view_menu_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("ab_permission_view_pkey")),
        sa.UniqueConstraint(
            "permission_id", "view_menu_id", name=op.f("ab_permission_view_permission_id_view_menu_id_key")
        ),
    )
    op.create_index("idx_permission_id", "ab_permission_view", ["permission_id"], unique=False)
    op.create_index("idx_view_menu_id", "ab_permission_view", ["view_menu_id"], unique=False)
    op.create_table(
        "ab_user_group",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("group_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["group_id"], ["ab_group.id"], name=op.f("ab_user_group_group_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["ab_user.id"], name=op.f("ab_user_group_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("ab_user_group_pkey")),
        sa.UniqueConstraint("user_id", "group_id", name=op.f("ab_user_group_user_id_group_id_key")),
    )
    op.create_index("idx_user_group_id", "ab_user_group", ["group_id"], unique=False)
    op.create_index("idx_user_id", "ab_user_group", ["user_id"], unique=False)
    op.create_table(
        "ab_user_role",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("role_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["role_id"], ["ab_role.id"], name=op.f("ab_user_role_role_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["ab_user.id"], name=op.f("ab_user_role_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("ab_user_role_pkey")),
        sa.UniqueConstraint("user_id", "role_id", name=op.f("ab_user_role_user_id_role_id_key")),
    )
    op.create_table(
        "bill",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("noun", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), nullable=False),
        sa.Column("price_currency", sa.String(length=3), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("look_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("looked", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("handle", sa.String(length=22), nullable=False),
        sa.CheckConstraint("state in ('open', 'paid', 'void')", name=op.f("bill_state_known")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("bill_person_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("bill_pkey")),
        sa.UniqueConstraint("gateway", "order_id", name=op.f("bill_gateway_order_id_key")),
        sa.UniqueConstraint("handle", name=op.f("bill_handle_key")),
        sa.UniqueConstraint("noun", "row_id", name=op.f("bill_noun_row_id_key")),
        sa.UniqueConstraint("number", name=op.f("bill_number_key")),
    )
    op.create_index(op.f("bill_look_at"), "bill", ["look_at"], unique=False)
    op.create_index(op.f("bill_state"), "bill", ["state"], unique=False)
    op.create_table(
        "message",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("called", sa.Text(), nullable=False),
        sa.Column("noun", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('waiting', 'sent', 'dropped')", name=op.f("message_state_known")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("message_person_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("message_pkey")),
        sa.UniqueConstraint("key", name=op.f("message_key_key")),
    )
    op.create_index("message_about", "message", ["noun", "row_id"], unique=False)
    op.create_index(op.f("message_person_id"), "message", ["person_id"], unique=False)
    op.create_index(op.f("message_state"), "message", ["state"], unique=False)
    op.create_table(
        "practitioner",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("photo_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('active', 'away')", name=op.f("practitioner_state_known")),
        sa.ForeignKeyConstraint(["photo_id"], ["picture.id"], name=op.f("practitioner_photo_id_fkey")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["ab_user.id"], name=op.f("practitioner_user_id_fkey"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("practitioner_pkey")),
    )
    op.create_index(op.f("practitioner_state"), "practitioner", ["state"], unique=False)
    op.create_index(op.f("practitioner_user_id"), "practitioner", ["user_id"], unique=False)
    op.create_table(
        "ab_permission_view_role",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("permission_view_id", sa.Integer(), nullable=True),
        sa.Column("role_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["permission_view_id"],
            ["ab_permission_view.id"],
            name=op.f("ab_permission_view_role_permission_view_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["role_id"], ["ab_role.id"], name=op.f("ab_permission_view_role_role_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("ab_permission_view_role_pkey")),
        sa.UniqueConstraint(
            "permission_view_id", "role_id", name=op.f("ab_permission_view_role_permission_view_id_role_id_key")
        ),
    )
    op.create_index("idx_permission_view_id", "ab_permission_view_role", ["permission_view_id"], unique=False)
    op.create_index("idx_role_id", "ab_permission_view_role", ["role_id"], unique=False)
    op.create_table(
        "payment",
        sa.Column("bill_id", sa.Integer(), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("gateway_id", sa.Text(), nullable=False),
        sa.Column("money_amount", sa.BigInteger(), nullable=False),
        sa.Column("money_currency", sa.String(length=3), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owed_back", sa.Text(), nullable=False),
        sa.Column("refund_id", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state in ('created', 'failed', 'authorized', 'captured', 'refunded')", name=op.f("payment_state_known")
        ),
        sa.ForeignKeyConstraint(["bill_id"], ["bill.id"], name=op.f("payment_bill_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("payment_pkey")),
        sa.UniqueConstraint("gateway_id", name=op.f("payment_gateway_id_key")),
    )
    op.create_index(op.f("payment_bill_id"), "payment", ["bill_id"], unique=False)
    op.create_index(op.f("payment_state"), "payment", ["state"], unique=False)
    op.create_table(
        "slot",
        sa.Column("practitioner_id", sa.Integer(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('open', 'closed')", name=op.f("slot_state_known")),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("slot_order")),
        sa.CheckConstraint("seats between 1 and 500", name=op.f("slot_seats")),
        sa.ForeignKeyConstraint(["practitioner_id"], ["practitioner.id"], name=op.f("slot_practitioner_id_fkey")),
        sa.ForeignKeyConstraint(["service_id"], ["service.id"], name=op.f("slot_service_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("slot_pkey")),
        sa.UniqueConstraint(
            "practitioner_id", "service_id", "starts_at", name=op.f("slot_practitioner_id_service_id_starts_at_key")
        ),
    )
    op.create_index(op.f("slot_service_id"), "slot", ["service_id"], unique=False)
    op.create_index(op.f("slot_starts_at"), "slot", ["starts_at"], unique=False)
    op.create_index(op.f("slot_state"), "slot", ["state"], unique=False)
    op.create_table(
        "booking",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("slot_id", sa.Integer(), nullable=False),
        sa.Column("seat", sa.Integer(), nullable=False),
        sa.Column("practitioner_id", sa.Integer(), nullable=False),
        sa.Column("during", postgresql.TSTZRANGE(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), nullable=False),
        sa.Column("price_currency", sa.String(length=3), nullable=False),
        sa.Column("answers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("hold_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_with", sa.Text(), nullable=False),
        sa.Column("request_key", sa.Text(), nullable=True),
        sa.Column("request_hash", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("handle", sa.String(length=22), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("practitioner_id"), "="),
            (sa.column("slot_id"), "<>"),
            (sa.column("during"), "&&"),
            where=sa.text("state in ('held', 'confirmed', 'completed', 'no_show')"),
            using="gist",
            name="booking_one_place_at_a_time",
        ),
        sa.CheckConstraint(
            "state in ('held', 'confirmed', 'completed', 'no_show', 'cancelled', 'expired')",
            name=op.f("booking_state_known"),
        ),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("booking_person_id_fkey")),
        sa.ForeignKeyConstraint(["practitioner_id"], ["practitioner.id"], name=op.f("booking_practitioner_id_fkey")),
        sa.ForeignKeyConstraint(["slot_id"], ["slot.id"], name=op.f("booking_slot_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("booking_pkey")),
        sa.UniqueConstraint("handle", name=op.f("booking_handle_key")),
        sa.UniqueConstraint("number", name=op.f("booking_number_key")),
        sa.UniqueConstraint("request_key", name=op.f("booking_request_key_key")),
    )
    op.create_index(
        "booking_one_per_seat",
        "booking",
        ["slot_id", "seat"],
        unique=True,
        postgresql_where=sa.text("state in ('held', 'confirmed', 'completed', 'no_show')"),
    )
    op.create_index(op.f("booking_person_id"), "booking", ["person_id"], unique=False)
    op.create_index(op.f("booking_slot_id"), "booking", ["slot_id"], unique=False)
    op.create_index(op.f("booking_state"), "booking", ["state"], unique=False)
    op.execute(HISTORY_IS_FINAL)


def downgrade() -> None:
    op.drop_index(op.f("booking_state"), table_name="booking")
    op.drop_index(op.f("booking_slot_id"), table_name="booking")
    op.drop_index(op.f("booking_person_id"), table_name="booking")
    op.drop_index(
        "booking_one_per_seat",
        table_name="booking",
        postgresql_where=sa.text("state in ('held', 'confirmed', 'completed', 'no_show')"),
    )
    op.drop_table("booking")
    op.drop_index(op.f("slot_state"), table_name="slot")
    op.drop_index(op.f("slot_starts_at"), table_name="slot")
    op.drop_index(op.f("slot_service_id"), table_name="slot")
    op.drop_table("slot")
    op.drop_index(op.f("payment_state"), table_name="payment")
    op.drop_index(op.f("payment_bill_id"), table_name="payment")
    op.drop_table("payment")
    op.drop_index("idx_role_id", table_name="ab_permission_view_role")
    op.drop_index("idx_permission_view_id", table_name="ab_permission_view_role")
    op.drop_table("ab_permission_view_role")
    op.drop_index(op.f("practitioner_user_id"), table_name="practitioner")
    op.drop_index(op.f("practitioner_state"), table_name="practitioner")
    op.drop_table("practitioner")
    op.drop_index(op.f("message_state"), table_name="message")
    op.drop_index(op.f("message_person_id"), table_name="message")
    op.drop_index("message_about", table_name="message")
    op.drop_table("message")
    op.drop_index(op.f("bill_state"), table_name="bill")
    op.drop_index(op.f("bill_look_at"), table_name="bill")
    op.drop_table("bill")
    op.drop_table("ab_user_role")
    op.drop_index("idx_user_id", table_name="ab_user_group")
    op.drop_index("idx_user_group_id", table_name="ab_user_group")
    op.drop_table("ab_user_group")
    op.drop_index("idx_view_menu_id", table_name="ab_permission_view")
    op.drop_index("idx_permission_id", table_name="ab_permission_view")
    op.drop_table("ab_permission_view")
    op.drop_index("idx_group_role_id", table_name="ab_group_role")
    op.drop_index("idx_group_id", table_name="ab_group_role")
    op.drop_table("ab_group_role")
    op.drop_index("idx_api_key_user_id", table_name="ab_api_key")
    op.drop_index("idx_api_key_prefix", table_name="ab_api_key")
    op.drop_index("idx_api_key_lookup_hash", table_name="ab_api_key")
    op.drop_table("ab_api_key")
    op.drop_table("tick")
    op.drop_index(op.f("service_state"), table_name="service")
    op.drop_table("service")
    op.drop_table("series")
    op.drop_table("picture")
    op.drop_index("person_email_lower", table_name="person")
    op.drop_table("person")
    op.drop_index(op.f("job_state"), table_name="job")
    op.drop_index(op.f("job_name"), table_name="job")
    op.drop_index("job_due", table_name="job", postgresql_where=sa.text("state in ('waiting', 'running')"))
    op.drop_table("job")
    op.drop_index(op.f("event_state"), table_name="event")
    op.drop_index(op.f("event_order_id"), table_name="event")
    op.drop_table("event")
    op.drop_index("change_noun_row_id", table_name="change")
    op.drop_table("change")
    op.execute("drop function history_is_final")
    op.drop_table("ab_view_menu")
    op.drop_table("ab_user")
    op.drop_table("ab_role")
    op.drop_table("ab_register_user")
    op.drop_table("ab_permission")
    op.drop_table("ab_group")

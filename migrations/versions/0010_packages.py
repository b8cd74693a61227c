"""Prepaid packages, and bills whose revenue is earned in parts."""

import sqlalchemy as sa
from alembic import op

revision = "0010_packages"
down_revision = "0009_staff_calendar"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _earn_in_parts()
    _table(
        "package",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), nullable=False),
        sa.Column("price_currency", sa.String(length=3), nullable=False),
        sa.Column("valid_days", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.CheckConstraint("uses between 2 and 100", name=op.f("package_uses")),
        sa.CheckConstraint("price_amount >= 100", name=op.f("package_price")),
        sa.CheckConstraint("valid_days between 1 and 1825", name=op.f("package_valid")),
        sa.CheckConstraint("state in ('offered', 'retired')", name=op.f("package_state_known")),
        sa.ForeignKeyConstraint(["service_id"], ["service.id"], name=op.f("package_service_id_fkey")),
    )
    _table(
        "pass",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("package_id", sa.Integer(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), nullable=False),
        sa.Column("price_currency", sa.String(length=3), nullable=False),
        sa.Column("valid_days", sa.Integer(), nullable=False),
        sa.Column("quote_id", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paid_with", sa.Text(), nullable=False),
        sa.Column("request_key", sa.Text(), nullable=True),
        sa.Column("handle", sa.String(length=22), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.CheckConstraint("uses_left between 0 and uses", name=op.f("pass_left")),
        sa.CheckConstraint(
            "state in ('open', 'active', 'used_up', 'expired', 'cancelled')", name=op.f("pass_state_known")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("pass_person_id_fkey")),
        sa.ForeignKeyConstraint(["package_id"], ["package.id"], name=op.f("pass_package_id_fkey")),
        sa.ForeignKeyConstraint(["quote_id"], ["quote.id"], name=op.f("pass_quote_id_fkey")),
        *(
            sa.UniqueConstraint(name, name=op.f(f"pass_{name}_key"))
            for name in ("number", "code", "request_key", "handle")
        ),
    )
    _table(
        "pass_use",
        sa.Column("pass_id", sa.Integer(), nullable=False),
        sa.Column("booking_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.CheckConstraint("state in ('taken', 'given_back', 'spent')", name=op.f("pass_use_state_known")),
        sa.ForeignKeyConstraint(["pass_id"], ["pass.id"], name=op.f("pass_use_pass_id_fkey")),
        sa.ForeignKeyConstraint(["booking_id"], ["booking.id"], name=op.f("pass_use_booking_id_fkey")),
        sa.UniqueConstraint("pass_id", "booking_id", name=op.f("pass_use_pass_id_booking_id_key")),
    )
    for table, columns in (
        ("package", ("service_id", "state")),
        ("pass", ("person_id", "package_id", "state")),
        ("pass_use", ("pass_id", "booking_id", "state")),
    ):
        for column in columns:
            op.create_index(op.f(f"{table}_{column}"), table, [column], unique=False)


def _earn_in_parts() -> None:
    """Mark delivered bills as earned in full."""
    op.add_column("bill", sa.Column("earned_amount", sa.BigInteger(), nullable=True))
    op.add_column("bill", sa.Column("earned_currency", sa.String(length=3), nullable=True))
    standing = """(select coalesce(sum((each->>'net')::bigint), 0) from jsonb_array_elements("left") each)"""
    op.execute(
        f"update bill set earned_currency = price_currency, "
        f"earned_amount = case when state = 'paid' and delivered_at is not null then {standing} else 0 end"
    )
    op.alter_column("bill", "earned_amount", nullable=False)
    op.alter_column("bill", "earned_currency", nullable=False)


def _table(name: str, *columns: sa.schema.SchemaItem) -> None:
    """Create a table with the common columns."""
    op.create_table(
        name,
        *columns,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"{name}_pkey")),
    )


def downgrade() -> None:
    raise RuntimeError("What was promised to customers is not unwritten: go back by restoring a backup.")

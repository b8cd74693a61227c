"""Custom fields of administrators, and a JSON column for their values in every editable table."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024_custom_fields"
down_revision = "0023_automations"
branch_labels = None
depends_on = None

TABLES = [
    "account",
    "automation",
    "basket",
    "batch",
    "bill",
    "booking",
    "business",
    "busy",
    "busy_calendar",
    "call",
    "closure",
    "code",
    "coupon",
    "coupon_use",
    "dispute",
    "event",
    "extra",
    "finding",
    "form",
    "giver",
    "hold",
    "hook",
    "hours",
    "in_basket",
    "intake",
    "intake_line",
    "job",
    "meeting",
    "message",
    "notice",
    "opt_in",
    "other_hours",
    "package",
    "pass",
    "pass_use",
    "passkey",
    "payment",
    "person",
    "picture",
    "practitioner",
    "preference",
    "presence",
    "put_away",
    "quote",
    "refund",
    "refund_policy",
    "remark",
    "run",
    "second",
    "series",
    "service",
    "settlement",
    "sitting",
    "slot",
    "spent",
    "subscription",
    "switch",
    "tally",
    "task",
    "tick",
    "token",
    "upload",
    "view",
    "waiting",
    "wording",
]


def upgrade() -> None:
    op.create_table(
        "field",
        sa.Column("noun", sa.Text(), nullable=False),
        sa.Column("label", sa.String(length=60), nullable=False),
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("help", sa.String(length=200), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("more", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint("state in ('used', 'put_away')", name=op.f("field_state_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("field_pkey")),
        sa.UniqueConstraint("noun", "key", name=op.f("field_noun_key_key")),
    )
    op.create_index(op.f("field_state"), "field", ["state"])
    for table in TABLES:
        op.add_column(
            table, sa.Column("more", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
        )


def downgrade() -> None:
    raise RuntimeError("Go back by restoring a backup.")

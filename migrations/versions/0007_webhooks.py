"""Outgoing webhooks and their deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0007_webhooks"
down_revision = "0006_meetings_and_busy_times"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hook",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rests_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("handle", sa.String(length=22), nullable=False),
        sa.CheckConstraint("state in ('on', 'off')", name=op.f("hook_state_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("hook_pkey")),
        sa.UniqueConstraint("handle", name=op.f("hook_handle_key")),
    )
    op.create_index(op.f("hook_state"), "hook", ["state"], unique=False)
    op.create_table(
        "call",
        sa.Column("hook_id", sa.Integer(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("noun", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("took", sa.Integer(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('waiting', 'delivered', 'failed')", name=op.f("call_state_known")),
        sa.ForeignKeyConstraint(["hook_id"], ["hook.id"], name=op.f("call_hook_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("call_pkey")),
        sa.UniqueConstraint("event_id", name=op.f("call_event_id_key")),
    )
    op.create_index(op.f("call_hook_id"), "call", ["hook_id"], unique=False)
    op.create_index(op.f("call_event"), "call", ["event"], unique=False)
    op.create_index(op.f("call_state"), "call", ["state"], unique=False)


def downgrade() -> None:
    raise RuntimeError("What was promised to customers is not unwritten: go back by restoring a backup.")

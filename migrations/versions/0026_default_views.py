"""Saved view with which a list opens for a user."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026_default_views"
down_revision = "0025_business_hours_and_currency"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "opens",
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("view_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("more", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("opens_user_id_fkey"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["view_id"], ["view.id"], name=op.f("opens_view_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("opens_pkey")),
        sa.UniqueConstraint("resource", "user_id", name=op.f("opens_resource_user_id_key")),
    )


def downgrade() -> None:
    raise RuntimeError("Go back by restoring a backup.")

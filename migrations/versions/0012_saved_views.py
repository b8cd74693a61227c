"""Saved views of lists."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012_saved_views"
down_revision = "0011_carts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "view",
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("maker", sa.Text(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("first", sa.Boolean(), nullable=False),
        sa.Column("asked", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        *_always(),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("view_user_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("view_pkey")),
        sa.UniqueConstraint("resource", "user_id", "name", name=op.f("view_resource_user_id_name_key")),
    )
    op.create_index("view_one_first", "view", ["resource", "user_id"], unique=True, postgresql_where=sa.text("first"))
    op.create_table(
        "batch",
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("rows", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        *_always(),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("batch_user_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("batch_pkey")),
    )
    op.create_index(op.f("batch_user_id"), "batch", ["user_id"], unique=False)


def _always() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    ]


def downgrade() -> None:
    raise RuntimeError("Go back by restoring a backup.")

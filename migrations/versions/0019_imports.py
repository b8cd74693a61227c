"""Imports of CSV and Excel files."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019_imports"
down_revision = "0018_list_order_indexes"
branch_labels = None
depends_on = None

STATES = "'waiting', 'trying', 'tried', 'running', 'done', 'undoing', 'undone'"


def upgrade() -> None:
    op.create_table(
        "intake",
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("maker", sa.Text(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("once", sa.Text(), nullable=False),
        sa.Column("sheet", sa.LargeBinary(), nullable=True),
        sa.Column("columns", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("good", sa.Integer(), nullable=False),
        sa.Column("bad", sa.Integer(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=True),
        *_always(),
        sa.CheckConstraint(f"state in ({STATES})", name=op.f("intake_state_known")),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("intake_user_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("intake_pkey")),
        sa.UniqueConstraint("once", name=op.f("intake_once_key")),
    )
    op.create_index("intake_mine", "intake", ["user_id", "resource", "id"], unique=False)
    op.create_index(op.f("intake_state"), "intake", ["state"], unique=False)
    op.create_table(
        "intake_line",
        sa.Column("intake_id", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=True),
        sa.Column("row_version", sa.Integer(), nullable=True),
        sa.Column("wrong", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("undone", sa.Text(), nullable=True),
        *_always(),
        sa.ForeignKeyConstraint(
            ["intake_id"], ["intake.id"], name=op.f("intake_line_intake_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("intake_line_pkey")),
        sa.UniqueConstraint("intake_id", "line", name=op.f("intake_line_intake_id_line_key")),
    )


def _always() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    ]


def downgrade() -> None:
    raise RuntimeError("Go back by restoring a backup.")

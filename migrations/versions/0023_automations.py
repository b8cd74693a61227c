"""Automations (event-driven workflows) and their runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023_automations"
down_revision = "0022_feature_switches"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "automation",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("noun", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("steps", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("maker_id", sa.Integer(), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        *_always(),
        sa.CheckConstraint("state in ('draft', 'on', 'off')", name=op.f("automation_state_known")),
        sa.ForeignKeyConstraint(
            ["maker_id"], ["ab_user.id"], name=op.f("automation_maker_id_fkey"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("automation_pkey")),
        sa.UniqueConstraint("name", name=op.f("automation_name_key")),
    )
    op.create_index(op.f("automation_state"), "automation", ["state"], unique=False)
    op.create_table(
        "run",
        sa.Column("automation_id", sa.Integer(), nullable=False),
        sa.Column("noun", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("chain", sa.Integer(), nullable=False),
        sa.Column("did", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=True),
        *_always(),
        sa.CheckConstraint("state in ('waiting', 'done', 'failed', 'stopped')", name=op.f("run_state_known")),
        sa.ForeignKeyConstraint(["automation_id"], ["automation.id"], name=op.f("run_automation_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("run_pkey")),
        sa.UniqueConstraint(
            "automation_id", "row_id", "verb", "change", name=op.f("run_automation_id_row_id_verb_change_key")
        ),
    )
    op.create_index("run_about", "run", ["noun", "row_id"], unique=False)
    op.create_index(op.f("run_state"), "run", ["state"], unique=False)
    op.add_column("job", sa.Column("chain", sa.Integer(), nullable=False, server_default="0"))
    op.alter_column("job", "chain", server_default=None)


def _always() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    ]


def downgrade() -> None:
    raise RuntimeError("Go back by restoring a backup.")

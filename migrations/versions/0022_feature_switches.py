"""Feature switches: features that were turned off."""

import sqlalchemy as sa
from alembic import op

revision = "0022_feature_switches"
down_revision = "0021_scheduled_reports"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "switch",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state in ('on', 'off')", name=op.f("switch_state_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("switch_pkey")),
        sa.UniqueConstraint("name", name=op.f("switch_name_key")),
    )
    op.create_index(op.f("switch_state"), "switch", ["state"], unique=False)


def downgrade() -> None:
    raise RuntimeError("Go back by restoring a backup.")

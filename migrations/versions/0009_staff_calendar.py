"""Arrival time (check-in) of bookings, for the staff calendar."""

import sqlalchemy as sa
from alembic import op

revision = "0009_staff_calendar"
down_revision = "0008_customer_account"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("booking", sa.Column("came_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    raise RuntimeError("What was promised to customers is not unwritten: go back by restoring a backup.")

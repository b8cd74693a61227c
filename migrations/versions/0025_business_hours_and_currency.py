"""Opening hours, time zone and currency of the business, edited at the desk."""

import sqlalchemy as sa
from alembic import op

revision = "0025_business_hours_and_currency"
down_revision = "0024_custom_fields"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("hours", "timezone", "currency"):
        op.add_column("business", sa.Column(name, sa.Text(), nullable=False, server_default=""))
        op.alter_column("business", name, server_default=None)


def downgrade() -> None:
    raise RuntimeError("Go back by restoring a backup.")

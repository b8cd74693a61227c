"""Opening hours, time zone and currency of the business, edited at the desk."""

import sqlalchemy as sa
from alembic import op

revision = "0024c"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("hours", "timezone", "currency"):
        op.add_column("business", sa.Column(name, sa.Text(), nullable=False, server_default=""))
        op.alter_column("business", name, server_default=None)


def downgrade() -> None:
    raise RuntimeError("Go back by restoring a backup.")

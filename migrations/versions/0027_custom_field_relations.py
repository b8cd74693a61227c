"""Custom fields that refer to records of another noun."""

import sqlalchemy as sa
from alembic import op

revision = "0027_custom_field_relations"
down_revision = "0026_default_views"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("field", sa.Column("target", sa.Text(), nullable=False, server_default=""))
    op.alter_column("field", "target", server_default=None)


def downgrade() -> None:
    raise RuntimeError("Go back by restoring a backup.")

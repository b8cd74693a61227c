"""Search in custom fields."""

import sqlalchemy as sa
from alembic import op

revision = "0028_searchable_custom_fields"
down_revision = "0027_custom_field_relations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("field", sa.Column("found", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("field", "found", server_default=None)


def downgrade() -> None:
    raise RuntimeError("Go back by restoring a backup.")

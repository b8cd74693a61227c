"""Indexes for sorting long lists."""

from alembic import op

revision = "0018_list_order_indexes"
down_revision = "0017_business_details"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("person_by_name", "person", ["name", "id"], unique=False)
    op.create_index("message_by_due_at", "message", ["due_at", "id"], unique=False)


def downgrade() -> None:
    raise RuntimeError("Go back by restoring a backup.")

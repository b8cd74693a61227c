"""Webhooks out, and each call of them."""

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise RuntimeError("What was promised to customers is not unwritten: go back by restoring a backup.")

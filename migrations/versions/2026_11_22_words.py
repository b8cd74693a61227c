"""Wordings, channels, and what became of each message."""

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise RuntimeError("What was promised to customers is not unwritten: go back by restoring a backup.")

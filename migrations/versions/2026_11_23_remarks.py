"""Remarks, tasks and notices about any record, and what is put away."""

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    raise RuntimeError("Go back by restoring a backup.")

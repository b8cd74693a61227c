"""Views that somebody keeps of a list."""

revision = "0013"
down_revision = "0010b"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    raise RuntimeError("Go back by restoring a backup.")

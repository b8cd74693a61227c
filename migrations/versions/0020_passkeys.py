"""Passkeys (WebAuthn), sign-in methods of sessions, and one-time tokens."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020_passkeys"
down_revision = "0019_imports"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "passkey",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("credential", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("handle", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        *_always(),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("passkey_user_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("passkey_pkey")),
        sa.UniqueConstraint("credential", name=op.f("passkey_credential_key")),
    )
    op.create_index(op.f("passkey_user_id"), "passkey", ["user_id"])
    op.create_table(
        "spent",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("good_until", sa.DateTime(timezone=True), nullable=False),
        *_always(),
        sa.PrimaryKeyConstraint("id", name=op.f("spent_pkey")),
        sa.UniqueConstraint("digest", name=op.f("spent_digest_key")),
    )
    op.add_column("sitting", sa.Column("how", sa.Text(), nullable=False, server_default=sa.text("'a password'")))
    op.alter_column("sitting", "how", server_default=None)


def _always() -> tuple[sa.Column, ...]:
    return (
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    )


def downgrade() -> None:
    raise RuntimeError("Go back by restoring a backup.")

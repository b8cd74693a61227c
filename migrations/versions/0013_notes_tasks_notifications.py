"""Notes, tasks and notices on any record, and archiving of records."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013_notes_tasks_notifications"
down_revision = "0012_saved_views"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "remark",
        sa.Column("noun", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
        *_always(),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("remark_user_id_fkey"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("remark_pkey")),
    )
    op.create_index("remark_about", "remark", ["noun", "row_id", "id"])
    op.create_index(op.f("remark_user_id"), "remark", ["user_id"])
    op.create_table(
        "task",
        sa.Column("noun", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("who_id", sa.Integer(), nullable=True),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("reminded_on", sa.Date(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=True),
        *_always(),
        sa.CheckConstraint("state in ('open', 'done')", name=op.f("task_state_known")),
        sa.ForeignKeyConstraint(["who_id"], ["ab_user.id"], name=op.f("task_who_id_fkey"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("task_pkey")),
    )
    op.create_index("task_about", "task", ["noun", "row_id", "id"])
    op.create_index("task_due", "task", ["due_on"], postgresql_where=sa.text("state = 'open'"))
    op.create_index(op.f("task_who_id"), "task", ["who_id"])
    op.create_index(op.f("task_state"), "task", ["state"])
    op.create_table(
        "notice",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("noun", sa.Text(), nullable=True),
        sa.Column("row_id", sa.Integer(), nullable=True),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("topic", sa.Text(), nullable=True),
        sa.Column("ids", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        *_always(),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("notice_user_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("notice_pkey")),
    )
    op.create_index("notice_mine", "notice", ["user_id", "id"])
    op.create_index("notice_new", "notice", ["user_id"], postgresql_where=sa.text("read_at is null"))
    op.create_index("notice_topic", "notice", ["user_id", "topic"])
    op.create_table(
        "preference",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        *_always(),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("preference_user_id_fkey"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("preference_pkey")),
        sa.UniqueConstraint("user_id", "kind", name=op.f("preference_user_id_kind_key")),
    )
    op.create_table(
        "put_away",
        sa.Column("noun", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        *_always(),
        sa.ForeignKeyConstraint(["user_id"], ["ab_user.id"], name=op.f("put_away_user_id_fkey"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("put_away_pkey")),
        sa.UniqueConstraint("noun", "row_id", name=op.f("put_away_noun_row_id_key")),
    )


def _always() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    ]


def downgrade() -> None:
    raise RuntimeError("What was promised to customers is not unwritten: go back by restoring a backup.")

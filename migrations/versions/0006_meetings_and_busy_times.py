"""Online meetings, and external calendars read for busy times."""

import secrets

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006_meetings_and_busy_times"
down_revision = "0005_message_templates"
branch_labels = None
depends_on = None


def _always() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    ]


def upgrade() -> None:
    _practitioners()
    op.create_table(
        "meeting",
        sa.Column("booking_id", sa.Integer(), nullable=False),
        sa.Column("practitioner_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("driver", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("join_url", sa.Text(), nullable=False),
        sa.Column("host_url", sa.Text(), nullable=False),
        sa.Column("recording_requested", sa.Boolean(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        *_always(),
        sa.CheckConstraint("state in ('requested', 'ready', 'cancelled', 'failed')", name=op.f("meeting_state_known")),
        sa.ForeignKeyConstraint(["booking_id"], ["booking.id"], name=op.f("meeting_booking_id_fkey")),
        sa.ForeignKeyConstraint(["practitioner_id"], ["practitioner.id"], name=op.f("meeting_practitioner_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("meeting_pkey")),
    )
    op.create_index(op.f("meeting_booking_id"), "meeting", ["booking_id"], unique=False)
    op.create_index(op.f("meeting_key"), "meeting", ["key"], unique=False)
    op.create_index(op.f("meeting_state"), "meeting", ["state"], unique=False)
    op.create_index(
        "meeting_one_each", "meeting", ["booking_id"], unique=True, postgresql_where=sa.text("state != 'cancelled'")
    )
    _busy()


def _busy() -> None:
    op.create_table(
        "busy_calendar",
        sa.Column("practitioner_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=True),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        *_always(),
        sa.CheckConstraint("state in ('new', 'read', 'stopped')", name=op.f("busy_calendar_state_known")),
        sa.ForeignKeyConstraint(
            ["practitioner_id"], ["practitioner.id"], name=op.f("busy_calendar_practitioner_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("busy_calendar_pkey")),
    )
    op.create_index(op.f("busy_calendar_practitioner_id"), "busy_calendar", ["practitioner_id"], unique=False)
    op.create_index(op.f("busy_calendar_state"), "busy_calendar", ["state"], unique=False)
    op.create_table(
        "busy",
        sa.Column("calendar_id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("during", postgresql.TSTZRANGE(), nullable=False),
        *_always(),
        sa.ForeignKeyConstraint(
            ["calendar_id"], ["busy_calendar.id"], name=op.f("busy_calendar_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("busy_pkey")),
    )
    op.create_index(op.f("busy_calendar_id"), "busy", ["calendar_id"], unique=False)
    op.create_index("busy_during", "busy", ["during"], unique=False, postgresql_using="gist")


def _practitioners() -> None:
    """Set the defaults of practitioners: meetings in person, and a calendar feed at a secret address."""
    for name, value in (("meets_by", "in_person"), ("room", ""), ("link_says", "")):
        op.add_column("practitioner", sa.Column(name, sa.Text(), nullable=False, server_default=value))
        op.alter_column("practitioner", name, server_default=None)
    op.add_column("practitioner", sa.Column("handle", sa.String(length=22), nullable=True))
    here = op.get_bind()
    for (id,) in here.execute(sa.text("select id from practitioner")).fetchall():
        here.execute(
            sa.text("update practitioner set handle = :handle where id = :id"),
            {"handle": secrets.token_urlsafe(16), "id": id},
        )
    op.alter_column("practitioner", "handle", nullable=False)
    op.create_unique_constraint(op.f("practitioner_handle_key"), "practitioner", ["handle"])


def downgrade() -> None:
    raise RuntimeError("What was promised to customers is not unwritten: go back by restoring a backup.")

"""Form designer: forms, their versions, and encrypted answers."""

import json

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.kernel.secrets import seal

revision = "0004_forms"
down_revision = "0003_opening_hours"
branch_labels = None
depends_on = None

BIRTH = [
    {
        "name": "birth_date",
        "kind": "date",
        "label": {"en": "Date of birth", "hi": "जन्म तिथि"},
        "help": {"en": "You can also tell us later."},
        "secret": True,
        "earliest": "1900-01-01",
        "latest": "today",
    },
    {
        "name": "birth_time",
        "kind": "time",
        "label": {"en": "Time of birth", "hi": "जन्म का समय"},
        "secret": True,
        "unknown": True,
    },
    {
        "name": "birth_place",
        "kind": "place",
        "label": {"en": "Place of birth", "hi": "जन्म स्थान"},
        "secret": True,
        "longest": 120,
    },
]


def _always() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "form",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("draft", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=True),
        *_always(),
        sa.CheckConstraint("state in ('in_use', 'retired')", name=op.f("form_state_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("form_pkey")),
        sa.UniqueConstraint("name", name=op.f("form_name_key")),
    )
    op.create_index(op.f("form_state"), "form", ["state"], unique=False)
    op.create_table(
        "edition",
        sa.Column("form_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("questions", postgresql.JSONB(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        *_always(),
        sa.ForeignKeyConstraint(["form_id"], ["form.id"], name=op.f("edition_form_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("edition_pkey")),
        sa.UniqueConstraint("form_id", "number", name=op.f("edition_form_id_number_key")),
    )
    op.execute(
        "create trigger edition_is_final before update or delete on edition "
        "for each row execute function history_is_final()"
    )
    op.add_column("service", sa.Column("form_id", sa.Integer(), nullable=True))
    op.create_foreign_key(op.f("service_form_id_fkey"), "service", "form", ["form_id"], ["id"])
    op.add_column("booking", sa.Column("form_edition_id", sa.Integer(), nullable=True))
    op.create_foreign_key(op.f("booking_form_edition_id_fkey"), "booking", "edition", ["form_edition_id"], ["id"])
    op.add_column("booking", sa.Column("sealed_answers", sa.LargeBinary(), nullable=True))
    _seal_what_was_told()
    op.drop_column("service", "intake")


def _seal_what_was_told() -> None:
    """Move birth details from plain columns into encrypted answers to a form of the services that asked for them."""
    here = op.get_bind()
    told = here.execute(sa.text("select id, answers from booking where answers <> '{}'::jsonb")).all()
    if not told and not here.scalar(sa.text("select exists (select from service where intake = 'birth')")):
        return
    always = "'in_use', now(), now(), 1"
    form = here.scalar(
        sa.text(
            "insert into form (name, draft, state, created_at, changed_at, version) "
            f"values ('Birth details', :asked, {always}) returning id"
        ),
        {"asked": json.dumps(BIRTH)},
    )
    edition = here.scalar(
        sa.text(
            "insert into edition (form_id, number, questions, published_at, created_at, changed_at, version)"
            " values (:form, 1, :asked, now(), now(), now(), 1) returning id"
        ),
        {"form": form, "asked": json.dumps(BIRTH)},
    )
    here.execute(sa.text("update service set form_id = :form where intake = 'birth'"), {"form": form})
    keep = sa.text(
        "update booking set answers = '{}', sealed_answers = :sealed, form_edition_id = :edition where id = :id"
    )
    for id, answers in told:
        here.execute(keep, {"sealed": seal(answers, "booking.sealed_answers"), "edition": edition, "id": id})


def downgrade() -> None:
    raise RuntimeError("What was promised to customers is not unwritten: go back by restoring a backup.")

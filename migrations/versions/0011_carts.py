"""Baskets (carts): several bills paid together, each with its share of the payment."""

import sqlalchemy as sa
from alembic import op

revision = "0011_carts"
down_revision = "0010_packages"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _table(
        "basket",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("price_amount", sa.BigInteger(), nullable=False),
        sa.Column("price_currency", sa.String(length=3), nullable=False),
        sa.Column("handle", sa.String(length=22), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("look_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("looked", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("basket_person_id_fkey")),
        sa.UniqueConstraint("gateway", "order_id", name=op.f("basket_gateway_order_id_key")),
        *(sa.UniqueConstraint(name, name=op.f(f"basket_{name}_key")) for name in ("number", "handle")),
    )
    _table(
        "in_basket",
        sa.Column("basket_id", sa.Integer(), nullable=False),
        sa.Column("bill_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["basket_id"], ["basket.id"], name=op.f("in_basket_basket_id_fkey")),
        sa.ForeignKeyConstraint(["bill_id"], ["bill.id"], name=op.f("in_basket_bill_id_fkey")),
        sa.UniqueConstraint("basket_id", "bill_id", name=op.f("in_basket_basket_id_bill_id_key")),
    )
    op.add_column("payment", sa.Column("basket_id", sa.Integer(), nullable=True))
    op.create_foreign_key(op.f("payment_basket_id_fkey"), "payment", "basket", ["basket_id"], ["id"])
    _a_share_for_each()
    for table, column in (
        ("basket", "person_id"),
        ("basket", "look_at"),
        ("in_basket", "basket_id"),
        ("in_basket", "bill_id"),
        ("payment", "basket_id"),
    ):
        op.create_index(op.f(f"{table}_{column}"), table, [column], unique=False)


def _a_share_for_each() -> None:
    """Allow several rows for one payment or refund of the gateway."""
    for table, of in (("payment", "bill_id"), ("refund", "payment_id")):
        op.drop_constraint(op.f(f"{table}_gateway_gateway_id_key"), table, type_="unique")
        op.create_unique_constraint(op.f(f"{table}_gateway_gateway_id_{of}_key"), table, ["gateway", "gateway_id", of])
    op.create_index(
        "payment_once", "payment", ["gateway", "gateway_id"], unique=True, postgresql_where=sa.text("basket_id is null")
    )


def _table(name: str, *columns: sa.schema.SchemaItem) -> None:
    """Create a table with the common columns."""
    op.create_table(
        name,
        *columns,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"{name}_pkey")),
    )


def downgrade() -> None:
    raise RuntimeError("Whoever paid for several things at once has paid: go back by restoring a backup.")

"""Alembic environment: one migration history for all packs, on the metadata shared with Flask-AppBuilder."""

from alembic import context
from sqlalchemy import Connection, text

from app.kernel import db

# Former revision ids, whose order was hard to read: a database that is at one of them goes on from there.
FORMER_IDS = {
    "0001": "0001_users_people_bookings",
    "0002": "0002_ledger_refunds_invoices",
    "0003": "0003_opening_hours",
    "0004": "0004_forms",
    "0005": "0005_message_templates",
    "0006": "0006_meetings_and_busy_times",
    "0007": "0007_webhooks",
    "0008": "0008_customer_account",
    "0009": "0009_staff_calendar",
    "0010": "0010_packages",
    "0010b": "0011_carts",
    "0013": "0012_saved_views",
    "0014": "0013_notes_tasks_notifications",
    "0015": "0014_search_index",
    "0016": "0015_two_factor_sessions_tokens",
    "0018": "0016_uploads",
    "0019": "0017_business_details",
    "0020": "0018_list_order_indexes",
    "0021": "0019_imports",
    "0022": "0020_passkeys",
    "0024": "0021_scheduled_reports",
    "0024b": "0022_feature_switches",
    "0023": "0023_automations",
    "0025": "0024_custom_fields",
    "0024c": "0025_business_hours_and_currency",
    "0024d": "0026_default_views",
    "0026": "0027_custom_field_relations",
    "0027": "0028_searchable_custom_fields",
}


def run() -> None:
    with db.engine().begin() as connection:
        # Advisory lock: two releases at once migrate one after the other.
        connection.execute(text("set lock_timeout = '60s'"))
        connection.execute(text("select pg_advisory_xact_lock(hashtext('frontdesk migrations'))"))
        _rename_revision(connection)
        context.configure(connection=connection, target_metadata=db.metadata, transactional_ddl=True)
        with context.begin_transaction():
            context.run_migrations()


def _rename_revision(connection: Connection) -> None:
    if connection.scalar(text("select to_regclass('alembic_version')")) is not None:
        for former, now in FORMER_IDS.items():
            statement = text("update alembic_version set version_num = :now where version_num = :former")
            connection.execute(statement, {"former": former, "now": now})


run()

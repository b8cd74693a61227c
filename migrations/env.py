"""Alembic environment: one migration history for all packs, on the metadata shared with Flask-AppBuilder."""

from alembic import context
from sqlalchemy import text

from app.kernel import db


def run() -> None:
    with db.engine().begin() as connection:
        # Advisory lock: two releases at once migrate one after the other.
        connection.execute(text("set lock_timeout = '60s'"))
        connection.execute(text("select pg_advisory_xact_lock(hashtext('frontdesk migrations'))"))
        context.configure(connection=connection, target_metadata=db.metadata, transactional_ddl=True)
        with context.begin_transaction():
            context.run_migrations()


run()

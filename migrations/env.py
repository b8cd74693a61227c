"""One history for all packs, read from the one metadata that Flask-AppBuilder and our nouns share."""

from alembic import context
from sqlalchemy import text

from app.kernel import db


def run() -> None:
    with db.engine().begin() as connection:
        # Two releases at once wait for each other here instead of both creating the same table.
        connection.execute(text("set lock_timeout = '60s'"))
        connection.execute(text("select pg_advisory_xact_lock(hashtext('frontdesk migrations'))"))
        context.configure(connection=connection, target_metadata=db.metadata, transactional_ddl=True)
        with context.begin_transaction():
            context.run_migrations()


run()

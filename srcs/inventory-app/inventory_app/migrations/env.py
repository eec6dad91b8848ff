"""Alembic's entry point: it gets a connection from `platform_common.migrations`."""

from alembic import context

from inventory_app.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()

"""What alembic runs: the revisions, on the connection and in the transaction of `edgeagent.console.migrating`."""

from alembic import context

from edgeagent.console.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
    transactional_ddl=True,
    compare_type=True,
)
context.run_migrations()

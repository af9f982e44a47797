"""Alembic's environment: runs the versions on the connection that ``store.migrate`` hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"], version_table="schema_version"
)
context.run_migrations()

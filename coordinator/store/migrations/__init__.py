"""Alembic's environment and versions, packaged so that a wheel can migrate a database."""

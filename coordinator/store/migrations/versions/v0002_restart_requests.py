"""Restarts that the coordinator asked for by itself."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """One row for each delivery that was ever asked to be restarted."""
    op.get_bind().exec_driver_sql(
        """
        CREATE TABLE restart_requests (
            delivery_id bigint PRIMARY KEY REFERENCES deliveries (id),
            requested_at timestamptz NOT NULL,
            placed boolean NOT NULL
        )
        """
    )


def downgrade() -> None:
    """Only a memory of what was asked for goes."""
    op.get_bind().exec_driver_sql("DROP TABLE restart_requests")

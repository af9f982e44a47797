"""When a delivery's untransferred data was given up."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """So that it is audited once, however often the operator says it."""
    op.get_bind().exec_driver_sql("ALTER TABLE deliveries ADD COLUMN discarded_at timestamptz")


def downgrade() -> None:
    """The audit entry stays."""
    op.get_bind().exec_driver_sql("ALTER TABLE deliveries DROP COLUMN discarded_at")

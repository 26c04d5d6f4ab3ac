"""The transfer log: one row for each operation with a peer (NET-9)."""

import sqlalchemy as sa
from alembic import op

from app.db.base import UtcDateTime

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    op.create_table(
        "network_operation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("role", sa.String(length=3), nullable=False),
        sa.Column("peer", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=16), nullable=False),
        sa.Column("called", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("node_id", sa.String(length=26), nullable=True),
        sa.Column("facility_id", sa.String(length=26), nullable=True),
        sa.Column("result", sa.String(length=10), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("objects", sa.Integer(), nullable=False),
        sa.Column("warned", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("words", sa.String(length=400), nullable=False),
        sa.Column("correlation_id", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_operation")),
    )
    op.create_index(op.f("ix_network_operation_at"), "network_operation", ["at"], unique=False)
    op.create_index("ix_network_operation_peer_at", "network_operation", ["peer", "at"], unique=False)
    op.create_index("ix_network_operation_facility_at", "network_operation", ["facility_id", "at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_network_operation_facility_at", table_name="network_operation")
    op.drop_index("ix_network_operation_peer_at", table_name="network_operation")
    op.drop_index(op.f("ix_network_operation_at"), table_name="network_operation")
    op.drop_table("network_operation")

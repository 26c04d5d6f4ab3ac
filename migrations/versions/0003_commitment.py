"""Storage commitment, both ways: transactions and their objects (PS3.4 Annex J)."""

import sqlalchemy as sa
from alembic import op

from app.db.base import UtcDateTime

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    op.create_table(
        "commitment",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("role", sa.String(length=3), nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("node_id", sa.String(length=26), nullable=False),
        sa.Column("facility_id", sa.String(length=26), nullable=True),
        sa.Column("transfer_id", sa.String(length=26), nullable=True),
        sa.Column("job_id", sa.String(length=26), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("committed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name=op.f("fk_commitment_node_id_node"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitment")),
    )
    op.create_index("ix_commitment_open", "commitment", ["state", "due_at"], unique=False)
    op.create_index(op.f("ix_commitment_transaction_uid"), "commitment", ["transaction_uid"], unique=False)
    op.create_index(op.f("ix_commitment_node_id"), "commitment", ["node_id"], unique=False)
    op.create_index(op.f("ix_commitment_transfer_id"), "commitment", ["transfer_id"], unique=False)
    op.create_table(
        "commitment_instance",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("commitment_id", sa.String(length=26), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("reason", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["commitment_id"],
            ["commitment.id"],
            name=op.f("fk_commitment_instance_commitment_id_commitment"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commitment_instance")),
    )
    op.create_index("ix_commitment_instance_state", "commitment_instance", ["commitment_id", "state"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_commitment_instance_state", table_name="commitment_instance")
    op.drop_table("commitment_instance")
    for name in ("transfer_id", "node_id", "transaction_uid"):
        op.drop_index(op.f(f"ix_commitment_{name}"), table_name="commitment")
    op.drop_index("ix_commitment_open", table_name="commitment")
    op.drop_table("commitment")

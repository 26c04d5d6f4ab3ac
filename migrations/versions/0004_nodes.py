"""Nodes: where one comes from, callers that are no node, delayed acknowledgements, self-tests."""

import sqlalchemy as sa
from alembic import op

from app.db.base import UtcDateTime

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    op.add_column("node", sa.Column("origin", sa.String(length=16), server_default="", nullable=False))
    op.add_column("node", sa.Column("ack_gap_ms", sa.Integer(), nullable=True))
    op.add_column("node", sa.Column("ack_gap_at", UtcDateTime(), nullable=True))
    op.create_table(
        "caller",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("title", sa.String(length=16), nullable=False),
        sa.Column("called", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("facility_id", sa.String(length=26), nullable=True),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("asked", sa.String(length=256), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("words", sa.String(length=256), nullable=False),
        sa.Column("ignored", sa.Boolean(), nullable=False),
        sa.Column("ack_gap_ms", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_caller")),
        sa.UniqueConstraint("kind", "title", "called", "address", name=op.f("uq_caller_kind_title_called_address")),
    )
    op.create_table(
        "node_test",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("job_id", sa.String(length=26), nullable=False),
        sa.Column("node_id", sa.String(length=26), nullable=False),
        sa.Column("with_object", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name=op.f("fk_node_test_node_id_node"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_node_test")),
    )
    op.create_index(op.f("ix_node_test_node_id"), "node_test", ["node_id"], unique=False)
    op.create_index(op.f("ix_node_test_job_id"), "node_test", ["job_id"], unique=False)

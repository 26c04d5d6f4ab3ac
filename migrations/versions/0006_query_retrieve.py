"""Query/Retrieve: questions to other archives with their answers, and what is fetched from them (NET-4)."""

import sqlalchemy as sa
from alembic import op

from app.db.base import UtcDateTime

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    op.create_table(
        "remote_query",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("job_id", sa.String(length=26), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("keys", sa.JSON(), nullable=False),
        sa.Column("modalities", sa.JSON(), nullable=False),
        sa.Column("limit", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("facility_id", sa.String(length=26), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remote_query")),
    )
    op.create_index(op.f("ix_remote_query_created_at"), "remote_query", ["created_at"], unique=False)
    op.create_index(op.f("ix_remote_query_created_by"), "remote_query", ["created_by"], unique=False)
    op.create_index(op.f("ix_remote_query_job_id"), "remote_query", ["job_id"], unique=False)
    op.create_table(
        "remote_query_node",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("query_id", sa.String(length=26), nullable=False),
        sa.Column("node_id", sa.String(length=26), nullable=False),
        sa.Column("node_name", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("broken", sa.Integer(), nullable=False),
        sa.Column("limited", sa.Boolean(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("hint", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["query_id"],
            ["remote_query.id"],
            name=op.f("fk_remote_query_node_query_id_remote_query"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remote_query_node")),
    )
    op.create_index(op.f("ix_remote_query_node_query_id"), "remote_query_node", ["query_id"], unique=False)
    op.create_table(
        "remote_answer",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("query_node_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["query_node_id"],
            ["remote_query_node.id"],
            name=op.f("fk_remote_answer_query_node_id_remote_query_node"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remote_answer")),
    )
    op.create_index("ix_remote_answer_key", "remote_answer", ["query_node_id", "key"], unique=False)
    op.create_table(
        "retrieval",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("job_id", sa.String(length=26), nullable=False),
        sa.Column("node_id", sa.String(length=26), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("series_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_instance_uids", sa.JSON(), nullable=False),
        sa.Column("method", sa.String(length=4), nullable=False),
        sa.Column("used", sa.String(length=8), nullable=False),
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("about", sa.JSON(), nullable=False),
        sa.Column("facility_id", sa.String(length=26), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("done_before", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("warned", sa.Integer(), nullable=False),
        sa.Column("remaining", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("hint", sa.String(), nullable=True),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name=op.f("fk_retrieval_node_id_node"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrieval")),
    )
    op.create_index(op.f("ix_retrieval_created_by"), "retrieval", ["created_by"], unique=False)
    op.create_index(op.f("ix_retrieval_finished_at"), "retrieval", ["finished_at"], unique=False)
    op.create_index(op.f("ix_retrieval_job_id"), "retrieval", ["job_id"], unique=False)
    op.create_index(op.f("ix_retrieval_node_id"), "retrieval", ["node_id"], unique=False)
    op.create_index(op.f("ix_retrieval_study_instance_uid"), "retrieval", ["study_instance_uid"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_retrieval_study_instance_uid"), table_name="retrieval")
    op.drop_index(op.f("ix_retrieval_node_id"), table_name="retrieval")
    op.drop_index(op.f("ix_retrieval_job_id"), table_name="retrieval")
    op.drop_index(op.f("ix_retrieval_finished_at"), table_name="retrieval")
    op.drop_index(op.f("ix_retrieval_created_by"), table_name="retrieval")
    op.drop_table("retrieval")
    op.drop_index("ix_remote_answer_key", table_name="remote_answer")
    op.drop_table("remote_answer")
    op.drop_index(op.f("ix_remote_query_node_query_id"), table_name="remote_query_node")
    op.drop_table("remote_query_node")
    op.drop_index(op.f("ix_remote_query_job_id"), table_name="remote_query")
    op.drop_index(op.f("ix_remote_query_created_by"), table_name="remote_query")
    op.drop_index(op.f("ix_remote_query_created_at"), table_name="remote_query")
    op.drop_table("remote_query")

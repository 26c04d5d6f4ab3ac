"""The forward queue: transfers are claimed by destination and object, no longer through jobs; studies that are held."""

import sqlalchemy as sa
from alembic import op

from app.db.base import UtcDateTime

revision, down_revision = "0008", "0007"

_ACTIVE = "state in ('queued', 'running')"


def upgrade() -> None:
    with op.batch_alter_table("transfer") as table:
        table.drop_index(op.f("ix_transfer_job_id"))
        table.drop_column("job_id")
        table.add_column(sa.Column("source", sa.String(length=40), server_default="", nullable=False))
        table.add_column(sa.Column("priority", sa.Integer(), server_default="5", nullable=False))
        table.add_column(sa.Column("run_after", UtcDateTime(), nullable=True))
        table.add_column(sa.Column("faults", sa.Integer(), server_default="0", nullable=False))
        table.add_column(sa.Column("committing", sa.Boolean(), server_default=sa.false(), nullable=False))
        table.add_column(sa.Column("there", sa.Integer(), server_default="0", nullable=False))
        table.add_column(sa.Column("committed", sa.Integer(), server_default="0", nullable=False))
    op.execute("UPDATE transfer SET run_after = created_at")
    op.execute("UPDATE transfer SET state = 'queued' WHERE state = 'running'")
    with op.batch_alter_table("transfer") as table:
        table.alter_column("run_after", existing_type=UtcDateTime(), nullable=False)
    op.create_index(
        "ix_transfer_active",
        "transfer",
        ["node_id", "priority", "id", "run_after"],
        unique=False,
        sqlite_where=sa.text(_ACTIVE),
        postgresql_where=sa.text(_ACTIVE),
    )
    op.create_index("ix_transfer_state", "transfer", ["state", "id"], unique=False)
    op.add_column("transfer_instance", sa.Column("slot", sa.Integer(), nullable=True))
    op.add_column("transfer_instance", sa.Column("tries", sa.Integer(), server_default="0", nullable=False))
    op.add_column("transfer_instance", sa.Column("committed", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        "ix_transfer_instance_object", "transfer_instance", ["transfer_id", "sop_instance_uid"], unique=True
    )
    op.create_table(
        "transfer_slot",
        sa.Column("node_id", sa.String(length=26), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("heartbeat_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["node_id"], ["node.id"], name=op.f("fk_transfer_slot_node_id_node"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("node_id", "number", name=op.f("pk_transfer_slot")),
    )
    op.create_table(
        "study_hold",
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid", "holder", name=op.f("pk_study_hold")),
    )
    op.execute(
        "INSERT INTO study_hold (study_instance_uid, holder) SELECT study_instance_uid, 'transfer:' || id"
        " FROM transfer WHERE state IN ('queued', 'running', 'failed')"
    )
    op.execute("DELETE FROM job WHERE kind = 'transfer.send'")


def downgrade() -> None:
    op.drop_table("study_hold")
    op.drop_table("transfer_slot")
    op.drop_index("ix_transfer_instance_object", table_name="transfer_instance")
    for column in ("committed", "tries", "slot"):
        op.drop_column("transfer_instance", column)
    op.drop_index("ix_transfer_state", table_name="transfer")
    op.drop_index(
        "ix_transfer_active",
        table_name="transfer",
        sqlite_where=sa.text(_ACTIVE),
        postgresql_where=sa.text(_ACTIVE),
    )
    with op.batch_alter_table("transfer") as table:
        for column in ("committed", "there", "committing", "faults", "run_after", "priority", "source"):
            table.drop_column(column)
        table.add_column(sa.Column("job_id", sa.String(length=26), server_default="", nullable=False))
        table.create_index(op.f("ix_transfer_job_id"), ["job_id"], unique=False)

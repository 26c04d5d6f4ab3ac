"""Who brought each object, and routes: rules, what they fired, and how far arrivals were looked at."""

import sqlalchemy as sa
from alembic import op

from app.db.base import UtcDateTime

revision, down_revision = "0007", "0006"


def upgrade() -> None:
    op.create_table(
        "arrival_source",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("calling_ae", sa.String(length=16), nullable=False),
        sa.Column("called_ae", sa.String(length=16), nullable=False),
        sa.Column("node_id", sa.String(length=26), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrival_source")),
        sa.UniqueConstraint(
            "kind",
            "calling_ae",
            "called_ae",
            "node_id",
            name=op.f("uq_arrival_source_kind_calling_ae_called_ae_node_id"),
        ),
    )
    op.add_column("instance", sa.Column("source_pk", sa.Integer(), nullable=True))
    op.create_table(
        "routing_mark",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_routing_mark")),
    )
    op.create_table(
        "route",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("facility_id", sa.String(length=26), nullable=True),
        sa.Column("rule", sa.JSON(), nullable=False),
        sa.Column("tested_at", UtcDateTime(), nullable=True),
        sa.Column("last_fired_at", UtcDateTime(), nullable=True),
        sa.Column("fired", sa.Integer(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.String(length=128), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["facility_id"], ["facility.id"], name=op.f("fk_route_facility_id_facility")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_route")),
        sa.UniqueConstraint("name", name=op.f("uq_route_name")),
    )
    op.create_table(
        "route_run",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("route_id", sa.String(length=26), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("facility_id", sa.String(length=26), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("picked", sa.JSON(), nullable=False),
        sa.Column("objects", sa.Integer(), nullable=False),
        sa.Column("done", sa.JSON(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=26), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["route_id"], ["route.id"], name=op.f("fk_route_run_route_id_route"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_route_run")),
    )
    op.create_index("ix_route_run_route", "route_run", ["route_id", "state", "id"])
    op.create_index("ix_route_run_study", "route_run", ["study_instance_uid", "route_id"])
    waiting, sending = sa.text("state = 'waiting'"), sa.text("state IN ('queued', 'sending')")
    op.create_index("ix_route_run_due", "route_run", ["due_at"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_index("ix_route_run_open", "route_run", ["id"], sqlite_where=sending, postgresql_where=sending)
    op.create_table(
        "route_run_transfer",
        sa.Column("run_id", sa.String(length=26), nullable=False),
        sa.Column("transfer_id", sa.String(length=26), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["route_run.id"], name=op.f("fk_route_run_transfer_run_id_route_run"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "transfer_id", name=op.f("pk_route_run_transfer")),
    )
    op.create_index(op.f("ix_route_run_transfer_transfer_id"), "route_run_transfer", ["transfer_id"])


def downgrade() -> None:
    for table in ("route_run_transfer", "route_run", "route", "routing_mark", "arrival_source"):
        op.drop_table(table)
    op.drop_column("instance", "source_pk")

"""Objects that leave in place of stored ones; what a route's de-identification did, sealed."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0009", "0008"


def upgrade() -> None:
    op.create_table(
        "derived_object",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("holder", sa.String(length=40), nullable=False),
        sa.Column("original_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("series_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("patient_id", sa.String(length=64), nullable=False),
        sa.Column("path", sa.String(length=256), nullable=False),
        sa.Column("described", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_derived_object")),
    )
    op.create_index(op.f("ix_derived_object_holder"), "derived_object", ["holder"])
    op.add_column("transfer_instance", sa.Column("derived_id", sa.BigInteger(), nullable=True))
    op.add_column("route_run", sa.Column("uids", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("route_run", "uids")
    op.drop_column("transfer_instance", "derived_id")
    op.drop_table("derived_object")

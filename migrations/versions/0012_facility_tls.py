"""A facility may have a TLS port of its own."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0012", "0011"


def upgrade() -> None:
    op.add_column("facility", sa.Column("tls_port", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_facility_tls_port"), "facility", ["tls_port"], unique=True)


def downgrade() -> None:
    op.drop_index(op.f("ix_facility_tls_port"), table_name="facility")
    op.drop_column("facility", "tls_port")

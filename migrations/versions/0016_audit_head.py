"""The end of the audit chain; rows that are there were chained without a key."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0016", "0015"
_START = "0" * 64


def upgrade() -> None:
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("keyed_after", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.String(64), nullable=False),
    )
    op.execute(
        "INSERT INTO audit_head (id, rows, digest, keyed_after, mac) SELECT 1, COUNT(*),"
        f" COALESCE((SELECT digest FROM audit_event ORDER BY id DESC LIMIT 1), '{_START}'), COALESCE(MAX(id), 0), ''"
        " FROM audit_event"
    )


def downgrade() -> None:
    op.drop_table("audit_head")

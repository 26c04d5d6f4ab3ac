"""Transfers that wait for a node out of reach go at once when it proves alive."""

import sqlalchemy as sa
from alembic import op

from app.db.base import UtcDateTime

revision, down_revision = "0011", "0010"


def upgrade() -> None:
    op.add_column("transfer", sa.Column("unreached", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("transfer", sa.Column("woken_from", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("transfer", "woken_from")
    op.drop_column("transfer", "unreached")

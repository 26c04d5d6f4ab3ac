"""How fast each lane sends, for the pages."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0013", "0012"


def upgrade() -> None:
    op.add_column("transfer_slot", sa.Column("rate", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("transfer_slot", "rate")

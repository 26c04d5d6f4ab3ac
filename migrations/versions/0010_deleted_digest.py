"""Which content a removed file had, so that what was made from it goes too."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0010", "0009"


def upgrade() -> None:
    op.add_column("deleted_file", sa.Column("sha256", sa.String(length=64), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("deleted_file", "sha256")

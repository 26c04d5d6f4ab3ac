"""Dates that are no day of the calendar are kept as they are written. SQLite does not bind a text to the length of its type."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0014", "0013"

_COLUMNS = (
    ("patient", "birth_date"),
    ("study", "birth_date"),
    ("study", "study_date"),
    ("series", "series_date"),
    ("series", "pps_start_date"),
    ("instance", "content_date"),
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, column in _COLUMNS:
            op.alter_column(table, column, type_=sa.String(32))


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, column in _COLUMNS:
            op.alter_column(table, column, type_=sa.String(8), postgresql_using=f"left({column}, 8)")

"""What people own belongs to their account by its id: a later account of the same name has nothing of it."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0015", "0014"
_OWNED = ("job", "print_request", "anonymization", "remote_query", "retrieval")


def _fill(table: str, column: str, name: str, moment: str) -> None:
    """Only accounts that existed when the row was written: no two accounts have a name at a time."""
    op.execute(
        f"UPDATE {table} SET {column} = (SELECT u.id FROM user_account u"
        f" WHERE u.name = {table}.{name} AND u.created_at <= {table}.{moment}) WHERE {name} IS NOT NULL"
    )


def upgrade() -> None:
    for table in _OWNED:
        op.add_column(table, sa.Column("owner_id", sa.String(26)))
        op.create_index(f"ix_{table}_owner_id", table, ["owner_id"])
        _fill(table, "owner_id", "created_by", "created_at")
    op.add_column("event", sa.Column("user_id", sa.String(26)))
    # An event for an account that no longer exists becomes nobody's, not everybody's.
    _fill("event", "user_id", "user_name", "at")
    op.execute("UPDATE event SET user_id = '-' WHERE user_name IS NOT NULL AND user_id IS NULL")
    op.drop_column("event", "user_name")


def downgrade() -> None:
    op.add_column("event", sa.Column("user_name", sa.String(128)))
    op.execute(
        "UPDATE event SET user_name = COALESCE((SELECT u.name FROM user_account u WHERE u.id = event.user_id), '-')"
        " WHERE user_id IS NOT NULL"
    )
    op.drop_column("event", "user_id")
    for table in _OWNED:
        op.drop_index(f"ix_{table}_owner_id", table_name=table)
        op.drop_column(table, "owner_id")

"""A higher priority is first everywhere. In `job`, 0 was first and 9 last; `transfer` and the options of nodes had 9 first
already and stay as they are.

`job.priority` and the priority of a print order become least(9, 10 - p). 5 stays the default and the order stays: 9, 8, 7, 6
become 1, 2, 3, 4 and 4, 3, 2, 1 become 6, 7, 8, 9. 0 becomes 9 as 1 does: five numbers were before the default, four are now.
Rows of the audit trail keep the number that was given at their time: they are sealed."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0020", "0019"
_INDEX = "ix_job_ready"


def _turn(turned: str) -> None:
    """turned: SQL of the new number, with {} for the old one."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    op.execute("UPDATE job SET priority = " + turned.format("priority"))
    if postgresql:
        # The colons of a cast would be taken for a parameter.
        number = turned.format("CAST(options ->> 'priority' AS INTEGER)")
        value = f"jsonb_set(CAST(options AS jsonb), '{{priority}}', to_jsonb({number}))"
        op.execute(f"UPDATE print_request SET options = {value} WHERE options ->> 'priority' IS NOT NULL")
    else:
        number = turned.format("json_extract(options, '$.priority')")
        value = f"json_set(options, '$.priority', {number})"
        op.execute(f"UPDATE print_request SET options = {value} WHERE json_extract(options, '$.priority') IS NOT NULL")


def _index(*columns: str | sa.TextClause) -> None:
    op.drop_index(_INDEX, "job")
    queued = sa.text("state = 'queued'")
    op.create_index(_INDEX, "job", list(columns), sqlite_where=queued, postgresql_where=queued)


def upgrade() -> None:
    _turn("CASE WHEN {0} < 1 THEN 9 ELSE 10 - {0} END")
    _index(sa.text("priority DESC"), "run_after", "id")


def downgrade() -> None:
    _turn("CASE WHEN {0} < 1 THEN 9 ELSE 10 - {0} END")
    _index("priority", "run_after", "id")

"""Messages are JSON of a template and its values (app/kit/phrases.py). What was kept as English becomes a template without
values, which is shown as it is. SQLite does not bind a text to the length of its type."""

import json

import sqlalchemy as sa
from alembic import op

from app.kit.phrases import from_json

revision, down_revision = "0019", "0018"

_TEXTS = (
    ("job", "error"),
    ("transfer", "error"),
    ("transfer_instance", "message"),
    ("remote_query_node", "error"),
    ("remote_query_node", "hint"),
    ("retrieval", "error"),
    ("retrieval", "hint"),
    ("node", "last_fault"),
    ("caller", "words"),
    ("network_operation", "words"),
    ("commitment", "error"),
    ("route_run", "reason"),
)
_LISTS = (("print_request", "notices"), ("instance", "warnings"))
_LENGTHS = {("transfer_instance", "message"): 256, ("caller", "words"): 256, ("network_operation", "words"): 400}


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def upgrade() -> None:
    if _is_postgresql():
        for table, column in _LENGTHS:
            op.alter_column(table, column, type_=sa.String())
        for table, column in _TEXTS:
            made = f"json_build_object('template', {column})::text"
            op.execute(f"UPDATE {table} SET {column} = {made} WHERE {column} IS NOT NULL")
        for table, column in _LISTS:
            made = f"SELECT json_agg(json_build_object('template', one)) FROM json_array_elements_text({column}) AS one"
            op.execute(f"UPDATE {table} SET {column} = ({made}) WHERE {column}::text <> '[]'")
        return
    for table, column in _TEXTS:
        op.execute(f"UPDATE {table} SET {column} = json_object('template', {column}) WHERE {column} IS NOT NULL")
    for table, column in _LISTS:
        made = f"SELECT json_group_array(json_object('template', value)) FROM json_each({column})"
        op.execute(f"UPDATE {table} SET {column} = ({made}) WHERE {column} <> '[]'")


def downgrade() -> None:
    """Back to the English texts."""
    bind = op.get_bind()
    for table, column in (*_TEXTS, *_LISTS):
        listed = (table, column) in _LISTS
        found = sa.table(table, sa.column("id"), sa.column(column, sa.JSON() if listed else sa.String()))
        most = _LENGTHS.get((table, column), 4000)
        for key, stored in bind.execute(sa.select(found).where(found.c[column].is_not(None))).all():
            if listed:
                value: object = [str(from_json(one)) for one in stored]
            else:
                value = str(from_json(json.loads(stored)))[:most]
            bind.execute(found.update().where(found.c.id == key).values({column: value}))
    if _is_postgresql():
        for (table, column), length in _LENGTHS.items():
            op.alter_column(table, column, type_=sa.String(length))

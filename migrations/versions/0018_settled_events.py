"""Routes follow the archive's events: the mark is the number of an event, numbers of objects are not used twice, and a study
knows up to which object it was announced as settled."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0018", "0017"
_KEY, _NUMBERED = "CONSTRAINT pk_instance PRIMARY KEY (id)", "CONSTRAINT pk_instance PRIMARY KEY (id AUTOINCREMENT)"


def upgrade() -> None:
    op.add_column("study", sa.Column("settled_to", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE study SET settled_to = (SELECT COALESCE(MAX(id), 0) FROM instance) WHERE state = 'settled'")
    op.add_column("routing_mark", sa.Column("event_id", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE routing_mark SET event_id = (SELECT COALESCE(MAX(id), 0) FROM event)")
    if op.get_bind().dialect.name == "sqlite":
        _lower_mark()
        _number_once(_KEY, _NUMBERED)
    _announce()
    op.drop_column("routing_mark", "instance_id")
    with op.batch_alter_table("routing_mark") as table:
        table.alter_column("event_id", server_default=None)


def _lower_mark() -> None:
    """The mark goes back to where numbers may have been given out again (counter `.reissue`, no longer needed)."""
    op.execute(
        "UPDATE routing_mark SET instance_id = MIN(instance_id,"
        " COALESCE((SELECT value FROM counter WHERE name = '.reissue'), instance_id))"
    )
    op.execute("DELETE FROM counter WHERE name = '.reissue'")


def _announce() -> None:
    """Objects that came before the upgrade and were not given to the routes get an event study.arriving."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    build = "json_build_object" if postgresql else "json_object"
    moment = "now()" if postgresql else "strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'"
    op.execute(
        f"INSERT INTO event (at, topic, facility_id, payload) SELECT {moment}, 'study.arriving', s.facility_id,"
        f" {build}('study_instance_uid', s.study_instance_uid, 'instances', COUNT(*),"
        " 'first', MIN(i.id), 'last', MAX(i.id))"
        " FROM instance i JOIN study s ON s.id = i.study_pk, routing_mark m WHERE i.id > m.instance_id"
        " GROUP BY s.study_instance_uid, s.facility_id"
    )
    # Those of them that settled already will not settle again by themselves.
    op.execute(
        "UPDATE study SET state = 'receiving' WHERE id IN"
        " (SELECT i.study_pk FROM instance i, routing_mark m WHERE i.id > m.instance_id)"
    )


def _number_once(before: str, after: str) -> None:
    """AUTOINCREMENT changes nothing in the stored table, only its text: https://www.sqlite.org/lang_altertable.html section 7
    describes this way. Copying the table would take minutes in a large archive."""
    bind = op.get_bind()
    text = bind.scalar(sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'instance'"))
    if before not in text:
        raise RuntimeError("the table instance is not as an earlier version made it")
    bind.execute(sa.text("CREATE TABLE numbered_once (id INTEGER PRIMARY KEY AUTOINCREMENT)"))  # makes sqlite_sequence
    bind.execute(sa.text("DROP TABLE numbered_once"))
    bind.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = 'instance'"))
    if after == _NUMBERED:
        bind.execute(
            sa.text("INSERT INTO sqlite_sequence (name, seq) SELECT 'instance', COALESCE(MAX(id), 0) FROM instance")
        )
    version = bind.scalar(sa.text("PRAGMA schema_version"))
    bind.execute(sa.text("PRAGMA writable_schema = ON"))
    bind.execute(
        sa.text("UPDATE sqlite_master SET sql = :text WHERE type = 'table' AND name = 'instance'"),
        {"text": text.replace(before, after)},
    )
    bind.execute(sa.text(f"PRAGMA schema_version = {version + 1}"))
    bind.execute(sa.text("PRAGMA writable_schema = OFF"))


def downgrade() -> None:
    op.add_column("routing_mark", sa.Column("instance_id", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE routing_mark SET instance_id = (SELECT COALESCE(MAX(id), 0) FROM instance)")
    op.drop_column("routing_mark", "event_id")
    with op.batch_alter_table("routing_mark") as table:
        table.alter_column("instance_id", server_default=None)
    if op.get_bind().dialect.name == "sqlite":
        _number_once(_NUMBERED, _KEY)
    op.drop_column("study", "settled_to")

"""The audit trail cannot be changed without notice."""

from sqlalchemy import delete, update

from app import audit
from app.audit.models import AuditEvent
from app.db import Database


def _write(database: Database, count: int = 5) -> None:
    for number in range(count):
        with database.write() as session:
            audit.by(session, audit.Named("bob"), "study.view", "study", str(number), detail={"n": number})


def test_a_whole_chain_verifies(database: Database) -> None:
    _write(database)
    with database.read() as session:
        assert audit.verify(session).intact
        rows, total = audit.list_events(session, verb="study.view", limit=2)
    assert total == 5 and [r.thing_id for r in rows] == ["4", "3"]


def test_a_changed_row_is_found(database: Database) -> None:
    _write(database)
    with database.write() as session:
        session.execute(update(AuditEvent).where(AuditEvent.id == 3).values(actor_name="nobody"))
    with database.read() as session:
        assert audit.verify(session).first_broken == 3


def test_a_removed_row_is_found(database: Database) -> None:
    _write(database)
    with database.write() as session:
        session.execute(delete(AuditEvent).where(AuditEvent.id == 3))
    with database.read() as session:
        assert audit.verify(session).first_broken == 4

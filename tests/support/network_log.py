"""What the transfer log holds, for tests."""

from sqlalchemy import select

from app.db import Database
from app.nodes import operation_log
from app.nodes.models import NetworkOperation


def logged(database: Database, role: str = "scu") -> list[tuple[str, str, str]]:
    """(kind, peer, result) of each of our operations with others, oldest first; what waits is written first."""
    operation_log.flush(database)
    with database.read() as session:
        rows = session.scalars(
            select(NetworkOperation).where(NetworkOperation.role == role).order_by(NetworkOperation.id)
        )
        return [(one.kind, one.peer, one.result) for one in rows]

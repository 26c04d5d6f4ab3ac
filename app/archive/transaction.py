"""One transaction of the index in plain SQL, the same on both databases.

The ORM stays out: at one object a commit its overhead is larger than SQLite's work (DESIGN 3.4)."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from app.archive.rows import Row
from app.db.locks import Lock, acquire
from app.kit.clock import now


def lock_index(session: Session) -> None:
    """One writer of the index at a time, to the end of the transaction: before the first row (app/db/locks.py)."""
    acquire(session, Lock.INDEX)


class Transaction:
    """One open index transaction. Plain SQL written with `?`; moments and lists are bound as SQLAlchemy stores them.
    It holds `Lock.INDEX`; its events are written at the end (app/db/locks.py)."""

    def __init__(self, connection: Connection) -> None:
        self.postgresql = connection.dialect.name == "postgresql"
        self._cursor = connection.connection.cursor()
        self._events: list[tuple[Any, ...]] = []
        if self.postgresql:
            self.run(Lock.INDEX.sql)

    def run(self, sql: str, values: Sequence[Any] = ()) -> Any:
        self._cursor.execute(sql.replace("?", "%s") if self.postgresql else sql, tuple(values))
        return self._cursor

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return list(self.run(sql, values).fetchall())

    def moment(self, value: datetime) -> Any:
        if self.postgresql:
            return value
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")

    def insert(self, table: str, row: Row) -> int:
        """Adds a row to a table with a numbered key; its number."""
        cursor = self.add(table, row, " RETURNING id" if self.postgresql else "")
        return int(cursor.fetchone()[0] if self.postgresql else cursor.lastrowid)

    def add(self, table: str, row: Row, returning: str = "") -> Any:
        marks = ", ".join("?" * len(row))
        return self.run(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks}){returning}", list(row.values()))

    def add_event(self, topic: str, facility_id: str | None, payload: dict[str, Any]) -> None:
        self._events.append((self.moment(now()), topic, facility_id, json.dumps(payload)))

    def write_events(self) -> None:
        """As events.append: a lower number that commits later would be passed over by followers. Nothing is written after it."""
        if self._events and self.postgresql:
            self.run(Lock.EVENTS.sql)
            self.run("NOTIFY filmroom_events")
        for values in self._events:
            self.run("INSERT INTO event (at, topic, facility_id, payload) VALUES (?, ?, ?, ?)", values)

    def count(self, name: str, by: int) -> None:
        self.run(
            "INSERT INTO counter (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value",
            (name, by),
        )

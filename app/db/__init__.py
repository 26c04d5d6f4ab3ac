"""The database: SQLCipher by default, PostgreSQL by URL. Engine, Base, transactions, keys, migrations.

`Database.read()` and `Database.write()` are the only ways to a session; verbs get the session handed in and never
commit (DESIGN 1.4). `Session` is exported for the interfaces, which do not write SQL."""

from sqlalchemy.orm import Session

from app.db.base import Base, UtcDateTime
from app.db.engine import Collided, Database, open_database

__all__ = ["Base", "Collided", "Database", "Session", "UtcDateTime", "open_database"]

"""The database: SQLCipher by default, PostgreSQL by URL. Engine, Base, transactions, keys, migrations.

`Database.read()` and `Database.write()` are the only ways to a session; verbs get the session handed in and never
commit (STYLE 3.4)."""

from app.db.base import Base, UtcDateTime
from app.db.engine import Database, open_database

__all__ = ["Base", "Database", "UtcDateTime", "open_database"]

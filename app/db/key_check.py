"""Whether a data folder's keys are those the database was made with.

SQLCipher raises by itself. PostgreSQL opens for any process with its password: with other keys half of what is there
(passwords of nodes, second factors, the audit's digests) could not be read, and new rows would be encrypted with keys
that no other process has."""

import hmac

from sqlalchemy import String, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from app.config import Config, ConfigError
from app.db.base import Base
from app.db.engine import Database
from app.db.keys import derive

_NAME = "key_check"


class Installation(Base):
    """Properties of the whole database."""

    __tablename__ = "installation"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[str] = mapped_column(String(64))


def check(config: Config, database: Database) -> None:
    """The first process stores a value that does not reveal the key. Raises ConfigError for another key."""
    expected = hmac.new(derive(config, "key check"), b"filmroom", "sha256").hexdigest()
    stored = _stored(database)
    if stored is None:
        try:
            with database.write() as session:
                session.add(Installation(name=_NAME, value=expected))
            return
        except IntegrityError:  # another machine was faster
            stored = _stored(database)
    if not hmac.compare_digest(stored or "", expected):
        raise ConfigError(
            f"the database belongs to an installation with another key than {config.keys}; copy the folder keys of that "
            "installation here, or give this one a database of its own"
        )


def require_same(config: Config, database: Database) -> None:
    """The same for processes that only read: leaves nothing. Raises ConfigError."""
    if _stored(database) is not None:
        check(config, database)


def _stored(database: Database) -> str | None:
    with database.read() as session:
        found = session.execute(text("SELECT value FROM installation WHERE name = :name"), {"name": _NAME}).first()
    return None if found is None else str(found[0])

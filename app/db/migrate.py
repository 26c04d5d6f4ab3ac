"""Schema upgrades at the start: the version is compared by plain SQL first, so that alembic (slow to import) is
loaded only when there is something to do. A copy of the SQLite file is kept before every upgrade."""

import contextlib
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: there one supervisor starts alone
    fcntl = None  # type: ignore[assignment]

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.config import Config, ConfigError
from app.db import key_check
from app.db.engine import Database
from app.kit import paths
from app.kit.clock import now
from app.kit.errors import Unavailable

HEAD = "0020"  # the newest revision; tests/db/test_migrate.py keeps it true
_LOCK = 0x46494C4D  # PostgreSQL advisory lock: one process migrates
log = logging.getLogger(__name__)


def current(database: Database) -> str | None:
    """The revision the database is at; None for a new one."""
    try:
        with database.engine.connect() as connection:
            row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
            return str(row[0]) if row else None
    except DBAPIError as fault:
        if "alembic_version" in str(fault):
            return None
        raise


def _copy_before(config: Config, revision: str) -> Path:
    copy = config.data / "backup" / f"before-upgrade-from-{revision}-{now():%Y%m%dT%H%M%SZ}.db"
    copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copy2(config.sqlite_path, copy)
    copy.chmod(0o600)
    return copy


def upgrade(config: Config, database: Database) -> str:
    """Brings the schema to HEAD; for the console what was done to data that were there, else nothing. Safe to call from
    several processes at once: one works, the others wait. Raises ConfigError for data of a newer version,
    or of another key."""
    with _migration_lock(config):  # before the first look too: a file that another process just makes cannot be read
        _require_answer(database)
        done = _upgrade(config, database)
        key_check.check(config, database)
    return done


def _require_answer(database: Database) -> None:
    """One line instead of a trace when the database is away at the start."""
    try:
        with database.read() as session:
            session.execute(text("SELECT 1"))
    except Unavailable as away:
        cause = getattr(away.__cause__, "orig", None) or away.__cause__
        words = (str(cause).strip().splitlines() or [""])[0]
        raise ConfigError(f"the database does not answer: {words}") from None


@contextlib.contextmanager
def _migration_lock(config: Config) -> Iterator[None]:
    """A lock that goes with its process. PostgreSQL has its own besides, for other machines."""
    config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (config.data / ".upgrade").open("w") as handle:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _upgrade(config: Config, database: Database) -> str:
    before, copy = current(database), None
    if before == HEAD:
        return ""
    if before and before > HEAD:
        raise ConfigError(
            f"the data in {config.data} were upgraded by a newer Filmroom (schema {before}; this one knows {HEAD}): "
            "install that one again, or go back to the copy it made in the folder backup"
        )
    if database.dialect == "sqlite":
        with database.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA journal_mode = WAL")  # kept in the file; set once, by the one who migrates
            if before:
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if before:
            copy = _copy_before(config, before)
    from alembic import command
    from alembic.config import Config as AlembicConfig

    settings = AlembicConfig()
    settings.set_main_option("script_location", str(paths.migrations()))
    with database.engine.connect() as connection:
        if database.dialect == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_lock({_LOCK})"))
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")
        connection.commit()
        if database.dialect == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_unlock({_LOCK})"))
            connection.commit()
    log.info("database schema upgraded from %s to %s", before or "nothing", HEAD)
    if not before:
        return ""
    kept = f"; what was before is kept as {copy}" if copy else ""
    return f"database schema upgraded from {before} to {HEAD}{kept}"

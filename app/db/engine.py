"""Engine and transactions for both databases.

On SQLite every writer takes the lock at once (BEGIN IMMEDIATE) and waits with an own jittered retry: SQLite's
busy_timeout starves processes (DESIGN 3.5)."""

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.pool import QueuePool

from app.config import Config, ConfigError
from app.db.locks import Lock, acquire, run_pending
from app.kit.errors import StorageFull, Unavailable

log = logging.getLogger(__name__)
_LOCK_DEADLINE = 30.0  # seconds a writer waits before it raises that the database is busy


class Collided(Unavailable):
    """The transaction ended for the sake of another one (deadlock, serialization failure, a row of the same name or without
    the row it belongs to): nothing of it stays, and it can be repeated as it was."""


class Database:
    """One database and its pool. Made once a process, after the fork."""

    def __init__(
        self,
        engine: Engine,
        dispose_hook: Callable[[], None] | None = None,
        write_ahead_log: Path | None = None,
        audit_key: bytes = b"",
    ) -> None:
        self.engine = engine
        self._wal = write_ahead_log if hasattr(os, "fdatasync") else None
        self._writer = engine.execution_options(filmroom_write=True)
        self._hook = dispose_hook
        # `Session.info` of every session, for what belongs to this installation. audit_key: chains the audit trail.
        self.session_info: dict[str, Any] = {"audit_key": audit_key}
        driver = engine.dialect.loaded_dbapi
        self._faults: tuple[type[Exception], ...] = (DBAPIError, PoolTimeout, driver.Error)
        self._answering_since = float("-inf")

    @property
    def dialect(self) -> str:
        return self.engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for looking only; whatever it changed is rolled back."""
        with (
            self._translate_faults(),
            Session(self.engine, expire_on_commit=False, autoflush=False, info=self.session_info) as session,
        ):
            try:
                yield session
            finally:
                session.expunge_all()  # what was read stays readable afterwards
                session.rollback()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back when anything is raised."""
        with (
            self._translate_faults(),
            Session(self._writer, expire_on_commit=False, info=self.session_info) as session,
            session.begin(),
        ):
            session.connection()  # take the write lock now, not at the first change
            yield session
            run_pending(session)

    @contextmanager
    def change(self) -> Iterator[Session]:
        """`write` for what a person or a program changes over HTTP: one such transaction at a time on PostgreSQL too.
        What a background role changed or deleted at the same moment is reported as Collided."""
        try:
            with self.write() as session:
                if self.dialect == "postgresql":
                    session.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_DEADLINE:.0f}s'"))
                acquire(session, Lock.CHANGES)
                yield session
        except (IntegrityError, StaleDataError) as raised:
            log.warning("a change met another one", exc_info=True)
            raise Collided("Somebody else changed the same thing at this moment.", hint="Try again.") from raised

    @contextmanager
    def write_plain(self) -> Iterator[Connection]:
        """The same without a Session: for the one place where its cost shows, the index of what comes in. On return the
        commit is on the disk, as with every other; an OSError means that this is not known."""
        with self._translate_faults(), self._writer.connect() as connection:
            if self._wal is None:
                with connection.begin():
                    yield connection
                return
            driver: Any = connection.connection.driver_connection
            driver.execute(
                "PRAGMA synchronous = NORMAL"
            )  # SQLite syncs the log before a checkpoint; this code does after the commit
            try:
                with connection.begin():
                    yield connection
                _sync_data(self._wal)  # while this connection is open the log is not removed
            finally:
                driver.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def _translate_faults(self) -> Iterator[None]:
        """A database that cannot be reached becomes the one fault every interface knows."""
        try:
            yield
        except self._faults as raised:
            fault = raised.orig if isinstance(raised, DBAPIError) and isinstance(raised.orig, Exception) else raised
            if getattr(fault, "sqlstate", None) in _COLLISIONS:
                raise Collided("The database was busy with another change.", hint="Try again.") from raised
            if self._is_full(fault):
                self._answering_since = float("inf")
                raise StorageFull(
                    "The disk of the database is full: nothing can be saved until space is freed.",
                    hint="Free disk space or enlarge the disk; work resumes automatically.",
                ) from raised
            if getattr(raised, "connection_invalidated", False) or _is_outage(fault):
                self._answering_since = float("inf")
                raise Unavailable(
                    "The database cannot be reached just now.", hint="Storing resumes automatically."
                ) from raised
            raise
        else:
            if self._answering_since == float("inf"):
                self._answering_since = float("-inf")

    def _is_full(self, fault: Exception) -> bool:
        """Whether the disk of the database has no space left. Where SQLite cannot extend the shared memory of its log it
        tells of an I/O error or of a file that does not open: then the disk is looked at."""
        if getattr(fault, "sqlstate", None) == _PG_DISK_FULL:
            return True
        words = str(fault).lower()
        if self._wal is None or not any(sign in words for sign in _SQLITE_NO_SPACE):
            return False
        try:
            disk = os.statvfs(self._wal.parent)
        except OSError:
            return False
        return "disk is full" in words or disk.f_bavail * disk.f_frsize < _SHM_STEP

    @property
    def answering_for(self) -> float:
        """Seconds since the last outage that this process met, infinite where it met none, 0 during one. Right after an
        outage the heartbeats of the living are old, too: who judges by silence waits until they could write again."""
        return max(0.0, time.monotonic() - self._answering_since)

    def dispose(self) -> None:
        self.engine.dispose()
        if self._hook:
            self._hook()


def _sync_data(path: Path) -> None:
    """SQLite's fsync also writes the file's times, which on a journaled file system is a second trip to the disk."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fdatasync(handle)
    finally:
        os.close(handle)


# SQLSTATE classes and codes (PostgreSQL, appendix A) after which work resumes by itself: connection, resources, shutdown, a
# server that only reads (a standby that is not promoted yet), trouble outside PostgreSQL.
_OUTAGE_CLASSES = ("08", "53", "58")
_OUTAGE_CODES = ("57P01", "57P02", "57P03", "57P05", "25006")
_COLLISIONS = ("40P01", "40001", "55P03")  # deadlock_detected, serialization_failure, lock_not_available
_PG_DISK_FULL = "53100"
_SQLITE_NO_SPACE = ("disk is full", "disk i/o", "unable to open")
_SHM_STEP = 64 << 10  # bytes; the index of the log grows by 32 KiB
_SQLITE_OUTAGES = ("database is locked", "disk is full", "disk i/o", "unable to open", "readonly database")


def _is_outage(fault: Exception) -> bool:
    """Whether the database is away, full or busy, rather than asked for something wrong. fault: of the driver."""
    if isinstance(fault, PoolTimeout):
        return True
    state = getattr(fault, "sqlstate", None)
    if state:
        return state in _OUTAGE_CODES or state[:2] in _OUTAGE_CLASSES
    if type(fault).__module__.startswith("psycopg"):  # a connection that broke, or was never made, has no SQLSTATE
        return type(fault).__name__ in ("OperationalError", "ConnectionTimeout")
    words = str(fault).lower()
    return any(sign in words for sign in _SQLITE_OUTAGES)


def _begin_immediate(connection: Any) -> None:
    """BEGIN IMMEDIATE with a fair wait: 0.2 to 2 ms between tries."""
    deadline = time.monotonic() + _LOCK_DEADLINE
    connection.execute("PRAGMA busy_timeout = 0")
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except Exception as fault:
            if "locked" not in str(fault) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.0002, 0.002))  # noqa: S311 jitter, not a secret


def _sqlite_engine(path: Path, key: bytes) -> Engine:
    from sqlcipher3 import dbapi2  # here: PostgreSQL installations never load it

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)

    def connect() -> Any:
        connection = dbapi2.connect(str(path), isolation_level=None, check_same_thread=False, timeout=10)
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        for pragma in (
            "synchronous = FULL",
            "foreign_keys = ON",
            "temp_store = MEMORY",
            "cache_size = -65536",
            "wal_autocheckpoint = 8000",  # 32 MB: what every commit changes is copied into the database seldom
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    engine = create_engine(
        "sqlite://",
        hide_parameters=True,
        module=dbapi2,
        creator=connect,
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=56,
        pool_timeout=30,
        pool_use_lifo=True,  # the connection used last: its pages and statements are still there
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert driver is not None
        if connection.get_execution_options().get("filmroom_write"):
            _begin_immediate(driver)
        else:
            driver.execute("PRAGMA busy_timeout = 5000")  # a reader meets a lock only while a WAL is recovered
            driver.execute("BEGIN")

    return engine


def _postgresql_engine(url: str) -> Engine:
    if url.startswith("postgresql://"):
        url = "postgresql+psycopg://" + url.removeprefix("postgresql://")
    try:
        make_url(url)
    except (ArgumentError, ValueError):  # its words would quote the password
        raise ConfigError("database_url cannot be read; write postgresql://USER:PASSWORD@HOST:PORT/DATABASE") from None
    return create_engine(url, hide_parameters=True, pool_size=8, max_overflow=24, pool_timeout=30, pool_pre_ping=True)


def _refuse_lost_key(config: Config, engine: Engine) -> None:
    """Where there is no key yet, the database must be new: another key would leave its secrets unreadable."""
    if (config.keys / "data.key").exists():
        return
    with Database(engine).read() as session:
        used = inspect(session.connection()).has_table("alembic_version")
    if used:
        raise ConfigError(
            f"{config.keys / 'data.key'} is missing, but the database was set up with one; "
            "restore the folder keys from the backup, or copy it from the other machine"
        )


def open_database(config: Config) -> Database:
    """The installation's database, opened but not migrated (`app.db.migrate.upgrade` does that at the start)."""
    from app.db.keys import derive

    if config.database_url:
        engine = _postgresql_engine(config.database_url)
        _refuse_lost_key(config, engine)
        return Database(engine, audit_key=derive(config, "audit trail"))
    audit_key = derive(config, "audit trail")
    path = config.sqlite_path
    engine = _sqlite_engine(path, derive(config, "database"))
    return Database(engine, write_ahead_log=path.with_name(f"{path.name}-wal"), audit_key=audit_key)

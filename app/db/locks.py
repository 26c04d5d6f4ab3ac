"""The one order of locks. SQLite has a single writer; on PostgreSQL every transaction takes its locks in this order, or two of
them can wait for each other (SQLSTATE 40P01):

0. `Lock.CHANGES`, before anything else: by what people and programs change over HTTP (`Database.change`). One at a time, as on
   SQLite, so that what a verb looked at (a free name, a row that is there) still holds when it writes.
1. `Lock.INDEX`, before the first row: by everything that writes study, series or instance rows. One such transaction at a time.
2. Rows, in any package; several of one table in the order of their keys.
3. What is written at the end of the transaction by `at_commit`: `Lock.AUDIT`, then `Lock.EVENTS`. Nothing is locked after it.

The advisory locks are held to the end of the transaction."""

from collections.abc import Callable
from enum import Enum

from sqlalchemy import event, text
from sqlalchemy.orm import Session, SessionTransaction


class Lock(Enum):
    """PostgreSQL advisory locks of a transaction, in the order in which they are taken."""

    CHANGES = 0x4348414E
    INDEX = 0x494E4458
    AUDIT = 0x41554449
    EVENTS = 0x4556454E

    @property
    def sql(self) -> str:
        return f"SELECT pg_advisory_xact_lock({self.value})"


_RANK = {lock: rank for rank, lock in enumerate(Lock)}
_HELD, _PENDING = "filmroom_locks", "filmroom_at_commit"


def acquire(session: Session, lock: Lock) -> None:
    """Waits for the lock and holds it to the end of the transaction; nothing on SQLite. Raises RuntimeError when the
    transaction already holds one that comes later in the order."""
    if session.get_bind().dialect.name != "postgresql":
        return
    held: Lock | None = session.info.get(_HELD)
    if held is not None and _RANK[held] > _RANK[lock]:
        raise RuntimeError(f"lock {lock.name} is taken after {held.name}; see app/db/locks.py")
    session.execute(text(lock.sql))
    session.info[_HELD] = lock


def at_commit(session: Session, lock: Lock, work: Callable[[Session], None]) -> None:
    """Runs `work` at the end of the transaction, with the lock held. What a savepoint takes back is not run."""
    session.info.setdefault(_PENDING, []).append((lock, session.get_nested_transaction(), work))


def run_pending(session: Session) -> None:
    """Functions passed to `at_commit`, in the order of the locks; called once, right before the commit."""
    pending = session.info.pop(_PENDING, None)
    if not pending:
        return
    session.flush()  # the rows first
    for lock, _, work in sorted(pending, key=lambda one: _RANK[one[0]]):
        acquire(session, lock)
        work(session)
    session.flush()


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, previous: SessionTransaction) -> None:
    if not previous.nested:
        session.info.pop(_PENDING, None)
    elif pending := session.info.get(_PENDING):
        session.info[_PENDING] = [one for one in pending if one[1] is not previous]

"""Append, wake, follow. On SQLite a loopback datagram wakes the followers, on PostgreSQL LISTEN/NOTIFY. Each
follower also polls (`wait(seconds)`), so a lost wake-up costs that long and never an event.

On PostgreSQL numbers can commit out of order, so writers take turns with an advisory lock held from the number to the
commit (`Lock.EVENTS`)."""

import atexit
import contextlib
import functools
import os
import select as os_select
import socket
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, event, func, select, text
from sqlalchemy.orm import Session

from app.db import Database
from app.db.locks import Lock, at_commit
from app.events.models import Event
from app.kit.clock import now
from app.kit.errors import Unavailable

_folder: Path | None = None  # where followers of this installation leave their ports; set once by `use_folder`


def use_folder(folder: Path) -> None:
    """Sets the folder with the followers' ports for this process (Config.run / 'events')."""
    global _folder
    folder.mkdir(parents=True, exist_ok=True)
    _folder = folder


def remove_marks(folder: Path, pid: int) -> None:
    """Removes the ports of the followers of a process that has ended: one that was killed leaves them. folder: as of
    `use_folder`."""
    with contextlib.suppress(OSError):
        for mark in folder.iterdir():
            if mark.read_text("ascii", "replace") == str(pid):
                mark.unlink(missing_ok=True)


def append(
    session: Session,
    topic: str,
    payload: dict[str, Any],
    *,
    facility_id: str | None = None,
    user_id: str | None = None,
) -> None:
    """Adds an event in the caller's transaction, at its end (app/db/locks.py), and wakes the followers once it is committed."""
    new = Event(at=now(), topic=topic, facility_id=facility_id, user_id=user_id, payload=payload)
    at_commit(session, Lock.EVENTS, lambda session: _add(session, new))


def _add(session: Session, new: Event) -> None:
    session.add(new)
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("NOTIFY filmroom_events"))
    elif not session.info.get("filmroom_wake"):
        session.info["filmroom_wake"] = True
        event.listen(session, "after_commit", _wake_once, once=True)


def _wake_once(session: Session) -> None:
    session.info.pop("filmroom_wake", None)
    wake()


def wake() -> None:
    """One empty datagram to each follower on this machine. The folder is listed each time (microseconds): a follower that
    has just started is woken by the next event."""
    if _folder is None:
        return
    with contextlib.suppress(OSError):
        for port in [int(mark.name) for mark in _folder.iterdir() if mark.name.isdigit()]:
            with contextlib.suppress(OSError):
                _sender().sendto(b"", ("127.0.0.1", port))


@functools.cache
def _sender() -> socket.socket:
    """One for the process: several threads may send through it, and a fork may share it."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind(
        ("127.0.0.1", 0)
    )  # unbound, the kernel would choose all addresses of the machine with the first datagram
    sender.setblocking(False)
    atexit.register(sender.close)
    return sender


def after(session: Session, last_id: int, limit: int = 500) -> list[Event]:
    return list(session.scalars(select(Event).where(Event.id > last_id).order_by(Event.id).limit(limit)))


def following(session: Session, topics: Sequence[str], after_id: int, up_to: int, limit: int) -> list[Event]:
    """The events of these topics with after_id < id <= up_to, oldest first, at most `limit`."""
    query = select(Event).where(Event.id > after_id, Event.id <= up_to, Event.topic.in_(topics))
    return list(session.scalars(query.order_by(Event.id).limit(limit)))


def of_topic(session: Session, topic: str, after_id: int, up_to: int, since: datetime | None = None) -> list[Event]:
    """The events of one topic with after_id < id <= up_to, oldest first. since: none that is older."""
    query = select(Event).where(Event.id > after_id, Event.id <= up_to, Event.topic == topic)
    if since is not None:
        query = query.where(Event.at >= since)
    return list(session.scalars(query.order_by(Event.id)))


def newest(session: Session) -> int:
    return session.scalar(select(func.max(Event.id))) or 0


def prune(session: Session, older_than: datetime, handled: int | None = None) -> None:
    """Removes what is older, from the oldest on; the newest event always stays, so that its number is not used again.
    handled: events behind this number stay too, since a consumer has not handled them."""
    first_kept = select(Event.id).where(Event.at >= older_than).order_by(Event.id).limit(1).scalar_subquery()
    last = select(func.max(Event.id)).scalar_subquery()
    expired = Event.id < func.coalesce(first_kept, last)
    session.execute(
        delete(Event).where(expired) if handled is None else delete(Event).where(expired, Event.id <= handled)
    )


@contextlib.contextmanager
def _away() -> Iterator[None]:
    """A broken or refused connection of the driver as the outage it is; the log counts those by cause."""
    import psycopg

    try:
        yield
    except psycopg.OperationalError as fault:
        raise Unavailable("The database cannot be reached just now.", hint="Work resumes by itself.") from fault


class Follower:
    """Waits for new events in a thread of its own: `wait(seconds)` returns when something may have been appended. Raises
    Unavailable when the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._socket: socket.socket | None = None
        self._listen: Any = None
        if database.dialect == "postgresql":
            import psycopg

            url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
            with _away():
                self._listen = psycopg.connect(url, autocommit=True)
                self._listen.execute("LISTEN filmroom_events")
        elif _folder is not None:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind(("127.0.0.1", 0))
            self._socket.setblocking(False)
            self._mark = _folder / str(self._socket.getsockname()[1])
            self._mark.touch()
            with contextlib.suppress(OSError):  # a full disk: the name alone wakes it
                self._mark.write_text(str(os.getpid()), "ascii")

    def wait(self, seconds: float = 1.0) -> None:
        if self._listen is not None:
            with _away():
                for _ in self._listen.notifies(timeout=seconds, stop_after=1):
                    pass
        elif self._socket is not None:
            if os_select.select([self._socket], [], [], seconds)[0]:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        self._socket.recv(64)
        else:
            time.sleep(seconds)

    def close(self) -> None:
        if self._listen is not None:
            self._listen.close()
        if self._socket is not None:
            self._mark.unlink(missing_ok=True)
            self._socket.close()

"""Invalidates this process's caches of accounts, roles and sessions, after commit."""

from sqlalchemy import event
from sqlalchemy.orm import Session

_generation = 0


def generation() -> int:
    return _generation


def announce(session: Session) -> None:
    """Called by every verb that changes who may do what. Other processes notice within a second."""
    if not session.info.get("filmroom_security"):
        session.info["filmroom_security"] = True
        event.listen(session, "after_commit", _bump, once=True)


def _bump(session: Session) -> None:
    global _generation
    session.info.pop("filmroom_security", None)
    _generation += 1

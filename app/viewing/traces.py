"""One audit row when a user opens or fetches a study, for any number of requests."""

import threading
from datetime import timedelta

from sqlalchemy.orm import Session

from app import audit
from app.db import Database
from app.kit.clock import monotonic, now
from app.kit.errors import AppError
from app.security import Actor, Verb

_AGAIN = 300.0  # seconds after which the same look counts as a new one
_MOST = 10_000


class Traces:
    """Rows that this process has written already. Thread-safe."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, str], float] = {}
        self._lock = threading.Lock()

    def _is_new(self, key: tuple[str, str, str]) -> bool:
        moment = monotonic()
        with self._lock:
            before = self._seen.get(key)
            if before is not None and moment - before < _AGAIN:
                return False
            if len(self._seen) >= _MOST:
                self._seen = {k: at for k, at in self._seen.items() if moment - at < _AGAIN}
            self._seen[key] = moment
            return True

    @staticmethod
    def _recently_written(database: Database, actor: Actor, verb: Verb, study_uid: str) -> bool:
        """Whether another process, or the viewer's page, has just written it."""
        since = now() - timedelta(seconds=_AGAIN)
        with database.read() as session:
            return bool(
                audit.list_events(
                    session, verb=str(verb), actor_name=actor.name, thing_id=study_uid, since=since, limit=1
                )[0]
            )

    def record_view(
        self, database: Database, actor: Actor, verb: Verb, study_uid: str, facility_id: str | None, how: str = ""
    ) -> None:
        """Opens a transaction of its own only when there is something to write."""
        audit.mark_recorded(study_uid)
        key = (actor.user_id or actor.name, str(verb), study_uid)
        if self._is_new(key):
            try:
                if self._recently_written(database, actor, verb, study_uid):
                    return
                with database.write() as session:
                    record(session, actor, verb, "study", study_uid, facility_id, {"how": how} if how else {})
            except AppError:
                self._seen.pop(key, None)  # not written: the next look tries again
                raise


def record(
    session: Session,
    actor: Actor,
    verb: Verb,
    thing: str,
    thing_id: str,
    facility_id: str | None,
    detail: dict[str, object],
) -> None:
    audit.by(session, actor, str(verb), thing, thing_id, facility_id=facility_id, detail=detail)

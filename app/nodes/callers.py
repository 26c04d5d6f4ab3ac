"""Callers to review (NET-3, NET-8): callers that are not nodes, and nodes that call between two facilities.

Receivers put calls into a `Book`, whose own thread writes them down about once a second: an association never waits for
it. The table is bounded; the oldest go first."""

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import audit, events
from app.db import Database
from app.dicom.registry import registry
from app.kit.clock import now
from app.kit.errors import AppError, NotFound
from app.kit.ids import new_id
from app.kit.phrases import NOTHING, Phrase
from app.network.information_models import MODELS, STORAGE_COMMITMENT, VERIFICATION
from app.network.storage_classes import storage_classes
from app.nodes import activity_queries
from app.nodes.models import Caller, Node
from app.security.actor import Actor, may_see, require
from app.security.verbs import Verb

log = logging.getLogger(__name__)
UNKNOWN, CLASH = "unknown", "clash"
MOST = 200  # rows
_WAITING = 100  # different callers that wait to be written; a scan of random titles fills no memory
_PAUSE = 1.0  # seconds
_SAME = timedelta(hours=1)  # a known delay is noted again after it

_OTHERS = {
    VERIFICATION: "echo",
    STORAGE_COMMITMENT: "commitment",
    "1.2.840.10008.5.1.4.31": "worklist",
    "1.2.840.10008.3.1.2.3.3": "mpps",
    "1.2.840.10008.5.1.1.9": "print",
    "1.2.840.10008.5.1.1.18": "print",
}
SERVICES = ("echo", "store", "find", "move", "get", "worklist", "mpps", "commitment", "print", "other")


def services_of(abstracts: Iterable[str]) -> frozenset[str]:
    """Services of a caller by its proposed SOP classes, as words of SERVICES."""
    found = set()
    for uid in abstracts:
        if uid in MODELS:
            found.add(str(MODELS[uid].service))
        elif uid in _OTHERS:
            found.add(_OTHERS[uid])
        elif uid in storage_classes():
            found.add("store")
        else:  # private storage classes are stored too; what the standard knows otherwise is another service
            found.add("other" if uid in registry() else "store")
    return frozenset(found)


def _plain(title: str) -> str:
    """A title cleaned for a row and a page."""
    return "".join(c if " " <= c <= "~" else "?" for c in title[:16])


@dataclass(slots=True)
class _Call:
    """Pending row of one caller."""

    facility_id: str | None
    at: datetime
    asked: frozenset[str]
    refused: bool
    words: Phrase
    first: datetime
    count: int = 1


@dataclass(slots=True)
class _Gap:
    """The delay of a sender; None: it has none any more."""

    node_id: str | None
    title: str
    address: str
    median_ms: int | None


@dataclass(slots=True)
class Book:
    """Calls of one process on their way into the table. Thread-safe."""

    database: Database
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _calls: dict[tuple[str, str, str, str], _Call] = field(default_factory=dict)
    _gaps: dict[tuple[str | None, str, str], _Gap] = field(default_factory=dict)
    _known: dict[tuple[str | None, str, str], int | None] = field(default_factory=dict)
    _due: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)

    def record_call(
        self,
        kind: str,
        title: str,
        called: str,
        address: str,
        facility_id: str | None,
        abstracts: Iterable[str],
        refusal: Phrase,
        words: Phrase = NOTHING,
    ) -> None:
        """Records a call. refusal: reason of the rejection; words: another remark."""
        key = (kind, _plain(title), _plain(called), address[:64])
        moment = now()
        one = _Call(facility_id, moment, services_of(abstracts), bool(refusal), refusal or words, moment)
        with self._lock:
            before = self._calls.get(key)
            if before is not None:
                one.count, one.asked, one.first = before.count + 1, before.asked | one.asked, before.first
            elif len(self._calls) >= _WAITING:
                return
            self._calls[key] = one
        self._due.set()

    def record_gap(self, node_id: str | None, title: str, address: str, median_ms: int | None) -> None:
        """Acknowledgement delay of a sender: the median of its delays, or None when it has none. Only news is
        written."""
        key = (node_id, title, address)
        with self._lock:
            if key in self._known and (self._known[key] is None) == (median_ms is None):
                return
            if len(self._known) > 1000:
                self._known.clear()
            self._known[key] = median_ms
            if median_ms is None and key not in self._gaps and node_id is None:
                return
            self._gaps[key] = _Gap(node_id, title, address, median_ms)
        self._due.set()

    def run(self) -> None:
        """Writes until `close`."""
        while not self._ended.is_set():
            if self._due.wait(0.5):
                self._ended.wait(_PAUSE)
                self.write()
        self.write()

    def write(self) -> None:
        """Writes what waits; what cannot be written (the database is away) waits for the next time."""
        self._due.clear()
        with self._lock:
            calls, self._calls = self._calls, {}
            gaps, self._gaps = self._gaps, {}
        if not calls and not gaps:
            return
        try:
            with self.database.write() as session:
                _write(session, calls, list(gaps.values()))
        except (
            AppError,
            IntegrityError,
        ):  # another receiver may have added the same caller: the next try finds its row
            with self._lock:
                self._calls, self._gaps = calls | self._calls, gaps | self._gaps
            self._due.set()

    def close(self) -> None:
        self._ended.set()
        self._due.set()


def _write(session: Session, calls: dict[tuple[str, str, str, str], _Call], gaps: list[_Gap]) -> None:
    for (kind, title, called, address), one in calls.items():
        row = activity_queries.caller_like(session, kind, title, called, address)
        if row is None:
            row = Caller(
                id=new_id(), kind=kind, title=title, called=called, address=address, count=0, first_at=one.first
            )
            session.add(row)
        row.count += one.count
        row.last_at, row.refused, row.words, row.facility_id = one.at, one.refused, one.words, one.facility_id
        known = set(row.asked.split(",")) if row.asked else set()
        row.asked = ",".join(word for word in SERVICES if word in known | one.asked)
    session.flush()
    activity_queries.drop_callers(session, MOST)
    for gap in gaps:
        _update_gap(session, gap)
    events.append(session, "node.called", {"callers": len(calls)})


def _update_gap(session: Session, gap: _Gap) -> None:
    if gap.node_id is None:
        for row in activity_queries.callers_at(session, gap.title, gap.address):
            row.ack_gap_ms = gap.median_ms
        return
    node = session.get(Node, gap.node_id)
    if node is None:
        return
    fresh = node.ack_gap_at is not None and now() - node.ack_gap_at < _SAME
    if gap.median_ms is not None and node.ack_gap_ms is not None and fresh:
        return
    if gap.median_ms is not None and node.ack_gap_ms is None:
        log.warning("node %s waits for delayed acknowledgements: %d ms before each object", node.name, gap.median_ms)
    node.ack_gap_ms, node.ack_gap_at = gap.median_ms, now() if gap.median_ms is not None else None


def list_callers(session: Session, actor: Actor, ignored: bool = False, kind: str = "") -> list[Caller]:
    """Those the actor may know of, newest first; without those that are ignored unless asked for."""
    require(actor, Verb.NODE_READ)
    found = activity_queries.callers(session, ignored, kind)
    return [one for one in found if may_see(actor, one.facility_id)]


def get_caller(session: Session, actor: Actor, caller_id: str) -> Caller:
    require(actor, Verb.NODE_READ)
    found = session.get(Caller, caller_id)
    if found is None or not may_see(actor, found.facility_id):
        raise NotFound("There is no such caller.")
    return found


def ignore_caller(session: Session, actor: Actor, caller_id: str, ignored: bool = True) -> Caller:
    """Leaves it out of the list, or takes it in again. Its admission does not change."""
    require(actor, Verb.NODE_EDIT)
    found = get_caller(session, actor, caller_id)
    found.ignored = ignored
    _record(session, actor, "caller.ignore" if ignored else "caller.show", found)
    return found


def forget_caller(session: Session, actor: Actor, caller_id: str) -> None:
    """Removes it from the list; it comes back when it calls again."""
    require(actor, Verb.NODE_EDIT)
    found = get_caller(session, actor, caller_id)
    session.delete(found)
    _record(session, actor, "caller.forget", found)


def _record(session: Session, actor: Actor, verb: str, caller: Caller) -> None:
    events.append(session, "node.called", {"callers": 1})
    audit.by(session, actor, verb, "caller", f"{caller.title} {caller.address}", facility_id=caller.facility_id)


def caller_json(caller: Caller) -> dict[str, Any]:
    """A caller as REST shows it."""
    return {
        "id": caller.id,
        "kind": caller.kind,
        "title": caller.title,
        "called": caller.called,
        "address": caller.address,
        "facility_id": caller.facility_id,
        "first_at": caller.first_at.isoformat(),
        "last_at": caller.last_at.isoformat(),
        "count": caller.count,
        "asked": [word for word in caller.asked.split(",") if word],
        "refused": caller.refused,
        "reason": caller.words,
        "ignored": caller.ignored,
        "delayed_acknowledgement_ms": caller.ack_gap_ms,
    }

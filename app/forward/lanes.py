"""One lane of the forward queue: takes a slot of a node and sends what is due, study after study, over one association
that stays open a little for what comes next."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from app.archive import Archive
from app.archive.models import Instance
from app.config import Config
from app.db import Database
from app.forward import claims, derived, journal, queue_queries, store_lane
from app.forward.claims import Slot
from app.forward.destinations import Destination, open_destination
from app.forward.journal import DeliveryAnswer, Journal
from app.forward.queue_queries import WaitingObject
from app.forward.store_lane import BandwidthLimit, DeliveryOutcome, Enough
from app.kit.clock import now
from app.kit.errors import AppError, PeerFault, StorageFull
from app.kit.ids import new_id
from app.kit.logging import correlation_id
from app.kit.phrases import NOTHING, Phrase, phrase
from app.network.settings import DicomSettings
from app.nodes import operation_log, options, probe_log, service
from app.nodes.models import Node

log = logging.getLogger(__name__)
LINGER = 3.0  # seconds an association stays open with nothing to send
KEEP = 0.3  # seconds answers gather before they are written down together
GLANCE = 0.1  # seconds between looks for more, while an association waits for it
MOST, FIRST = 256, 16  # objects taken at once: about a second's work, so that what is urgent does not wait long
TOLD = 10.0  # seconds of sending in one entry of the transfer log; a killed worker leaves as much out of it at most
DOT = 60.0  # seconds between two signs of success of a node that is sent to all the time


class LaneRunner:
    """The lane as a thread runs it: `run` returns when there is nothing more to do, or a fault needs a pause."""

    def __init__(
        self,
        config: Config,
        database: Database,
        archive: Archive,
        owner: str,
        node_id: str,
        stopping: threading.Event,
        linger: float = LINGER,
    ) -> None:
        self._config, self._database, self._archive = config, database, archive
        self.node_id = node_id
        self.slot: Slot | None = None
        self._owner, self._stopping = owner, stopping
        self._linger = linger
        self._throttle = BandwidthLimit()
        self._destination: Destination | None = None
        self._made_for: object = None
        self._sent_before = 0
        self._rated = (0, time.monotonic())  # bytes that had left at a moment

    def run(self) -> None:
        correlation_id.set(new_id()[-12:])
        try:
            with self._database.write() as session:
                slot = claims.take_slot(session, self.node_id, self._owner)
            if slot is not None:
                self.slot = slot
                self._serve_slot(slot)
        except AppError as away:
            log.warning("a lane ends, since %s", away.detail)
            self._stopping.wait(2)
        except Exception:
            log.exception("a lane broke off; its objects wait again")
            self._stopping.wait(2)

    def _serve_slot(self, slot: Slot) -> None:
        path = journal.journal_path(self._config.run, slot.node_id, slot.number)
        if left := journal.read_journal(path):  # of a process that died between the rows and the file
            with self._database.write() as session:
                claims.record_answers(session, left)
        work = _LaneWork(self, slot, path)
        try:
            work.send_claimed()
        finally:
            self._end(work)

    def _end(self, work: "_LaneWork") -> None:
        """Whatever happened: what was answered is written down, the rest waits again, the slot is free."""
        try:
            work.write()
            with self._database.write() as session:
                claims.free_slot(session, work.slot)
            work.journal.close()
        finally:
            self.close_destination()
            work.tally.log_operation(self._database)

    def destination(self, node: Node, settings: DicomSettings) -> Destination:
        """The open way to the node; made anew when its form has been saved since."""
        key = (node.changed_at, settings.model_dump_json())
        if self._destination is not None and self._made_for != key:
            self.close_destination()
        if self._destination is None:
            self._destination = open_destination(self._archive, self._config, node, settings, self._throttle)
            self._made_for = key
        return self._destination

    def rate(self) -> int:
        """Bytes a second since this was last asked (by one thread alone)."""
        destination, moment = self._destination, time.monotonic()
        sent = self._sent_before + (destination.sent if destination is not None else 0)
        (before, then), self._rated = self._rated, (sent, moment)
        return max(0, int((sent - before) / max(moment - then, 0.1)))

    def _detach(self) -> Destination | None:
        destination, self._destination = self._destination, None
        self._sent_before += destination.sent if destination is not None else 0
        return destination

    def abort_destination(self) -> None:
        """After a fault: the way is no longer one."""
        destination = self._detach()
        if destination is not None:
            destination.abort()

    def close_destination(self) -> None:
        """Ends the association in peace; the next object opens another one."""
        destination = self._detach()
        if destination is not None:
            destination.close()


class _LaneWork:
    """State of one run of a lane."""

    def __init__(self, runner: LaneRunner, slot: Slot, path: Path) -> None:
        self._runner, self.slot = runner, slot
        self._database, self._stopping = runner._database, runner._stopping
        self.journal = Journal(path)
        self.tally = _Tally()
        self._answers: list[DeliveryAnswer] = []
        self._hand: dict[str, list[WaitingObject]] = {}  # object -> its rows: two transfers may want the same one
        self._stopped: set[str] = set()
        self._halt = False
        self._written = time.monotonic()
        self._there: dict[str, set[str]] = {}

    def send_claimed(self) -> None:
        """Sends until there is nothing more, the node wants no more, or the peer fails."""
        size, idle_since = FIRST, time.monotonic()
        while not self._stopping.is_set():
            batch = self._next(size)
            if not batch.may_send or batch.node is None:
                return
            if not batch.rows:
                if time.monotonic() - idle_since >= self._runner._linger:
                    return
                self._stopping.wait(GLANCE)
                continue
            self._runner._throttle.kib = options.node_options(batch.node).bandwidth_kib / batch.share
            started = time.monotonic()
            if not self._send(batch):
                return
            idle_since = time.monotonic()
            size = max(1, min(MOST, int(len(batch.rows) / max(idle_since - started, 0.001))))

    def _next(self, size: int) -> claims.ClaimedBatch:
        """Writes down what was answered and takes more, in one transaction; only looks where there is neither."""
        if not self._answers:
            with self._database.read() as session:
                if not queue_queries.has_work(session, self.slot.node_id, now()):
                    node = session.get(Node, self.slot.node_id)
                    return claims.ClaimedBatch(claims.may_send(node, now()), node, DicomSettings(), 1, [])
        with self._database.write() as session:
            claims.record_answers(session, self._answers)
            batch = claims.claim(session, self.slot, size)
        self._clear()
        return batch

    def _clear(self) -> None:
        if self._answers:
            self.journal.clear()
            self._answers = []
        self._written = time.monotonic()

    def write(self) -> None:
        """Writes down what was answered, and learns which transfers were stopped meanwhile, and whether the node is."""
        with self._database.write() as session:
            claims.record_answers(session, self._answers)
            self._stopped = claims.stopped_transfers(
                session, {row.transfer_id for rows in self._hand.values() for row in rows}
            )
            self._halt = not claims.may_send(session.get(Node, self.slot.node_id), now())
        self._clear()

    def _send(self, batch: claims.ClaimedBatch) -> bool:
        """One batch. False when the lane should end: after a fault of the peer."""
        assert batch.node is not None
        node = batch.node
        with self._database.read() as session:
            found = queue_queries.objects(session, batch.rows)
            series = queue_queries.series_of(session, {i.series_pk for i in found.values() if i.id > 0})
        self._hand, self._stopped = {}, set()
        for row in batch.rows:
            self._hand.setdefault(row.key, []).append(row)
        self.tally.begin(node)
        destination: Destination | None = None
        try:
            destination = self._runner.destination(node, batch.settings)
            destination.prepare(list(found.values()))
            for study, keys in _by_study(batch.rows):
                missing = [key for key in keys if key not in found]
                self._answer_all(
                    missing, DeliveryOutcome(claims.REFUSED, None, phrase("It is no longer in the archive."))
                )
                here = [found[key] for key in keys if key in found]
                if options.node_options(node).lacks_only and here and here[0].id > 0:
                    here = self._missing_objects(node, destination, study, here, [series[i.series_pk] for i in here])
                with suppress(Enough):
                    destination.send(here, self._answered, self._check)
        except PeerFault as fault:
            self._record_fault(node, fault, destination)
            return False
        except StorageFull as full:  # an object could not be converted: it waits as for a node without resources
            self._record_fault(node, _Waits(full.message), destination)
            return False
        finally:
            self._release_claimed()
        self._record_success(node)
        return True

    def _missing_objects(
        self, node: Node, destination: Destination, study: str, instances: list[Instance], series: list[str]
    ) -> list[Instance]:
        """Objects that the node does not list; the study is asked about once in a run of the lane."""
        known = self._there.get(study)
        if known is None or not set(series) <= self._there.get("series of " + study, set()):
            wanted = sorted(set(series))
            begun = time.monotonic()
            there = destination.find_existing(study, wanted)
            if options.node_options(node).protocol != "folder":
                probe_log.log_request(self._database, node, "find", True, time.monotonic() - begun, len(there))
            known = there | (known or set())
            self._there[study] = known
            self._there.setdefault("series of " + study, set()).update(wanted)
        has = [i.sop_instance_uid for i in instances if i.sop_instance_uid in known]
        self._answer_all(has, DeliveryOutcome(claims.THERE, None, phrase("It was there already.")))
        return [i for i in instances if i.sop_instance_uid not in known]

    def _check(self) -> None:
        """Before each object: goes on only while all this is wanted."""
        if self._stopping.is_set() or self._halt:
            raise Enough
        if time.monotonic() - self._written > KEEP:
            self.write()
            if self._halt or self._stopped:
                raise Enough

    def _answered(self, instance: Instance, outcome: DeliveryOutcome) -> None:
        if outcome.state == store_lane.BUSY:
            raise _Busy(instance, outcome)
        self.tally.add(instance, outcome)
        words = outcome.comment or store_lane.describe_conversion(instance, outcome)
        self._answer_all([derived.key_of(instance)], DeliveryOutcome(outcome.state, outcome.status, words))
        if time.monotonic() - self._written > KEEP:
            self.write()
            if self._stopped or self._halt:
                raise Enough

    def _answer_all(self, keys: list[str], outcome: DeliveryOutcome) -> None:
        for key in keys:
            for row in self._hand.pop(key, []):
                answer = DeliveryAnswer(row.id, outcome.state, outcome.status, outcome.comment or None)
                self.journal.write(answer)
                self._answers.append(answer)

    def _release_claimed(self) -> None:
        left = [row.id for rows in self._hand.values() for row in rows]
        self._hand = {}
        if left:
            with self._database.write() as session:
                claims.record_answers(session, self._answers)
                claims.release_claimed(session, left)
            self._clear()

    def _record_fault(self, node: Node, fault: PeerFault, destination: Destination | None) -> None:
        """The peer broke off, refused us, cannot be reached, or is out of resources."""
        words = fault.message
        busy = isinstance(fault, _Waits)
        flying = [] if destination is None or busy else destination.in_flight
        rows = [row.id for one in flying for row in self._hand.get(derived.key_of(one), [])]
        with self._database.write() as session:
            claims.record_answers(session, self._answers)
            claims.record_fault(session, self.slot, words, rows, unreached=not busy)
        self._clear()
        if busy:
            self._runner.close_destination()
        else:
            self._runner.abort_destination()
        self.tally.fault(words)
        log.warning("sending to %s: %s", node.name, words)

    def _record_success(self, node: Node) -> None:
        """It works: updates its status in the list, at most once a minute."""
        if time.monotonic() - self.tally.dot > DOT:
            self.tally.dot = time.monotonic()
            with self._database.write() as session:
                service.record_outcome(session, node.id, NOTHING, "delivered")
        if time.monotonic() - self.tally.since > TOLD:
            self.tally.log_operation(self._database)


class _Waits(PeerFault):
    """The way to the node is well, but the object has to wait."""


class _Busy(_Waits):
    """Out of resources (0xA7xx): the object waits, and so does everything for this node."""

    def __init__(self, instance: Instance, outcome: DeliveryOutcome) -> None:
        super().__init__(
            phrase(
                "It is out of resources: status {status:04X}, {words}.",
                status=outcome.status or 0,
                words=outcome.comment or phrase("no words"),
            )
        )


def _by_study(rows: list[WaitingObject]) -> Iterator[tuple[str, list[str]]]:
    """Objects of one study together; what was made for a transfer apart, since it may have the UIDs of stored ones."""
    for (study, _), some in groupby(rows, key=lambda row: (row.study_instance_uid, row.derived_id and row.transfer_id)):
        yield study, list(dict.fromkeys(row.key for row in some))


class _Tally:
    """Objects sent by a lane since the last entry in the transfer log. The only place where sending is logged."""

    def __init__(self) -> None:
        self.dot = float("-inf")
        self.since = time.monotonic()
        self._node: Node | None = None
        self._sent = self._warned = self._failed = self._bytes = 0
        self._words = NOTHING
        self._conversions = store_lane.Conversions()

    def begin(self, node: Node) -> None:
        if not (self._sent or self._failed):
            self.since = time.monotonic()
        self._node = node

    def add(self, instance: Instance, outcome: DeliveryOutcome) -> None:
        if outcome.state == claims.REFUSED:
            self._failed += 1
            self._words = outcome.comment
            return
        self._sent += 1
        self._conversions.add(instance, outcome)
        self._warned += outcome.state == claims.WARNED
        self._bytes += instance.bytes

    def fault(self, words: Phrase) -> None:
        self._words, self._failed = words, self._failed + 1

    def log_operation(self, database: Database) -> None:
        node = self._node
        if node is None or not (self._sent or self._failed):
            return
        result: operation_log.Result = "failure" if self._failed else "warning" if self._warned else "success"
        operation_log.log_operation(
            database,
            operation_log.Operation(
                kind="store",
                role="scu",
                peer=node.name,
                title=node.ae_title,
                address=options.node_options(node).url or options.node_options(node).path or f"{node.host}:{node.port}",
                node_id=node.id,
                facility_id=node.facility_id,
                result=result,
                objects=self._sent,
                warned=self._warned,
                failed=self._failed,
                bytes=self._bytes,
                seconds=time.monotonic() - self.since,
                words=self._words or self._conversions.summary,
            ),
        )
        self._conversions = store_lane.Conversions()
        self._sent = self._warned = self._failed = self._bytes = 0
        self._words, self.since = NOTHING, time.monotonic()

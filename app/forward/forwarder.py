"""The worker's part of the forward queue: looks for what is due, and keeps lanes for the nodes that want something.

Each node has lanes of its own, as many as its option `parallel`, so that a slow or dead one takes nothing from others.
The work of a lane is in lanes.py, its database operations in claims.py."""

import logging
import threading
import time
from collections.abc import Callable

from app.archive import Archive
from app.config import Config
from app.db import Database
from app.forward import claims, journal, queue_queries, transcode_sweep, waking
from app.forward.lanes import LaneRunner
from app.forward.models import TransferSlot
from app.kit import rolestate
from app.kit.clock import now
from app.kit.errors import AppError, Unavailable
from app.nodes import options

log = logging.getLogger(__name__)
LOOK = 0.1  # seconds between looks for due transfers
BEAT = 2.0  # seconds between heartbeats, which carry a lane's rate
RELEASE = 5.0  # seconds between looks for slots of workers that are gone
MOST = 128  # lanes of one worker


class Forwarder:
    """The lanes of one worker process."""

    def __init__(self, config: Config, database: Database, archive: Archive, owner: str) -> None:
        self._config, self._database, self._archive = config, database, archive
        self.owner = owner  # host:pid
        self.stopping = threading.Event()
        self._lanes: dict[threading.Thread, LaneRunner] = {}
        self._proofs = waking.Position()

    def start(self) -> None:
        transcode_sweep.sweep(self._config.run)
        threading.Thread(target=self._run, name="forward", daemon=True).start()
        threading.Thread(target=self._beat, name="forward-beat", daemon=True).start()

    def stop(self, seconds: float) -> None:
        """Lets each lane finish the object it is at, at most so long; what is in flight then goes out again later."""
        self.stopping.set()
        until = time.monotonic() + seconds
        for lane in list(self._lanes):
            lane.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        self._guard(self.release_dead)
        next_release = time.monotonic() + RELEASE
        while not self.stopping.wait(LOOK):
            self._guard(self.start_lanes)
            if time.monotonic() > next_release:
                next_release = time.monotonic() + RELEASE
                self._guard(self.release_dead)

    def _beat(self) -> None:
        while not self.stopping.wait(BEAT):
            if self._lanes:
                self._guard(self._write_heartbeat)

    def _guard(self, verb: Callable[[], None]) -> None:
        try:
            verb()
        except Unavailable as away:
            log.warning("the forward queue waits", exc_info=away)  # an outage: the log adds the cause, and counts
        except AppError as away:
            log.warning("the forward queue waits: %s", away.detail)
        except Exception:
            log.exception("the forward queue stumbled; it goes on")

    def _write_heartbeat(self) -> None:
        rates = {r.slot: r.rate() for lane, r in list(self._lanes.items()) if lane.is_alive() and r.slot is not None}
        if rates:
            with self._database.write() as session:
                claims.heartbeat(session, rates)

    def start_lanes(self) -> None:
        """Starts a lane for each node that has something due and may have one more; ends commitments that are answered."""
        self._lanes = {lane: runner for lane, runner in self._lanes.items() if lane.is_alive()}
        waking.process_proofs(self._database, self._proofs)
        with self._database.read() as session:
            nodes = [n for n in queue_queries.due_nodes(session, now()) if claims.may_send(n, now())]
            committed = bool(queue_queries.committing(session))
        for node in sorted(nodes, key=lambda n: -options.node_options(n).priority):
            own = sum(runner.node_id == node.id for runner in self._lanes.values())
            if own < options.node_options(node).parallel and len(self._lanes) < MOST:
                runner = LaneRunner(self._config, self._database, self._archive, self.owner, node.id, self.stopping)
                lane = threading.Thread(target=runner.run, name=f"forward-{node.name[:20]}-{own}", daemon=True)
                self._lanes[lane] = runner
                lane.start()
        if committed:
            with self._database.write() as session:
                claims.apply_commitments(session)

    def release_dead(self) -> None:
        """Gives back what lanes of dead workers held. Those of this machine are known at once by their process, others
        by their silence. Their journals are written to the database first, so that an answered object is not sent
        again; an object that was being converted when its worker died has cost itself a try."""
        with self._database.read() as session:
            dead = [one for one in queue_queries.all_slots(session) if self._is_dead(one)]
        broken = {
            owner: transcode_sweep.crashed_objects(self._config.run, owner) for owner in {one.owner for one in dead}
        }
        for one in dead:
            path = journal.journal_path(self._config.run, one.node_id, one.number)
            slot = claims.Slot(one.node_id, one.number, one.owner)
            with self._database.write() as session:
                claims.record_answers(session, journal.read_journal(path))
                claims.record_crash(session, slot, broken[one.owner])
                if claims.free_slot(session, slot):
                    session.flush()
                    path.unlink(missing_ok=True)  # before the commit: after it the file may be the next lane's
            log.warning("a lane of the stopped worker %s was given back", one.owner)
        for folders in broken.values():
            for folder in folders.values():
                transcode_sweep.delete_marks(folder)

    def _is_dead(self, one: TransferSlot) -> bool:
        if rolestate.is_dead(one.owner):
            return True
        silent = now() - one.heartbeat_at > claims.SILENT
        return silent and self._database.answering_for > claims.SILENT.total_seconds()

"""`Archive`: the one way in. Bytes to a temporary file, header, fsync, rows, then success (DESIGN 1.3)."""

import contextlib
import logging
import os
import random
import time
from pathlib import Path

from app.archive import differences, queries, rows, sweep
from app.archive.arriving import ArrivingObject, IngestOutcome, Source, StoredVersion
from app.archive.commit import GroupCommit
from app.archive.files import OpenFiles
from app.archive.framing import locate
from app.archive.index import IndexBatch
from app.archive.reserve import Reserve
from app.archive.store import ASIDE, Incoming, Store, sha256_of, translate_fault
from app.archive.syncing import Sync, Syncer
from app.archive.transaction import Transaction
from app.config import Config
from app.db import Collided, Database
from app.dicom import paths
from app.dicom.header import NotDicom, scan
from app.events import stream
from app.kit.errors import AppError, Unavailable
from app.kit.ids import new_id
from app.kit.phrases import of_fault

log = logging.getLogger(__name__)
SESSION_KEY = "archive"  # in the info of each session of the database: headers are read on from the files they are of
_REPEATS = 6  # tries of a batch that PostgreSQL ends for the sake of another transaction


class Archive:
    """The store and its index in this process. Thread-safe; made after the fork, closed at the end."""

    def __init__(self, config: Config, database: Database) -> None:
        self.config = config
        self.database = database
        self.store = Store(config.store, Reserve.of(config))
        self.files = OpenFiles()
        self._commit: GroupCommit[ArrivingObject] = GroupCommit(self._write)
        self._syncer = Syncer()
        database.session_info[SESSION_KEY] = self
        self._doubtful: list[Path] = []  # temporary files whose commit failed in an unknown way

    def receive(self, source: Source) -> Incoming:
        """A temporary file for one object; give it to `ingest` or `discard`."""
        return self.store.incoming(source, self._begin_sync)

    def _begin_sync(self, fd: int) -> Sync | None:
        """Runs beside the work on the object while no other commit is under way; else each sender's own thread syncs
        before it joins the next batch: that keeps the batch short and costs no change of threads."""
        return self._syncer.start(fd) if self._commit.idle else None

    def discard(self, incoming: Incoming) -> None:
        """Forgets what came so far; nothing of it remains."""
        incoming.discard()

    def ingest(self, incoming: Incoming) -> IngestOutcome:
        """Takes the object in; returns when file and rows are durable. Refused, duplicate and conflict are outcomes;
        Unavailable is raised when disk or database cannot take it now: then nothing of it is kept."""
        entry = None
        try:
            try:
                entry = self._prepare(incoming)
            except NotDicom as no:
                return IngestOutcome("refused", reason=of_fault(no))
            self._commit.submit(entry)
            while entry.undecided is not None and entry.fault is None:
                entry.compared[entry.undecided.sha256] = self._is_same(entry, entry.undecided)
                entry.once_more()
                self._commit.submit(entry)
            if entry.fault is not None:
                raise entry.fault
            assert entry.outcome is not None
            if entry.conflict_id:
                self._record_differences(entry)
            return entry.outcome
        except OSError as trouble:
            raise translate_fault(trouble) from trouble
        finally:
            incoming.close()
            if entry is None or not entry.doubtful:
                with contextlib.suppress(OSError):
                    incoming.path.unlink(missing_ok=True)

    def sweep(self) -> int:
        """Finishes or undoes what a crash left half done; run at each start and now and then. How many files that were."""
        return self._clear_doubts() + sweep.sweep(self.store, self.database)

    def close(self) -> None:
        self._syncer.close()
        self.files.close()
        self.store.close()

    def _prepare(self, incoming: Incoming) -> ArrivingObject:
        fd = incoming.fileno()
        size = os.fstat(fd).st_size
        header = scan(fd, size)
        described = rows.describe(header)
        table = locate(fd, size, header, described.instance)
        path = paths.object_path(
            described.patient_id,
            header.study_instance_uid,
            header.series_instance_uid,
            header.sop_instance_uid,
        )
        return ArrivingObject(incoming, incoming.source, header, described, incoming.finish(), path, table)

    def _is_same(self, entry: ArrivingObject, there: StoredVersion) -> bool:
        """Whether the stored file is whole where its checksum is this one's; else whether it is this object in another
        encoding. Beside the index's lock, since files are read and pixels decoded."""
        try:
            if there.sha256 == entry.sha256:
                return sha256_of(self.store.full_path(there.path)) == there.sha256
            from app.archive import sameness  # here: a role that starts need not load the codecs

            with self.store.full_path(there.path).open("rb", buffering=0) as file:
                return sameness.same_object(entry.incoming.fileno(), entry.incoming.size, file.fileno(), there.bytes)
        except OSError:
            return False

    def _record_differences(self, entry: ArrivingObject) -> None:
        """Beside the index's lock, since files are compared. The conflict remains, also when this fails."""
        try:
            with self.database.read() as session:
                names = differences.find_differences(session, self.store, entry)
            if names:
                with self.database.write() as session:
                    queries.set_differences(session, entry.conflict_id, names)
        except Exception as trouble:  # noqa: BLE001 the object is on hold already: its sender must be answered
            log.warning("a conflict's differences were not found: %s", type(trouble).__name__)

    # -- the leader's part ---------------------------------------------------------------------------------------

    def _write(self, entries: list[ArrivingObject]) -> None:
        """One transaction for all; when that fails, one for each, so that a bad one does not affect the others."""
        try:
            self._repeat(entries)
        except Exception as fault:  # noqa: BLE001 whatever it is, every waiting thread must get its answer
            if len(entries) == 1 or isinstance(fault, Unavailable):
                self._abandon(entries, fault)
                return
            for entry in entries:
                if entry.doubtful:
                    entry.fault = fault
                else:
                    self._write([entry])
        else:
            if self._doubtful:
                self._clear_doubts()

    def _repeat(self, entries: list[ArrivingObject]) -> None:
        """The transaction, again when PostgreSQL ended it for the sake of another one."""
        for left in reversed(range(_REPEATS)):
            for entry in entries:
                entry.outcome, entry.placed, entry.conflict_id = None, False, ""
            try:
                self._transact(entries)
                return
            except Collided:
                if not left or any(entry.doubtful for entry in entries):
                    raise
                time.sleep(random.uniform(0.01, 0.1))  # noqa: S311 jitter, not a secret

    def _abandon(self, entries: list[ArrivingObject], fault: Exception) -> None:
        """Final names without a row go, under the index's lock: the database released it when the transaction failed, and
        another process may have come to these names since."""
        for entry in entries:
            entry.fault = fault
            if entry.placed and not entry.doubtful:
                entry.doubtful = True
                self._doubtful.append(entry.incoming.path)
        self._clear_doubts()

    def _transact(self, entries: list[ArrivingObject]) -> None:
        placer = _Placer(self.store)
        wrote = False
        self.store.sync_names()
        try:
            with self.database.write_plain() as connection:
                IndexBatch(Transaction(connection), placer).write(entries)
                wrote = True
        except BaseException:
            if wrote:  # the commit itself failed: perhaps it went through all the same
                for entry in entries:
                    entry.doubtful = entry.placed
                self._doubtful.extend(entry.incoming.path for entry in entries if entry.doubtful)
            else:
                placer.undo()
            raise
        if self.database.dialect == "sqlite":
            stream.wake()

    def _clear_doubts(self) -> int:
        """After a failed commit the state is looked up once the database answers again."""
        count = 0
        while self._doubtful:
            try:
                path = self._doubtful.pop()
            except IndexError:
                break
            try:
                sweep.reconcile(path, self.store, self.database)
                count += 1
            except (AppError, OSError):
                self._doubtful.append(path)
                break
        return count


class _Placer:
    """File operations of the batch. `undo` removes the files that were put on hold; their names are unique."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._aside: list[tuple[ArrivingObject, str]] = []

    def place_file(self, entry: ArrivingObject) -> None:
        entry.incoming.wait_durable()
        self._store.commit_file(entry.incoming.path, entry.path)
        entry.placed = True

    def hold_file(self, entry: ArrivingObject) -> tuple[str, str]:
        """(id of the conflict, path)"""
        entry.incoming.wait_durable()
        conflict = new_id()
        path = f"{ASIDE}/{conflict}.dcm"
        self._store.commit_file(entry.incoming.path, path)
        entry.placed = True
        self._aside.append((entry, path))
        return conflict, path

    def restore(self, entry: ArrivingObject, there: StoredVersion) -> None:
        """The stored file is damaged or gone: the same object, sent again, takes its place. Right whether or not the
        transaction is committed."""
        entry.incoming.wait_durable()
        self._store.replace(entry.incoming.path, there.path)
        entry.compared[there.sha256] = True
        log.warning(
            "the stored file of object %s was damaged or missing; the same object was sent again and is stored in its place",
            entry.header.sop_instance_uid,
        )

    def undo(self) -> None:
        for entry, path in self._aside:
            with contextlib.suppress(OSError):
                self._store.remove(path)
            entry.placed = False

    def same_content(self, entry: ArrivingObject, there: StoredVersion) -> bool:
        """Whether only the file meta information differs: another program wrote it, the data set is the same."""
        if there.transfer_syntax_uid != entry.header.transfer_syntax_uid:
            return False
        if there.bytes - there.data_set_offset != entry.incoming.size - entry.header.data_set_offset:
            return False
        try:
            stored = os.open(self._store.full_path(there.path), os.O_RDONLY)
        except OSError:
            return False
        try:
            new_offset, theirs = entry.header.data_set_offset, there.data_set_offset
            while True:
                left = os.pread(entry.incoming.fileno(), 1 << 20, new_offset)
                if left != os.pread(stored, 1 << 20, theirs):
                    return False
                if not left:
                    return True
                new_offset, theirs = new_offset + len(left), theirs + len(left)
        finally:
            os.close(stored)

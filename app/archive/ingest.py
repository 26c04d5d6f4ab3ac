"""`Archive`: the one way in. Bytes to a temporary file, header, fsync, rows, then success (DESIGN 1.3)."""

import contextlib
import logging
import os
import threading

from app.archive import rows
from app.archive.commit import GroupCommit
from app.archive.index import Batch, Entry, Outcome, Source, Transaction
from app.archive.store import ASIDE, Incoming, Store, unavailable
from app.config import Config
from app.db import Database
from app.dicom import frames, paths, uids
from app.dicom.header import Header, NotDicom, scan
from app.events import stream
from app.kit.errors import Unavailable
from app.kit.ids import new_id

log = logging.getLogger(__name__)


class Archive:
    """The store and its index in this process. Thread-safe; made after the fork, closed at the end."""

    def __init__(self, config: Config, database: Database) -> None:
        self.config = config
        self.database = database
        self.store = Store(config.store)
        self._commit: GroupCommit[Entry] = GroupCommit(self._write)
        self._doubtful: list[Entry] = []
        self._doubt = threading.Lock()

    def receive(self, source: Source) -> Incoming:
        """A temporary file for one object; give it to `ingest` or `discard`."""
        return self.store.incoming(source)

    def discard(self, incoming: Incoming) -> None:
        """Forgets what came so far; nothing of it remains."""
        incoming.discard()

    def ingest(self, incoming: Incoming, *, replaces: bool = False) -> Outcome:
        """Takes the object in; returns when file and rows are durable. Refused, duplicate and conflict are outcomes;
        Unavailable is raised when disk or database cannot take it now: then nothing of it is kept."""
        fault: BaseException | None = None
        entry = None
        try:
            try:
                entry = self._prepare(incoming, replaces)
            except NotDicom as no:
                return Outcome("refused", reason=str(no))
            self._commit.submit(entry)
            if entry.fault is not None:
                raise entry.fault
            assert entry.outcome is not None
            return entry.outcome
        except OSError as trouble:
            fault = unavailable(trouble)
            raise fault from trouble
        finally:
            incoming.close()
            if entry is None or not self._in_doubt(entry):
                with contextlib.suppress(OSError):
                    incoming.path.unlink(missing_ok=True)

    def close(self) -> None:
        self.store.close()

    def _prepare(self, incoming: Incoming, replaces: bool) -> Entry:
        digest_of = incoming.finish
        header = scan(incoming.fileno(), os.fstat(incoming.fileno()).st_size)
        described = rows.describe(header)
        table = locate(incoming.fileno(), os.fstat(incoming.fileno()).st_size, header, described.instance)
        path = paths.object_path(
            described.patient["patient_id"],
            header.study_instance_uid,
            header.series_instance_uid,
            header.sop_instance_uid,
        )
        return Entry(incoming, incoming.source, header, described, digest_of(), path, table, replaces)

    def _in_doubt(self, entry: Entry) -> bool:
        with self._doubt:
            return entry in self._doubtful

    # -- the leader's part ---------------------------------------------------------------------------------------

    def _write(self, entries: list[Entry]) -> None:
        """One transaction for all; when that fails, one for each, so that a bad one spoils nobody else's."""
        try:
            self._transact(entries)
        except Exception as fault:  # noqa: BLE001 every waiting thread must get its answer
            if len(entries) == 1 or isinstance(fault, Unavailable):
                for entry in entries:
                    entry.fault = fault
                return
            for entry in entries:
                entry.outcome, entry.placed = None, False
                self._write([entry])

    def _transact(self, entries: list[Entry]) -> None:
        wrote = False
        try:
            self.store.sync_names()
            with self.database.write() as session:
                transaction = Transaction(session)
                Batch(transaction, _Placer(self.store), self._keep_aside).write(entries)
                if transaction.postgresql:
                    transaction.run("NOTIFY filmroom_events")
                wrote = True
            if self.database.dialect == "sqlite":
                stream.wake()
        except BaseException:
            placed = [entry for entry in entries if entry.placed]
            if wrote:  # the commit itself failed: perhaps it went through all the same
                with self._doubt:
                    self._doubtful.extend(placed)
            else:
                for entry in placed:
                    with contextlib.suppress(OSError):
                        self.store.remove(entry.path)
            raise

    def _keep_aside(self, entry: Entry) -> tuple[str, str]:
        conflict = new_id()
        path = f"{ASIDE}/{conflict}.dcm"
        self.store.place(entry.incoming.path, path)
        return conflict, path


class _Placer:
    """What the batch needs of the files."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, entry: Entry) -> None:
        self._store.place(entry.incoming.path, entry.path)
        entry.placed = True

    def same_content(self, entry: Entry, path: str) -> bool:
        """Whether only the file meta information differs: another sender wrote it, the data set is the same."""
        return False


def locate(fd: int, size: int, header: Header, instance: rows.Row) -> bytes | None:
    """The frame table of encapsulated pixel data, packed; None for native pixels and where there are none. What is odd
    becomes a warning: the object is stored all the same."""
    if header.pixel_offset is None or header.pixel_bytes is None or header.deflated:
        return None
    if header.pixel_bytes >= 0:
        _check_native(header, instance)
        return None
    try:
        table, warnings = frames.locate_encapsulated(
            lambda offset, length: os.pread(fd, length, offset),
            header.pixel_offset,
            size,
            max(1, int(instance["number_of_frames"])),
            extended=header.values.get(0x7FE00001, b""),
            video=uids.transfer_syntax(header.transfer_syntax_uid).video,
        )
    except frames.BadFrames as fault:
        header.warnings.append(str(fault))
        return None
    header.warnings.extend(warnings)
    return table.pack()


def _check_native(header: Header, instance: rows.Row) -> None:
    count = instance["number_of_frames"]
    bits = frames.native_bits(
        instance["rows"], instance["columns"], instance["samples"], instance["bits_allocated"], instance["photometric"]
    )
    needed = -(-bits * count // 8)
    if (
        count
        and header.pixel_bytes
        and needed > header.pixel_bytes
        and not any("ends early" in w for w in header.warnings)
    ):
        header.warnings.append("The pixel data is shorter than rows, columns and frames ask for.")

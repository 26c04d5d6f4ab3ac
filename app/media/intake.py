"""Files on their way in: each one goes to the archive as it arrives, or, when it is a zip, to a temporary file first.

`Intake` is used by one request, from one thread at a time; up to four objects are ingested beside each other, because
the archive commits those that wait together."""

import tempfile
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from app.archive import Archive, Source
from app.archive.store import Incoming, translate_fault
from app.dicom.header import NotDicom, scan
from app.kit.errors import AppError, TooLarge, Unavailable
from app.kit.phrases import NOTHING, Phrase, phrase
from app.media.errors import BadArchive, MemberRefused
from app.media.unzip import Unzip, UnzipLimits

_PARALLEL = 4
_PROCESSING, _DUPLICATE, _OTHER_STUDY = 0x0110, 0x0111, 0xC409
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_SNIFF = 132  # bytes until a file shows what it is


@dataclass(frozen=True, slots=True)
class Result:
    """Result of one file (DESIGN part 2). status: stored, duplicate, conflict or refused."""

    name: str
    status: str
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    warnings: list[str] = field(default_factory=list)
    reason: Phrase = NOTHING
    code: int = 0  # Failure Reason of PS3.18 annex I.2.2 where it is not the general one
    comment: str = ""  # the reason in at most 64 characters

    def public(self) -> dict[str, Any]:
        """The REST representation."""
        shown = ("name", "status", "sop_instance_uid", "study_instance_uid", "warnings", "reason")
        return {name: getattr(self, name) for name in shown}


class Intake:
    """Use as a context manager; `results()` waits for everything and keeps the order in which files came."""

    def __init__(self, archive: Archive, source: Source, limits: UnzipLimits, folder: Path, study: str = "") -> None:
        """folder: where zip files wait, on a disk and not in memory; nothing in it outlives the request.
        study: objects of any other study are refused."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._study = study
        self._archive = archive
        self._source = source
        self._limits = limits
        self._pool = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="intake")
        self._waiting: list[Future[Result] | Result] = []
        self._busy: list[Future[Result]] = []
        self._files = 0

    def __enter__(self) -> "Intake":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Waits for what is under way."""
        self._pool.shutdown(wait=True)

    def file(self, name: str, *, allow_zip: bool = True) -> "Upload":
        """A new file; write() its bytes, then finish() or abandon() it. Raises TooLarge for more files than a request may
        bring: what became of each is remembered to the end."""
        self._files += 1
        if self._files > self._limits.members:
            raise TooLarge(phrase("A request may contain at most {count} files.", count=self._limits.members))
        return Upload(self, name, allow_zip)

    def refuse(self, name: str, reason: Phrase) -> None:
        self._waiting.append(Result(name, "refused", reason=reason))

    def results(self) -> list[Result]:
        return [one if isinstance(one, Result) else one.result() for one in self._waiting]

    def finished_results(self) -> list[Result]:
        """The results there are so far; what failed as a whole is left out."""
        finished = (
            one if isinstance(one, Result) else one.result()
            for one in self._waiting
            if isinstance(one, Result) or (one.done() and one.exception() is None)
        )
        return list(finished)

    def _ingest(self, name: str, incoming: Incoming) -> None:
        """Hands it to a thread; waits when too many are under way, so that a sender is slowed and not the memory."""
        while len(self._busy) >= _PARALLEL:
            self._busy.pop(0).exception()
        task = self._pool.submit(self._ingest_one, name, incoming)
        self._busy.append(task)
        self._waiting.append(task)

    def _ingest_one(self, name: str, incoming: Incoming) -> Result:
        try:
            if self._study and (other := self._other_study(name, incoming)):
                return other
            outcome = self._archive.ingest(incoming)
        except Unavailable:
            raise
        except AppError as fault:
            return Result(name, "refused", reason=fault.detail)
        return Result(
            name,
            outcome.status,
            outcome.sop_class_uid,
            outcome.sop_instance_uid,
            outcome.study_instance_uid,
            outcome.series_instance_uid,
            list(outcome.warnings),
            outcome.reason,
            code=_DUPLICATE if outcome.other_content else _PROCESSING if outcome.status == "conflict" else 0,
            comment=outcome.comment,
        )

    def _other_study(self, name: str, incoming: Incoming) -> Result | None:
        """The refusal of an object that belongs to another study than the one asked for (PS3.18 10.5.1)."""
        try:
            header = scan(incoming.fileno(), incoming.size)
        except NotDicom:
            return None  # the archive reports it more exactly
        if header.study_instance_uid == self._study:
            return None
        self._archive.discard(incoming)
        refusal = phrase("The object does not belong to the study in the address.")
        return Result(name, "refused", header.sop_class_uid, header.sop_instance_uid, reason=refusal, code=_OTHER_STUDY)

    def _chunks(self, name: str, chunks: Iterable[bytes]) -> None:
        incoming = self._archive.receive(self._source)
        try:
            for chunk in chunks:
                incoming.write(chunk)
        except MemberRefused as fault:
            self._archive.discard(incoming)
            self.refuse(name, fault.message)
            return
        except BaseException:
            self._archive.discard(incoming)
            raise
        self._ingest(name, incoming)

    def _unzip(self, name: str, file: IO[bytes]) -> None:
        try:
            unzip = Unzip(file, self._limits)
        except BadArchive as fault:
            self.refuse(name, fault.message)
            return
        before = len(self._waiting)
        for member in unzip.members():
            self._files += 1
            if self._files > self._limits.members:
                self.refuse(name, phrase("The request contains too many files; the remaining files were not read."))
                break
            self._chunks(f"{name}/{member.name}" if name else member.name, member.chunks())
        unzip.close()
        if len(self._waiting) == before:
            self.refuse(name, phrase("The ZIP file contains no files."))


class Upload:
    """One file that is being sent. Bytes are never kept in memory beyond the first few."""

    def __init__(self, intake: Intake, name: str, allow_zip: bool) -> None:
        self._intake = intake
        self._name = name
        self._allow_zip = allow_zip
        self._head = b""
        self._size = 0
        self._incoming: Incoming | None = None
        self._zip: IO[bytes] | None = None
        self._refused = NOTHING

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._refused:
            return
        if self._size > self._intake._limits.file_bytes:
            self.refuse(phrase("The file is too large."))
            return
        if self._zip is not None:
            self._write_temporary(data)
        elif self._incoming is not None:
            self._incoming.write(data)
        else:
            self._head += data
            if len(self._head) >= _SNIFF:
                self._decide()

    def _decide(self) -> None:
        head, self._head = self._head, b""
        if head.startswith(_ZIP) and self._allow_zip:
            self._zip = tempfile.TemporaryFile(dir=self._intake._folder)  # noqa: SIM115 closed in finish and _drop
            self._write_temporary(head)
        else:
            self._incoming = self._intake._archive.receive(self._intake._source)
            self._incoming.write(head)

    def _write_temporary(self, data: bytes) -> None:
        """A zip waits on the disk; its members need the same space once more. Raises StorageFull."""
        assert self._zip is not None
        if self._intake._archive.store.reserve is not None:
            self._intake._archive.store.reserve.require()
        try:
            self._zip.write(data)
        except OSError as fault:
            raise translate_fault(fault) from fault

    def finish(self) -> None:
        """All bytes are there."""
        if self._refused:
            self._intake.refuse(self._name, self._refused)
            return
        if self._zip is None and self._incoming is None:
            self._decide()
        if self._zip is not None:
            with self._zip:
                self._intake._unzip(self._name, self._zip)
        elif self._incoming is not None:
            incoming, self._incoming = self._incoming, None
            self._intake._ingest(self._name, incoming)

    def refuse(self, reason: Phrase) -> None:
        """Whatever comes, it is not taken."""
        self._drop()
        self._refused = reason

    def abandon(self) -> None:
        """The sender went away: nothing of it stays."""
        self._drop()

    def _drop(self) -> None:
        if self._incoming is not None:
            self._intake._archive.discard(self._incoming)
            self._incoming = None
        if self._zip is not None:
            self._zip.close()
            self._zip = None

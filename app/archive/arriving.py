"""An object on its way into the index: where it comes from, its rows, and what became of it."""

import threading
from dataclasses import dataclass, field
from typing import Literal

from app.archive.rows import ObjectRows
from app.archive.store import Incoming
from app.dicom.header import Header
from app.kit.phrases import NOTHING, Phrase

Status = Literal["stored", "duplicate", "conflict", "refused"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where an object comes from."""

    kind: str  # "dimse", "stow", "upload", "import", "folder", "job"
    calling_ae: str = ""
    called_ae: str = ""
    address: str = ""
    actor_name: str = ""
    facility_id: str | None = None
    node_id: str = ""  # the known node it came from
    sees_all: bool = False  # its sender sees the objects of every facility
    elsewhere: bool = (
        # its sender is of another facility than the objects, and gets no information about others of that facility
        False
    )

    @property
    def label(self) -> str:
        return (self.calling_ae or self.actor_name or self.kind)[:64]


@dataclass(frozen=True, slots=True)
class IngestOutcome:
    """Result of storing an object. reason: one sentence when it is refused or in conflict; comment: the same for an
    Error Comment (PS3.7 C.4.2), at most 64 characters; other_content: an object of the same UID is here that
    differs."""

    status: Status
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    warnings: list[Phrase] = field(default_factory=list)
    reason: Phrase = NOTHING
    comment: str = ""
    other_content: bool = False


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """The stored object with a SOP Instance UID."""

    sha256: str
    path: str
    study_instance_uid: str
    transfer_syntax_uid: str
    data_set_offset: int
    bytes: int
    facility_id: str | None


@dataclass(slots=True)
class ArrivingObject:
    """An object that waits for its rows."""

    incoming: Incoming
    source: Source
    header: Header
    rows: ObjectRows
    sha256: str
    path: str
    frames: bytes | None
    wake: threading.Lock = field(default_factory=threading.Lock)
    done: bool = False
    outcome: IngestOutcome | None = None
    fault: BaseException | None = None
    placed: bool = False
    doubtful: bool = False  # its commit failed in an unknown way; its temporary file must stay
    conflict_id: str = ""
    undecided: StoredVersion | None = None  # what it has to be compared with before anything can be decided
    compared: dict[str, bool] = field(default_factory=dict)  # checksum of a stored object -> whether this is the same

    def decide(self, status: Status, reason: Phrase = NOTHING, comment: str = "", other_content: bool = False) -> None:
        h = self.header
        self.outcome = IngestOutcome(
            status, h.sop_class_uid, h.sop_instance_uid, h.study_instance_uid, h.series_instance_uid, h.warnings,
            reason, comment, other_content,
        )  # fmt: skip

    def once_more(self) -> None:
        """Ready to join another batch."""
        self.wake, self.done, self.undecided = threading.Lock(), False, None

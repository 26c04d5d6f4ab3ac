"""C-FIND as other programs ask it: DCMTK's findscu, gdcmscu, and pynetdicom where those cannot."""

import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association

from tests.support import dcmtk

PATIENT_ROOT, STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


@dataclass
class Found:
    """answers: the pending identifiers; output: what the program said; status, words, offending: of the last answer."""

    answers: list[Dataset] = field(default_factory=list)
    output: str = ""
    status: int = -1
    words: str = ""
    offending: list[int] = field(default_factory=list)
    pending: set[int] = field(default_factory=set)

    def of(self, keyword: str) -> list[Any]:
        return [answer.get(keyword) for answer in self.answers]


def findscu(
    port: int, *arguments: str | Path, calling: str = "FINDSCU", called: str = "FILMROOM", **keys: str
) -> Found:
    """findscu with these keys (keyword=value; a path of a file that holds them goes into arguments)."""
    asked = [part for name, value in keys.items() for part in ("-k", f"{name}={value}" if value else name)]
    with tempfile.TemporaryDirectory(prefix="findscu-") as folder:
        done = dcmtk.run(
            "findscu", "-v", "-X", "-od", folder, *(a for a in arguments if isinstance(a, str)), *asked,
            "-aet", calling, "-aec", called, "127.0.0.1", str(port), *(a for a in arguments if isinstance(a, Path)),
        )  # fmt: skip
        return Found([dcmread(p, force=True) for p in sorted(Path(folder).glob("rsp*.dcm"))], done.output)


class Checkpoint(threading.Event):
    """Where pynetdicom's reactor waits while a request is under way.

    Its own event lets the reactor of the last request slip through when the next follows at once: the reactor then takes
    the answer from the queue ("Received unexpected C-FIND service message") and the request ends without one. Here a
    reactor that wakes too late waits again, and says under a lock that it goes on."""

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association, self._turn, self._reached = association, threading.Lock(), threading.Event()
        self.set()

    def take_over(self) -> None:
        """Puts this in the place of the association's own event; returns once its reactor waits here."""
        self._association._reactor_checkpoint = self
        assert self._reached.wait(10)

    def clear(self) -> None:
        with self._turn:
            super().clear()

    def wait(self, timeout: float | None = None) -> bool:
        self._reached.set()
        while True:
            super().wait(timeout)
            with self._turn:
                if self.is_set():
                    self._association._is_paused = False
                    return True


@contextmanager
def connected(
    port: int,
    *,
    calling: str = "PYNETDICOM",
    called: str = "FILMROOM",
    contexts: Sequence[str] = (STUDY_ROOT, PATIENT_ROOT),
    syntaxes: Sequence[str] = (IMPLICIT,),
    items: Sequence[Any] = (),
) -> Iterator[Association]:
    """An association of pynetdicom's; items: extended negotiation, roles, user identity."""
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    for uid in contexts:
        entity.add_requested_context(uid, list(syntaxes))
    association = entity.associate("127.0.0.1", port, ae_title=called, ext_neg=list(items))
    association.is_rejected = association.is_rejected or _rejection_waits(association)
    if association.is_established:
        Checkpoint(association).take_over()
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def _rejection_waits(association: Association) -> bool:
    """Where the rejection has come and the connection is closed before pynetdicom's requestor looks whether it is connected,
    it takes the connection for failed, and the rejection stays in its queue."""
    waiting = list(association.dul.to_user_queue.queue)
    return any(getattr(primitive, "result", None) in (1, 2) for primitive in waiting)


def data_set(**keys: Any) -> Dataset:
    """A data set of keywords."""
    made = Dataset()
    for name, value in keys.items():
        setattr(made, name, value)
    return made


def ask(association: Association, model: str, keys: Dataset) -> Found:
    """One C-FIND over pynetdicom."""
    found = Found()
    for status, identifier in association.send_c_find(keys, model):
        found.status = int(status.Status) if "Status" in status else -1
        if found.status in (0xFF00, 0xFF01):
            found.pending.add(found.status)
            assert identifier is not None
            found.answers.append(identifier)
        found.words = str(status.get("ErrorComment", ""))
        offending = status.get("OffendingElement") or []
        found.offending = [int(tag) for tag in (offending if isinstance(offending, list) else [offending])]
    return found

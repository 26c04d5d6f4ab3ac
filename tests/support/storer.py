"""A destination that stores as it is told to: with warnings, with failures, slowly. By pynetdicom."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tests.support.postgres import free_port

UNCOMPRESSED = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]


@dataclass
class Storer:
    """statuses: SOP Instance UID -> what it is answered (otherwise success); strict: it takes associations for its own
    title only; pause: seconds before each answer; gate: nothing is answered until it is set. got: UIDs in their order; originators: who asked for the move, by C-STORE request."""

    port: int
    statuses: dict[str, int] = field(default_factory=dict)
    otherwise: int = 0
    strict: bool = False
    pause: float = 0.0
    gate: threading.Event | None = None
    got: list[str] = field(default_factory=list)
    data: dict[str, bytes] = field(default_factory=dict)
    originators: set[tuple[str, int]] = field(default_factory=set)

    def store(self, event: Any) -> int | Dataset:
        request = event.request
        uid = str(request.AffectedSOPInstanceUID)
        self.got.append(uid)
        if request.MoveOriginatorApplicationEntityTitle:
            title = str(request.MoveOriginatorApplicationEntityTitle).strip()
            self.originators.add((title, int(request.MoveOriginatorMessageID)))
        self.data[uid] = request.DataSet.getvalue()
        time.sleep(self.pause)  # a slow receiver
        if self.gate is not None:
            self.gate.wait(30)
        status = self.statuses.get(uid, self.otherwise)
        if not status:
            return 0
        answer = Dataset()
        answer.Status, answer.ErrorComment = status, "as it was told to"
        return answer


@contextlib.contextmanager
def storer(title: str = "STORER", **how: Any) -> Iterator[Storer]:
    made = Storer(free_port(), **how)
    ae = AE(ae_title=title)
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, UNCOMPRESSED)
    ae.add_supported_context(Verification)
    ae.require_called_aet = made.strict
    server = ae.start_server(("127.0.0.1", made.port), block=False, evt_handlers=[(evt.EVT_C_STORE, made.store)])
    try:
        yield made
    finally:
        if made.gate is not None:
            made.gate.set()
        server.shutdown()

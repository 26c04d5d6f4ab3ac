"""A DICOMweb server as a destination: STOW-RS (PS3.18 10.5), some objects in a request, streamed from their files.

The result of each object is taken from the Referenced and Failed SOP Sequences (PS3.18 Annex I.2)."""

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO

import httpx

from app.archive import Archive
from app.archive.models import Instance
from app.config import Config
from app.dicom import dicomxml
from app.forward import part10
from app.forward.store_lane import BUSY, REFUSED, SENT, WARNED, BandwidthLimit, Check, DeliveryOutcome, OnAnswer
from app.kit import multipart
from app.kit.errors import CannotConvert, NotFound, PeerFault
from app.kit.phrases import NOTHING, Phrase, of_fault, phrase
from app.network.settings import DicomSettings
from app.nodes import dicomweb, options
from app.nodes.models import Node

BYTES, OBJECTS = 16 << 20, 50  # of one request; a larger object goes alone
_CHUNK = 1 << 18
_ANSWER = 16 << 20  # bytes of an answer that are read
_MANY = 100_000
_LONG = 3600.0  # seconds a server may take to answer for one batch
_RETRY = (408, 425, 429, 500, 502, 503, 504, 507)


class WebNode:
    """A destination of the protocol "dicomweb"."""

    def __init__(
        self, archive: Archive, config: Config, node: Node, settings: DicomSettings, throttle: BandwidthLimit
    ) -> None:
        self._archive, self._name, self._throttle = archive, node.name, throttle
        self._preferred = options.node_options(node).transfer_syntax
        self._http = dicomweb.client(node, settings, config)
        self.in_flight: list[Instance] = []
        self._most = OBJECTS
        self.sent = 0  # bytes so far

    def prepare(self, instances: Sequence[Instance]) -> None:
        """Nothing needs to be known before."""

    def find_existing(self, study_instance_uid: str, series: Sequence[str]) -> set[str]:
        """Asked by QIDO-RS for the whole study."""
        keys = {"StudyInstanceUID": study_instance_uid}
        found = dicomweb.find(self._http, self._name, "IMAGE", keys, limit=_MANY, seconds=_LONG)
        return {one["SOPInstanceUID"] for one in found}

    def close(self) -> None:
        self._http.close()

    def abort(self) -> None:
        self._http.close()

    def send(self, instances: Sequence[Instance], on_answer: OnAnswer, check: Check | None = None) -> None:
        """As Lane.send; check runs before each request."""
        waiting = list(instances)
        while waiting:
            if check is not None:
                check()
            batch = self._batch(waiting)
            waiting = waiting[len(batch) :]
            waiting = self._post(batch, on_answer) + waiting

    def store_file(self, sop_instance_uid: str, data: bytes, syntax: str) -> DeliveryOutcome:
        """Stores one DICOM file that is not in the archive. Raises PeerFault."""
        one = Instance(sop_instance_uid=sop_instance_uid)
        parts = [(one, io.BytesIO(data), len(data), syntax)]
        with dicomweb.in_words(self._name):
            status, model = self._exchange(parts)
        return self._interpret_answer(status, model, parts)[0][1]

    def _batch(self, waiting: Sequence[Instance]) -> list[Instance]:
        size = 0
        batch: list[Instance] = []
        for one in waiting[: self._most]:
            size += one.bytes
            if batch and size > BYTES:
                break
            batch.append(one)
        return batch

    def _post(self, batch: list[Instance], on_answer: OnAnswer) -> list[Instance]:
        """One request; reports each object. What is to be tried again in smaller requests is returned."""
        with ExitStack() as files:
            parts: list[tuple[Instance, BinaryIO, int, str]] = []
            for instance in batch:
                try:
                    parts.append(
                        (instance, *files.enter_context(part10.open_part10(self._archive, instance, self._preferred)))
                    )
                except (NotFound, CannotConvert) as fault:
                    on_answer(instance, DeliveryOutcome(REFUSED, None, of_fault(fault)))
            if not parts:
                return []
            self.in_flight = [part[0] for part in parts]
            with dicomweb.in_words(self._name):
                status, model = self._exchange(parts)
            self.in_flight = []
        if status == 413 and len(parts) > 1:
            self._most = max(1, len(parts) // 2)
            return [part[0] for part in parts]
        outcomes = self._interpret_answer(status, model, parts)
        for instance, outcome in sorted(outcomes, key=lambda one: one[1].state == BUSY):  # it may end the lane
            on_answer(instance, outcome)
        return []

    def _exchange(self, parts: Sequence[tuple[Instance, BinaryIO, int, str]]) -> tuple[int, Any]:
        boundary = multipart.new_boundary()
        # Without the transfer syntax, which each file names itself: Orthanc passes over parts with any parameter.
        kind = [("Content-Type", "application/dicom")]
        heads = [multipart.part_head(boundary, kind, first=not n) for n in range(len(parts))]
        end = multipart.closing(boundary)
        total = sum(map(len, heads)) + sum(part[2] for part in parts) + len(end)
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
            "Content-Length": str(total),
        }
        body = self._body(parts, heads, end)
        with self._http.stream("POST", "studies", content=body, headers=headers) as answer:
            return answer.status_code, _read(answer, self._name)

    def _body(
        self, parts: Sequence[tuple[Instance, BinaryIO, int, str]], heads: Sequence[bytes], end: bytes
    ) -> Iterator[bytes]:
        for head, (_, file, length, _) in zip(heads, parts, strict=True):
            yield head
            left = length
            while left > 0 and (piece := file.read(min(_CHUNK, left))):
                self._throttle.pace(len(piece))
                left -= len(piece)
                self.sent += len(piece)
                yield piece
        yield end

    def _interpret_answer(
        self, status: int, model: Any, parts: Sequence[tuple[Instance, BinaryIO, int, str]]
    ) -> list[tuple[Instance, DeliveryOutcome]]:
        """Outcome of each object by the answer. Raises PeerFault where it is about the server, not about objects."""
        if status in _RETRY:
            raise PeerFault(phrase("{peer} cannot take it now (HTTP {status}).", peer=self._name, status=status))
        if status in (401, 403, 404, 405, 415) or status not in (200, 202, 400, 409, 413):
            dicomweb.judge(httpx.Response(status), self._name)
            raise PeerFault(phrase("{peer} answered with HTTP status {status}.", peer=self._name, status=status))
        stored, failed, silent = _sequences(model)
        found = []
        for instance, _, _, syntax in parts:
            uid = instance.sop_instance_uid
            if uid in failed:
                outcome = _failure(failed[uid])
            elif uid in stored:
                warning = stored[uid]
                outcome = DeliveryOutcome(WARNED if warning else SENT, warning or 0, _warning(warning), syntax)
            elif status == 200 and silent:
                outcome = DeliveryOutcome(
                    SENT, 0, NOTHING, syntax
                )  # all were stored (PS3.18 Table 10.5.3-1), in few words
            elif status == 413:
                outcome = DeliveryOutcome(REFUSED, None, phrase("The server takes no object of this size (HTTP 413)."))
            else:
                outcome = DeliveryOutcome(
                    REFUSED, None, phrase("The server does not say that it stored it (HTTP {status}).", status=status)
                )
            found.append((instance, outcome))
        return found


def _read(answer: httpx.Response, name: str) -> Any:
    """The answer's data set as a DICOM JSON model; None where there is none that can be read."""
    body = bytearray()
    for part in answer.iter_bytes():
        body += part
        if len(body) > _ANSWER:
            raise PeerFault(phrase("{peer} answers without end.", peer=name))
    kind = answer.headers.get("content-type", "")
    try:
        if "xml" in kind:
            return dicomxml.to_model(bytes(body))
        return json.loads(bytes(body)) if body and "json" in kind else None
    except Exception:  # noqa: BLE001 whatever a server sends as its answer, the objects were asked about, not it
        return None


def _sequences(model: Any) -> tuple[dict[str, int], dict[str, int], bool]:
    """(stored -> Warning Reason or 0, failed -> Failure Reason) by SOP Instance UID (PS3.18 Annex I.2), and whether the
    answer speaks of objects at all: an empty list means that nothing is stored."""
    model = model[0] if isinstance(model, list) and model else model
    silent = not (isinstance(model, dict) and ("00081199" in model or "00081198" in model))
    stored: dict[str, int] = {}
    failed: dict[str, int] = {}
    for target, sequence, reason in ((stored, "00081199", "00081196"), (failed, "00081198", "00081197")):
        for item in _values(model, sequence):
            for uid in _values(item, "00081155"):
                numbers = [n for n in _values(item, reason) if isinstance(n, int)]
                target[str(uid)] = numbers[0] if numbers else 0
    return stored, failed, silent


def _values(item: Any, tag: str) -> list[Any]:
    element = item.get(tag) if isinstance(item, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


_WARNINGS = {
    0xB000: phrase("It changed data elements of the object."),
    0xB006: phrase("It left elements of the object out."),
    0xB007: phrase("It says that the data set does not fit its SOP class."),
}


def _warning(reason: int) -> Phrase:
    if not reason:
        return NOTHING
    return _WARNINGS.get(reason) or phrase("It stored it with warning {reason}.", reason=f"{reason:04X}")


def _failure(reason: int) -> DeliveryOutcome:
    words = phrase("The server did not take it: reason {reason}.", reason=f"{reason:04X}")
    return DeliveryOutcome(BUSY if reason & 0xFF00 == 0xA700 else REFUSED, reason, words)

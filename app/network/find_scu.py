"""C-FIND as SCU (PS3.4 C.4.1.2): patient and study root, all levels, hierarchical; on the upper layer of this package.

Answers come as keyword -> text, each decoded by its own Specific Character Set. One that cannot be read is counted and
left out; whatever ends a query, what came before it stays."""

import time
from collections.abc import Callable, Iterator, Mapping

from app.dicom import identifier
from app.kit.errors import PeerFault
from app.kit.phrases import phrase
from app.kit.texts import clean_text
from app.network import commands, statuses
from app.network.pdu import Context
from app.network.scu import Association, Peer
from app.network.settings import DicomSettings

PATIENT_ROOT, STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT_LITTLE, EXPLICIT_LITTLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")
UNIQUE = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}

# Return keys of each level (PS3.4 C.6), beside the keys of the request.
RETURNED: dict[str, tuple[str, ...]] = {
    "PATIENT": (
        "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "NumberOfPatientRelatedStudies",
    ),
    "STUDY": (
        "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime",
        "StudyID", "AccessionNumber", "StudyDescription", "ReferringPhysicianName", "ModalitiesInStudy",
        "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
    ),
    "SERIES": (
        "SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "SeriesDate", "SeriesTime",
        "BodyPartExamined", "ProtocolName", "NumberOfSeriesRelatedInstances",
    ),
    "IMAGE": ("SOPInstanceUID", "SOPClassUID", "InstanceNumber", "NumberOfFrames"),
}  # fmt: skip

_LONGEST = 4096  # characters of one text of an answer
_PATIENTS = 50  # followed one by one where only the patient root is offered
_SECONDS = 120.0  # one query of one node, whatever its answers are
_SLACK = 1000  # answers beyond the limit that a peer may send before the C-CANCEL arrives


class Finder:
    """One association for queries: `with Finder(peer, settings) as finder: for answer in finder.find("STUDY", keys)`.

    After a find: broken, how many answers could not be read; limited, whether there were more than wanted."""

    def __init__(
        self,
        peer: Peer,
        settings: DicomSettings,
        character_set: str = "",
        stop: Callable[[], bool] | None = None,
        seconds: float = _SECONDS,
    ) -> None:
        """character_set: what the node wants its keys in. stop: asked each second; then a C-CANCEL goes out."""
        syntaxes = [EXPLICIT_LITTLE, IMPLICIT_LITTLE]
        self._association = Association(
            peer, [Context(1, STUDY_ROOT, syntaxes), Context(3, PATIENT_ROOT, syntaxes)], settings
        )
        self._character_set = character_set
        self._stop = stop or (lambda: False)
        self._deadline = time.monotonic() + seconds
        self.broken = 0
        self.limited = False

    def __enter__(self) -> "Finder":
        self._association.__enter__()
        if not self._association.accepted:
            self._association.abort()
            raise PeerFault(
                phrase("{peer} takes the association but not queries (C-FIND).", peer=str(self._association.peer)),
                hint=phrase("It may offer this to other titles only."),
            )
        return self

    def __exit__(self, *raised: object) -> None:
        self._association.__exit__(*raised)  # type: ignore[arg-type]

    def find(self, level: str, keys: Mapping[str, str], limit: int = 500) -> Iterator[dict[str, str]]:
        """At most `limit` answers. keys: keyword -> matching value, empty for a return key; below the study level the
        unique keys of the levels above must be among them. Raises PeerFault after the answers that came."""
        if level == "PATIENT" and 3 not in self._association.accepted:
            raise PeerFault(phrase("{peer} does not answer at the patient level.", peer=str(self._association.peer)))
        if level == "PATIENT" or (1 not in self._association.accepted and keys.get("PatientID")):
            yield from self._find(3, level, keys, limit)
        elif 1 in self._association.accepted:
            yield from self._find(1, level, keys, limit)
        else:
            yield from self._by_patient(level, keys, limit)

    def _by_patient(self, level: str, keys: Mapping[str, str], limit: int) -> Iterator[dict[str, str]]:
        """The patient root alone: its lower levels want the patient's id (PS3.4 C.4.1.3.1)."""
        own = {k: v for k, v in keys.items() if k in RETURNED["PATIENT"]}
        patients = list(self._find(3, "PATIENT", own, _PATIENTS))
        self.limited, wanted = False, len(patients) >= _PATIENTS
        for patient in patients:
            rest = {k: v for k, v in keys.items() if k not in own} | {"PatientID": patient.get("PatientID", "")}
            for answer in self._find(3, level, rest, limit):
                yield {**patient, **{k: v for k, v in answer.items() if v}}
                limit -= 1
            wanted |= self.limited
            if limit <= 0 or self._ended():
                break
        self.limited = wanted

    def _ended(self) -> bool:
        return self._stop() or time.monotonic() > self._deadline

    def _find(self, context_id: int, level: str, keys: Mapping[str, str], limit: int) -> Iterator[dict[str, str]]:
        association, peer = self._association, str(self._association.peer)
        abstract = PATIENT_ROOT if context_id == 3 else STUDY_ROOT
        explicit = association.accepted[context_id] == EXPLICIT_LITTLE
        wanted = {**dict.fromkeys(RETURNED[level], ""), **keys, "QueryRetrieveLevel": level}
        if abstract == STUDY_ROOT and level in ("SERIES", "IMAGE"):
            wanted.pop("PatientID", None)  # of the level above: strict peers refuse it (PS3.4 C.4.1.2.1)
        data = identifier.encode(wanted, identifier.terms_for(wanted, self._character_set), explicit=explicit)
        command: dict[int, int | str] = {
            commands.SOP_CLASS: abstract,
            commands.COMMAND_FIELD: commands.C_FIND_RQ,
            commands.PRIORITY: commands.MEDIUM,
        }
        given = seen = 0

        def is_finished() -> bool:
            return seen > limit or self._ended()

        for answer in association.request(context_id, command, data, stop=is_finished):
            if not answer.pending:
                self.limited |= seen > limit
                if answer.status == commands.SUCCESS or (answer.status == commands.CANCELLED and is_finished()):
                    if time.monotonic() > self._deadline and not self._stop():
                        raise PeerFault(phrase("{peer} did not end its answers in time.", peer=peer))
                    return
                raise statuses.PeerRefused(statuses.describe_status(answer.status, answer.comment, peer), answer.status)
            seen += 1
            if seen > limit + _SLACK:
                association.abort()
                raise PeerFault(phrase("{peer} continues to respond after the cancel request.", peer=peer))
            found = self._read(answer.identifier, level, explicit)
            if found is not None and given < limit:
                given += 1
                yield found

    def _read(self, data: bytes | None, level: str, explicit: bool) -> dict[str, str] | None:
        """An answer; None for one that cannot be read or has no UID of its level."""
        try:
            found = identifier.decode(data or b"", explicit=explicit)
        except identifier.BadIdentifier:
            found = {}
        answer = readable_answer(found, level)
        self.broken += answer is None
        return answer


def readable_answer(found: Mapping[str, str], level: str) -> dict[str, str] | None:
    """An answer of a peer, by C-FIND or QIDO-RS, with clean texts; None for one without the unique key of its level, or
    with a UID that has characters which no UID has."""
    key = found.get(UNIQUE[level], "")
    if level != "PATIENT" and not key.isprintable():
        return None
    answer = {keyword: clean_text(text, _LONGEST) for keyword, text in found.items()}
    return answer if answer.get(UNIQUE[level]) else None

"""C-MOVE and C-GET as SCU (PS3.4 C.4.2, C.4.3): patient and study root, the study, series and image level.

The peer's counts are reported as they come; whether objects have arrived is decided by the archive, never by the
peer."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from app.dicom import identifier
from app.dicom.uids import is_safe
from app.kit.errors import PeerFault
from app.kit.phrases import phrase
from app.network import commands, pdu
from app.network.find_scu import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from app.network.pdu import BadPdu, Context
from app.network.receiving import DataSetReceiver, ObjectStore
from app.network.scu import Association, Peer
from app.network.settings import DicomSettings
from app.network.storage_classes import COMMON_CLASSES, COMPRESSED
from app.network.user_items import RoleSelection, UserItems

STUDY_MOVE, PATIENT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.1.2"
STUDY_GET, PATIENT_GET = "1.2.840.10008.5.1.4.1.2.2.3", "1.2.840.10008.5.1.4.1.2.1.3"
_SYNTAXES = [EXPLICIT_LITTLE, IMPLICIT_LITTLE]
_STUDY, _PATIENT = 1, 3  # context ids
NOTHING = 3600.0  # seconds a peer may go on answering while nothing comes
_LIMIT = 128  # contexts of one association (PS3.8 9.3.2.2)


@dataclass(slots=True)
class Counts:
    """Sub-operations as the peer counts them; remaining None: it is not stated. stored: objects of a C-GET that the
    local archive has stored."""

    remaining: int | None = None
    completed: int = 0
    failed: int = 0
    warning: int = 0
    stored: int = 0


@dataclass(slots=True)
class RetrieveOutcome:
    """How a retrieval ended: the final status with the peer's words, its counts, and the objects it reports as
    failed."""

    status: int
    comment: str = ""
    counts: Counts = field(default_factory=Counts)
    failed_uids: list[str] = field(default_factory=list)

    @property
    def success(self) -> bool:
        return self.status == commands.SUCCESS


@dataclass(frozen=True, slots=True)
class RetrieveWatch:
    """Callbacks of the caller. tell: new counts; stop: asked each second, then a C-CANCEL goes out;
    alive: whether something has arrived since it was last asked (a peer need not answer before the end)."""

    tell: Callable[[Counts], None] = lambda counts: None
    stop: Callable[[], bool] = lambda: False
    alive: Callable[[], bool] = lambda: False


class _Retriever:
    """One association for retrievals; what C-MOVE and C-GET share."""

    field = 0
    study_class, patient_class = "", ""
    name = ""

    def __init__(
        self, peer: Peer, settings: DicomSettings, watch: RetrieveWatch, more: list[Context], user: UserItems | None
    ) -> None:
        own = [Context(_STUDY, self.study_class, _SYNTAXES), Context(_PATIENT, self.patient_class, _SYNTAXES)]
        self._association = Association(peer, [*own, *more], settings, user)
        self._settings = settings
        self._watch = watch
        self._last, self._moved = Counts(), time.monotonic()

    @property
    def local_host(self) -> str:
        """Local address for this peer: that of the local end of the connection."""
        return str(self._association.wire.sock.getsockname()[0])

    def __exit__(self, *raised: object) -> None:
        self._association.__exit__(*raised)  # type: ignore[arg-type]

    def _open(self) -> None:
        self._association.__enter__()
        if not {_STUDY, _PATIENT} & set(self._association.accepted):
            self._association.abort()
            raise PeerFault(
                phrase(
                    "{peer} takes the association but not {name}.", peer=str(self._association.peer), name=self.name
                ),
                hint=phrase("It may offer this to other titles only."),
            )

    def retrieve(self, level: str, keys: Mapping[str, str]) -> RetrieveOutcome:
        """level: STUDY, SERIES or IMAGE; keys: the unique keys down to it, the last with one or several UIDs, and the
        PatientID for peers with the patient root alone. Raises PeerFault when the association breaks."""
        association = self._association
        context_id = _STUDY if _STUDY in association.accepted else _PATIENT
        wanted = {k: v for k, v in keys.items() if v and (k != "PatientID" or context_id == _PATIENT)}
        wanted["QueryRetrieveLevel"] = level
        explicit = association.accepted[context_id] == EXPLICIT_LITTLE
        data = identifier.encode(wanted, identifier.terms_for(wanted), explicit=explicit)
        command: dict[int, int | str] = {
            commands.SOP_CLASS: self.study_class if context_id == _STUDY else self.patient_class,
            commands.COMMAND_FIELD: self.field,
            commands.PRIORITY: commands.MEDIUM,
            **self._extra_elements(),
        }
        counts = self._counts = Counts()
        self._last, self._moved = Counts(), time.monotonic()
        # The first answer may wait until a PACS has its tape at hand, and all the others are optional.
        association.wait_for(self._settings.idle_timeout)
        answers = association.request(context_id, command, data, serve=self._serve, stop=self._poll)
        for answer in answers:
            _count(counts, answer.command, answer.pending)
            self._watch.tell(counts)
            if not answer.pending:
                if self._stalled():
                    raise PeerFault(
                        phrase(
                            "{peer} went on answering for {minutes:g} minutes, but sent nothing.",
                            peer=str(association.peer),
                            minutes=NOTHING / 60,
                        )
                    )
                return RetrieveOutcome(answer.status, answer.comment, counts, _failed(answer.identifier, explicit))
        raise PeerFault(phrase("{peer} did not end its answers.", peer=str(association.peer)))

    def _poll(self) -> bool:
        counts, alive = replace(self._counts), self._watch.alive()
        if alive or counts != self._last:
            self._last, self._moved = counts, time.monotonic()
        if alive:
            self._association.wait_for(self._settings.idle_timeout)
        return self._watch.stop() or self._stalled()

    def _stalled(self) -> bool:
        """It answers that it is at work, as one with a tape may, but for much too long."""
        return time.monotonic() - self._moved > NOTHING

    def _extra_elements(self) -> Mapping[int, int | str]:
        return {}

    def _serve(self, context_id: int, command: dict[int, bytes], has_data: bool) -> Mapping[int, int | str]:
        raise BadPdu("a C-STORE that nobody asked for", pdu.UNEXPECTED_PARAMETER)


class Mover(_Retriever):
    """C-MOVE to a title that the peer knows: `with Mover(...) as mover: mover.retrieve("STUDY", keys)`."""

    field, study_class, patient_class, name = commands.C_MOVE_RQ, STUDY_MOVE, PATIENT_MOVE, "C-MOVE"

    def __init__(
        self, peer: Peer, settings: DicomSettings, destination: str, watch: RetrieveWatch | None = None
    ) -> None:
        super().__init__(peer, settings, watch or RetrieveWatch(), [], None)
        self._destination = destination

    def __enter__(self) -> "Mover":
        self._open()
        return self

    def _extra_elements(self) -> Mapping[int, int | str]:
        return {commands.MOVE_DESTINATION: self._destination}


class Getter(_Retriever):
    """C-GET: objects come back on the same association and go into the archive by its one way in."""

    field, study_class, patient_class, name = commands.C_GET_RQ, STUDY_GET, PATIENT_GET, "C-GET"

    def __init__(
        self,
        peer: Peer,
        settings: DicomSettings,
        store: ObjectStore,
        source: object,
        sop_classes: Iterable[str] = (),
        watch: RetrieveWatch | None = None,
    ) -> None:
        """sop_classes: those of the objects where they are known; else the usual ones are proposed."""
        contexts = storage_contexts(sop_classes)
        roles = {context.abstract: RoleSelection(scu=False, scp=True) for context in contexts}
        super().__init__(peer, settings, watch or RetrieveWatch(), contexts, UserItems(roles=roles))
        self._abstract = {context.id: context.abstract for context in contexts}
        self._store, self._source = store, source

    def __enter__(self) -> "Getter":
        self._open()
        limit = self._settings.max_object_gib << 30
        self._receiver = DataSetReceiver(self._association._reader, self._store, self._source, limit)
        return self

    def _serve(self, context_id: int, command: dict[int, bytes], has_data: bool) -> Mapping[int, int | str]:
        abstract = self._abstract.get(context_id)
        if abstract is None or not has_data:
            raise BadPdu("a C-STORE on another context, or without a data set", pdu.UNEXPECTED_PARAMETER)
        done = self._receiver.store(context_id, abstract, self._association.accepted[context_id], command)
        if done.size:
            self._counts.stored += 1
            self._watch.tell(self._counts)
        elements: dict[int, int | str] = {
            commands.COMMAND_FIELD: commands.C_STORE_RSP,
            commands.RESPONDED_TO: commands.number(command, commands.MESSAGE_ID),
            commands.DATA_SET_TYPE: commands.NO_DATA_SET,
            commands.STATUS: done.status,
        }
        for element in (commands.SOP_CLASS, commands.SOP_INSTANCE):
            if value := commands.text(command, element)[:64]:
                elements[element] = value
        if done.comment:
            elements[commands.ERROR_COMMENT] = commands.comment(done.comment)
        return elements


def storage_contexts(sop_classes: Iterable[str]) -> list[Context]:
    """Storage contexts from id 5 on. Of few classes each compressed syntax gets a context of its own, so that the peer
    need not convert what it has; of many, uncompressed and compressed get one each. Pure."""
    classes = list(dict.fromkeys(sop_classes)) or list(COMMON_CLASSES)
    room = _LIMIT - 2
    classes = classes[:room]
    if len(classes) * (len(COMPRESSED) + 1) <= room:
        offers = [_SYNTAXES, *([uid] for uid in COMPRESSED)]
    elif len(classes) * 2 <= room:
        offers = [_SYNTAXES, list(COMPRESSED)]
    else:
        offers = [[*_SYNTAXES, *COMPRESSED]]
    pairs = [(uid, offer) for uid in classes for offer in offers]
    return [Context(5 + 2 * n, uid, list(offer)) for n, (uid, offer) in enumerate(pairs)]


def _count(counts: Counts, command: Mapping[int, bytes], pending: bool) -> None:
    """Takes the numbers that are there; a final success has no remaining ones (PS3.7 9.1.3.1.6)."""
    found = dict(command)
    for element, name in (
        (commands.COMPLETED, "completed"),
        (commands.FAILED, "failed"),
        (commands.WARNING, "warning"),
    ):
        if element in found:
            setattr(counts, name, commands.number(found, element))
    if commands.REMAINING in found:
        counts.remaining = commands.number(found, commands.REMAINING)
    elif not pending:
        counts.remaining = 0


def _failed(data: bytes | None, explicit: bool) -> list[str]:
    """Failed SOP Instance UID List of a final answer (PS3.4 C.4.2.1.4.2)."""
    try:
        found = identifier.decode(data or b"", explicit=explicit)
    except identifier.BadIdentifier:
        return []
    return [uid for uid in found.get("FailedSOPInstanceUIDList", "").split("\\") if is_safe(uid)]

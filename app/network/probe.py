"""The Test button: reach the host, associate, echo; each step with its words and its time. Finds out what a node can."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.dicom import identifier
from app.dicom.uids import new_uid
from app.kit.errors import PeerFault
from app.kit.phrases import NOTHING, Phrase, joined, phrase, verbatim
from app.network import commands, statuses
from app.network.connect import describe_route
from app.network.pdu import Context
from app.network.scu import VERIFICATION, Association, Peer, Response, connect
from app.network.settings import DicomSettings

_SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]

# capability -> a SOP class whose acceptance shows it
SIGNS = {
    "store": "1.2.840.10008.5.1.4.1.1.2",  # CT Image Storage
    "find": "1.2.840.10008.5.1.4.1.2.2.1",  # Study Root, as the next two
    "move": "1.2.840.10008.5.1.4.1.2.2.2",
    "get": "1.2.840.10008.5.1.4.1.2.2.3",
    "worklist": "1.2.840.10008.5.1.4.31",
    "commitment": "1.2.840.10008.1.20.1",
    "print": "1.2.840.10008.5.1.1.9",  # Basic Grayscale Print Management
}


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """One step. name: reach, association, echo, find or offers; of DICOMweb reach and search; of a folder folder, write and
    space. hint: what to do about a failure."""

    name: str
    ok: bool
    words: Phrase
    seconds: float
    hint: Phrase = NOTHING


@dataclass(frozen=True, slots=True)
class Probe:
    """Result of a test. offers: the capabilities the node showed; missing: those it is set to have but refused."""

    steps: list[ProbeStep]
    offers: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the steps that prove it went well; its other services are reported, not checked."""
        proven = any(step.name in ("echo", "search", "space") and step.ok for step in self.steps)
        return proven and all(step.ok for step in self.steps if step.name == "find")

    @property
    def message(self) -> Phrase:
        failed = next((step for step in self.steps if not step.ok and step.name != "offers"), None)
        return phrase("It answered.") if failed is None else joined((failed.words, failed.hint))

    @property
    def seconds(self) -> float:
        return round(sum(step.seconds for step in self.steps), 4)


def _ask_nothing(association: Association, seconds: float) -> Phrase:
    """A C-FIND for a study that does not exist: the service answers, and no patient's data travels. seconds: until it
    must have ended. Raises PeerFault."""
    until = time.monotonic() + seconds
    context_id = 2 * list(SIGNS).index("find") + 3
    explicit = association.accepted[context_id] == _SYNTAXES[1]
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": new_uid()}
    command: dict[int, int | str] = {
        commands.SOP_CLASS: SIGNS["find"],
        commands.COMMAND_FIELD: commands.C_FIND_RQ,
        commands.PRIORITY: commands.MEDIUM,
    }
    data = identifier.encode(keys, explicit=explicit)
    final = Response(commands.SUCCESS)
    for answer in association.request(context_id, command, data, stop=lambda: time.monotonic() > until):
        final = answer
    if time.monotonic() > until:
        raise PeerFault(phrase("{peer} did not end its answers in time.", peer=str(association.peer)))
    if final.status != commands.SUCCESS:
        description = statuses.describe_status(final.status, final.comment, str(association.peer))
        raise PeerFault(description.what, hint=description.hint)
    return phrase("A query was answered (0000)")


class _Steps:
    """The steps of one test, each with the time since the one before."""

    def __init__(self) -> None:
        self.ended: list[ProbeStep] = []
        self._name = ""
        self._started = time.monotonic()

    def begin(self, name: str) -> None:
        self._name = name

    def end(self, ok: bool, words: Phrase, hint: Phrase = NOTHING) -> None:
        moment = time.monotonic()
        self.ended.append(ProbeStep(self._name, ok, words, round(moment - self._started, 4), hint))
        self._started = moment


def probe(peer: Peer, settings: DicomSettings, wanted: Sequence[str] = (), quick: bool = False) -> Probe:
    """Tests a peer. wanted: the capabilities it is set to have; those it refuses become a step of their own. quick: an
    echo alone, nothing else is asked for."""
    steps = _Steps()
    offers: list[str] = []
    try:
        steps.begin("reach")
        sock = connect(peer, settings.connect_timeout)
        steps.end(True, describe_route(peer, sock))
        steps.begin("association")
        classes = [VERIFICATION] if quick else [VERIFICATION, *SIGNS.values()]
        contexts = [Context(2 * n + 1, uid, _SYNTAXES) for n, uid in enumerate(classes)]
        association = Association(peer, contexts, settings).open(sock)
        with association:
            offers = [name for n, name in enumerate(SIGNS) if 2 * n + 3 in association.accepted]
            steps.end(True, _describe_association(association, len(contexts)))
            steps.begin("echo")
            answer = association.echo()
            steps.end(answer.status == 0, _describe_echo(answer))
            if "find" in wanted and "find" in offers:
                steps.begin("find")
                steps.end(True, _ask_nothing(association, association.timeout))
    except PeerFault as fault:
        steps.end(False, fault.detail, fault.hint)
        return Probe(steps.ended, offers)
    missing = [name for name in wanted if name in SIGNS and name not in offers]
    if missing:
        steps.begin("offers")
        steps.end(
            False,
            phrase("Not offered: {missing}", missing=", ".join(missing)),
            phrase("It may offer this to other titles only."),
        )
    return Probe(steps.ended, offers, missing)


def _describe_association(association: Association, asked: int) -> Phrase:
    return phrase(
        "{accepted} of {asked} presentation contexts accepted, PDU {length}",
        accepted=len(association.accepted),
        asked=asked,
        length=f"{association.max_length // 1024} kB" if association.max_length else phrase("of any length"),
    )


def _describe_echo(answer: Response) -> Phrase:
    if answer.status == 0:
        return phrase("Success (0000)")
    return joined((phrase("Status {status:04X}", status=answer.status), verbatim(answer.comment)))

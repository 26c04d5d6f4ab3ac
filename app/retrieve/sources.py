"""A node as something to ask, whatever its protocol: the same levels, keys and answers by C-FIND and by QIDO-RS."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from app.config import Config
from app.dicom.matching import wildcard
from app.kit.errors import PeerFault
from app.kit.phrases import phrase
from app.network.find_scu import Finder
from app.network.settings import DicomSettings
from app.nodes import dicomweb, options, service
from app.nodes.models import Node
from app.retrieve.settings import QuerySettings

_UNTOLD = 100


@dataclass(slots=True)
class SourceProgress:
    """How asking went so far. broken: answers that could not be read; limited: the node had more; kind: find or qido,
    what the log calls it."""

    broken: int = 0
    limited: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Question:
    """Parameters of the question. modalities: each in a request of its own, since Modalities in Study takes one value
    (PS3.4 C.2.2.2.1)."""

    level: str
    keys: Mapping[str, str]
    modalities: tuple[str, ...] = ()
    limit: int = 500


def interactive_settings(settings: DicomSettings, own: QuerySettings) -> DicomSettings:
    """The network's settings as they hold while a person waits for answers."""
    return settings.model_copy(
        update={
            "network_timeout": min(settings.network_timeout, own.silence),
            "connect_timeout": min(settings.connect_timeout, own.silence),
        }
    )


def query_node(
    node: Node,
    config: Config,
    settings: DicomSettings,
    own: QuerySettings,
    question: Question,
    asked: SourceProgress,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[dict[str, str]]:
    """Each match once, as it comes. Raises PeerFault after those that came. asked: filled on the way."""
    started = time.monotonic()
    try:
        seen: set[str] = set()
        found = _query_web(
            node, config, interactive_settings(settings, own), question, asked, stop, started + own.seconds
        )
        if options.node_options(node).protocol != "dicomweb":
            found = _query_dicom(node, config, settings, own, question, asked, stop)
        for answer in found:
            key = key_of(question.level, answer)
            if key not in seen and _matches(question, answer):
                seen.add(key)
                yield answer
    finally:
        asked.seconds = time.monotonic() - started


def key_of(level: str, answer: Mapping[str, str]) -> str:
    """Identity of an answer; at the patient level the id with its issuer's name is enough."""
    unique = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID"}
    return answer.get(unique.get(level, "SOPInstanceUID"), "")[:64]


def _single_questions(question: Question) -> list[dict[str, str]]:
    keys = dict(question.keys)
    if not question.modalities:
        return [keys]
    name = "ModalitiesInStudy" if question.level == "STUDY" else "Modality"
    return [keys | {name: one} for one in question.modalities]


def _matches(question: Question, answer: Mapping[str, str]) -> bool:
    """Peers may leave a key aside that they do not know. Modalities and the description, which many leave aside, are
    matched again where the answer has them."""
    modalities = answer.get("ModalitiesInStudy" if question.level == "STUDY" else "Modality", "")
    if question.modalities and modalities and not set(modalities.split("\\")) & set(question.modalities):
        return False
    wanted, description = question.keys.get("StudyDescription", ""), answer.get("StudyDescription", "")
    return not (wanted and description) or wildcard(wanted.casefold()).matches(description.casefold())


def _query_dicom(
    node: Node,
    config: Config,
    settings: DicomSettings,
    own: QuerySettings,
    question: Question,
    asked: SourceProgress,
    stop: Callable[[], bool],
) -> Iterator[dict[str, str]]:
    limits = interactive_settings(settings, own)
    peer = service.peer_of(node, config.aet, limits)
    finder = Finder(peer, limits, options.node_options(node).character_set, stop, own.seconds)
    try:
        with finder:
            untold: dict[str, dict[str, str]] = {}
            for keys in _single_questions(question):
                for answer in finder.find(question.level, keys, question.limit):
                    if question.level != "STUDY" or not question.modalities or answer.get("ModalitiesInStudy"):
                        yield answer
                    else:
                        untold[answer["StudyInstanceUID"]] = answer
                asked.limited |= finder.limited
                if stop():
                    return
            yield from _filter_by_series(finder, untold, stop)
    finally:
        asked.broken = finder.broken


def _filter_by_series(
    finder: Finder, untold: dict[str, dict[str, str]], stop: Callable[[], bool]
) -> Iterator[dict[str, str]]:
    """Studies of a peer that takes no heed of Modalities in Study (an optional key): their series are queried. Those
    beyond the first hundred pass as they are."""
    for number, (uid, answer) in enumerate(untold.items()):
        if number < _UNTOLD and not stop():
            keys = {"StudyInstanceUID": uid, "PatientID": answer.get("PatientID", "")}
            found = {one.get("Modality", "") for one in finder.find("SERIES", keys, _UNTOLD)} - {""}
            answer["ModalitiesInStudy"] = "\\".join(sorted(found))
        yield answer


def _query_web(
    node: Node,
    config: Config,
    settings: DicomSettings,
    question: Question,
    asked: SourceProgress,
    stop: Callable[[], bool],
    until: float,
) -> Iterator[dict[str, str]]:
    """Raises PeerFault when the time is used up before the last page."""
    search = dicomweb.RemoteSearch()

    def expired() -> bool:
        return stop() or time.monotonic() > until

    try:
        with dicomweb.client(node, settings, config) as http:
            for keys in _single_questions(question):
                yield from dicomweb.find(
                    http,
                    node.name,
                    question.level,
                    keys,
                    limit=question.limit,
                    search=search,
                    stop=expired,
                    seconds=max(0.0, until - time.monotonic()),
                )
                if stop():
                    return
                if expired():
                    raise PeerFault(phrase("{peer} did not end its answers in time.", peer=node.name))
    finally:
        asked.broken, asked.limited = search.broken, search.limited


def can_find(node: Node) -> bool:
    """Whether it is set to answer queries: DICOMweb nodes can, others when their options allow it."""
    set_to = options.node_options(node)
    return set_to.protocol == "dicomweb" or (set_to.protocol == "dicom" and "find" in set_to.capabilities)


def retrieval_methods(node: Node) -> list[str]:
    """How objects can be had from it, the preferred way first: move, get, web."""
    set_to = options.node_options(node)
    if set_to.protocol == "dicomweb":
        return ["web"]
    known = [way for way in ("move", "get") if way in set_to.capabilities and set_to.protocol == "dicom"]
    return sorted(known, key=lambda way: way != set_to.retrieve_by)


def may_ask(node: Node) -> None:
    """Raises PeerFault for a node that is switched off or not set to find."""
    if not node.enabled or not can_find(node):
        raise PeerFault(
            "This node is switched off or not set to find.",
            hint="Its supported services are set under Settings, Nodes.",
        )

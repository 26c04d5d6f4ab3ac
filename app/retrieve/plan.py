"""Requests of a retrieval, from the objects that the node reports and those stored here. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_UIDS = 100  # of one request at the image level: its identifier stays small


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a study that a retrieval is about."""

    study: str
    series: str = ""
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """One C-MOVE or C-GET request, or the WADO-RS requests that do the same."""

    level: str
    keys: Mapping[str, str]

    def paths(self) -> list[str]:
        """The resources of WADO-RS."""
        path = f"studies/{self.keys['StudyInstanceUID']}"
        if self.level == "STUDY":
            return [path]
        path += f"/series/{self.keys['SeriesInstanceUID']}"
        if self.level == "SERIES":
            return [path]
        return [f"{path}/instances/{uid}" for uid in self.keys["SOPInstanceUID"].split("\\")]


@dataclass(slots=True)
class There:
    """Objects of a scope that the node reports. series: UID -> number of objects, None where it is not reported;
    instances: series UID -> SOP Instance UIDs, for those that were asked; known: False when it could not be asked."""

    known: bool = False
    series: dict[str, int | None] = field(default_factory=dict)
    instances: dict[str, list[str]] = field(default_factory=dict)
    sop_classes: set[str] = field(default_factory=set)

    @property
    def total(self) -> int | None:
        """Objects altogether; None when it is not known."""
        counts = [len(self.instances[uid]) if uid in self.instances else n for uid, n in self.series.items()]
        return sum(n for n in counts if n is not None) if self.known and None not in counts else None


@dataclass(frozen=True, slots=True)
class ArchivedPart:
    """Objects of it in the archive: objects by series, and which of the objects named by the node."""

    series: Mapping[str, int]
    instances: frozenset[str] = frozenset()


def full_requests(scope: Scope) -> list[Ask]:
    """The requests for all of a scope."""
    keys = {"StudyInstanceUID": scope.study}
    if scope.instances:
        return _images(scope.study, scope.series, scope.instances)
    if scope.series:
        return [Ask("SERIES", keys | {"SeriesInstanceUID": scope.series})]
    return [Ask("STUDY", keys)]


def _images(study: str, series: str, uids: Iterable[str]) -> list[Ask]:
    wanted = list(uids)
    keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
    return [
        Ask("IMAGE", keys | {"SOPInstanceUID": "\\".join(wanted[at : at + _UIDS])})
        for at in range(0, len(wanted), _UIDS)
    ]


def incomplete(scope: Scope, there: There, here: ArchivedPart) -> list[str]:
    """The series of which something is here but perhaps not all: their objects are worth asking for one by one."""
    return [
        uid
        for uid, count in there.series.items()
        if here.series.get(uid, 0) and (count is None or here.series[uid] < count)
    ]


def plan(scope: Scope, there: There, here: ArchivedPart) -> list[Ask]:
    """The least that brings what is missing; empty when nothing is. Without knowledge of the node: all of it."""
    if scope.instances:
        return _images(scope.study, scope.series, [uid for uid in scope.instances if uid not in here.instances])
    if not there.known or not there.series:
        return full_requests(scope)
    asks: list[Ask] = []
    for uid, count in there.series.items():
        if not here.series.get(uid, 0):
            asks.append(Ask("SERIES", {"StudyInstanceUID": scope.study, "SeriesInstanceUID": uid}))
        elif uid in there.instances:
            missing = [one for one in there.instances[uid] if one not in here.instances]
            asks += _images(scope.study, uid, missing)
        elif count is None or here.series[uid] < count:
            asks.append(Ask("SERIES", {"StudyInstanceUID": scope.study, "SeriesInstanceUID": uid}))
    untouched = len(asks) == len(there.series) and all(ask.level == "SERIES" for ask in asks)
    return full_requests(scope) if untouched and not any(here.series.values()) else asks


def missing_count(scope: Scope, there: There, here: ArchivedPart) -> int | None:
    """How many objects are not here yet; None when the number is unknown."""
    if scope.instances:
        return len(set(scope.instances) - here.instances)
    if not there.known or not there.series:
        return None
    lacking = 0
    for uid, count in there.series.items():
        if uid in there.instances:
            lacking += len(set(there.instances[uid]) - here.instances)
        elif count is None:
            return None
        else:
            lacking += max(0, count - here.series.get(uid, 0))
    return lacking

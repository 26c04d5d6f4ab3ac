"""The bench: shows what a route would do with a stored study or a dropped file, and why. Nothing is
stored or sent. What it shows holds patient data: for the person who asked, never for a log."""

import tempfile
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from pydicom.datadict import dictionary_description
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from sqlalchemy.orm import Session

from app import audit
from app.archive import Archive, content
from app.archive import arrivals as archive
from app.archive import queries as stored
from app.config import Config
from app.deid.errors import CannotClean
from app.deid.files import rewrite
from app.dicom.header import NotDicom, scan_bytes
from app.kit.clock import now
from app.kit.errors import Invalid, NotFound
from app.kit.phrases import phrase
from app.nodes import options
from app.nodes.models import Node
from app.routing import conditions, queries
from app.routing.conditions import Verdict
from app.routing.decide import Candidate, applies_to_facility, select_objects
from app.routing.derive import Leaving, Maker, send_actions
from app.routing.facts import Names, ObjectFacts, of_stored
from app.security import Actor, Verb, require

_DIFFERENCES = 400  # lines of a comparison
_LENGTH = 120  # characters of a shown value
_SEEN = 5  # different values of a condition that are shown


@dataclass(slots=True)
class Subject:
    """Subject of the test bench: objects with what conditions see of them, and a way to read the first one's file."""

    name: str
    facility_id: str | None
    objects: list[tuple[int, ObjectFacts]]
    syntaxes: dict[int, str]
    origins: dict[int, str]  # node ids
    open: dict[int, Any] = field(default_factory=dict)  # number -> function that opens the file


def of_study(session: Session, actor: Actor, files: Archive, uid: str) -> Subject:
    """A stored study. NotFound when the actor may not see it."""
    require(actor, Verb.ROUTE_EDIT)
    study = stored.study(session, actor, uid)
    audit.record_study(study.study_instance_uid, study.facility_id, shown=True)
    names = queries.names(session)
    found = archive.stored(session, study.study_instance_uid)
    subject = Subject(uid, study.facility_id, [], {}, {})
    for one in found:
        number = one.instance.id
        subject.objects.append((number, of_stored(one, names)))
        subject.syntaxes[number] = one.instance.transfer_syntax_uid
        subject.origins[number] = one.source.node_id if one.source else ""
        subject.open[number] = lambda instance=one.instance: content.open_object(files, instance)
    return subject


def of_file(actor: Actor, name: str, data: bytes, facility_id: str | None) -> Subject:
    """A file that was dropped, as if it arrived by upload. Invalid when it is not DICOM."""
    require(actor, Verb.ROUTE_EDIT)
    try:
        header = scan_bytes(data)
    except NotDicom as no:
        raise Invalid(str(no), field="file") from None
    facts = ObjectFacts(header.kept, {"source": "upload"}, now())
    return Subject(name, facility_id, [(0, facts)], {0: header.transfer_syntax_uid}, {}, {0: lambda: BytesIO(data)})


def test_routes(session: Session, config: Config, subject: Subject, tried: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Result of each tested route. Routes that are on and stop others are taken into account."""
    others = {one.id: one for one in queries.candidates(session)} | {one.id: one for one in tried}
    nodes = queries.nodes_by_id(
        session, [n for one in tried for a in send_actions(one.rule.actions) for n in a.send.nodes]
    )
    names = queries.names(session)
    return [_test_route(config, subject, route, list(others.values()), nodes, names) for route in tried]


def _test_route(
    config: Config,
    subject: Subject,
    route: Candidate,
    others: list[Candidate],
    nodes: dict[str, Node],
    names: Names,
) -> dict[str, Any]:
    taken = select_objects(route, others, subject.objects, subject.facility_id)
    result: dict[str, Any] = {
        "id": route.id,
        "name": route.name,
        "fires": bool(taken.objects),
        "objects": len(taken.objects),
        "total": len(subject.objects),
        "why_not": "",
        "stopped_by": sorted(set(taken.stopped.values())),
        "conditions": _explain_conditions(route, subject),
        "when": route.rule.when.model_dump(mode="json"),
        "sends": [],
        "drops": route.rule.drops,
        "stops": route.rule.stops,
    }
    if not applies_to_facility(route, subject.facility_id):
        result["why_not"] = phrase(
            "The route is for the facility {name} only.", name=names.facilities.get(route.facility_id or "", "?")
        )
    elif taken.stopped and not taken.objects:
        result["why_not"] = phrase("A route above keeps it: {name}.", name=", ".join(result["stopped_by"]))
    elif not taken.objects:
        result["why_not"] = phrase("The conditions are not met.")
    if taken.objects:
        result["sends"] = [
            _describe_output(config, subject, one, nodes.get(node_id), node_id, taken.objects)
            for one in send_actions(route.rule.actions)
            for node_id in one.send.nodes
        ]
    return result


def _explain_conditions(route: Candidate, subject: Subject) -> dict[str, Any]:
    """The conditions with the values seen, over all objects: a condition has the number of objects it holds for."""
    verdicts = [conditions.explain_conditions(route.rule.conditions, facts) for _, facts in subject.objects]
    return _merged(verdicts)


def _merged(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    first = verdicts[0]
    result: dict[str, Any] = {"met": sum(one.ok for one in verdicts), "of": len(verdicts)}
    if first.condition is not None:
        seen = dict.fromkeys(tuple(value[:_LENGTH] for value in one.seen) if one.seen else None for one in verdicts)
        result |= first.condition.model_dump(mode="json")
        result["seen"] = [None if values is None else list(values) for values in list(seen)[:_SEEN]]
        result["more"] = max(0, len(seen) - _SEEN)
        return result
    result["match"] = first.match
    result["items"] = [_merged([one.inner[n] for one in verdicts]) for n in range(len(first.inner))]
    return result


def _describe_output(
    config: Config, subject: Subject, one: Leaving, node: Node | None, node_id: str, numbers: list[int]
) -> dict[str, Any]:
    """One destination: how many objects, in which form, and what is different about the first of them."""
    away = [n for n in numbers if one.send.back or not subject.origins.get(n) or subject.origins[n] != node_id]
    result: dict[str, Any] = {
        "node": node.name if node else node_id,
        "objects": len(away),
        "back": len(numbers) - len(away),
        "fault": "",
        "transfer_syntax": "stored",
        "stored_syntaxes": sorted({subject.syntaxes[n] for n in away}),
        "changes": [],
        "form": one.number,
    }
    if node is None:
        result["fault"] = phrase("This node has been removed.")
    elif not node.enabled:
        result["fault"] = phrase("This node is switched off.")
    else:
        result["protocol"] = options.node_options(node).protocol
        result["transfer_syntax"] = options.node_options(node).transfer_syntax
    if one.steps and away:
        try:
            result["changes"] = differences(config, subject.open[away[0]], one)
        except (CannotClean, NotFound) as fault:
            result["fault"] = fault.detail
    return result


def differences(config: Config, opener: Any, one: Leaving) -> list[dict[str, str]]:
    """Attribute by attribute what leaves otherwise than it is stored: tag, name, before, after ("" where there is none)."""
    before: list[Dataset] = []
    with opener() as source, tempfile.TemporaryFile() as unchanged, tempfile.TemporaryFile() as out:
        rewrite(source, unchanged, lambda opened: before.append(deepcopy(opened.ds)))
        source.seek(0)
        after = Maker(config, one.steps).write(source, out)
    found: list[dict[str, str]] = []
    _compare(before[0], after, "", found)
    return found


def _compare(before: Dataset, after: Dataset, where: str, found: list[dict[str, str]]) -> None:
    for tag in sorted({*before.keys(), *after.keys()}):
        if len(found) >= _DIFFERENCES or (int(tag) & 0xFFFF == 0 and int(tag) >> 16):
            continue
        old = before.get(tag)
        new = after.get(tag)
        name = f"{where}({int(tag) >> 16:04X},{int(tag) & 0xFFFF:04X})"
        if old is not None and new is not None and old.VR == new.VR == "SQ":
            for number, (left, right) in enumerate(zip(old.value, new.value, strict=False)):
                _compare(left, right, f"{name}[{number + 1}].", found)
            if len(old.value) == len(new.value):
                continue
        shown = _element_text(old), _element_text(new)
        if shown[0] != shown[1]:
            found.append({"tag": name, "name": _name(int(tag)), "before": shown[0], "after": shown[1]})


def _name(tag: int) -> str:
    try:
        return str(dictionary_description(tag))
    except KeyError:
        return ""


def _element_text(element: Any) -> str:
    if element is None:
        return ""
    if element.VR == "SQ":
        return f"[{len(element.value)}]"
    value = element.value
    if isinstance(value, bytes):
        return f"[{len(value)} B]"
    return (
        "\\".join(map(str, value)) if isinstance(value, MultiValue | list) else str(value if value is not None else "")
    )[:_LENGTH]

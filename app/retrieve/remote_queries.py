"""Queries to other archives (NET-4): asked in the background, each node by itself; answers are rows for a day, merged
by what they are about, with where it is and how much of it is here already."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from app import audit, events, jobs
from app.dicom.names import fold
from app.kit.clock import now
from app.kit.errors import Conflict, Invalid
from app.kit.ids import new_id
from app.kit.numbers import parse_integer
from app.kit.phrases import phrase
from app.network.find_scu import LEVELS, RETURNED, UNIQUE
from app.nodes import queries as node_queries
from app.nodes.models import Node
from app.retrieve import queries as retrieve_queries
from app.retrieve import sources
from app.retrieve.models import RemoteAnswer, RemoteQuery, RemoteQueryNode
from app.retrieve.query_states import CANCELLED, FAILED, OPEN, QueryNodeState, node_states, query_state
from app.retrieve.settings import QuerySettings
from app.security.actor import Actor, require
from app.security.verbs import Verb
from app.settings import load

KIND = "query.ask"
_MOST_NODES, _MOST_MODALITIES, _LONGEST = 32, 16, 256


@dataclass(frozen=True, slots=True)
class Wish:
    """Parameters of a query. fields: keyword -> value with the wildcards and ranges of PS3.4 C.2.2.2."""

    nodes: tuple[str, ...]
    level: str = "STUDY"
    fields: Mapping[str, str] = field(default_factory=dict)
    modalities: tuple[str, ...] = ()


def create_query(session: Session, actor: Actor, wish: Wish) -> RemoteQuery:
    """Asks the nodes, all at once. Invalid (with its field) when it cannot be asked, NotFound for an unknown node."""
    require(actor, Verb.QUERY_RETRIEVE)
    nodes = _nodes(session, actor, wish.nodes)
    keys = _keys(wish)
    query = RemoteQuery(
        id=new_id(),
        job_id="",
        level=wish.level,
        keys=keys,
        modalities=list(wish.modalities),
        limit=load(session, QuerySettings).answers,
        created_by=actor.name,
        owner_id=actor.user_id,
        facility_id=actor.facility_id,
        created_at=now(),
    )
    query.job_id = jobs.enqueue(
        session,
        KIND,
        {"query_id": query.id},
        actor_name=actor.name,
        owner_id=actor.user_id,
        facility_id=actor.facility_id,
        max_attempts=2,
    )
    session.add(query)
    session.flush()
    for node in nodes:
        session.add(RemoteQueryNode(query_id=query.id, node_id=node.id, node_name=node.name))
    session.flush()
    _record(
        session,
        actor,
        query,
        "query.ask",
        {"nodes": [n.name for n in nodes], "keys": sorted(k for k in keys if keys[k])},
    )
    notify(session, query)
    return query


def _nodes(session: Session, actor: Actor, names: Iterable[str]) -> list[Node]:
    found = {node.id: node for node in (node_queries.node(session, actor, name) for name in names)}
    if not found:
        raise Invalid("Choose at least one node to ask.", field="nodes")
    if len(found) > _MOST_NODES:
        raise Invalid(phrase("At most {most} nodes are asked at once.", most=_MOST_NODES), field="nodes")
    for node in found.values():
        if not node.enabled:
            raise Conflict(
                phrase("The node {name} is switched off.", name=node.name), hint="Switch it on under Settings, Nodes."
            )
        if not sources.can_find(node):
            raise Invalid(
                phrase("The node {name} is not set to find.", name=node.name),
                field="nodes",
                hint="Tick Find in its form.",
            )
    return list(found.values())


def _keys(wish: Wish) -> dict[str, str]:
    if wish.level not in LEVELS:
        raise Invalid(phrase("A level is one of {known}.", known=", ".join(LEVELS).lower()), field="level")
    known = {key for level in LEVELS[: LEVELS.index(wish.level) + 1] for key in RETURNED[level]}
    keys = {key: value.strip() for key, value in wish.fields.items() if value.strip()}
    for key, value in keys.items():
        if key not in known:
            raise Invalid(phrase("{key} cannot be asked for at this level.", key=key), field=key)
        if len(value) > _LONGEST or not value.isprintable():
            raise Invalid("This is too long, or has characters that cannot be asked for.", field=key)
    above = LEVELS[1 : LEVELS.index(wish.level)] if wish.level != "PATIENT" else ()
    for level in above:
        if not keys.get(UNIQUE[level]):
            raise Invalid(phrase("Below the study level {key} is needed.", key=UNIQUE[level]), field=UNIQUE[level])
    if len(wish.modalities) > _MOST_MODALITIES or not all(m.isalnum() and len(m) <= 16 for m in wish.modalities):
        raise Invalid("A modality is a short code such as CT.", field="modalities")
    return keys


def cancel_query(session: Session, actor: Actor, query_id: str) -> RemoteQuery:
    """Stops asking; what came stays. Conflict when every node has ended."""
    require(actor, Verb.QUERY_RETRIEVE)
    query = retrieve_queries.query(session, actor, query_id)
    jobs.cancel(session, query.job_id)
    for node in retrieve_queries.nodes_of(session, query.id):
        if node.state in OPEN:
            node.state = CANCELLED
    _record(session, actor, query, "query.cancel", {})
    notify(session, query)
    return query


def _record(session: Session, actor: Actor, query: RemoteQuery, verb: str, detail: dict[str, Any]) -> None:
    """The trail names the nodes and which keys were used, never their values: those are of patients."""
    audit.by(
        session, actor, verb, "query", query.id, facility_id=query.facility_id, detail=detail | {"level": query.level}
    )


def notify(session: Session, query: RemoteQuery) -> None:
    """The event that moves the page; for the one who asks alone."""
    events.append(session, "query.changed", {"id": query.id}, user_id=query.owner_id or events.NOBODY)


# -- results -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ArchiveState:
    """How much of a thing is here. state: all, part or none; have: objects; retrieving: the retrieval under way."""

    state: str
    have: int = 0
    retrieving: str = ""


@dataclass(slots=True)
class Match:
    """One study (or patient, series, image) found at nodes. values: keyword -> text, the first value that is not empty;
    where: the nodes' names; images: the largest count of any node, None where none has one."""

    key: str
    values: dict[str, str]
    where: list[str] = field(default_factory=list)
    images: int | None = None
    here: ArchiveState = ArchiveState("none")


_COUNT = {"STUDY": "NumberOfStudyRelatedInstances", "SERIES": "NumberOfSeriesRelatedInstances"}


def merge_answers(level: str, answers: Iterable[tuple[str, Mapping[str, str]]]) -> list[Match]:
    """(node's name, answer) pairs as one match for each thing, in the order of their first answer. Pure."""
    found: dict[str, Match] = {}
    for node, values in answers:
        key = sources.key_of(level, values)
        match = found.setdefault(key, Match(key, {}))
        if node not in match.where:
            match.where.append(node)
        for keyword, text in values.items():
            if text and not match.values.get(keyword):
                match.values[keyword] = text
        if "ModalitiesInStudy" in match.values:
            modalities = {
                m for one in (match.values, values) for m in one.get("ModalitiesInStudy", "").split("\\") if m
            }
            match.values["ModalitiesInStudy"] = "\\".join(sorted(modalities))
        count = values.get(_COUNT.get(level, ""), "")
        if (images := parse_integer(count)) is not None:
            match.images = max(match.images or 0, images)
    return list(found.values())


def local_counts(have: int, images: int | None, retrieving: str = "") -> ArchiveState:
    """all only when the count is known and reached."""
    if not have:
        return ArchiveState("none", 0, retrieving)
    return ArchiveState("all" if images is not None and have >= images else "part", have, retrieving)


def matches(session: Session, actor: Actor, query: RemoteQuery) -> list[Match]:
    """The merged answers so far, each with what of it the actor sees here."""
    rows = retrieve_queries.answers_of(session, query.id)
    found = merge_answers(query.level, ((node.node_name, answer.values) for node, answer in rows))
    keys = [match.key for match in found]
    if query.level == "STUDY":
        here = retrieve_queries.local_studies(session, actor, keys)
        under_way = {one.study_instance_uid: one.id for one in retrieve_queries.active(session, actor, keys)}
        for match in found:
            match.here = local_counts(here.get(match.key, 0), match.images, under_way.get(match.key, ""))
    elif query.level == "SERIES":
        counted = retrieve_queries.local_series(session, actor, query.keys.get("StudyInstanceUID", ""))
        for match in found:
            match.here = local_counts(counted.get(match.key, 0), match.images)
    elif query.level == "IMAGE":
        there = retrieve_queries.local_instances(session, actor, keys)
        for match in found:
            match.here = local_counts(int(match.key in there), 1)
    return found


SORTS = {
    "date": lambda m: (m.values.get("StudyDate", ""), m.values.get("StudyTime", "")),
    "name": lambda m: fold(m.values.get("PatientName", "")),
    "patient_id": lambda m: m.values.get("PatientID", ""),
    "images": lambda m: m.images or 0,
    "where": lambda m: ", ".join(m.where),
    "number": lambda m: parse_integer(m.values.get("SeriesNumber") or m.values.get("InstanceNumber", "")) or 0,
}


def sort_matches(found: list[Match], sort: str = "-date", here: str = "") -> list[Match]:
    """Sorted (a minus in front: downwards) and, if asked, only those of which all, part or none is here."""
    name = sort.removeprefix("-")
    kept = [match for match in found if not here or match.here.state == here]
    return sorted(kept, key=SORTS.get(name, SORTS["date"]), reverse=sort.startswith("-"))


def node_json(shown: QueryNodeState) -> dict[str, Any]:
    """answers: the answers of the node so far; incomplete: it ended before all answers."""
    node = shown.node
    return {
        "node": node.node_name,
        "state": shown.state,
        "answers": node.answers,
        "incomplete": shown.incomplete,
        "broken": node.broken,
        "limited": node.limited,
        "seconds": round(node.seconds, 3),
        "error": shown.error or None,
        "hint": shown.hint or None,
    }


def query_json(session: Session, query: RemoteQuery) -> dict[str, Any]:
    """A query as REST shows it (DESIGN part 2: long work), node by node. complete: every node has sent all its
    answers."""
    states = node_states(session, query, retrieve_queries.nodes_of(session, query.id))
    state = query_state(states)
    error = next((one.error for one in states if one.error), None) if state == FAILED else None
    return {
        "id": query.id,
        "state": state,
        "progress": {"done": sum(one.state not in OPEN for one in states), "total": len(states)},
        "error": error,
        "complete": all(one.answered and not one.incomplete for one in states),
        "level": query.level.lower(),
        "keys": query.keys,
        "modalities": query.modalities,
        "nodes": [node_json(one) for one in states],
        "created_by": query.created_by,
        "created_at": query.created_at.isoformat(),
    }


def match_json(match: Match) -> dict[str, Any]:
    return {
        "key": match.key,
        **{_snake(keyword): value for keyword, value in sorted(match.values.items())},
        "images": match.images,
        "where": match.where,
        "here": {"state": match.here.state, "have": match.here.have, "retrieving": match.here.retrieving or None},
    }


def _snake(keyword: str) -> str:
    """StudyInstanceUID -> study_instance_uid."""
    out = ""
    for at, char in enumerate(keyword):
        before = keyword[at - 1] if at else ""
        follows = keyword[at + 1 : at + 2]
        if char.isupper() and at and (before.islower() or (before.isupper() and follows.islower())):
            out += "_"
        out += char.lower()
    return out


def add_answers(session: Session, node: RemoteQueryNode, level: str, found: list[dict[str, str]]) -> None:
    """Keeps some more answers of a node."""
    session.add_all(
        RemoteAnswer(query_node_id=node.id, key=sources.key_of(level, values), values=values) for values in found
    )
    node.answers += len(found)

"""Studies that leave at a caller's wish (C-MOVE, C-GET): where they may go, and what the trail keeps of it."""

import contextlib
from collections import Counter
from collections.abc import Sequence

from sqlalchemy.orm import Session

from app import audit
from app.archive.models import Instance
from app.db import Database
from app.kit.errors import Unavailable
from app.kit.phrases import Phrase
from app.nodes import options, service
from app.nodes import queries as node_queries
from app.nodes.admission import is_at
from app.nodes.models import Node
from app.security.actor import Actor, may_see
from app.security.verbs import Verb


def destinations(session: Session, actor: Actor, title: str, address: str) -> list[Node]:
    """The DICOM nodes of this title that the actor may send to: those of no facility or of its own; those at the
    caller's own address first."""
    nodes = [
        node
        for node in node_queries.nodes_titled(session, title)
        if options.node_options(node).protocol == "dicom"
        and (node.facility_id is None or may_see(actor, node.facility_id))
    ]
    return sorted(nodes, key=lambda node: not is_at(node.host, address))


def is_paused(database: Database, node_id: str) -> bool:
    """Whether the node has been paused or switched off meanwhile; no when the database is away."""
    with contextlib.suppress(Unavailable), database.read() as session:
        node = session.get(Node, node_id)
        return node is not None and (options.node_options(node).paused or not node.enabled)
    return False


def record_start(database: Database, actor: Actor, instances: Sequence[Instance], where: str, how: str) -> None:
    """Written before the first object leaves: one row for each study. Raises Unavailable; then nothing may leave."""
    counts = Counter(one.study_pk for one in instances)
    with database.write() as session:
        for study in node_queries.studies_by_pk(session, list(counts)):
            audit.by(
                session,
                actor,
                Verb.STUDY_SEND if how == "C-MOVE" else Verb.STUDY_EXPORT,
                "study",
                study.study_instance_uid,
                facility_id=study.facility_id,
                detail={"node": where, "instances": counts[study.id], "by": how},
            )


def record_result(
    database: Database, actor: Actor, node: Node, how: str, arrived: int, failed: int, fault: Phrase
) -> None:
    """How it went: on the node, and in the trail where not everything arrived. fault: why the peer could not be used."""
    with database.write() as session:
        service.record_outcome(session, node.id, fault)
        if failed:
            audit.by(
                session,
                actor,
                Verb.STUDY_SEND,
                "node",
                node.name,
                outcome="failure",
                facility_id=node.facility_id,
                detail={"by": how, "arrived": arrived, "failed": failed},
            )

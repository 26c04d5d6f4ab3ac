"""The select statements about nodes, facilities and storage commitment."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.archive.models import Instance, Study
from app.kit.errors import NotFound
from app.kit.phrases import Phrase
from app.nodes.models import Commitment, CommitmentInstance, Node
from app.security.actor import Actor, may_see
from app.security.models import Facility
from app.trust.models import Certificate


def node(session: Session, actor: Actor, name: str) -> Node:
    """The node of that name (or id); NotFound when there is none or it is another facility's."""
    found = session.scalar(select(Node).where((Node.name == name) | (Node.id == name)).order_by(Node.name != name))
    if found is None or not (found.facility_id is None or may_see(actor, found.facility_id)):
        raise NotFound("There is no such node.", hint="Look at the names under Settings, Nodes.")
    return found


def node_named(session: Session, name: str) -> Node | None:
    return session.scalar(select(Node).where(func.lower(Node.name) == name.lower()))


def node_name(session: Session, node_id: str) -> str:
    return session.scalar(select(Node.name).where(Node.id == node_id)) or ""


def all_nodes(session: Session) -> list[Node]:
    """The nodes of every facility: a name is unique among them all."""
    return list(session.scalars(select(Node)))


def nodes(session: Session, actor: Actor) -> list[Node]:
    """All nodes the actor may use, by name: those of no facility and those of its own."""
    query = select(Node).order_by(func.lower(Node.name))
    if not actor.sees_all:
        query = query.where((Node.facility_id.is_(None)) | (Node.facility_id == actor.facility_id))
    return list(session.scalars(query))


def nodes_titled(session: Session, title: str) -> list[Node]:
    """The nodes that call themselves so; none for an empty title, which nodes without DICOM have."""
    if not title:
        return []
    return list(session.scalars(select(Node).where(Node.ae_title == title).order_by(Node.id)))


def names_by_title(session: Session, actor: Actor) -> dict[str, str]:
    """AE title -> the name of the node that calls itself so, where it is just one of those the actor may use."""
    known = [node for node in nodes(session, actor) if node.ae_title]
    counts = Counter(node.ae_title for node in known)
    return {node.ae_title: node.name for node in known if counts[node.ae_title] == 1}


def facility_titled(session: Session, title: str) -> str | None:
    """The id of the facility with this AE title."""
    return session.scalar(select(Facility.id).where(Facility.ae_title == title))


def facility_ports(session: Session) -> list[tuple[str, int | None, int | None]]:
    """Facility id, its own port, its own TLS port."""
    return [(row[0], row[1], row[2]) for row in session.execute(select(Facility.id, Facility.port, Facility.tls_port))]


def facility_name(session: Session, facility_id: str) -> str:
    return session.scalar(select(Facility.name).where(Facility.id == facility_id)) or ""


def study(session: Session, actor: Actor, study_instance_uid: str) -> Study:
    """The study as the archive has it; NotFound when it is not there or another facility's."""
    found = session.scalar(select(Study).where(Study.study_instance_uid == study_instance_uid))
    if found is None or not may_see(actor, found.facility_id):
        raise NotFound("Study not found.")
    return found


def studies_by_pk(session: Session, pks: Sequence[int]) -> list[Study]:
    """The studies with these keys; the caller may see them."""
    found: list[Study] = []
    for at in range(0, len(pks), 500):
        found += session.scalars(select(Study).where(Study.id.in_(pks[at : at + 500])).order_by(Study.id))
    return found


def instance_uids(session: Session, study_pk: int) -> Sequence[str]:
    return session.scalars(
        select(Instance.sop_instance_uid)
        .where(Instance.study_pk == study_pk)
        .order_by(Instance.series_pk, Instance.instance_number, Instance.id)
    ).all()


def commitment(session: Session, role: str, node_id: str, transaction_uid: str) -> Commitment | None:
    """The newest request of that node (scp) or to it (scu) under this Transaction UID."""
    return session.scalar(
        select(Commitment)
        .where(Commitment.transaction_uid == transaction_uid, Commitment.role == role, Commitment.node_id == node_id)
        .order_by(Commitment.id.desc())
        .limit(1)
    )


def commitment_objects_open(session: Session, node_id: str) -> int:
    """Objects in requests of this node that have not been answered."""
    open_ones = select(func.sum(Commitment.total)).where(
        Commitment.role == "scp", Commitment.node_id == node_id, Commitment.state == "queued"
    )
    return session.scalar(open_ones) or 0


def commitment_seen(session: Session, actor: Actor, commitment_id: str) -> Commitment:
    found = session.get(Commitment, commitment_id)
    if found is None or not may_see(actor, found.facility_id):
        raise NotFound("There is no such request.")
    return found


def commitment_asked(session: Session, node_id: str, transaction_uid: str) -> Commitment | None:
    """The outgoing request with this Transaction UID to that node. Several nodes may be one peer (one title, several
    ports), so its title counts; that it calls from its own address was seen to at the interface."""
    titles = select(Node.ae_title).where(Node.id == node_id)
    return session.scalar(
        select(Commitment)
        .join(Node, Node.id == Commitment.node_id)
        .where(Commitment.transaction_uid == transaction_uid, Commitment.role == "scu", Node.ae_title.in_(titles))
        .order_by(Commitment.id.desc())
        .limit(1)
    )


def commitment_uids(session: Session, commitment_id: str) -> set[str]:
    found = select(CommitmentInstance.sop_instance_uid).where(CommitmentInstance.commitment_id == commitment_id)
    return set(session.scalars(found))


def commitment_waiting(session: Session, commitment_id: str) -> list[tuple[int, str]]:
    """Row id and SOP Instance UID of the objects nothing is known about yet."""
    rows = session.execute(
        select(CommitmentInstance.id, CommitmentInstance.sop_instance_uid)
        .where(CommitmentInstance.commitment_id == commitment_id, CommitmentInstance.state == "waiting")
        .order_by(CommitmentInstance.id)
    )
    return [(row[0], row[1]) for row in rows]


def commitment_instances(
    session: Session, commitment_id: str, limit: int | None = None, after: int = 0
) -> list[CommitmentInstance]:
    return list(
        session.scalars(
            select(CommitmentInstance)
            .where(CommitmentInstance.commitment_id == commitment_id)
            .order_by(CommitmentInstance.id)
            .offset(after)
            .limit(limit)
        )
    )


def commitment_states(session: Session, commitment_id: str) -> dict[str, int]:
    rows = session.execute(
        select(CommitmentInstance.state, func.count())
        .where(CommitmentInstance.commitment_id == commitment_id)
        .group_by(CommitmentInstance.state)
    )
    return {row[0]: row[1] for row in rows}


def commitment_results(session: Session, transfer_id: str) -> list[tuple[str, str, int | None, Phrase | None]]:
    """State, SOP Instance UID, Failure Reason and the request's error, oldest request first."""
    rows = session.execute(
        select(
            CommitmentInstance.state, CommitmentInstance.sop_instance_uid, CommitmentInstance.reason, Commitment.error
        )
        .join(Commitment, Commitment.id == CommitmentInstance.commitment_id)
        .where(Commitment.transfer_id == transfer_id)
        .order_by(Commitment.id, CommitmentInstance.id)
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def commitments_of(session: Session, transfer_id: str) -> list[Commitment]:
    return list(session.scalars(select(Commitment).where(Commitment.transfer_id == transfer_id)))


def commitments_overdue(session: Session, moment: datetime) -> list[Commitment]:
    found = select(Commitment).where(Commitment.state == "waiting", Commitment.due_at < moment)
    return list(session.scalars(found.order_by(Commitment.id)))


def commitments(
    session: Session,
    actor: Actor,
    *,
    role: str | None = None,
    state: str | None = None,
    transfer_id: str | None = None,
    limit: int = 50,
    before: str | None = None,
) -> tuple[list[tuple[Commitment, str]], int]:
    """Newest first with the node's name, and how many there are. before: the last id of the page before."""
    query = select(Commitment, Node.name).join(Node, Node.id == Commitment.node_id)
    if not actor.sees_all:
        query = query.where(Commitment.facility_id == actor.facility_id)
    for column, value in (
        (Commitment.role, role),
        (Commitment.state, state),
        (Commitment.transfer_id, transfer_id),
    ):
        if value is not None:
            query = query.where(column == value)
    total = session.scalar(select(func.count()).select_from(query.with_only_columns(Commitment.id).subquery())) or 0
    if before:
        query = query.where(Commitment.id < before)
    rows = session.execute(query.order_by(Commitment.id.desc()).limit(limit)).all()
    return [(row[0], row[1]) for row in rows], total


def facility_station(session: Session, facility_id: str) -> tuple[str, int]:
    """A facility's own AE title and port; empty and 0 where it has none."""
    found = session.get(Facility, facility_id)
    return (found.ae_title or "", found.port or 0) if found is not None else ("", 0)


def nodes_showing(session: Session, certificate_id: str) -> list[str]:
    """The names of the nodes that are called with this certificate."""
    shown = session.get(Certificate, certificate_id)
    if shown is None or shown.kind != "own":
        return []
    found = session.scalars(select(Node).order_by(Node.name))
    return [node.name for node in found if node.options.get("client_certificate") == shown.name]

"""Whether objects are really here: indexed, and their files on the disk as the index says. Checks for storage
commitment (PS3.4 Annex J), which a source awaits before it deletes its own copy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from app.archive.ingest import Archive
from app.archive.models import ArrivalSource, Instance, Study
from app.archive.queries import visible_to
from app.archive.store import sha256_of
from app.security.actor import Actor

_CHECKSUM_UP_TO = 64 << 20  # bytes; of larger files the size must do, or one movie would hold up the answer
_STEP = 500  # UIDs of one statement


@dataclass(frozen=True, slots=True)
class Held:
    """An object as the index has it."""

    sop_class_uid: str
    path: str
    bytes: int
    sha256: str


def stored_objects(
    session: Session, actor: Actor, sop_instance_uids: Sequence[str], from_node: str | None = None
) -> dict[str, Held]:
    """Those of the objects that are here and that the actor may see, by SOP Instance UID. from_node: only those that came
    from the node with this id."""
    found: dict[str, Held] = {}
    came = select(ArrivalSource.id).where(ArrivalSource.node_id == from_node)
    wanted = visible_to(actor) if from_node is None else and_(visible_to(actor), Instance.source_pk.in_(came))
    for at in range(0, len(sop_instance_uids), _STEP):
        rows = session.execute(
            select(Instance.sop_instance_uid, Instance.sop_class_uid, Instance.path, Instance.bytes, Instance.sha256)
            .join(Study, Study.id == Instance.study_pk)
            .where(Instance.sop_instance_uid.in_(sop_instance_uids[at : at + _STEP]), wanted)
        )
        found |= {row[0]: Held(*row[1:]) for row in rows}
    return found


def verify_files(archive: Archive, objects: Iterable[Held]) -> list[bool]:
    """For each of them, whether its file is there with the indexed size and, up to 64 MiB, the indexed checksum.
    Reads files: no transaction may be open."""
    return [_verify_file(archive, one) for one in objects]


def _verify_file(archive: Archive, one: Held) -> bool:
    path = archive.store.full_path(one.path)
    try:
        if path.stat().st_size != one.bytes:
            return False
        return one.bytes > _CHECKSUM_UP_TO or sha256_of(path) == one.sha256
    except OSError:
        return False

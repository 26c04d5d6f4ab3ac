"""Studies that must stay for now: each holder keeps a row while it needs the study's files (ARC-6, FWD-2)."""

from collections.abc import Collection

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.archive.models import StudyHold
from app.kit.errors import Conflict
from app.kit.phrases import phrase


def hold(session: Session, study_instance_uid: str, holder: str) -> None:
    """From now on the study is not deleted. Repeated calls make one hold."""
    if session.get(StudyHold, (study_instance_uid, holder)) is None:
        session.add(StudyHold(study_instance_uid=study_instance_uid, holder=holder))
        session.flush()


def release(session: Session, study_instance_uid: str, holder: str) -> None:
    """This holder needs it no more."""
    session.execute(
        delete(StudyHold).where(StudyHold.study_instance_uid == study_instance_uid, StudyHold.holder == holder)
    )


def release_all(session: Session, study_instance_uids: Collection[str], holders: Collection[str]) -> None:
    """These holders need these studies no more."""
    if holders:
        session.execute(
            delete(StudyHold).where(
                StudyHold.study_instance_uid.in_(study_instance_uids), StudyHold.holder.in_(holders)
            )
        )


def count(session: Session, study_instance_uid: str) -> int:
    """How many hold the study."""
    query = select(func.count()).select_from(StudyHold).where(StudyHold.study_instance_uid == study_instance_uid)
    return session.scalar(query) or 0


def refuse_held(session: Session, study_instance_uid: str) -> None:
    """Raises Conflict while the study is held."""
    if number := count(session, study_instance_uid):
        raise Conflict(
            phrase("{number} transfers of this study are not complete.", number=number),
            hint="Wait for them to complete, or stop them under Incoming, Transfers.",
        )

"""The audit rows of imports."""

from sqlalchemy.orm import Session

from app.media.intake import Result
from app.security import Actor, Verb
from app.viewing.traces import record


def imported(session: Session, actor: Actor, results: list[Result], how: str) -> None:
    """One audit row for each study something came in for, and one for what was refused without naming one."""
    counts: dict[str, dict[str, object]] = {}
    for one in results:
        per_study = counts.setdefault(one.study_instance_uid, {"how": how})
        per_study[one.status] = int(str(per_study.get(one.status, 0))) + 1
    for study, detail in counts.items():
        record(session, actor, Verb.STUDY_IMPORT, "study", study, actor.facility_id, detail)

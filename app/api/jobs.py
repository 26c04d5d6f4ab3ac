"""Jobs: long work of all kinds; everyone sees their own, some see all."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from app import jobs
from app.http import ReadSession, WriteSession, allow, i18n
from app.jobs import Job
from app.kit.errors import NotFound
from app.security import Actor, Verb, can, owns

router = APIRouter(tags=["jobs"])
Owner = Annotated[Actor, Depends(allow(Verb.JOB_OWN))]


def _require_visible(actor: Actor, job: Job) -> Job:
    """Another's job does not exist for those who may not see all."""
    if not owns(actor, job.owner_id) and not can(actor, Verb.JOB_ALL):
        raise NotFound("Job not found.")
    return job


@router.get("/jobs")
def list_jobs(
    request: Request,
    actor: Owner,
    session: ReadSession,
    kind: str | None = None,
    state: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Lists background jobs, newest first."""
    whose = None if can(actor, Verb.JOB_ALL) else actor.user_id or ""
    items, total = jobs.list_jobs(session, owner_id=whose, kind=kind, state=state, limit=limit, before=cursor)
    following = items[-1].id if len(items) == limit else None
    return {
        "items": [i18n.translate_answer(request, job.as_json()) for job in items],
        "total": total,
        "next": following,
    }


@router.get("/jobs/{job_id}")
def show_job(request: Request, job_id: str, actor: Owner, session: ReadSession) -> dict[str, Any]:
    """Returns a job: state, progress, and the reason when it has failed."""
    return i18n.translate_answer(request, _require_visible(actor, jobs.get(session, job_id)).as_json())


@router.post("/jobs/{job_id}/cancel", status_code=204)
def cancel_job(job_id: str, actor: Owner, session: WriteSession) -> None:
    """Cancels a job that has not ended."""
    _require_visible(actor, jobs.get(session, job_id))
    jobs.cancel(session, job_id)


@router.post("/jobs/{job_id}/retry", status_code=204)
def retry_job(job_id: str, actor: Owner, session: WriteSession) -> None:
    """Puts an ended job back into the queue."""
    _require_visible(actor, jobs.get(session, job_id))
    jobs.retry(session, job_id)

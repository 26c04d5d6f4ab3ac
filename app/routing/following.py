"""Periodic tasks after sending: runs end, and what is proven elsewhere may be dropped here (FWD-3)."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app import audit
from app.archive import Archive, holds
from app.archive import service as archive
from app.db import Database
from app.forward import derived, transfers
from app.jobs import Job
from app.kit.clock import now
from app.kit.errors import AppError
from app.kit.ids import first_id
from app.kit.phrases import Phrase, joined, phrase, phrases
from app.routing import queries
from app.routing.jobs import actor_of, objects_of
from app.routing.models import DONE, DROPPED, FAILED, QUEUED, SENDING, Route, RouteRun, RouteRunTransfer
from app.routing.rule import Rule
from app.routing.service import notify_run
from app.security import SYSTEM

log = logging.getLogger(__name__)
_ENDED = 200  # runs that are followed up in one turn
FORGOTTEN = 100  # runs in one transaction
_LATER = timedelta(seconds=60)
_SOON = timedelta(seconds=5)


def finish_runs(database: Database, files: Archive) -> int:
    """Ends runs: those whose job failed get its reason; those whose transfers have ended are done, and their objects
    are deleted if the route requires it and delivery is proven."""
    with database.read() as session:
        lost = [run.id for run in queries.queued(session) if _reason(session, run)]
        over = [run.id for run in queries.finished_sending(session, now(), _ENDED)]
    for run_id in lost:
        with database.write() as session:
            _fail_run(session, session.get(RouteRun, run_id))
        derived.delete_files(files.store, run_id)
    for run_id in over:
        with database.write() as session:
            ended = _end(session, session.get(RouteRun, run_id))
        if ended:
            derived.delete_files(files.store, run_id)
    return len(lost) + len(over)


def sweep(database: Database, files: Archive) -> int:
    """Removes derived files without a holder: what a crash between file and row left. How many runs that were of."""
    there = derived.holders_on_disk(files.store)
    if not there:
        return 0
    with database.read() as session:
        needed = queries.open_among(session, there) | derived.with_rows(session, there)
    unused = [holder for holder in there if holder not in needed]
    for holder in unused:
        derived.delete_files(files.store, holder)
    return len(unused)


def prune(session: Session, older_than: datetime) -> int:
    """Forgets runs that ended well before then, or left nothing to do; how many. Failed ones stay: they prevent
    deletion of the objects until a user decides. At most FORGOTTEN at a time: there may be more."""
    expired = list(
        session.scalars(
            select(RouteRun.id)
            .where(
                RouteRun.state.in_((DONE, DROPPED)),
                RouteRun.id < first_id(older_than),
                RouteRun.finished_at < older_than,
            )
            .order_by(RouteRun.id)
            .limit(FORGOTTEN)
        )
    )
    session.execute(delete(RouteRunTransfer).where(RouteRunTransfer.run_id.in_(expired)))
    session.execute(delete(RouteRun).where(RouteRun.id.in_(expired)))
    return len(expired)


def _reason(session: Session, run: RouteRun) -> Phrase | None:
    """Why the job of a queued run will not come any more; None while it may."""
    job = session.get(Job, run.job_id) if run.job_id else None
    if job is None:
        return phrase("Its job is gone.")
    return (job.error or phrase("It was cancelled.")) if job.state in ("failed", "cancelled") else None


def _fail_run(session: Session, run: RouteRun | None) -> None:
    if run is not None and run.state == QUEUED and (reason := _reason(session, run)):
        run.state, run.reason, run.finished_at = FAILED, reason, now()
        notify_run(session, run)


def _end(session: Session, run: RouteRun | None) -> bool:
    """Ends a run whose transfers have ended. False: it stays open with `reason`."""
    route = session.get(Route, run.route_id) if run else None
    if run is None or route is None or run.state != SENDING:
        return False
    sent = queries.transfers_of(session, run.id)
    waiting = next((name for transfer, name in sent if transfer.state == "failed"), None)
    if waiting is not None:
        run.reason = phrase("The transfer to {name} did not end well: see Transfers.", name=waiting)
        run.due_at = now() + _LATER  # it may be tried again there: then this run goes on
        return False
    stopped = next((name for transfer, name in sent if transfer.state == "cancelled"), None)
    run.reason = phrase("The transfer to {name} was stopped.", name=stopped) if stopped else None
    if refused := run.done.get("refused"):
        words = phrases(
            "{count} object was not sent: {why}",
            "{count:n} objects were not sent: {why}",
            count=refused,
            why=joined(run.done["reasons"], "; "),
        )
        run.reason, stopped = words, words
    elif not stopped and Rule.model_validate(route.rule).drops and not _delete_local(session, run, route):
        run.due_at = now() + _SOON
        return False
    run.state, run.finished_at, run.due_at = FAILED if stopped else DONE, now(), None
    derived.delete_rows(session, run.id)
    notify_run(session, run)
    return True


def _delete_local(session: Session, run: RouteRun, route: Route) -> bool:
    """Deletes the run's objects here, when all is proven at this moment: every transfer of the run has delivered all of
    them, and no other transfer or route still needs one. False: not now, for `reason`."""
    found = objects_of(session, run)
    uids = {one.instance.sop_instance_uid for one in found}
    sent = queries.transfers_of(session, run.id)
    if not uids:
        return True
    proof = transfers.delivered(session, [transfer.id for transfer, _ in sent])
    expected = sum("transfer" in one for one in run.done["sends"])
    if not sent or expected < len(run.done["sends"]) or not uids <= proof.safe:
        _keep_open(run, len(uids), phrase("Kept: not every destination has taken everything."))
        return True
    if queries.others_open(session, run):
        run.reason = phrase("Waits: another route has yet to look at these objects.")
        return False
    if holds.count(session, run.study_instance_uid):
        run.reason = phrase("Waits: another transfer of this study has not arrived yet.")
        return False
    try:
        archive.delete_instances(session, SYSTEM, run.study_instance_uid, [one.instance.id for one in found])
    except AppError as fault:
        _keep_open(run, len(uids), phrase("Kept: {why}", why=fault.detail))
        return True
    run.done = run.done | {"dropped": len(uids)}
    audit.by(
        session,
        actor_of(route),
        "route.drop",
        "study",
        run.study_instance_uid,
        facility_id=run.facility_id,
        detail={"route": route.name, "run": run.id, "objects": len(uids), "nodes": [name for _, name in sent]},
    )
    return True


def _keep_open(run: RouteRun, count: int, words: Phrase) -> None:
    run.reason = words
    run.done = run.done | {"kept": count}

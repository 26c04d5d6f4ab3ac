"""Reading is audited: every answered request that shows patient data or the audit trail leaves a trace, of the studies
it looked at or of the list it showed (SEC-6). Those routes are selected by the permission they require."""

from collections.abc import Iterator

from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from app.audit import RequestReads
from app.audit.tally import AuditedAction, AuditTally
from app.security import Verb
from app.security.identity import Identity

_MOST_STUDIES = 20  # of one request that have rows of their own
_READING = frozenset(
    {
        Verb.STUDY_SEARCH,
        Verb.STUDY_VIEW,
        Verb.STUDY_EXPORT,
        Verb.STUDY_PRINT,
        Verb.STUDY_SEND,
        Verb.STUDY_ANONYMIZE,
        Verb.QUERY_RETRIEVE,
        Verb.JOB_OWN,
        Verb.JOB_ALL,
        Verb.NODE_READ,
        Verb.ROUTE_EDIT,
        Verb.CONFLICT_DECIDE,
        Verb.CROSSREF_READ,
        Verb.AUDIT_READ,
    }
)
_OF_A_STUDY = frozenset({Verb.STUDY_VIEW, Verb.STUDY_EXPORT})
READ = "study.read"  # of the trail alone: no user sees it
# Lists that hold no patient's name, and those below them that do: the trail, and the studies a route is tested with.
_PLAIN = ("/api/v1/jobs", "/api/v1/nodes", "/api/v1/certificates", "/api/v1/routes", "/api/v1/proxy", "/settings/")
_NAMING = ("/settings/audit", "/api/v1/audit", "/settings/routes")


async def count_reading(tally: AuditTally, scope: Scope, seen: RequestReads) -> None:
    """Called once for each request that is answered with what it asked for, before the answer goes out."""
    state = scope.get("state", {})
    verb, identity = state.get("verb"), state.get("identity")
    if verb not in _READING or not isinstance(identity, Identity):
        return
    new = [deed for deed in _deeds(scope, verb, identity, seen) if tally.is_new(deed)]
    if new:
        await run_in_threadpool(_write, tally, new)


def _write(tally: AuditTally, deeds: list[AuditedAction]) -> None:
    for deed in deeds:
        tally.write(deed)


def _deeds(scope: Scope, verb: Verb, identity: Identity, seen: RequestReads) -> Iterator[AuditedAction]:
    reads = scope["method"] in ("GET", "HEAD")
    studies = seen.studies if reads else {uid: seen.studies[uid] for uid in seen.shown}
    where = _pattern(scope)
    if studies and len(studies) <= _MOST_STUDIES:
        for uid, facility_id in studies.items():
            if uid not in seen.traced:
                yield _deed(identity, _view_verb(verb), "study", uid, facility_id, where)
    elif (studies or not seen.traced) and reads and (not where.startswith(_PLAIN) or where.startswith(_NAMING)):
        yield _deed(identity, str(verb), "list", f"GET {where}"[:128], identity.actor.facility_id, where)


def _view_verb(verb: Verb) -> str:
    """The audit verb for reading a page of a study with this permission. A deed (sent, printed, decided) has its own
    row, so its verb is never used for a view of the study."""
    if verb is Verb.STUDY_PRINT:  # pictures for a page are looked at
        return str(Verb.STUDY_VIEW)
    return str(verb) if verb in _OF_A_STUDY else READ


def _pattern(scope: Scope) -> str:
    """The path with the names of its parameters in place of their values."""
    path = str(scope["path"])
    for name, value in scope.get("path_params", {}).items():
        path = path.replace(f"/{value}", f"/{{{name}}}")
    return path


def _deed(
    identity: Identity, verb: str, thing: str, thing_id: str, facility_id: str | None, where: str
) -> AuditedAction:
    actor = identity.actor
    return AuditedAction(
        actor.name,
        verb,
        thing=thing,
        thing_id=thing_id,
        facility_id=facility_id,
        address=actor.address,
        actor_kind=actor.kind,
        detail={"what": where} if thing == "study" else {},
        who_id=actor.user_id or actor.name,
    )

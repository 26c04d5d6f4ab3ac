"""GET /healthz and GET /metrics: whether every role is ready, and the numbers behind it (OPS-3)."""

import shutil
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse

from app import jobs
from app.archive import comparison, queries
from app.archive.reserve import Reserve
from app.forward import queue_list
from app.http.deps import ReadSession, allow, public
from app.http.services import Services, services
from app.kit import rolestate, running
from app.kit.errors import AppError
from app.nodes import facility_titles
from app.security import Actor, Verb

router = APIRouter(tags=["health"], include_in_schema=False)
ROLES = ("web", "dicom", "worker")


def role_states(service: Services) -> dict[str, dict[str, Any]]:
    """Each role's newest word: {"state": "ready"|"starting"|"down", "processes": n}, and "replaced" where the supervisor
    has replaced processes that no longer answered."""
    found = rolestate.read_all(service.config.run)
    replaced: dict[str, int] = next(
        (one.detail.get("replaced", {}) for one in found if one.role == running.SUPERVISOR), {}
    )
    answer: dict[str, dict[str, Any]] = {}
    for role in ROLES:
        entries = [entry for entry in found if entry.role == role]
        ready = [entry for entry in entries if entry.state == "ready"]
        answer[role] = {"state": "ready" if ready else ("starting" if entries else "down"), "processes": len(entries)}
        if replaced.get(role):
            answer[role]["replaced"] = replaced[role]
    return answer


def database_state(service: Services) -> str:
    try:
        with service.database.read() as session:
            jobs.has_due_job(session, ["-"])
        return "ready"
    except AppError:
        return "down"


def storage_state(service: Services) -> str:
    try:
        return Reserve.of(service.config).state()
    except OSError:
        return "down"


@router.get("/healthz")
@public
def healthz(service: Annotated[Services, Depends(services)]) -> Response:
    """200 when every role is ready, else 503; the body names each, and whether the store takes objects ("ready",
    "full", "read-only", "down"): a full disk stops intake and nothing else. Does not reveal stored data."""
    roles = role_states(service)
    ports = facility_titles.port_states(service.config)
    if ports:
        open_ = sum(state == "open" for state in ports.values())
        roles["dicom"]["facility_ports"] = {"open": open_, "failed": len(ports) - open_}
    roles["database"] = {"state": database_state(service), "processes": 1}
    ready = all(entry["state"] == "ready" for entry in roles.values())
    return JSONResponse(
        {"status": "ready" if ready else "not ready", "roles": roles, "storage": {"state": storage_state(service)}},
        200 if ready else 503,
        {"cache-control": "no-store"},
    )


@router.get("/metrics")
def metrics(
    service: Annotated[Services, Depends(services)],
    session: ReadSession,
    actor: Annotated[Actor, Depends(allow(Verb.METRICS_READ))],
) -> Response:
    """Prometheus text. Needs a token of scope `metrics`."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    up = Gauge("filmroom_role_up", "1 when a process of the role is ready", ["role"], registry=registry)
    for role, entry in role_states(service).items():
        up.labels(role).set(entry["state"] == "ready")
    ports = facility_titles.port_states(service.config).values()
    listening = Gauge("filmroom_facility_ports", "ports of facilities", ["state"], registry=registry)
    listening.labels("open").set(sum(state == "open" for state in ports))
    listening.labels("failed").set(sum(state != "open" for state in ports))
    waiting = Gauge("filmroom_jobs", "jobs by state", ["state"], registry=registry)
    for state, count in jobs.count_by_state(session).items():
        waiting.labels(state).set(count)
    going = Gauge("filmroom_transfers", "transfers that have not arrived, by state", ["state"], registry=registry)
    for state, count in queue_list.open_by_state(session).items():
        going.labels(state).set(count)
    stored = Gauge("filmroom_stored", "what is in the archive", ["what"], registry=registry)
    for what, count in queries.totals(session).items():
        stored.labels(what).set(count)
    intake = Gauge(
        "filmroom_intake", "1 when the store takes objects, 0 when the disk is full or read-only", registry=registry
    )
    intake.set(storage_state(service) == "ready")
    checked = Gauge("filmroom_store_check", "what a comparison of store and index found", ["what"], registry=registry)
    for what, count in comparison.last_result(session).items():
        checked.labels(what).set(count)
    disk = shutil.disk_usage(service.config.store)
    Gauge("filmroom_disk_free_bytes", "free space where the store lies", registry=registry).set(disk.free)
    Gauge("filmroom_disk_total_bytes", "size of the disk where the store lies", registry=registry).set(disk.total)
    return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

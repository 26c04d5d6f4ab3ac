"""The self-test of a node: what was asked for, its steps as they come, and what people see of it. The work itself is
`selftest_job.run`."""

from typing import Any

from sqlalchemy.orm import Session

from app import audit, events, jobs
from app.kit import queue_priority
from app.kit.clock import now
from app.kit.errors import Conflict, NotFound
from app.kit.ids import new_id
from app.kit.phrases import joined
from app.nodes import activity_queries
from app.nodes import queries as node_queries
from app.nodes.models import Node, NodeTest
from app.security.actor import Actor, require
from app.security.verbs import Verb

KIND = "node.test"
QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
OK, WRONG, SKIPPED, WARNED = "ok", "failed", "skipped", "warned"  # states of a step, beside running
PATIENT, PATIENT_ID = "FILMROOM^TEST", "FILMROOM-TEST"
_KEEP = 5  # tests of a node


def start_test(session: Session, actor: Actor, node_name: str, with_object: bool = False) -> NodeTest:
    """Queues a self-test. with_object: also stores a test object there, which stays on the node (in a folder it does
    not), and fetches it back. Conflict while another one of the same node runs."""
    require(actor, Verb.NODE_ECHO)
    if with_object:
        require(actor, Verb.STUDY_SEND)
    node = node_queries.node(session, actor, node_name)
    last = activity_queries.newest_test(session, node.id)
    if last is not None and state_of(session, last) in (QUEUED, RUNNING):
        raise Conflict("A test of this node is running.", hint="Wait until it has ended.")
    made = NodeTest(
        id=new_id(),
        job_id="",
        node_id=node.id,
        with_object=with_object,
        state=QUEUED,
        steps=[],
        created_by=actor.name,
        created_at=now(),
    )
    made.job_id = jobs.enqueue(
        session,
        KIND,
        {"test_id": made.id},
        actor_name=actor.name,
        owner_id=actor.user_id,
        facility_id=node.facility_id,
        priority=queue_priority.URGENT,
        max_attempts=1,
    )
    session.add(made)
    session.flush()
    activity_queries.drop_tests(session, node.id, _KEEP)
    audit.by(
        session, actor, KIND, "node", node.name, facility_id=node.facility_id, detail={"with_object": made.with_object}
    )
    notify(session, node)
    return made


def notify(session: Session, node: Node) -> None:
    """The pages hear that a step has ended."""
    events.append(session, "node.test", {"id": node.id, "name": node.name}, facility_id=node.facility_id)


def state_of(session: Session, test: NodeTest) -> str:
    """The state of a test; a job that failed with its worker sets its state."""
    if test.state in (QUEUED, RUNNING):
        job = activity_queries.job(session, test.job_id)
        if job is None or job.state in ("failed", "cancelled", "done"):
            return FAILED
    return test.state


def newest(session: Session, actor: Actor, node_name: str) -> NodeTest | None:
    """The last self-test of a node."""
    require(actor, Verb.NODE_READ)
    return activity_queries.newest_test(session, node_queries.node(session, actor, node_name).id)


def get(session: Session, actor: Actor, test_id: str) -> NodeTest:
    require(actor, Verb.NODE_READ)
    found = session.get(NodeTest, test_id)
    if found is None:
        raise NotFound("There is no such test.")
    node_queries.node(session, actor, found.node_id)
    return found


def test_json(session: Session, test: NodeTest) -> dict[str, Any]:
    """A test as REST shows it (DESIGN part 2: long work)."""
    done = sum(1 for step in test.steps if step["state"] != RUNNING)
    state = state_of(session, test)
    failed = next((step for step in test.steps if step["state"] == WRONG), None)
    return {
        "id": test.id,
        "state": state,
        "progress": {"done": done, "total": max(done, len(test.steps))},
        "error": joined((failed["words"], failed["hint"])) if failed and state in (DONE, FAILED) else None,
        "ok": state == DONE and failed is None,
        "with_object": test.with_object,
        "study_instance_uid": test.study_instance_uid or None,
        "steps": [
            {k: step.get(k) for k in ("step", "state", "seconds")} | {"message": step["words"], "hint": step["hint"]}
            for step in test.steps
        ],
        "created_by": test.created_by,
        "created_at": test.created_at.isoformat(),
        "finished_at": test.finished_at and test.finished_at.isoformat(),
    }

"""The forward queue moved by hand: what lanes do, in this thread."""

from app.forward import claims, queue_queries
from app.forward.lanes import LaneRunner
from app.worker import Worker


def due(worker: Worker) -> list[str]:
    """Nodes that have something to be sent now, and may be sent to."""
    with worker.database.read() as session:
        nodes = queue_queries.due_nodes(session, claims.now())
        return [node.id for node in nodes if claims.may_send(node, claims.now())]


def work_off(worker: Worker) -> int:
    """For each node that has something due one run of a lane, until nothing is left or it fails; no lingering. How many."""
    nodes = due(worker)
    for node_id in nodes:
        LaneRunner(
            worker.config, worker.database, worker.archive, worker.name, node_id, worker.forwarder.stopping, linger=0
        ).run()
    with worker.database.write() as session:
        claims.apply_commitments(session)
    return len(nodes)

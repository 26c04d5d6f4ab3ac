"""Self-tests of a node, run as the worker runs them."""

import contextlib
import threading
from collections.abc import Iterator

from app import jobs
from app.config import Config
from app.jobs.context import JobContext, PermanentFault
from app.kit.errors import PeerFault
from app.nodes import commitment_jobs, selftest, service
from app.nodes.models import NodeTest
from app.nodes.service import NodeValues
from app.security.actor import SYSTEM
from app.selftest import job
from tests.support.dimse import Station


@contextlib.contextmanager
def _commitments(here: Station, config: Config) -> Iterator[None]:
    """The lane of the worker that asks for storage commitment."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.05):
            with here.database.write() as session:
                claimed = jobs.claim(session, ["commitment.ask"], "lane")
            if claimed is not None:
                with contextlib.suppress(
                    PeerFault, PermanentFault
                ):  # the worker writes those down; the row says it too
                    commitment_jobs.send_request(
                        JobContext(config, here.database, here.archive, claimed), claimed.payload
                    )

    lane = threading.Thread(target=work)
    lane.start()
    try:
        yield
    finally:
        ended.set()
        lane.join(30)


def run_selftest(here: Station, values: NodeValues, with_object: bool = True) -> NodeTest:
    config = Config(
        **{f: getattr(here.config, f) for f in here.config.__dataclass_fields__} | {"dicom_port": here.port}
    )
    with here.database.write() as session:
        node = service.create_node(session, SYSTEM, values)
        test = selftest.start_test(session, SYSTEM, node.id, with_object)
    with here.database.write() as session:
        claimed = jobs.claim(session, [selftest.KIND], "test")
    assert claimed is not None
    with _commitments(here, config):
        job.run(JobContext(config, here.database, here.archive, claimed), claimed.payload)
    with here.database.read() as session:
        found = session.get(NodeTest, test.id)
        assert found is not None
        return found


def step_states(test: NodeTest) -> dict[str, str]:
    return {step["step"]: step["state"] for step in test.steps}


def step_text(test: NodeTest, name: str) -> str:
    step = next(step for step in test.steps if step["step"] == name)
    return f"{step['words']} {step['hint']}"

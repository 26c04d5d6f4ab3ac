"""Nodes that hang keep no place from others: in the lanes of the worker and in the forward queue."""

from collections.abc import Iterator

import pytest

from app import jobs
from app.archive import Source
from app.db import Database
from app.forward import transfers
from app.jobs.context import JobContext
from app.nodes import selftest, service
from app.nodes.models import NodeTest
from app.nodes.service import NodeValues
from app.retrieve import retrievals
from app.retrieve.models import Retrieval
from app.retrieve.retrievals import RetrievalOrder
from app.security.actor import SYSTEM
from app.trust import runtime
from app.worker import LANES, MORE, STALLED, Worker
from tests.archive.make import ct_bytes
from tests.support.dimse import Station
from tests.support.scripted import scripted_server
from tests.support.storer import storer
from tests.support.tls_peers import mute
from tests.support.waiting import eventually

pytestmark = pytest.mark.peer
HANGING = [f"hangs{n}" for n in range(10)]


@pytest.fixture
def worker(receiver: Station) -> Iterator[Worker]:
    """A whole worker, with all its threads."""
    made = Worker(receiver.config)
    made.archive = receiver.archive
    made.start()
    yield made
    made.stop(1)
    runtime._current = runtime.Ways()


def test_a_healthy_node_is_served_while_ten_hang(receiver: Station, worker: Worker) -> None:
    """It comes behind them in every queue: tests, retrievals and transfers."""
    incoming = receiver.archive.receive(Source("upload"))
    incoming.write(ct_bytes())
    assert receiver.archive.ingest(incoming).status == "stored"
    tests, fetches = {}, {}
    with scripted_server(mute) as port, storer() as healthy:
        ports = dict.fromkeys(HANGING, port) | {"healthy": healthy.port}
        with receiver.database.write() as session:
            for n, (name, at) in enumerate(ports.items()):
                values = NodeValues(name, "STORER", "127.0.0.1", at, capabilities=["store", "find", "get"])
                service.create_node(session, SYSTEM, values)
                transfers.create_transfer(session, SYSTEM, "1.2.3.1", name)
                tests[name] = selftest.start_test(session, SYSTEM, name).id
                fetches[name] = retrievals.create_retrieval(
                    session, SYSTEM, RetrievalOrder(name, f"1.2.9.{n}", method="get")
                ).id
        eventually(
            lambda: _served(receiver.database, tests["healthy"], fetches["healthy"]), "the healthy node is tested"
        )
        eventually(lambda: healthy.got, "the healthy node has the object")
        with receiver.database.read() as session:
            found = [session.get_one(NodeTest, tests[name]).state for name in HANGING]
        assert found == ["running"] * 10, "they hang, and go on hanging"
        worker.stopping.set()


def _served(database: Database, test_id: str, retrieval_id: str) -> bool:
    """Whether the test has ended, and the retrieval has been tried: this node gives nothing."""
    with database.read() as session:
        test, fetch = session.get_one(NodeTest, test_id), session.get_one(Retrieval, retrieval_id)
        return test.state == selftest.DONE and bool(fetch.error)


def test_only_jobs_that_stand_still_let_others_in(receiver: Station) -> None:
    """Retrievals that get on are as many at a time as ever, and there is an end to those that hang."""
    worker = Worker(receiver.config)
    started: list[str] = []
    worker._run_one = started.extend  # type: ignore[method-assign,assignment]
    threads, kinds = LANES["retrieve"]

    def running(moving: int, standing: int) -> int:
        """How many more threads are started beside so many jobs that run."""
        started.clear()
        worker._running.clear()
        for number in range(moving + standing):
            claimed = jobs.Claimed(str(number), next(iter(kinds)), {}, 1, False, "", "", None)
            context = JobContext(worker.config, worker.database, worker.archive, claimed)
            context.moved -= 0 if number < moving else STALLED + 1
            worker._running[claimed.id] = context
        worker._more["retrieve"] = []
        worker._add_threads("retrieve")
        return len(worker._more["retrieve"])

    assert [running(threads, 0), running(1, threads - 1), running(0, threads)] == [0, threads - 1, threads]
    assert running(threads - 1, 0) == 0, "one of its own is free"
    assert running(0, threads + MORE["retrieve"] + 9) == MORE["retrieve"]
    worker.database.dispose()

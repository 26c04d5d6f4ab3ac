"""Nodes, retrievals and their jobs, turned by hand."""

from collections.abc import Callable

from app.db import Database
from app.nodes import service
from app.nodes.options import NodeValues
from app.retrieve import queries as retrieve_queries
from app.retrieve import retrievals
from app.worker import Worker
from tests.support.client import actor


def add_archive(database: Database, name: str, port: int, can: list[str], title: str = "DCMQR", **more: object) -> None:
    with database.write() as session:
        values = NodeValues(name, title, "127.0.0.1", port, capabilities=can, **more)  # type: ignore[arg-type]
        service.create_node(session, actor(database, "admin"), values)


def work_one(worker: Worker, kind: str, handler: Callable) -> None:
    claimed = worker._claim([kind])
    assert claimed is not None
    worker._run(claimed, handler)


def retrieval_shown(database: Database, retrieval_id: str, who: str = "admin") -> dict:
    with database.read() as session:
        row = retrieve_queries.retrieval(session, actor(database, who), retrieval_id)
        return retrievals.retrieval_json(session, row, "")

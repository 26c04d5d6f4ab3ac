"""Nodes that can be queried."""

from typing import Any

from app.nodes import service
from app.nodes.options import NodeValues
from tests.support.client import Web


def add_query_node(web: Web, name: str, **more: Any) -> None:
    with web.database.write() as session:
        values = NodeValues(name, "PACS", "127.0.0.1", 104, capabilities=["find", "move"], **more)
        service.create_node(session, web.actor("admin"), values)

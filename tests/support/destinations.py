"""Objects, nodes and transfers for tests of the forward queue."""

from typing import Any

from sqlalchemy import select

from app.archive import Source
from app.db import Database
from app.forward import queries as transfer_queries
from app.forward import transfer_json, transfers
from app.forward.models import TransferInstance
from app.nodes import service
from app.nodes.options import NodeValues
from tests.archive.make import ct_bytes
from tests.support.client import actor
from tests.support.dimse import Station

STUDY = "1.2.78"


def put(receiver: Station, number: int, study: str = STUDY, **more: Any) -> bytes:
    data = ct_bytes(sop=f"{study}.1.{number}", study=study, series=f"{study}.1", **more)
    incoming = receiver.archive.receive(Source("upload"))
    incoming.write(data)
    assert receiver.archive.ingest(incoming).status == "stored"
    return data


def node(database: Database, port: int = 104, **values: Any) -> None:
    with database.write() as session:
        made = {"name": "pacs", "ae_title": "LIAR", "host": "127.0.0.1", "port": port, **values}
        service.create_node(session, actor(database, "admin"), NodeValues(**made))


def send(database: Database, study: str = STUDY, **more: Any) -> str:
    with database.write() as session:
        return transfers.create_transfer(session, actor(database, "admin"), study, "pacs", **more).id


def shown(database: Database, transfer_id: str) -> dict[str, Any]:
    with database.read() as session:
        row = transfer_queries.transfer(session, actor(database, "admin"), transfer_id)
        return transfer_json.transfer_json(row, "pacs")


def objects(database: Database, transfer_id: str) -> list[TransferInstance]:
    with database.read() as session:
        query = select(TransferInstance).where(TransferInstance.transfer_id == transfer_id)
        return list(session.scalars(query.order_by(TransferInstance.id)))

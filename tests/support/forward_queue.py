"""The forward queue with one study and one node, turned by hand."""

from sqlalchemy import select

from app.archive import Archive, Source
from app.config import Config
from app.db import Database
from app.forward import claims, queue_queries, transfers
from app.forward.claims import Slot
from app.forward.journal import DeliveryAnswer
from app.forward.models import Transfer
from app.nodes import service
from app.nodes.models import Node
from app.nodes.options import NodeValues
from tests.archive.make import ct_bytes
from tests.support.client import actor, add_cast

STUDY = "1.2.77"


class Queue:
    """An installation with a study of ten objects and two nodes."""

    def __init__(self, config: Config, database: Database) -> None:
        self.config, self.database = config, database
        add_cast(database)
        self.archive = Archive(config, database)
        self.admin = actor(database, "admin")
        for number in range(10):
            self.put(number)
        with database.write() as session:
            for name in ("one", "two"):
                service.create_node(session, self.admin, NodeValues(name, name.upper(), "127.0.0.1", 104, parallel=2))

    def put(self, number: int, study: str = STUDY) -> None:
        incoming = self.archive.receive(Source("upload"))
        incoming.write(ct_bytes(sop=f"{study}.1.{number}", study=study, series=f"{study}.1"))
        assert self.archive.ingest(incoming).status == "stored"

    def send(self, node: str = "one", **more: object) -> str:
        with self.database.write() as session:
            return transfers.create_transfer(session, self.admin, STUDY, node, **more).id  # type: ignore[arg-type]

    def slot(self, node: str = "one", owner: str = "here:1") -> Slot | None:
        with self.database.write() as session:
            return claims.take_slot(session, self.node(node), owner)

    def node(self, name: str) -> str:
        with self.database.read() as session:
            return session.scalars(select(Node.id).where(Node.name == name)).one()

    def take(self, slot: Slot | None, most: int = 4) -> list[queue_queries.WaitingObject]:
        assert slot is not None
        with self.database.write() as session:
            return claims.claim(session, slot, most).rows

    def record(self, rows: list[queue_queries.WaitingObject], state: str = "sent") -> None:
        with self.database.write() as session:
            claims.record_answers(session, [DeliveryAnswer(row.id, state, 0, None) for row in rows])

    def get(self, transfer_id: str) -> Transfer:
        with self.database.read() as session:
            return session.scalars(select(Transfer).where(Transfer.id == transfer_id)).one()

    def set(self, **values: object) -> None:
        with self.database.write() as session:
            service.update_node(session, self.admin, "one", NodeValues(**values))  # type: ignore[arg-type]

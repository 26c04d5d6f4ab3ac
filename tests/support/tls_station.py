"""A receiver with a TLS port."""

from app.db import Database
from app.nodes import service
from app.nodes.options import NodeValues
from app.security.actor import SYSTEM
from app.security.secrets import Secrets
from app.settings import save
from app.trust.settings import TlsSettings
from tests.support import dcmtk
from tests.support.dimse import Station
from tests.support.pki import Authority, Pair
from tests.support.postgres import free_port


class TlsStation:
    """A station with a TLS port, its authority, and the pair of a modality."""

    def __init__(self, plain: Station, secrets: Secrets, authority: Authority, own: Pair, modality: Pair) -> None:
        self.plain, self.secrets, self.authority, self.own, self.modality = plain, secrets, authority, own, modality
        self.port = 0

    @property
    def database(self) -> Database:
        return self.plain.database

    def open(self, **values: object) -> int:
        """Switches TLS on, on a free port, and waits for it."""
        port = free_port()
        with self.database.write() as session:
            save(session, TlsSettings.model_validate({"enabled": True, "dicom_tls_port": port} | values), "test")
        self.plain.receiver.ways.invalidate()
        self.plain.wait(lambda: self.plain.receiver.tls.port == port, 30)
        self.port = port
        return port

    def close(self) -> None:
        with self.database.write() as session:
            save(session, TlsSettings(), "test")
        self.plain.receiver.ways.invalidate()
        self.plain.wait(lambda: self.plain.receiver.tls.port == 0, 30)

    def node(self, **values: object) -> None:
        with self.database.write() as session:
            given = {"name": "CT1", "ae_title": "ECHOSCU", "host": "127.0.0.1", "port": 104} | values
            service.create_node(session, SYSTEM, NodeValues(**given))  # type: ignore[arg-type]

    def echo(self, *options: str, pair: Pair | None = None) -> dcmtk.Run:
        shown = ("+tls", str(pair.key), str(pair.certificate)) if pair else ("+tla",)
        return dcmtk.echoscu(self.port, "FILMROOM", "ECHOSCU", *shown, *(options or ("+cf", str(self.authority.file))))

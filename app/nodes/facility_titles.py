"""Titles and ports of facilities on the DICOM network: what is taken already, what is open (NET-8)."""

import contextlib
import socket
from typing import NamedTuple

from sqlalchemy.orm import Session

from app import events
from app.config import Config
from app.db import Database
from app.kit import rolestate
from app.network.settings import DicomSettings
from app.nodes import queries as node_queries
from app.security.facilities import Reserved
from app.settings import load
from app.trust.settings import TlsSettings


class Entrance(NamedTuple):
    """A way in that belongs to a facility; secure: callers talk TLS there."""

    facility_id: str
    secure: bool


def ports(session: Session) -> dict[Entrance, int]:
    """The ports that facilities have of their own."""
    found: dict[Entrance, int] = {}
    for facility_id, plain, secure in node_queries.facility_ports(session):
        found |= {Entrance(facility_id, False): plain} if plain else {}
        found |= {Entrance(facility_id, True): secure} if secure else {}
    return found


def reserved(session: Session, config: Config) -> Reserved:
    """The installation's own titles and ports, which no facility can have."""
    titles = {config.aet, *load(session, DicomSettings).also_called}
    own = {config.port, config.dicom_port, load(session, TlsSettings).dicom_tls_port}
    return Reserved(titles, own, lambda port: is_free(config, port))


def is_free(config: Config, port: int) -> bool:
    """Whether no other program of this machine listens there."""
    host = config.dicom_host.partition(",")[0].strip()
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as sock:
            with contextlib.suppress(AttributeError, OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
    except OSError:
        return False
    return True


def notify(database: Database, facility_ids: list[str]) -> None:
    """The pages hear that ports have opened, closed, or could not be opened."""
    with database.write() as session:
        for facility_id in facility_ids:
            events.append(session, "facility.changed", {"id": facility_id}, facility_id=facility_id)


def port_states(config: Config) -> dict[int, str]:
    """Port -> "open" or why not, of all receivers of this machine; one that cannot open it decides for all."""
    found: dict[int, str] = {}
    for one in rolestate.read_all(config.run):
        facilities = one.detail.get("facilities", {})
        for port, state in facilities.items() if one.role == "dicom" and isinstance(facilities, dict) else ():
            if found.get(int(port), "open") == "open":
                found[int(port)] = state
    return found

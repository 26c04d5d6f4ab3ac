"""The ports of facilities (NET-8): each receiver process opens and closes them as the rows say, while it runs.

What comes in at one belongs to its facility. One thread serves them all; a port that cannot be opened is tried again
and again, said once in the log and told on the facility's page and by /healthz."""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable

from app.config import Config
from app.db import Database
from app.dimse.door import Door, ready
from app.kit.errors import AppError
from app.peers import facility_titles

log = logging.getLogger(__name__)
_LOOK = 1.0  # seconds between looks at the rows
_WAIT = 0.5  # seconds without a caller
_TELL = 2.0  # seconds until pages hear of a change: by then it stands in the role's state file

Take = Callable[[socket.socket, str, str], None]


class FacilityPorts:
    """take(socket, address, facility id) is called for each caller and must not block."""

    def __init__(self, config: Config, database: Database, take: Take, stopping: threading.Event) -> None:
        self._config, self._database, self._take, self._stopping = config, database, take, stopping
        self._open: dict[str, Door] = {}  # facility id -> its port
        self._faults: dict[int, str] = {}  # port -> why it is not open
        self._looked = float("-inf")
        self._changed: set[str] = set()
        self._tell_at = float("inf")

    @property
    def state(self) -> dict[str, str]:
        """For the role's state file: port -> "open", or why it is not."""
        return {str(door.port): "open" for door in list(self._open.values())} | {
            str(port): fault for port, fault in list(self._faults.items())
        }

    def serve(self) -> None:
        """Until the process stops."""
        while not self._stopping.is_set():
            if time.monotonic() - self._looked >= _LOOK:
                self._look()
            if not self._open:
                self._stopping.wait(_WAIT)
                continue
            for door in ready(list(self._open.values()), _WAIT):
                self._accept(door)
        for facility_id in list(self._open):
            self._close(facility_id)

    def _accept(self, door: Door) -> None:
        owner = next(one for one, its in self._open.items() if its is door)
        door.settimeout(0)
        try:
            sock, peer = door.accept()
        except TimeoutError:
            return
        except OSError:
            log.exception("no connection can be accepted at port %d; trying again", door.port)
            self._stopping.wait(0.2)
            return
        try:
            self._take(sock, str(peer[0]), owner)
        except (RuntimeError, OSError):
            log.exception("a connection at port %d cannot be served", door.port)
            sock.close()

    def _look(self) -> None:
        """Opens, moves and closes ports; while the database is away all stay as they are."""
        self._looked = time.monotonic()
        try:
            with self._database.read() as session:
                wanted = facility_titles.ports(session)
        except AppError:
            return
        changed = []
        for facility_id, door in list(self._open.items()):
            if wanted.get(facility_id) != door.port:
                self._close(facility_id)
                changed.append(facility_id)
        self._faults = {port: why for port, why in self._faults.items() if port in wanted.values()}
        changed += [one for one, port in wanted.items() if one not in self._open and self._try(one, port)]
        if changed:
            self._changed.update(changed)
            self._tell_at = time.monotonic() + _TELL
        if time.monotonic() >= self._tell_at:
            self._tell_at = float("inf")
            with contextlib.suppress(AppError):
                facility_titles.tell(self._database, sorted(self._changed))
            self._changed.clear()

    def _try(self, facility_id: str, port: int) -> bool:
        """Whether something changed: it is open now, or cannot be for a new reason."""
        try:
            self._open[facility_id] = Door(self._config.dicom_host, port, self._config.receivers > 1)
        except OSError as fault:
            why = fault.strerror or str(fault)
            if self._faults.get(port) == why:
                return False
            log.error("port %d of a facility cannot be opened: %s; trying again", port, why)
            self._faults[port] = why
            return True
        self._faults.pop(port, None)
        log.info("listening on port %d for a facility", port)
        return True

    def _close(self, facility_id: str) -> None:
        door = self._open.pop(facility_id)
        door.close()
        log.info("port %d of a facility closed", door.port)

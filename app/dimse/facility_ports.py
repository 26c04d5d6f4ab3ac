"""The ports of facilities (NET-8), plain and TLS (NET-7): each receiver process opens and closes them as the rows say,
while it runs.

What comes in at one belongs to its facility. One thread serves them all; a port that cannot be opened is tried again
and again, logged once, and shown on the facility's page and by /healthz. By TLS callers meet the certificate,
profile and demands of the installation, whether or not it has a TLS port of its own."""

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable

from app.config import Config
from app.db import Database
from app.dimse.listen_socket import ListenSocket, shared_folder, wait_for_callers
from app.kit.errors import AppError
from app.kit.phrases import phrase, verbatim
from app.nodes import facility_titles
from app.nodes.facility_titles import Entrance
from app.trust.runtime import Ways

log = logging.getLogger(__name__)
_LOOK = 1.0  # seconds between looks at the rows
_WAIT = 0.5  # seconds without a caller
_TELL = 2.0  # seconds until pages hear of a change: by then it is in the role's state file

Take = Callable[[socket.socket, str, str, ssl.SSLContext | None], None]


class FacilityPorts:
    """take(socket, address, facility id, TLS context or None) is called for each caller and must not block."""

    def __init__(self, config: Config, database: Database, ways: Ways, take: Take, stopping: threading.Event) -> None:
        self._config, self._database, self._ways = config, database, ways
        self._take, self._stopping = take, stopping
        self._open: dict[Entrance, ListenSocket] = {}
        self._faults: dict[int, str] = {}  # port -> why it is not open
        self._looked = float("-inf")
        self._changed: set[str] = set()
        self._tell_at = float("inf")

    @property
    def state(self) -> dict[str, str]:
        """For the role's state file: port -> "open", or why it is not."""
        return {str(listener.port): "open" for listener in list(self._open.values())} | {
            str(port): fault for port, fault in list(self._faults.items())
        }

    def serve(self) -> None:
        """Until the process stops."""
        while not self._stopping.is_set():
            if time.monotonic() - self._looked >= _LOOK:
                self._refresh()
            if not self._open:
                self._stopping.wait(_WAIT)
                continue
            for listener in wait_for_callers(list(self._open.values()), _WAIT):
                self._accept(listener)
        for entrance in list(self._open):
            self._close(entrance)

    def _accept(self, listener: ListenSocket) -> None:
        entrance = next(one for one, its in self._open.items() if its is listener)
        listener.settimeout(0)
        try:
            sock, peer = listener.accept()
        except TimeoutError:
            return
        except OSError:
            log.exception("no connection can be accepted at port %d; trying again", listener.port)
            self._stopping.wait(0.2)
            return
        context, fault = self._context() if entrance.secure else (None, "")
        if fault:  # the certificate has gone just now; the next look closes the port
            sock.close()
            return
        try:
            self._take(sock, str(peer[0]), entrance.facility_id, context)
        except (RuntimeError, OSError):
            log.exception("a connection at port %d cannot be served", listener.port)
            sock.close()

    def _context(self) -> tuple[ssl.SSLContext | None, str]:
        """The TLS context for callers, or why there is none."""
        try:
            found = self._ways.server_context(everywhere=True)
        except (ssl.SSLError, ValueError, OSError) as fault:
            return None, phrase("the certificate cannot be used: {fault}", fault=fault)
        return found, "" if found is not None else phrase("this station has no certificate to show")

    def _refresh(self) -> None:
        """Opens, moves and closes ports; while the database is away all stay as they are."""
        self._looked = time.monotonic()
        try:
            with self._database.read() as session:
                wanted = facility_titles.ports(session)
        except AppError:
            return
        bare = self._context()[1] if any(one.secure for one in wanted) else ""
        changed = []
        for entrance, listener in list(self._open.items()):
            if wanted.get(entrance) != listener.port or (entrance.secure and bare):
                self._close(entrance)
                changed.append(entrance.facility_id)
        self._faults = {port: why for port, why in self._faults.items() if port in wanted.values()}
        for entrance, port in wanted.items():
            if entrance not in self._open and self._open_port(entrance, port, bare if entrance.secure else ""):
                changed.append(entrance.facility_id)
        if changed:
            self._changed.update(changed)
            self._tell_at = time.monotonic() + _TELL
        if time.monotonic() >= self._tell_at:
            self._tell_at = float("inf")
            with contextlib.suppress(AppError):
                facility_titles.notify(self._database, sorted(self._changed))
            self._changed.clear()

    def _open_port(self, entrance: Entrance, port: int, bare: str) -> bool:
        """Whether something changed: it is open now, or cannot be for a new reason. bare: the reason why TLS is not
        possible."""
        why = bare
        if not why:
            try:
                self._open[entrance] = ListenSocket(self._config.dicom_host, port, shared_folder(self._config))
            except OSError as fault:
                why = verbatim(fault.strerror or str(fault))
        if why:
            if self._faults.get(port) == why:
                return False
            log.error("port %d of a facility cannot be opened: %s; trying again", port, why)
            self._faults[port] = why
            return True
        self._faults.pop(port, None)
        log.info("listening on port %d for a facility%s", port, " by TLS" if entrance.secure else "")
        return True

    def _close(self, entrance: Entrance) -> None:
        listener = self._open.pop(entrance)
        listener.close()
        log.info("port %d of a facility closed", listener.port)

"""The TLS port of one receiver process: opens and closes it as the settings say, while the role runs (NET-7).

The handshake belongs to the association's own thread, with a deadline: a silent caller does not delay others."""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable

from app.config import Config
from app.dimse.listen_socket import ListenSocket, shared_folder
from app.kit.phrases import NOTHING, Phrase, of_fault, phrase
from app.trust.runtime import Ways

log = logging.getLogger(__name__)
_LOOK = 0.5  # seconds between looks at the settings, and how long an accept waits
_AGAIN = 5.0  # seconds until a port that is taken is tried again

Take = Callable[[socket.socket, str, ssl.SSLContext], None]


class TlsPort:
    """take(socket, address, context) is called for each caller and must not block."""

    def __init__(self, config: Config, ways: Ways, take: Take, stopping: threading.Event) -> None:
        self._config, self._ways, self._take, self._stopping = config, ways, take, stopping
        self._listener: ListenSocket | None = None
        self._fault = ""
        self._not_before = 0.0
        self.port = 0

    @property
    def state(self) -> dict[str, int | str]:
        """For the role's state file: the port that is open, 0 for none, and why not when it should be."""
        return {"tls_port": self.port, "tls_fault": self._fault}

    def serve(self) -> None:
        """Until the process stops."""
        while not self._stopping.is_set():
            context = self._context()
            self._adjust(self._ways.material.tls.dicom_tls_port if context is not None else 0)
            if self._listener is None or context is None:
                self._stopping.wait(_LOOK)
                continue
            try:
                sock, peer = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                log.exception("no TLS connection can be accepted; trying again")
                self._stopping.wait(0.2)
                continue
            try:
                self._take(sock, str(peer[0]), context)
            except (RuntimeError, OSError):  # no thread can be started, or the caller has gone
                log.exception("a TLS connection cannot be served")
                sock.close()
        self._adjust(0)

    def _context(self) -> ssl.SSLContext | None:
        try:
            found = self._ways.server_context()
            if found is None:
                self._fault = ""
            return found
        except (ssl.SSLError, ValueError, OSError) as fault:
            self._log_fault(phrase("the certificate cannot be used: {fault}", fault=of_fault(fault)))
            return None

    def _log_fault(self, fault: Phrase) -> None:
        if fault and fault != self._fault:
            log.error("DICOM TLS: %s", fault)
        self._fault = fault

    def _adjust(self, port: int) -> None:
        """Opens, moves or closes the port."""
        if port == self.port or (port and time.monotonic() < self._not_before):
            return
        if self._listener is not None:
            self._listener.close()
            log.info("DICOM TLS: port %d closed", self.port)
        self._listener, self.port = None, 0
        if not port:
            return
        try:
            self._listener = ListenSocket(self._config.dicom_host, port, shared_folder(self._config))
            self._listener.settimeout(_LOOK)
        except OSError as fault:
            self._not_before = time.monotonic() + _AGAIN
            self._log_fault(phrase("port {port} cannot be opened: {fault}", port=port, fault=str(fault.strerror)))
            return
        self.port = port
        self._log_fault(NOTHING)
        log.info("DICOM TLS: listening on port %d", port)

"""Composition root of the dicom role: a receiver process, which may share its port with others.

A receiver binds first and imports the rest after, so callers wait in the backlog for some tenths of a second instead
of being refused (DESIGN 3.5)."""

import logging
import os
import signal
import threading
from typing import TYPE_CHECKING

from app.config import Config, ConfigError
from app.dimse.listen_socket import ListenSocket, shared_folder
from app.kit import occupied, priority, startup
from app.kit.rolestate import RoleState

if TYPE_CHECKING:
    from app.archive import Archive
    from app.dimse.server import Receiver

log = logging.getLogger(__name__)


def bind(config: Config) -> ListenSocket:
    """Raises ConfigError with one line when the port cannot be had."""
    try:
        return ListenSocket(config.dicom_host, config.dicom_port, shared_folder(config))
    except OSError as fault:
        raise ConfigError(occupied.port_fault(config.dicom_host, config.dicom_port, fault)) from None


def run(config: Config) -> None:
    """One receiver process, which may share the port with others (app/supervisor). Runs until SIGTERM or SIGINT, and ends
    within five seconds of it. Raises ConfigError when the port is taken."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    listener = bind(config)
    state = RoleState(config.run, "dicom")
    state.start()
    try:
        archive = _archive(config)
        receiver = _make_receiver(config, archive)
        serving = threading.Thread(target=receiver.serve, args=(listener,), name="listener", daemon=True)
        serving.start()
        state.set("ready", port=config.dicom_port, associations=0)
        log.info("dicom ready on port %d as %s", config.dicom_port, config.aet)
        threading.Thread(target=_sweep, args=(archive,), name="sweep", daemon=True).start()
        shared, parent = shared_folder(config) is not None, os.getppid()
        while not ended.wait(1.0):
            state.pulse()
            port_states = receiver.tls.state | {"facilities": receiver.facilities.state}
            state.set("ready", port=config.dicom_port, associations=receiver.associations, **port_states)
            if not serving.is_alive():
                raise RuntimeError("the listening thread ended")
            if shared and os.getppid() != parent:  # the supervisor was killed: make space for the next
                break
        state.set("stopping")
        receiver.stop()
        archive.close()
        log.info("dicom stopped")
    finally:
        state.close()


def _sweep(archive: "Archive") -> None:
    """Clears away what a receiver that was killed has left half done."""
    try:
        archive.sweep()
    except Exception:
        log.exception("the store could not be swept; the next start tries again")


def _archive(config: Config) -> "Archive":
    from app import events
    from app.archive import Archive
    from app.db import open_database
    from app.trust import runtime

    events.use_folder(config.run / "events")
    database = open_database(config)
    runtime.configure(config, database)
    return Archive(config, database)


def _make_receiver(config: Config, archive: "Archive") -> "Receiver":
    from app.dimse.server import Receiver
    from app.network.storage_classes import storage_classes, transfer_syntaxes

    receiver = Receiver(config, archive.database, archive)
    storage_classes(), transfer_syntaxes(), receiver.settings()  # before the first caller, not in its time
    startup.resume_collection()
    priority.lower_priority(priority.DICOM)
    return receiver

"""Composition root of the dicom role: N receiver processes on one port.

A receiver binds first and imports the rest after, so callers wait in the backlog for some tenths of a second instead
of being refused (DESIGN 3.5)."""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from app.config import Config, ConfigError
from app.dimse.listen_socket import ListenSocket, shared_folder
from app.kit import occupied, priority, startup
from app.kit.rolestate import BEAT, RoleState
from app.kit.running import RECEIVERS
from app.kit.watchdog import Watchdog

if TYPE_CHECKING:
    from app.archive import Archive
    from app.dimse.server import Receiver

log = logging.getLogger(__name__)


def run(config: Config) -> None:
    """Runs until SIGTERM or SIGINT, and ends within five seconds of it. Raises ConfigError when the port is taken."""
    if shared_folder(config) is None:
        _receive(config, shared=False)
        return
    _Family(config).run()


def _bind(config: Config) -> ListenSocket:
    """Raises ConfigError with one line when the port cannot be had."""
    try:
        return ListenSocket(config.dicom_host, config.dicom_port, shared_folder(config))
    except OSError as fault:
        raise ConfigError(occupied.port_fault(config.dicom_host, config.dicom_port, fault)) from None


def _receive(config: Config, shared: bool) -> None:
    """One receiver process."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    listener = _bind(config)
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
        parent = os.getppid()
        while not ended.wait(1.0):
            state.pulse()
            told = receiver.tls.state | {"facilities": receiver.facilities.state}
            state.set("ready", port=config.dicom_port, associations=receiver.associations, **told)
            if not serving.is_alive():
                raise RuntimeError("the listening thread ended")
            if shared and os.getppid() != parent:  # the family's head was killed: make space for the next
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


class _Family:
    """Several receivers as children of this process; one that dies comes back."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._children: dict[int, float] = {}
        self._ended = False

    def run(self) -> None:
        _bind(self._config).close()  # fails at once when the port is taken
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        for _ in range(self._config.receivers):
            self._fork()
        state, beat = RoleState(self._config.run, RECEIVERS), 0.0  # no thread of its own: the loop beats
        watchdog = Watchdog(self._config.run, self._config.hang_seconds)
        while not self._ended:
            if time.monotonic() - beat > BEAT:
                beat = time.monotonic()
                state.set("ready")
                for pid in watchdog.silent_pids(self._children):
                    log.error("receiver %d has not answered for %d s; replacing it", pid, self._config.hang_seconds)
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError, InterruptedError):
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid and not self._ended:
                    log.error("receiver %d ended with %d; starting another", pid, status)
                    lived = time.monotonic() - self._children.pop(pid)
                    time.sleep(max(0.0, 1.0 - lived))
                    self._fork()
                    continue
            time.sleep(0.1)
        self._await_children()
        state.close()

    def _end(self, *_: object) -> None:
        self._ended = True
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _fork(self) -> None:
        pid = os.fork()
        if pid:
            self._children[pid] = time.monotonic()
            return
        code = 1
        self._children.clear()  # a signal before `_receive` takes over must not reach the siblings
        try:
            _receive(self._config, shared=True)
            code = 0
        except ConfigError as fault:
            log.error("receiver failed: %s", fault)
        except Exception:
            log.exception("receiver failed")
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _await_children(self) -> None:
        until = time.monotonic() + 4.5
        left = set(self._children)
        while left and time.monotonic() < until:
            for pid in list(left):
                with contextlib.suppress(ChildProcessError):
                    if os.waitpid(pid, os.WNOHANG)[0] == 0:
                        continue
                left.discard(pid)
            time.sleep(0.02)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

"""The supervisor of `filmroom serve`: prepares the data folder, starts all roles, and answers to the service manager."""

import contextlib
import dataclasses
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module

from app.config import Config, ConfigError
from app.dimse.listen_socket import shared_folder
from app.kit import occupied, renewal, running, startup
from app.kit.notify import Manager
from app.supervisor.preparing import ADMIN_PASSWORD, prepare
from app.supervisor.processes import Supervisor, fork
from app.supervisor.roles import ROLES, listening_addresses

READY_SECONDS = 30.0  # a service manager waits so long for every role; then it reports which one is down, and continues

# Modules that every role imports, loaded while the data folder is prepared, which takes another process as long.
_SHARED = ("app.archive", "app.jobs", "app.security.setup", "app.security.secrets")
_MEANWHILE = ("fastapi", "uvicorn", "jinja2", "babel.support")


def _preload(names: Iterable[str]) -> None:
    for name in names:
        import_module(name)


def receivers_of(config: Config) -> int:
    """How many receiver processes there are: several only where they can share a port."""
    return config.receivers if shared_folder(config) is not None else 1


class InstallationSupervisor(Supervisor):
    """Owns the role processes of one installation."""

    def __init__(
        self,
        config: Config,
        reload: Callable[[], Config] | None = None,
        withheld: Mapping[str, str] | None = None,
    ) -> None:
        """reload: the configuration from all its layers as they are now. withheld: secret variables that were taken out
        of the environment; forked roles have them in `config`."""
        counts = {"dicom": receivers_of(config), "web": 1, "worker": config.workers}
        wanted = {role: counts[role] for role in ROLES if not (config.headless and role == "web")}
        super().__init__(config, wanted, running.SUPERVISOR, running.SUPERVISOR)
        self._withheld = dict(withheld or {})
        self._reload = reload or (lambda: self.config)
        self._manager = Manager()
        self._is_announced = False  # the service manager knows that it is ready
        self._latest = 0.0  # when that is reported at the latest
        self._lock: occupied.FolderLock | None = None

    def _begin(self) -> bool:
        self._manager.status("preparing the data folder")
        self._occupy()
        return self._prepare()

    def _begun(self) -> None:
        startup.resume_collection()
        self._latest = time.monotonic() + READY_SECONDS

    def _check_requests(self) -> None:
        if renewal.is_asked(self.config.run):
            self._restart_changed()

    def _is_hurried(self) -> bool:
        return bool(self._manager) and not self._is_announced

    def _beat(self, moment: float) -> None:
        """Notifies the service manager with each heartbeat."""
        if not self._manager:
            return
        self._manager.alive()
        found = running.read_state(self.config.run)
        self._manager.status(found.summary())
        if not self._is_announced and (moment > self._latest or found.code == running.READY):
            self._is_announced = True
            self._manager.ready()

    def _ending(self) -> None:
        self._manager.stopping()

    def _environment(self) -> dict[str, str]:
        given = {**os.environ, **self._withheld}
        return given | ({"FILMROOM_DATABASE_URL": url} if (url := self.config.database_url) else {})

    def _run_role(self, role: str) -> None:
        if self._lock is not None:
            self._lock.leave()
        super()._run_role(role)

    def _occupy(self) -> None:
        """The data folder and the ports, or the end of the start in one line."""
        try:
            self.config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = occupied.FolderLock(self.config.data)
            occupied.require_free(listening_addresses(self.config), wait=bool(running.read_state(self.config.run).seen))
        except occupied.Occupied as taken:
            raise ConfigError(str(taken)) from None
        except OSError as fault:
            raise ConfigError(f"the folder {self.config.data} cannot be used: {fault.strerror}") from None

    def _prepare(self) -> bool:
        """The data folder, in another process while this one imports. False: stopped meanwhile."""
        startup.suspend_collection()
        shutil.rmtree(self.config.run, ignore_errors=True)
        if not hasattr(os, "fork"):
            prepare(self.config, os.environ | self._withheld)
            self._withheld.pop(ADMIN_PASSWORD, None)
            return not self.stopping
        _preload(_SHARED if self.config.database_url else (*_SHARED, "sqlcipher3.dbapi2"))
        environ = os.environ | self._withheld
        pid = fork(lambda: prepare(self.config, environ))
        _preload(_MEANWHILE)
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            if self.stopping:  # an upgrade of the schema is one transaction: it may end at any moment
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            time.sleep(0.005)
        status = os.waitstatus_to_exitcode(ended[1])
        if self.stopping:
            return False
        if status == 2:  # the reason was logged before, in one line
            raise SystemExit(2)
        if status != 0:
            raise SystemExit("filmroom: the data folder could not be prepared; the reason stands above")
        self._withheld.pop(ADMIN_PASSWORD, None)  # used once
        return True

    def _restart_changed(self) -> None:
        """A page has changed title, port or address: receiver and worker begin again with them, the pages stay."""
        try:
            now = self._reload()
        except ConfigError as fault:
            sys.stderr.write(f"filmroom: {fault}\n")
            now = self.config
        values = {key: getattr(now, key) for key in renewal.KEYS}
        if any(getattr(self.config, key) != value for key, value in values.items()):
            self.config = dataclasses.replace(self.config, **values)
            for child in self.children:
                if child.role != "web" and child.pid:
                    child.renewed = True
                    child.send(signal.SIGTERM)
        renewal.send_reply(self.config.run, values)

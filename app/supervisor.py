"""`filmroom serve`: prepares the data folder, starts the roles, restarts one that dies, stops all cleanly.

It imports what several roles need, once for all of them, and nothing that starts a thread; it holds no database open.
So forking it is safe, and a role starts with half of its imports done (DESIGN 3.5 Start). Roles are forked where that
exists, spawned elsewhere."""

import contextlib
import ctypes
import dataclasses
import gc
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING

from app.config import Config, ConfigError
from app.kit import files, memory, occupied, renewal, running, startup
from app.kit import logging as kit_logging
from app.kit.errors import AppError
from app.kit.notify import Manager
from app.kit.rolestate import BEAT, RoleState
from app.kit.watchdog import Watchdog

if TYPE_CHECKING:
    from app.db import Database

log = logging.getLogger("app.supervisor")

ADMIN_PASSWORD = "FILMROOM_ADMIN_PASSWORD"  # noqa: S105 the variable's name
STOP_SECONDS = 4.5  # a role that has not ended by then is killed: the whole stop stays within 5 s
# Seconds after the first, second, ... death; a role that dies at once costs little.
RESTART_PAUSES = (0.1, 0.5, 1.0, 2.0)
READY_SECONDS = 30.0  # a service manager waits so long for every role; then it reports which one is down, and continues

# role -> module with run(config); only the role's own process imports it
ROLES = {"dicom": "app.listener", "web": "app.server", "worker": "app.worker"}

# Modules that every role imports, loaded while the data folder is prepared, which takes another process as long.
_SHARED = ("app.archive", "app.jobs", "app.security.setup", "app.security.secrets")
_MEANWHILE = ("fastapi", "uvicorn", "jinja2", "babel.support")


@dataclass
class _Child:
    role: str
    number: int
    pid: int = 0
    started: float = 0.0
    deaths: int = 0
    due: float = 0.0
    renewed: bool = False  # ended on purpose, to restart with another configuration
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)


def role_options(config: Config) -> list[str]:
    """The command line that gives a role process this configuration, whatever files and options it came from. Secrets stay
    in the environment, which it inherits; the database's address may hold one."""
    found = []
    for item in dataclasses.fields(Config):
        value = getattr(config, item.name)
        if item.metadata.get("secret") or item.metadata.get("password") or value == item.default:
            continue
        flag = item.metadata.get("flag") or f"--{item.name.replace('_', '-')}"
        if isinstance(value, bool):
            found.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            found += [flag, str(value)]
    return found


def _die_with_parent() -> None:
    """Linux: a role never outlives its supervisor, so a killed one leaves no ports taken."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _log_to_files(role: str, config: Config) -> None:
    kit_logging.setup(role, config.logs, config.log_level, config.log_json, days=config.log_days, mib=config.log_mib)


def run_role(role: str, config: Config) -> None:
    """Runs one role in this process until it is stopped."""
    _log_to_files(role, config)
    files.raise_limit()
    startup.suspend_collection()
    memory.limit_arenas()
    runner: Callable[[Config], None] = import_module(ROLES[role]).run
    runner(config)


def prepare(config: Config, environ: Mapping[str, str] = os.environ) -> None:
    """Folders, schema, roles and the first administrator: what must be there before any role starts.

    environ: where the first administrator's password may be; the process's own has none any more (`kit.withheld`)."""
    for folder in (config.data, config.store, config.cache, config.run, config.logs, config.keys):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as fault:
            raise ConfigError(f"the folder {folder} cannot be made: {fault.strerror}") from None
    from app.db import migrate, open_database

    database = open_database(config)
    try:
        if done := migrate.upgrade(config, database):
            sys.stdout.write(f"filmroom: {done}\n")
        _verify_trail(config, database)
        _seed(config, database, environ)
        _apply_nodes(config, database)
        _apply_forwarder(config, database)
    finally:
        database.dispose()


def _verify_trail(config: Config, database: "Database") -> None:
    """Whether the audit trail still ends where it did at the last start or goes on from there."""
    from app import audit

    if fault := audit.begin(database, config.keys):
        log.error("%s", fault)
        sys.stderr.write(f"filmroom: {fault} `filmroom verify-audit` says where.\n")


def _seed(config: Config, database: "Database", environ: Mapping[str, str]) -> None:
    """Built-in roles and the first administrator; the console explains the first sign-in."""
    from app.security import setup
    from app.security.secrets import Secrets

    first = setup.prepare(database, Secrets(config), environ)
    if config.headless:  # the one-time link leads nowhere without pages, and would be logged for nothing
        first = dataclasses.replace(first, code="")
    host = "127.0.0.1" if config.host in ("0.0.0.0", "::") else config.host  # noqa: S104
    for line in first.lines(f"http://{host}:{config.port}"):
        sys.stdout.write(f"filmroom: {line}\n")


def _apply_nodes(config: Config, database: "Database") -> None:
    """The file of nodes, if one is given or was given before. Nothing is imported for a start without one."""
    marker = config.data / ".nodes-file"  # the last start had a file: its nodes are set free when this one has none
    if not config.nodes and not marker.exists():
        return
    from app.nodes.exchange import apply_file

    apply_file(config, database)
    marker.unlink(missing_ok=True) if not config.nodes else marker.touch(0o600)


def _apply_forwarder(config: Config, database: "Database") -> None:
    """The file of a store-and-forward box, if one is given or was given before."""
    marker = config.data / ".forwarder-file"  # the last start had one: its node is set free when this one has none
    if not config.forwarder and not marker.exists():
        return
    from app.routing import forwarder

    forwarder.apply_file(config, database)
    marker.unlink(missing_ok=True) if not config.forwarder else marker.touch(0o600)


def _preload(names: Iterable[str]) -> None:
    for name in names:
        import_module(name)


def listening_addresses(config: Config, roles: Iterable[str] = ROLES) -> list[tuple[str, int]]:
    """Address and port of everything that listens in these roles."""
    hosts = [host.strip() for host in config.dicom_host.split(",") if host.strip()] if "dicom" in roles else []
    pages = [(config.host, config.port)] if "web" in roles and not config.headless else []
    return pages + [(host, config.dicom_port) for host in hosts]


def require_free(config: Config, role: str) -> None:
    """Raises ConfigError when the port of a role that is started alone is taken: before anything is made. Several receivers
    may share theirs with those that run already over this folder, which they find out when they open it."""
    if role == "dicom" and config.receivers > 1 and config.run.exists():
        return
    try:
        occupied.require_free(listening_addresses(config, (role,)))
    except occupied.Occupied as taken:
        raise ConfigError(str(taken)) from None


def _in_child(work: Callable[[], None]) -> int:
    """Forks, runs, exits: 0 when `work` returned, 1 when it raised."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        _die_with_parent()
        work()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except KeyboardInterrupt:
        code = 0
    except (ConfigError, AppError) as fault:
        sys.stderr.write(f"filmroom: {fault}\n")
        code = 2
    except BaseException:  # noqa: BLE001 the outer edge of a process
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


class Supervisor:
    """Owns the role processes of one installation."""

    def __init__(
        self,
        config: Config,
        reload: Callable[[], Config] | None = None,
        withheld: Mapping[str, str] | None = None,
    ) -> None:
        """reload: the configuration from all its layers as they are now. withheld: secret variables that were taken out
        of the environment; forked roles have them in `config`."""
        self._withheld = dict(withheld or {})
        self.config = config
        self.reload = reload or (lambda: self.config)
        names = [role for role in ROLES if not (config.headless and role == "web")]
        counts = {"web": 1, "dicom": 1, "worker": config.workers}
        self.children = [_Child(role, n) for role in names for n in range(counts[role])]
        self.stopping = False
        self.manager = Manager()
        self.told_ready = False
        self.watchdog = Watchdog(config.run, config.hang_seconds)
        self.replaced: Counter[str] = Counter()
        self.lock: occupied.FolderLock | None = None

    def _occupy(self) -> None:
        """The data folder and the ports, or the end of the start in one line."""
        try:
            self.config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.lock = occupied.FolderLock(self.config.data)
            occupied.require_free(listening_addresses(self.config), wait=bool(running.read_state(self.config.run).seen))
        except occupied.Occupied as taken:
            raise ConfigError(str(taken)) from None
        except OSError as fault:
            raise ConfigError(f"the folder {self.config.data} cannot be used: {fault.strerror}") from None

    def _run_role(self, role: str) -> None:
        if self.lock is not None:
            self.lock.leave()
        run_role(role, self.config)

    def _start(self, child: _Child) -> None:
        child.started = time.monotonic()
        if hasattr(os, "fork"):
            child.pid = _in_child(lambda: self._run_role(child.role))
        else:
            child.process = subprocess.Popen(  # noqa: S603 this program
                [sys.executable, "-m", "app.cli", child.role, *role_options(self.config)],
                env={**os.environ, **self._withheld}
                | ({"FILMROOM_DATABASE_URL": url} if (url := self.config.database_url) else {}),
            )
            child.pid = child.process.pid

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
        pid = _in_child(lambda: prepare(self.config, environ))
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

    def run(self) -> None:
        """Until SIGTERM or SIGINT, or until a role cannot be started at all."""
        for number in (signal.SIGTERM, signal.SIGINT):  # from the first moment: as process 1 nothing else would end it
            signal.signal(number, self._is_stopping)
        self.manager.status("preparing the data folder")
        self._occupy()
        if not self._prepare():
            return
        gc.freeze()
        _log_to_files(running.SUPERVISOR, self.config)
        for child in self.children:
            self._start(child)
        startup.resume_collection()
        state = RoleState(self.config.run, running.SUPERVISOR)  # no thread of its own: the loop beats
        beat, latest = 0.0, time.monotonic() + READY_SECONDS
        while not self.stopping:
            self._reap()
            if renewal.is_asked(self.config.run):
                self._restart_changed()
            if time.monotonic() - beat > BEAT or (self.manager and not self.told_ready):
                beat = time.monotonic()
                self._replace_hung()
                roles = sorted({child.role for child in self.children})
                state.set("ready", roles=roles, replaced=dict(self.replaced))
                self._notify_manager(late=beat > latest)
            time.sleep(0.05)
        self.manager.stopping()
        state.set("stopping", roles=[])
        self._stop()
        state.close()

    def _notify_manager(self, late: bool) -> None:
        """Notifies the service manager with each heartbeat."""
        if not self.manager:
            return
        self.manager.alive()
        found = running.read_state(self.config.run)
        self.manager.status(found.summary())
        if not self.told_ready and (late or found.code == running.READY):
            self.told_ready = True
            self.manager.ready()

    def _replace_hung(self) -> None:
        """A role that no longer answers is killed; it begins again as after any other death."""
        roles = {child.pid: child.role for child in self.children if child.pid}
        for pid in self.watchdog.silent_pids(roles):
            self.replaced[roles[pid]] += 1
            log.error(
                "role %s (process %d) has not answered for %d s; replacing it", roles[pid], pid, self.watchdog.seconds
            )
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _is_stopping(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def _restart_changed(self) -> None:
        """A page has changed title, port or address: receiver and worker begin again with them, the pages stay."""
        try:
            now = self.reload()
        except ConfigError as fault:
            sys.stderr.write(f"filmroom: {fault}\n")
            now = self.config
        values = {key: getattr(now, key) for key in renewal.KEYS}
        if any(getattr(self.config, key) != value for key, value in values.items()):
            self.config = dataclasses.replace(self.config, **values)
            for child in self.children:
                if child.role != "web" and child.pid:
                    child.renewed = True
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child.pid, signal.SIGTERM)
        renewal.send_reply(self.config.run, values)

    def _reap(self) -> None:
        moment = time.monotonic()
        for child in self.children:
            if child.pid and self._ended(child):
                child.pid = 0
                if child.renewed:
                    child.renewed, child.due = False, 0.0
                    continue
                if moment - child.started > 20:
                    child.deaths = 0
                pause = RESTART_PAUSES[min(child.deaths, len(RESTART_PAUSES) - 1)]
                child.deaths += 1
                child.due = moment + pause
                sys.stderr.write(f"filmroom: role {child.role} ended; starting it again in {pause:g} s\n")
            elif not child.pid and moment >= child.due:
                self._start(child)

    @staticmethod
    def _ended(child: _Child) -> bool:
        if child.process is not None:
            return child.process.poll() is not None
        try:
            return os.waitpid(child.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True

    def _stop(self) -> None:
        for child in self.children:
            if child.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        left = [child for child in self.children if child.pid]
        while left and time.monotonic() < deadline:
            left = [child for child in left if not self._ended(child)]
            time.sleep(0.02)
        for child in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
            self._ended(child)

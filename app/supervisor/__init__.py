"""Starts the roles, restarts one that dies, replaces one that hangs, stops all cleanly.

It imports what several roles need, once for all of them, and nothing that starts a thread; it holds no database open.
So forking it is safe, and a role starts with half of its imports done (DESIGN 3.5 Start). Roles are forked where that
exists, spawned elsewhere.

`processes.Supervisor` looks after processes; `installation.InstallationSupervisor` is that of `filmroom serve`, with all roles;
`run_alone` is one role without the others."""

from app.config import Config
from app.supervisor.installation import InstallationSupervisor, receivers_of
from app.supervisor.preparing import prepare
from app.supervisor.processes import Supervisor
from app.supervisor.roles import require_free, role_options, run_role

__all__ = ["InstallationSupervisor", "Supervisor", "prepare", "require_free", "role_options", "run_alone", "run_role"]


def run_alone(role: str, config: Config) -> None:
    """One role, without the others; several receivers have a supervisor of their own. Raises ConfigError when the port is
    taken."""
    if role == "dicom" and (count := receivers_of(config)) > 1:
        from app.kit import running
        from app.listener import bind

        bind(config).close()  # in one line, before any of them starts
        Supervisor(config, {role: count}, running.RECEIVERS, role).run()
    else:
        run_role(role, config)

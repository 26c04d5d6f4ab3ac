"""The command line as other users of the machine see it (ps, /proc/PID/cmdline): secrets in it are overwritten at the start."""

import contextlib
import ctypes
import re
import sys
from pathlib import Path

# As SQLAlchemy reads an address, a password may hold anything but "@"; more than that is masked where the user did not
# write it as %40. Of the parameters only those that hold no secret are shown (libpq has password, sslpassword, ...).
_SHOWN = "host|hostaddr|port|dbname|user|sslmode|sslrootcert|sslcert|sslkey|connect_timeout|application_name|target_session_attrs"
_PASSWORD = re.compile(rf"(://[^\s/:@]*:)([^\s@]*(?:@[^\s@/?]*(?=@))*)(@)|([?&](?!(?:{_SHOWN})=)[^\s=&]*=)([^&\s]+)")


def mask_password(url: str) -> str:
    """The address with ****** in place of its passwords."""
    if "://" not in url:
        return url
    return _PASSWORD.sub(lambda found: f"{found[1]}******{found[3]}" if found[1] else f"{found[4]}******", url)


def hide_passwords(url: str) -> None:
    """Overwrites the passwords of an address in the command line of this process. Linux shows the memory in which the
    arguments lie; elsewhere nothing can be done."""
    secrets = [found[2] or found[5] for found in _PASSWORD.finditer(url)]
    for secret in filter(None, secrets):
        sys.argv[:] = [argument.replace(secret, "*" * len(secret)) for argument in sys.argv]
        if sys.platform == "linux":
            with contextlib.suppress(OSError, ValueError, IndexError):
                _overwrite(secret.encode())


def _overwrite(secret: bytes) -> None:
    fields = Path("/proc/self/stat").read_text("utf-8").rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end (proc(5), 48 and 49)
    memory = ctypes.string_at(start, end - start)
    at = memory.find(secret)
    while at >= 0:
        ctypes.memset(start + at, ord("*"), len(secret))
        at = memory.find(secret, at + len(secret))

"""Secrets given in the environment are taken out of it: a process's variables can be read in /proc by others of the
same user, are inherited by every program it starts, and are part of crash reports."""

import ctypes
import os
import sys
from collections.abc import Iterable, MutableMapping


def remove_variables(names: Iterable[str], environ: MutableMapping[str, str] = os.environ) -> dict[str, str]:
    """Removes these variables and answers those that were there. On Linux the memory behind /proc/PID/environ, which
    forked processes share, is overwritten too."""
    found: dict[str, str] = {}
    for name in names:
        if name in environ:
            if environ is os.environ:
                _overwrite(name)
            found[name] = environ.pop(name)
    return found


def _overwrite(name: str) -> None:
    if not sys.platform.startswith("linux"):
        return
    getenv = ctypes.CDLL(None).getenv
    getenv.restype, getenv.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    place = getenv(name.encode())
    if place:
        ctypes.memset(place, ord("*"), len(ctypes.string_at(place)))

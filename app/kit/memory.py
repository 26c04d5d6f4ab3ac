"""Memory that is no longer used goes back to the system: a process that has drawn one large picture must not stay large."""

import ctypes
import ctypes.util
import sys
from collections.abc import Callable

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _ARENA_MAX = -3, -1, -8  # of mallopt, see malloc.h
LARGE = 16 << 20


def _libc() -> ctypes.CDLL | None:
    try:
        libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    except OSError:
        return None
    return libc if libc is not None and hasattr(libc, "malloc_trim") else None  # musl and others have none


_LIBC = _libc()
_trim: Callable[[int], int] | None = _LIBC.malloc_trim if _LIBC is not None else None


def limit_arenas() -> None:
    """At the start of a role. glibc would learn from the first large array to keep all up to 32 MB, and would keep them
    once per thread."""
    if _LIBC is not None:
        _LIBC.mallopt(_MMAP_THRESHOLD, LARGE)
        _LIBC.mallopt(_TRIM_THRESHOLD, LARGE)
        _LIBC.mallopt(_ARENA_MAX, 4)


def release_free_memory() -> None:
    """Returns what is free to the system now; some milliseconds where much is."""
    if _trim is not None:
        _trim(0)

"""Limits of this process on open files."""

import contextlib

_WANTED = 65536


def raise_limit() -> int:
    """As many open files as the machine lets us have: each connection is one, each object in flight another. Answers how
    many that are; 0 where there is no such limit (Windows)."""
    try:
        import resource
    except ImportError:
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return int(resource.getrlimit(resource.RLIMIT_NOFILE)[0])

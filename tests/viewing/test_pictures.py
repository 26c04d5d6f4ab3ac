"""The cache of pictures keeps to its size, and to those that are looked at."""

import os
import stat
import time
from pathlib import Path

from app.archive import cached
from app.viewing import pictures

DAY = 86_400


def _picture(cache: Path, digest: str, name: str, days: float, size: int = 1000) -> Path:
    path = cached.folder_of(cache, digest) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    then = time.time() - days * DAY
    os.utime(path, (then, then))
    return path


def test_those_that_nobody_looked_at_for_longest_go_first(tmp_path: Path) -> None:
    old, middle, new = (
        _picture(tmp_path, digest * 32, "p", days) for digest, days in (("aa", 9), ("bb", 5), ("cc", 1))
    )
    assert pictures.limit_cache(tmp_path, 3000) == 0
    assert pictures.limit_cache(tmp_path, 2500) == 1
    assert (old.exists(), middle.exists(), new.exists()) == (False, True, True)
    assert not old.parent.exists(), "no empty folders stay"
    assert pictures.limit_cache(tmp_path, 0) == 2
    assert pictures.limit_cache(tmp_path / "nothing", 0) == 0


def test_looking_at_a_picture_keeps_it(tmp_path: Path) -> None:
    one, other = _picture(tmp_path, "aa" * 32, "p", 9), _picture(tmp_path, "bb" * 32, "p", 5)
    assert pictures._read(one) == bytes(1000)
    assert pictures.limit_cache(tmp_path, 1000) == 1
    assert one.exists() and not other.exists()


def test_only_the_server_reads_them(tmp_path: Path) -> None:
    kept = cached.folder_of(tmp_path, "aa" * 32) / "p"
    pictures._write(kept, b"a face")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700

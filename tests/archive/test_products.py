"""Files of jobs: in the store that all machines share, private, found where an older version left them."""

import os
import stat
from pathlib import Path

from app import config as boot
from app.archive import products


def _config(tmp_path: Path, machine: str = "a") -> boot.Config:
    config = boot.load({"data": tmp_path / machine, "store_dir": str(tmp_path / "shared-store")}, environ={})
    config.sqlite_path.parent.mkdir(parents=True, exist_ok=True)  # its disk is asked for space
    return config


def test_what_one_machine_makes_another_finds(tmp_path: Path) -> None:
    made = products.folder(_config(tmp_path, "worker"), "prints") / "one.pdf"
    made.write_bytes(b"%PDF")
    assert products.path(_config(tmp_path, "web"), "prints", "one.pdf").read_bytes() == b"%PDF"


def test_the_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = products.folder(_config(tmp_path), "prints")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(one.stat().st_mode) for one in (made, made.parent)] == [0o700, 0o700]


def test_files_of_an_older_version_are_found_and_swept(tmp_path: Path) -> None:
    config = _config(tmp_path)
    old = config.data / "prints"
    old.mkdir(parents=True)
    for name in ("kept.pdf", "stray.pdf"):
        (old / name).write_bytes(b"%PDF")
        os.utime(old / name, (0, 0))
    assert products.path(config, "prints", "kept.pdf") == old / "kept.pdf"
    assert products.remove_strays(config, "prints", {"kept.pdf"}) == 1
    assert [one.name for one in old.iterdir()] == ["kept.pdf"]


def test_what_is_being_written_is_no_stray(tmp_path: Path) -> None:
    config = _config(tmp_path)
    (products.folder(config, "prints") / "new.part").write_bytes(b"")
    assert products.remove_strays(config, "prints", set()) == 0

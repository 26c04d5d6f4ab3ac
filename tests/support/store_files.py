"""What lies in a store."""

from pathlib import Path

import pydicom


def files_in(folder: Path) -> list[Path]:
    package = Path(pydicom.__file__).parent / "data" / "test_files"
    return sorted(p for f in (folder, package) for p in f.rglob("*") if p.is_file())

"""The data folder of an earlier version, ready to be started on (see README.md)."""

import tarfile
from pathlib import Path

from app import config as boot
from app.db.keys import derive

ARCHIVE = Path(__file__).with_name("data-4ab0408.tar.gz")
ROUTES = Path(__file__).with_name("data-d5b102b.tar.gz")
PRIORITIES = Path(__file__).with_name("data-b9df99f.tar.gz")
PLAIN = "plain.db"


def convert(source: Path, target: Path, source_key: str, target_key: str) -> None:
    """Copies a database, from or to its form without encryption (an empty key)."""
    from sqlcipher3 import dbapi2

    connection = dbapi2.connect(str(source), isolation_level=None)
    if source_key:
        connection.execute(f'PRAGMA key = "{source_key}"')
    connection.execute(f"ATTACH DATABASE '{target}' AS other KEY \"{target_key}\"")
    connection.execute("SELECT sqlcipher_export('other')")
    connection.execute("PRAGMA other.journal_mode = WAL")  # as the migration sets it once
    connection.close()


def key_of(data: Path) -> str:
    """The key of a data folder's database, as SQLCipher takes it."""
    return f"x'{derive(boot.load({'data': data}, environ={}), 'database').hex()}'"


def unpack(folder: Path, archive: Path = ARCHIVE) -> Path:
    """The data folder below `folder`, as an earlier version left it, its database encrypted again."""
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    data = folder / "data"
    (data / "keys").chmod(0o700)  # unpacking sets no modes of folders
    (data / "db").mkdir(mode=0o700)
    convert(data / PLAIN, data / "db" / "filmroom.db", "", key_of(data))
    (data / PLAIN).unlink()
    return data


def pack(data: Path, archive: Path) -> None:
    """Writes an archive from a data folder whose roles have ended."""
    convert(data / "db" / "filmroom.db", data / PLAIN, key_of(data), "")
    with tarfile.open(archive, "w:gz", compresslevel=9) as packed:
        for name in (PLAIN, "keys", "store"):
            packed.add(data / name, f"data/{name}")

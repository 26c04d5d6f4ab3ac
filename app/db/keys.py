"""The keys. A master key (key file of mode 0600, or from the environment) wraps the data key that encrypts the
database; so the master can be changed without rewriting the database (SEC-4).

The data key is in DIR/keys/data.key as AES-256-GCM(master, nonce, key): useless without the master key."""

import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.config import Config, ConfigError

_CONTEXT = b"filmroom data key 1"


def write_private(path: Path, data: bytes) -> None:
    """Writes a file only its owner can read, synced, all or nothing; never over an existing one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.link(temporary, path)  # fails if another process was first: then its key holds
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _parse(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ConfigError(f"{where} does not hold a master key; it must be 64 hex digits")
    return key


def master_key(config: Config) -> bytes:
    """The 256-bit master key; made at the first start when nothing names one."""
    if config.key:
        return _parse(config.key, "FILMROOM_KEY")
    path = Path(config.key_file) if config.key_file else config.keys / "master.key"
    if not path.exists():
        if config.key_file:
            raise ConfigError(f"key_file {path} does not exist; write 64 hex digits there or leave key_file out")
        if (config.keys / "data.key").exists():
            raise ConfigError(f"{path} is missing, and without it the data cannot be read; restore it from the backup")
        _refuse_new_key(config, path)
        write_private(path, secrets.token_bytes(32).hex().encode() + b"\n")
    _check_private(path, own_folder=path.parent == config.keys)
    return _parse(path.read_text("ascii", errors="replace"), str(path))


def _refuse_new_key(config: Config, path: Path) -> None:
    """A new key beside data that an older one encrypts would make them unreadable for good, and look like a new
    installation. On PostgreSQL `app.db.migrate` asks the database itself."""
    if not config.database_url and config.sqlite_path.exists():
        raise ConfigError(
            f"{path} is missing, but {config.sqlite_path} exists and cannot be read without it; "
            "restore the folder keys from the backup"
        )


def _check_private(path: Path, *, own_folder: bool) -> None:
    """Raises ConfigError when others than the owner may read or write a key, or put another one in its place.

    own_folder: it is in DIR/keys, which no other program needs to read."""
    if os.name != "posix":
        return
    try:
        file, folder = path.stat(), path.parent.stat()
    except OSError as fault:
        raise ConfigError(f"{path} cannot be read: {fault.strerror}") from None
    if file.st_uid not in (os.geteuid(), 0):
        raise ConfigError(f"{path} belongs to another user; run: chown {os.geteuid()} {path}")
    if stat.S_IMODE(file.st_mode) & (0o022 if _is_mounted_secret(path) else 0o077):
        raise ConfigError(
            f"other users can read or write {path} (mode {file.st_mode & 0o777:03o}); run: chmod 600 {path}"
        )
    shared = bool(folder.st_mode & stat.S_ISVTX)  # such as /tmp: others cannot replace the file there
    if stat.S_IMODE(folder.st_mode) & (0o077 if own_folder else 0o022) and not shared:
        raise ConfigError(
            f"other users can use the folder {path.parent}, where the key is; run: chmod 700 {path.parent}"
        )


def _is_mounted_secret(path: Path) -> bool:
    """Docker and Kubernetes mount secrets there, readable by all inside the container, and the mode cannot be changed."""
    return path.resolve().is_relative_to("/run/secrets")


def data_key(config: Config) -> bytes:
    """The 256-bit key the database and other secrets are encrypted with."""
    box = AESGCM(master_key(config))
    path = config.keys / "data.key"
    if not path.exists():
        _refuse_new_key(config, path)
        nonce = secrets.token_bytes(12)
        write_private(path, nonce + box.encrypt(nonce, secrets.token_bytes(32), _CONTEXT))
    _check_private(path, own_folder=True)
    wrapped = path.read_bytes()
    try:
        return box.decrypt(wrapped[:12], wrapped[12:], _CONTEXT)
    except InvalidTag:
        raise ConfigError("the master key is not the one this data was made with; give the right one") from None


def derive(config: Config, purpose: str) -> bytes:
    """A 256-bit key for one purpose, from the data key (HKDF, RFC 5869)."""
    return HKDF(hashes.SHA256(), 32, None, f"filmroom {purpose}".encode()).derive(data_key(config))


def seal(key: bytes, text: str) -> str:
    """A secret encrypted for a row: AES-256-GCM, hex."""
    nonce = secrets.token_bytes(12)
    return (nonce + AESGCM(key).encrypt(nonce, text.encode(), None)).hex()


def unseal(key: bytes, sealed: str) -> str:
    raw = bytes.fromhex(sealed)
    return AESGCM(key).decrypt(raw[:12], raw[12:], None).decode()

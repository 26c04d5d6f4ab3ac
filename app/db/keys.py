"""The keys. A master key (key file of mode 0600, or from the environment) wraps the data key that encrypts the
database; so the master can be changed without rewriting the database (SEC-4).

The data key stands in DIR/keys/data.key as AES-256-GCM(master, nonce, key): useless without the master key."""

import os
import secrets
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
        write_private(path, secrets.token_bytes(32).hex().encode() + b"\n")
    return _parse(path.read_text("ascii"), str(path))


def data_key(config: Config) -> bytes:
    """The 256-bit key the database and other secrets are encrypted with."""
    box = AESGCM(master_key(config))
    path = config.keys / "data.key"
    if not path.exists():
        nonce = secrets.token_bytes(12)
        write_private(path, nonce + box.encrypt(nonce, secrets.token_bytes(32), _CONTEXT))
    wrapped = path.read_bytes()
    try:
        return box.decrypt(wrapped[:12], wrapped[12:], _CONTEXT)
    except InvalidTag:
        raise ConfigError("the master key is not the one this data was made with; give the right one") from None


def derive(config: Config, purpose: str) -> bytes:
    """A 256-bit key for one purpose, from the data key (HKDF, RFC 5869)."""
    return HKDF(hashes.SHA256(), 32, None, f"filmroom {purpose}".encode()).derive(data_key(config))


def seal(key: bytes, text: str) -> str:
    """A secret as it may stand in a row: AES-256-GCM, hex."""
    nonce = secrets.token_bytes(12)
    return (nonce + AESGCM(key).encrypt(nonce, text.encode(), None)).hex()


def unseal(key: bytes, sealed: str) -> str:
    raw = bytes.fromhex(sealed)
    return AESGCM(key).decrypt(raw[:12], raw[12:], None).decode()

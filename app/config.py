"""Boot configuration: what is needed before the database opens. Read once, frozen.

Defaults < DIR/config.toml < environment FILMROOM_* < command line. Unknown keys and wrong values end the start
with the file, the key and what is allowed. Everything else is a setting, kept in the database.
"""

import dataclasses
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.kit import classic, folders, withheld
from app.kit.classic import Classic


class ConfigError(Exception):
    """The configuration cannot be used; the message says where and what to write instead."""


@dataclass(frozen=True, slots=True)
class Config:
    """One installation's boot configuration. Every field is an option, a key of config.toml and FILMROOM_<NAME>."""

    data: Path = field(default=Path("data"), metadata={"help": "data folder: keys, database, store, logs"})
    host: str = field(default="127.0.0.1", metadata={"help": "address that the pages listen on"})
    port: int = field(default=8000, metadata={"help": "port that the pages listen on"})
    dicom_host: str = field(default="0.0.0.0", metadata={"help": "addresses that DICOM listens on, comma separated"})  # noqa: S104 NET-3
    dicom_port: int = field(default=11112, metadata={"help": "port that DICOM listens on"})
    aet: str = field(default="FILMROOM", metadata={"help": "AE title of this installation, at most 16 characters"})
    nodes: str = field(
        default="", metadata={"help": "JSON file of nodes; applied at each start, its nodes are read-only in the forms"}
    )
    forwarder: str = field(
        default="",
        metadata={
            "help": "JSON file of a store-and-forward installation, with the keys of the classic forwarder; applied at each start",
            "flag": "--config",
        },
    )
    store_dir: str = field(
        default="", metadata={"help": "folder of the stored objects; empty: store in the data folder"}
    )
    log_dir: str = field(default="", metadata={"help": "folder of the logs; empty: logs in the data folder"})
    disk_reserve: int = field(
        default=0,
        metadata={"help": "MiB kept free on the disks of store and database; 0: 2 %, from 32 to 256"},
    )
    headless: bool = field(default=False, metadata={"help": "run without pages: only DICOM and background jobs"})
    receivers: int = field(default=1, metadata={"help": "DICOM receiver processes that share the port"})
    workers: int = field(default=1, metadata={"help": "worker processes for background jobs"})
    database_url: str = field(
        default="", metadata={"help": "PostgreSQL URL; empty: the embedded encrypted database", "password": True}
    )
    key: str = field(
        default="", metadata={"help": "master key, 64 hexadecimal digits; prefer key_file", "secret": True}
    )
    key_file: str = field(
        default="", metadata={"help": "file with the master key; empty: keys/master.key in the data folder"}
    )
    hang_seconds: int = field(
        default=30, metadata={"help": "seconds without a heartbeat after which a role is restarted; 0: never"}
    )
    log_level: str = field(default="INFO", metadata={"help": "DEBUG, INFO, WARNING or ERROR"})
    log_days: int = field(default=30, metadata={"help": "retention of log files in days"})
    log_mib: int = field(
        default=100, metadata={"help": "maximum size of a log file in MiB; at most two files per day and role"}
    )
    log_json: bool = field(default=False, metadata={"help": "write the console log as JSON lines"})
    trusted_proxies: str = field(
        default="", metadata={"help": "addresses of reverse proxies whose X-Forwarded-For header is trusted"}
    )
    host_names: str = field(
        default="", metadata={"help": "further host names of this server, comma separated; * accepts any name"}
    )
    secure_cookies: bool = field(default=False, metadata={"help": "mark cookies as Secure (behind an HTTPS proxy)"})

    @property
    def store(self) -> Path:
        return Path(self.store_dir) if self.store_dir else self.data / "store"

    @property
    def cache(self) -> Path:
        return self.data / "cache"

    @property
    def logs(self) -> Path:
        return Path(self.log_dir) if self.log_dir else self.data / "logs"

    @property
    def run(self) -> Path:
        """Process ids, sockets and role states; emptied at each start."""
        return self.data / "run"

    @property
    def keys(self) -> Path:
        return self.data / "keys"

    @property
    def sqlite_path(self) -> Path:
        return self.data / "db" / "filmroom.db"


def _coerce(name: str, kind: Any, value: Any, where: str) -> Any:
    if kind is bool:
        words = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        if isinstance(value, bool):
            return value
        if str(value).lower() in words:
            return words[str(value).lower()]
        raise ConfigError(f"{where}: {name} is {value!r}; write true or false")
    if kind is int:
        try:
            return int(value)
        except (TypeError, ValueError):
            raise ConfigError(f"{where}: {name} is {value!r}; write a whole number") from None
    return Path(value) if kind is Path else str(value)


def _check(config: Config) -> Config:
    for name in ("port", "dicom_port"):
        if not 0 < getattr(config, name) < 65536:
            raise ConfigError(f"{name} is {getattr(config, name)}; write a port from 1 to 65535")
    if not 0 < len(config.aet.strip()) <= 16 or "\\" in config.aet or not config.aet.isascii():
        raise ConfigError(f"aet is {config.aet!r}; write 1 to 16 ASCII characters without a backslash (PS3.5 6.2)")
    if not all(re.fullmatch(r"[0-9A-Za-z.:_-]+", host.strip()) for host in config.dicom_host.split(",")):
        raise ConfigError(f"dicom_host is {config.dicom_host!r}; write addresses of this machine, or 0.0.0.0 for all")
    if config.log_level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ConfigError(f"log_level is {config.log_level!r}; write DEBUG, INFO, WARNING or ERROR")
    _check_folders(config)
    if not (config.hang_seconds == 0 or 5 <= config.hang_seconds <= 3600):
        raise ConfigError(f"hang_seconds is {config.hang_seconds}; write a number from 5 to 3600, or 0 for never")
    for name in ("log_days", "log_mib"):
        if not 1 <= getattr(config, name) <= 100_000:
            raise ConfigError(f"{name} is {getattr(config, name)}; write a number from 1 to 100000")
    if config.disk_reserve < 0:
        raise ConfigError(f"disk_reserve is {config.disk_reserve}; write MiB, or 0 for the usual share")
    if config.port == config.dicom_port and not config.headless:
        raise ConfigError(f"port and dicom_port are both {config.port}; write two different ports")
    for name in ("receivers", "workers"):
        if not 1 <= getattr(config, name) <= 64:
            raise ConfigError(f"{name} is {getattr(config, name)}; write a number from 1 to 64")
    return config


def _check_folders(config: Config) -> None:
    """Objects and logs are not written where the system or the keys are; links and `..` do not help."""
    beside = [config.keys, config.run, config.cache, config.data / "db"]
    for name, setting, folder in (
        ("store_dir", config.store_dir, config.store),
        ("log_dir", config.log_dir, config.logs),
    ):
        if not setting:
            continue
        if folders.is_system(folder):
            raise ConfigError(f"{name} is {setting}, a folder of the operating system; choose one for this purpose")
        key_place = Path(config.key_file).resolve().parent if config.key_file else None
        if folders.overlaps(folder, beside) or folder.resolve() == key_place:
            raise ConfigError(
                f"{name} is {setting}, where Filmroom keeps its keys or its own data; choose another folder"
            )


def read_forwarder(file: Path) -> Classic:
    """The JSON file of a store-and-forward box. Raises ConfigError with file, line and key."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"--config: {file} cannot be read: {fault}") from None
    try:
        return classic.parse(text)
    except classic.ClassicFaults as found:
        raise ConfigError("\n".join([f"--config: {file} has errors:", *(f"  {one}" for one in found.faults)])) from None


def _classic(file: Path) -> dict[str, Any]:
    """Boot options of the file. Its folders count from where the file lies."""
    values = read_forwarder(file)
    found: dict[str, Any] = {
        "aet": values.local_ae_title,
        "dicom_port": values.local_port,
        "dicom_host": values.local_host,
    }
    for name, folder in (("store_dir", values.storage_dir), ("log_dir", values.log_dir)):
        if folder:
            found[name] = str((file.resolve().parent / Path(folder).expanduser()).resolve())
    return found


def load(options: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration from all layers. options: what the command line set (None values are ignored)."""
    env = os.environ if environ is None else environ
    kinds = {f.name: type(f.default) if f.name != "data" else Path for f in dataclasses.fields(Config)}
    given = {k: v for k, v in (options or {}).items() if v is not None}
    data = Path(given.get("data") or env.get("FILMROOM_DATA") or "data").expanduser().resolve()
    values: dict[str, Any] = {}
    file = data / "config.toml"
    if file.is_file():
        try:
            loaded = tomllib.loads(file.read_text("utf-8"))
        except tomllib.TOMLDecodeError as fault:
            raise ConfigError(f"{file}: {fault}") from None
        for name, value in loaded.items():
            if name not in kinds:
                raise ConfigError(f"{file}: unknown key {name!r}; known are {', '.join(sorted(kinds))}")
            values[name] = _coerce(name, kinds[name], value, str(file))
    forwarder = given.get("forwarder") or env.get("FILMROOM_FORWARDER") or values.get("forwarder")
    if forwarder:
        values |= _classic(Path(str(forwarder)).expanduser())
    for name, kind in kinds.items():
        variable = f"FILMROOM_{name.upper()}"
        if variable in env:
            values[name] = _coerce(name, kind, env[variable], variable)
        elif f"{variable}_FILE" in env and name not in ("key",):
            values[name] = _coerce(name, kind, Path(env[f"{variable}_FILE"]).read_text("utf-8").strip(), variable)
    for name, value in given.items():
        values[name] = _coerce(name, kinds[name], value, f"--{name.replace('_', '-')}")
    values["data"] = data
    if forwarder:
        values["forwarder"] = str(Path(str(forwarder)).expanduser().resolve())
    return _check(Config(**values))


def take_secrets() -> dict[str, str]:
    """Takes the variables of FILMROOM_ that are or may hold a secret out of this process's environment, once `load` has
    read them, and answers them."""
    named = {f"FILMROOM_{f.name.upper()}" for f in dataclasses.fields(Config) if f.metadata.get("secret")}
    words = ("PASSWORD", "SECRET", "TOKEN", "_KEY", "DATABASE_URL")
    more = {name for name in os.environ if name.startswith("FILMROOM_") and any(word in name for word in words)}
    return withheld.remove_variables(name for name in sorted(named | more) if not name.endswith("_FILE"))


def kept(data: Path) -> dict[str, Any]:
    """Content of DIR/config.toml for the next start; nothing where there is none, or it cannot be read."""
    try:
        return tomllib.loads((data / "config.toml").read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def write(data: Path, values: Mapping[str, str | int | bool]) -> Path:
    """Sets keys in DIR/config.toml and leaves its other lines as they are; they count from the next start."""
    file = data / "config.toml"
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    for name, value in values.items():
        # A JSON string, number or boolean is also a TOML one.
        line = f"{name} = {json.dumps(value)}"
        places = [n for n, old in enumerate(lines) if old.partition("=")[0].strip() == name]
        if places:
            lines[places[0]] = line
        else:
            lines.append(line)
    temporary = file.with_name(".config.toml.new")
    temporary.write_text("\n".join(lines) + "\n", "utf-8")
    temporary.replace(file)
    return file

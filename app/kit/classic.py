"""The one JSON file of a store-and-forward box, with the names of the classic forwarder (FWD-4). Pure.

Read strictly: a mistyped key or value is reported with its line and what to write, before anything starts."""

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from app.kit import jsonlines
from app.kit.jsonlines import JsonFault
from app.kit.phrases import phrase

LIMIT = 1 << 16  # characters; real ones have some hundred
NEEDED = ("pacs_host", "pacs_port", "pacs_ae_title")
_RETRIES = 100
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?")


@dataclass(frozen=True, slots=True)
class ClassicFault:
    """Errors with their position: line counts from 1; key is empty for the whole file."""

    line: int
    key: str
    words: str

    def __str__(self) -> str:
        return f"line {self.line}{', ' if self.key else ''}{self.key}: {self.words}"


class ClassicFaults(Exception):
    """The file cannot be used; everything that is wrong with it."""

    def __init__(self, faults: list[ClassicFault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Classic:
    """Content of the file, with the classic defaults. store_locally: keep what was forwarded; storage_dir, log_dir:
    empty for the folders within the data folder; forward_immediately: each object as it arrives, else it waits for Send
    or a schedule; retry_attempts: how often a failed delivery is tried again."""

    local_ae_title: str = "DICOM_FORWARDER"
    local_port: int = 11112
    local_host: str = "0.0.0.0"  # noqa: S104 the classic default
    pacs_host: str = ""
    pacs_port: int = 0
    pacs_ae_title: str = ""
    store_locally: bool = True
    storage_dir: str = ""
    log_dir: str = ""
    forward_immediately: bool = True
    retry_attempts: int = 3
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    def values(self) -> dict[str, Any]:
        """The keys of the file, in its order."""
        return {name: value for name, value in asdict(self).items() if name != "lines"}

    def text(self) -> str:
        """As a file with the same values; folders that were not named stay out."""
        shown = {n: v for n, v in self.values().items() if v != "" or n in NEEDED}
        return json.dumps(shown, indent=2, ensure_ascii=False) + "\n"


NAMES = tuple(one.name for one in fields(Classic) if one.name != "lines")


def parse(text: str) -> Classic:
    """The file's content. Raises ClassicFaults with everything that is wrong."""
    if len(text) > LIMIT:
        raise ClassicFaults([ClassicFault(1, "", phrase("the file is too large"))])
    try:
        document = jsonlines.parse(text)
    except JsonFault as fault:
        raise ClassicFaults([ClassicFault(fault.line, "", fault.words)]) from None
    if not isinstance(document.value, dict):
        raise ClassicFaults([ClassicFault(1, "", phrase("it is not a JSON object with keys"))])
    lines = {key: document.line((key,)) for key in document.value}
    found = [ClassicFault(lines.get(key, 1), key, words) for key, words in faults(document.value).items()]
    if found:
        raise ClassicFaults(sorted(found, key=lambda one: one.line))
    return Classic(**document.value, lines=lines)


def faults(values: Mapping[str, Any]) -> dict[str, str]:
    """Key -> what is wrong with it: unknown, missing, of the wrong type, out of range."""
    found: dict[str, str] = {}
    for key in values:
        if key not in NAMES:
            found[key] = phrase("unknown key; known keys: {names}", names=", ".join(NAMES))
    usual = Classic()
    for key in NAMES:
        if key not in values:
            if key in NEEDED:
                found[key] = phrase("this key is missing")
            continue
        words = _kind_fault(values[key], getattr(usual, key)) or _value_fault(key, values[key])
        if words:
            found[key] = words
    return found


def _kind_fault(value: Any, usual: Any) -> str:
    if isinstance(usual, bool):
        return "" if isinstance(value, bool) else phrase("enter true or false")
    if isinstance(usual, int):
        right = isinstance(value, int) and not isinstance(value, bool)
        return "" if right else phrase("enter a whole number without quotes")
    return "" if isinstance(value, str) else phrase("enter a text in double quotes")


def _value_fault(key: str, value: Any) -> str:
    if key.endswith("_port"):
        return "" if 1 <= value <= 65535 else phrase("a port must be a number from 1 to 65535")
    if key == "retry_attempts":
        return "" if 0 <= value <= _RETRIES else phrase("enter a number from {low} to {high}", low=0, high=_RETRIES)
    if key.endswith("_ae_title"):
        plain = 0 < len(value) <= 16 and value == value.strip() and all(" " <= c <= "~" and c != "\\" for c in value)
        return "" if plain else phrase("an AE title has 1 to 16 ASCII characters, no backslash, no spaces at its ends")
    if key == "local_host":
        return "" if _is_address(value) else phrase("enter the listening address, such as 0.0.0.0")
    if key == "pacs_host":
        named = bool(_NAME.fullmatch(value)) and not re.fullmatch(r"[0-9.]+", value)
        return "" if named or _is_address(value) else phrase("enter a host name or an IP address")
    if key.endswith("_dir"):
        right = value.isprintable() and len(value) <= 1024
        return "" if right else phrase("enter the path of a folder")
    return ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

"""Checks of single values of a node, in words; an empty answer means that the value is valid. Pure."""

import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import urlsplit

from app.kit import folders
from app.trust import names, pem

RESERVED = ("export", "import", "schema", "callers")  # paths below /nodes/ in REST
_WINDOW = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]")


def name_fault(name: str) -> str:
    """The name of a node; also an empty one is a fault."""
    if not 1 <= len(name) <= 64 or name != name.strip() or not name.isprintable() or "/" in name or name in RESERVED:
        return "A name has 1 to 64 characters, no slash, and no spaces at its ends."
    return ""


def url_fault(url: str) -> str:
    """The base address of a DICOMweb service."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "An address is https://server/path, or http://."
    if parts.scheme not in ("https", "http") or not host or len(url) > 1024 or not url.isprintable() or " " in url:
        return "An address is https://server/path, or http://."
    if parts.username or parts.password:
        return "User and password have fields of their own."
    if parts.query or parts.fragment:
        return "The address ends with the path of the service, without ? and #."
    return names.host_fault(host)


def path_fault(path: str) -> str:
    """The folder of a node: absolute, and neither of the operating system nor of Filmroom."""
    absolute = PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()
    if not absolute or not path.isprintable() or len(path) > 1024 or ".." in re.split(r"[\\/]", path):
        return "A folder is a whole path on the server, such as /srv/dicom/out."
    if folders.is_system(Path(path)):
        return "This is a folder of the operating system. Choose one for this purpose."
    if folders.is_own(Path(path)):
        return "Filmroom keeps its own data there. Choose another folder."
    return ""


def window_fault(window: str) -> str:
    """Sending hours."""
    return "" if _WINDOW.fullmatch(window) else "Write the hours as 22:00-06:00, or leave it empty."


def text_fault(text: str) -> str:
    """Any text without a form of its own."""
    if len(text) > 1024 or not text.isprintable():
        return "At most 1024 printable characters; a user name has no colon."
    return ""


def username_fault(text: str) -> str:
    """The user of HTTP Basic (RFC 7617)."""
    return "At most 1024 printable characters; a user name has no colon." if ":" in text else text_fault(text)


def fingerprint_fault(text: str) -> str:
    """The SHA-256 fingerprint of a certificate."""
    return "" if pem.clean_fingerprint(text) else "A fingerprint is SHA-256: 64 hex digits, with or without colons."

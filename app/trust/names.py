"""Validation of AE titles, UIDs, hosts and ports. Pure, but for `resolve_addresses` and `resolved`."""

import ipaddress
import re
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any
from urllib.parse import urlsplit

_HOST = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def title_fault(title: str) -> str:
    """Error of an AE title (PS3.5 6.2, VR AE); empty when nothing is."""
    if not title.strip() or len(title) > 16:
        return "An AE title has 1 to 16 characters."
    if title != title.strip():
        return "An AE title has no spaces at its ends."
    if "\\" in title or not all(" " <= c <= "~" for c in title):
        return "An AE title has printable ASCII characters and no backslash."
    return ""


def address(text: str) -> Address | None:
    """The IP address that the text is; an IPv4 address in an IPv6 one is unwrapped. None for names."""
    try:
        found = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found


def forbidden_address(found: Address) -> bool:
    """Where no DICOM node can be, but secrets of the machine's cloud might: link-local (169.254.169.254, fe80::),
    the cloud's IPv6 metadata address, multicast and unspecified addresses."""
    return (
        found.is_link_local
        or found.is_multicast
        or found.is_unspecified
        or (found.is_reserved and not found.is_loopback)
        or str(found) in ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")
    )


def host_fault(host: str) -> str:
    """Error of a host name or address; empty when nothing is."""
    found = address(host)
    if found is not None:
        return "This address cannot be a DICOM node (link-local or multicast)." if forbidden_address(found) else ""
    if not _HOST.fullmatch(host) or re.fullmatch(r"[0-9.]+|0[xX][0-9A-Fa-f]+", host):
        return "A host is a name such as pacs.example or an IP address."
    return ""


def port_fault(port: int) -> str:
    return "" if 1 <= port <= 65535 else "Enter a port from 1 to 65535. Standard DICOM ports: 104, 11112."


def is_near(text: str) -> bool:
    """Whether the address is of loopback or a private network (RFC 1918, RFC 4193)."""
    found = address(text)
    return found is not None and (found.is_loopback or (found.is_private and not found.is_unspecified))


LookedUp = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]
_lock = threading.Lock()
_asked: dict[tuple[str, int], "Future[LookedUp]"] = {}  # names that are being looked up: one thread each


def resolve_addresses(host: str, port: int, seconds: float) -> LookedUp:
    """The result of `socket.getaddrinfo` for a host, with a time limit: some name servers answer after a minute,
    or a byte at a time. Raises OSError when the name is not known, its TimeoutError after `seconds`."""
    host = host.strip("[]")
    if address(host) is not None:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    with _lock:
        wanted = _asked.get((host, port))
        if wanted is None:
            wanted = _asked[host, port] = Future()
            threading.Thread(target=_resolve, args=(wanted, host, port), name="look-up", daemon=True).start()
    return wanted.result(max(0.1, seconds))


def _resolve(wanted: "Future[LookedUp]", host: str, port: int) -> None:
    try:
        wanted.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except Exception as fault:  # noqa: BLE001 it is raised where it was asked
        wanted.set_exception(fault)
    finally:
        with _lock:
            del _asked[host, port]


def resolved(host: str, port: int, seconds: float) -> list[str]:
    """The addresses of a host, at most four, none of them a forbidden one; empty when the name is not known in time."""
    try:
        found = resolve_addresses(host, port, seconds)
    except OSError:
        return []
    texts = dict.fromkeys(str(each[4][0]) for each in found)
    parsed = [(text, address(text)) for text in texts]
    return [text for text, at in parsed if at is not None and not forbidden_address(at)][:4]


def is_network(text: str) -> bool:
    """Whether it is an address or a network such as 10.0.0.0/8."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def proxy_fault(url: str) -> str:
    """Error of the address of a proxy; empty when nothing is, or when there is none."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "A proxy is socks5://host:port or http://host:port."
    if parts.scheme not in ("socks5", "http") or not host or port is None or parts.path not in ("", "/") or parts.query:
        return "A proxy is socks5://host:port or http://host:port."
    if parts.username is not None or parts.password is not None:
        return "User and password of the proxy have fields of their own."
    found = address(host)
    if found is not None and forbidden_address(found):
        return "This address cannot be a proxy (link-local or multicast)."
    return "" if found is not None else host_fault(host)

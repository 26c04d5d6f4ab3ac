"""A connection through a proxy (NET-10): SOCKS5 (RFC 1928, user and password RFC 1929) and HTTP CONNECT (RFC 9110 9.3.6,
Basic RFC 7617). Names are left to the proxy to resolve."""

import base64
import socket
import struct
import time
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from app.kit.errors import PeerFault
from app.kit.numbers import parse_integer
from app.kit.phrases import phrase, verbatim
from app.trust import names

_HEAD_LIMIT = 16384  # bytes of an HTTP answer's head

# RFC 1928 6
_REPLIES = {
    1: phrase("it failed"),
    2: phrase("its rules do not allow it"),
    3: phrase("the network cannot be reached from there"),
    4: phrase("the host cannot be reached from there, or its name is not known there"),
    5: phrase("the host refuses connections on this port"),
    6: phrase("the host does not answer"),
    7: phrase("it cannot open connections"),
    8: phrase("it does not take this kind of address"),
}
_STATUS = {
    400: phrase("it does not understand the request"),
    401: phrase("it wants another user name or password"),  # tinyproxy's answer instead of 407 to a wrong one
    403: phrase("its rules do not allow it"),
    404: phrase("it does not know the host"),
    405: phrase("it does not open connections to other ports"),
    407: phrase("it wants another user name or password"),
    500: phrase("it cannot reach the host, or failed"),
    502: phrase("it cannot reach the host"),
    503: phrase("it cannot reach the host"),
    504: phrase("the host does not answer"),
}


@dataclass(frozen=True, slots=True)
class Proxy:
    """scheme: socks5 or http. The password stays out of every text made of it."""

    scheme: str
    host: str
    port: int
    username: str = ""
    password: str = ""

    @classmethod
    def of(cls, url: str, username: str = "", password: str = "") -> "Proxy":
        """url: as names.proxy_fault allows."""
        parts = urlsplit(url)
        return cls(parts.scheme, parts.hostname or "", parts.port or 0, username, password)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Proxy({self})"

    def url(self) -> str:
        """With user and password, for httpx. Never for a log."""
        who = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}@" if self.username else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme.replace('socks5', 'socks5h')}://{who}{host}:{self.port}"


class _Line:
    """Exact reads and writes with one deadline for the whole conversation."""

    def __init__(self, sock: socket.socket, proxy: Proxy, due: float) -> None:
        self._sock, self._proxy, self._due = sock, proxy, due

    def _left(self) -> float:
        left = self._due - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def send(self, data: bytes) -> None:
        self._sock.settimeout(self._left())
        self._sock.sendall(data)

    def read(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            self._sock.settimeout(self._left())
            part = self._sock.recv(count - len(found))
            if not part:
                raise ConnectionResetError
            found += part
        return found

    def head(self) -> bytes:
        """An HTTP head, byte by byte: what follows it is the other side's already."""
        found = b""
        while not found.endswith(b"\r\n\r\n"):
            if len(found) > _HEAD_LIMIT:
                raise _refused(self._proxy, phrase("the server is not an HTTP proxy"))
            found += self.read(1)
        return found


def _refused(proxy: Proxy, words: str, hint: str = "") -> PeerFault:
    return PeerFault(
        phrase("The proxy {proxy} opened no connection: {words}.", proxy=str(proxy), words=words), hint=hint
    )


def open_through(proxy: Proxy, host: str, port: int, seconds: float) -> socket.socket:
    """A connection to the host by way of the proxy. Raises PeerFault, which names the side at fault."""
    target = names.address(host)
    if target is not None and names.forbidden_address(target):
        raise PeerFault(phrase("{host} leads to an address that cannot be a DICOM node.", host=host))
    due = time.monotonic() + seconds
    sock = _reach(proxy, due)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = _Line(sock, proxy, due)
        if proxy.scheme == "socks5":
            _socks(line, proxy, host.strip("[]"), port)
        else:
            _connect(line, proxy, host.strip("[]"), port)
        return sock
    except TimeoutError:
        sock.close()
        raise _refused(proxy, phrase("no answer within {seconds:g} s", seconds=seconds)) from None
    except OSError:
        sock.close()
        raise _refused(proxy, phrase("it broke off"), phrase("Is it a proxy of this kind?")) from None
    except BaseException:
        sock.close()
        raise


def _reach(proxy: Proxy, due: float) -> socket.socket:
    """A TCP connection to the proxy itself; its address is checked after its name is resolved."""
    hint = phrase("Look at Settings, Proxy.")
    try:
        found = names.resolve_addresses(proxy.host, proxy.port, due - time.monotonic())
    except OSError:
        raise PeerFault(phrase("The name of the proxy {host} is not known.", host=proxy.host), hint=hint) from None
    words = phrase("no address")
    for family, kind, protocol, _, address in found[:4]:
        parsed = names.address(str(address[0]))
        if parsed is None or names.forbidden_address(parsed):
            continue
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max(0.1, due - time.monotonic()))
            sock.connect(address)
            return sock
        except TimeoutError:
            words = phrase("no response")
        except ConnectionRefusedError:
            words = phrase("it refuses connections")
        except OSError as fault:
            words = verbatim(fault.strerror) if fault.strerror else phrase("no response")
        sock.close()
    raise PeerFault(phrase("The proxy {proxy} cannot be reached: {words}.", proxy=str(proxy), words=words), hint=hint)


def _socks(line: _Line, proxy: Proxy, host: str, port: int) -> None:
    methods = b"\x00\x02" if proxy.username else b"\x00"
    line.send(bytes((5, len(methods))) + methods)
    version, method = line.read(2)
    if version != 5:
        raise _refused(proxy, phrase("the server is not a SOCKS5 proxy"))
    if method == 2 and proxy.username:
        user, secret = proxy.username.encode()[:255], proxy.password.encode()[:255]
        line.send(bytes((1, len(user))) + user + bytes((len(secret),)) + secret)
        if line.read(2)[1] != 0:
            raise _refused(
                proxy, phrase("it does not take the user name or password"), phrase("Look at Settings, Proxy.")
            )
    elif method != 0:
        words = (
            phrase("it takes neither this user and password nor callers without")
            if proxy.username
            else phrase("it wants a user name and password")
        )
        raise _refused(proxy, words, phrase("Look at Settings, Proxy."))
    line.send(b"\x05\x01\x00" + _socks_address(host) + struct.pack(">H", port))
    version, code, _, kind = line.read(4)
    if code != 0 or version != 5:
        raise _refused(proxy, _REPLIES.get(code, phrase("code {code}", code=code)))
    length = {1: 4, 4: 16}.get(kind) or line.read(1)[0]
    line.read(length + 2)  # its local address, which is not used


def _socks_address(host: str) -> bytes:
    found = names.address(host)
    if found is not None:
        return (b"\x01" if found.version == 4 else b"\x04") + found.packed
    name = host.encode("idna")
    return b"\x03" + bytes((len(name),)) + name


def _connect(line: _Line, proxy: Proxy, host: str, port: int) -> None:
    where = f"[{host}]:{port}" if ":" in host else f"{host.encode('idna').decode()}:{port}"
    lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
    if proxy.username:
        both = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {both}")
    line.send("\r\n".join([*lines, "", ""]).encode())
    first = line.head().split(b"\r\n", 1)[0].split(b" ", 2)
    if (
        len(first) < 2
        or not first[0].startswith(b"HTTP/1.")
        or parse_integer(first[1].decode("latin-1"), 100, 599) is None
    ):
        raise _refused(proxy, phrase("the server is not an HTTP proxy"))
    status = int(first[1])
    if status // 100 != 2:
        hint = phrase("Look at Settings, Proxy.") if status in (401, 407) else ""
        raise _refused(proxy, _STATUS.get(status, phrase("status {status}", status=status)), hint)

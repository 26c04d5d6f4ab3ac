"""Network addresses: whom something is counted for, and which are this machine's own."""

import ipaddress
import socket
from functools import lru_cache


def source_of(address: str) -> str:
    """Whom failures and connections are counted for: an IPv4 address, or the /64 network of an IPv6 one, in which one
    machine can take as many addresses as it likes. A text that is not an address is returned unchanged."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address) or found.is_loopback:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))


@lru_cache(maxsize=256)
def is_own(address: str) -> bool:
    """Whether an IP address is one of this machine's, loopback included: only to those a socket can be bound."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if found.is_unspecified or found.is_multicast:
        return False
    if found.is_loopback:
        return True
    family = socket.AF_INET6 if found.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except (OSError, ValueError):
        return False
    return True

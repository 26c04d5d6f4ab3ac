"""What can go wrong with a peer, in words an operator can act on."""

from app.kit.errors import AppError


class PeerFault(AppError):
    """The peer could not be reached, refused us, or broke off. Trying again later may help."""

    code, status, dimse = "peer", 502, 0x0110


class CannotConvert(Exception):
    """The object cannot be given in a syntax the peer takes; the message says why."""

"""The same installation as in tests/peers: these tests have a real program at the other end."""

from tests.peers.conftest import peopled, receiver, worker

__all__ = ["peopled", "receiver", "worker"]

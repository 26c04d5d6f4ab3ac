"""The associations a receiver process may have at a time, and who may still get one: unknown callers leave some for known
nodes, and no single address of theirs takes all of the rest."""

import threading
from collections import Counter
from collections.abc import Callable

from app.kit.addresses import source_of
from app.network.settings import DicomSettings

MOST_ASKING = 32  # connections of one address that have begun to speak and not yet asked for an association


class AssociationLimits:
    """Thread-safe. Connections are counted from their first byte (`add_connection`) to their end (`remove_connection`), associations from
    `reserve_slot` to `release_slot`."""

    def __init__(self, settings: Callable[[], DicomSettings]) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._connections: Counter[str] = Counter()  # by address, as the two others
        self._associations: Counter[str] = Counter()
        self._strangers: Counter[str] = Counter()  # associations of unknown callers
        self.taken = 0

    def reserve_slot(self, address: str, known: bool) -> bool:
        """A place for an association; False when there is none for this caller. known: a node."""
        settings, source = self._settings(), source_of(address)
        with self._lock:
            if self.taken >= (settings.max_associations if known else settings.places_for_strangers):
                return False
            if not known and self._strangers[source] >= settings.associations_per_address:
                return False
            self.taken += 1
            self._associations[source] += 1
            if not known:
                self._strangers[source] += 1
            return True

    def release_slot(self, address: str, known: bool) -> None:
        """The association that `reserve_slot` allowed has ended."""
        source = source_of(address)
        with self._lock:
            self.taken -= 1
            _decrement(self._associations, source)
            if not known:
                _decrement(self._strangers, source)

    def add_connection(self, address: str) -> bool:
        """A connection has something to say; False when too many of its address have not asked for an association yet."""
        source = source_of(address)
        with self._lock:
            if self._connections[source] - self._associations[source] >= MOST_ASKING:
                return False
            self._connections[source] += 1
            return True

    def remove_connection(self, address: str) -> None:
        """The connection that `add_connection` allowed has ended."""
        with self._lock:
            _decrement(self._connections, source_of(address))


def _decrement(counter: Counter[str], source: str) -> None:
    counter[source] -= 1
    if counter[source] <= 0:
        del counter[source]

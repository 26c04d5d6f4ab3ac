"""A storage SCP by pynetdicom."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage

from app.dicom import syntaxes
from app.network.scu import Peer
from tests.support.postgres import free_port


@contextmanager
def listening(handle: Callable[[Any], Any], takes: list[str] | None = None, max_pdu: int = 16382) -> Iterator[Peer]:
    """A pynetdicom peer whose C-STORE handler is `handle`."""
    ae = AE("LIAR")
    ae.maximum_pdu_size = max_pdu
    ae.add_supported_context(CTImageStorage, takes or [syntaxes.EXPLICIT_LE, syntaxes.IMPLICIT_LE])
    port = free_port()
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, handle)])
    try:
        yield Peer("LIAR", "FILMROOM", "127.0.0.1", port, "liar")
    finally:
        server.shutdown()

"""Error messages of a requested association: which step failed, and the peer's reason if it sent one."""

from collections.abc import Callable

from app.kit.allowance import LEAST_RATE
from app.kit.errors import PeerFault
from app.kit.phrases import phrase
from app.network import commands
from app.network.connect import Peer
from app.network.pdu import BadPdu
from app.network.tls_wire import TlsFault
from app.network.wire import PeerGone, PeerSilent, PeerSlow


class InWords:
    """Turns what the wire raises into PeerFault, naming the step. patience: seconds the peer may be silent, as they are
    when the fault comes; abort: ends the association."""

    def __init__(self, peer: Peer, what: str, patience: Callable[[], float], abort: Callable[[], None]) -> None:
        self._peer, self._what, self._patience, self._abort = peer, what, patience, abort

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: object) -> None:
        peer = self._peer
        if isinstance(fault, TlsFault):
            words = phrase(
                "{peer} ended TLS during {what}: {words}.", peer=str(peer), what=self._what, words=fault.words
            )
            raise PeerFault(words, hint=fault.hint) from None
        if isinstance(fault, PeerGone):
            raise PeerFault(
                phrase("{peer} closed the connection during {what}.", peer=str(peer), what=self._what)
            ) from None
        if isinstance(fault, PeerSlow):
            raise PeerFault(
                phrase(
                    "{peer} was too slow during {what}: less than {rate:g} bytes a second for {seconds:g} s.",
                    peer=str(peer),
                    what=self._what,
                    rate=LEAST_RATE,
                    seconds=self._patience(),
                ),
                hint=phrase("Look at the other side and at the network to it."),
            ) from None
        if isinstance(fault, PeerSilent):
            seconds = self._patience()
            raise PeerFault(
                phrase(
                    "{peer} did not answer within {seconds:g} s during {what}.",
                    peer=str(peer),
                    seconds=seconds,
                    what=self._what,
                )
            ) from None
        if isinstance(fault, BadPdu | commands.BadCommand):
            self._abort()
            raise PeerFault(
                phrase("{peer} does not speak DICOM as it should: {fault}.", peer=str(peer), fault=fault)
            ) from None


def reject_hint(peer: Peer, source: int, reason: int) -> str:
    """Hint for a rejection, by source and reason (PS3.8 Table 9-21)."""
    if (source, reason) == (1, 3):
        return phrase("Ask its administrator to add AE title {calling}.", calling=peer.calling)
    if (source, reason) == (1, 7):
        return phrase(
            "Check the AE title: the node does not accept {called}. AE titles are case-sensitive.", called=peer.called
        )
    return ""

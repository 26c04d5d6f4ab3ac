"""Calls of services without a fast path (N-services, Modality Worklist) as their SCU: a pynetdicom association
over a connection of app.network.connect, so that proxy, TLS, certificates, timeouts and forbidden addresses are those
of every other call.

    with call(peer, [MPPS], settings) as remote:
        status, reply = remote.association.send_n_create(data_set, MPPS, uid)
        remote.check(status, phrase("the report"))

Every failure is a PeerFault that names the failed step and the peer's reason if it sent one."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.ae import ApplicationEntity
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.transport import AddressInformation

from app.kit.errors import PeerFault
from app.kit.phrases import phrase
from app.network import pdu
from app.network.connect import Peer, connect
from app.network.contexts import UNCOMPRESSED
from app.network.pynet.association import WireAssociation
from app.network.pynet.limits import PynetLimits
from app.network.scu_faults import reject_hint
from app.network.settings import DicomSettings
from app.network.tls_wire import open_wire
from app.network.wire import Wire

_OUR_LIMIT = 131072  # maximum length of a received PDU, in bytes


class Remote:
    """An established association with a peer. association: pynetdicom's; use its `send_n_get` and so on from one thread."""

    def __init__(self, peer: Peer, association: WireAssociation) -> None:
        self.peer = peer
        self.association = association

    def accepts(self, sop_class: str) -> bool:
        """Whether the peer accepted a presentation context of this class."""
        return any(one.abstract_syntax == sop_class for one in self.association.accepted_contexts)

    def check(self, status: Dataset, step: str) -> int:
        """The DIMSE status of an answer. step: what was asked, as part of a sentence ("the print job"). Raises PeerFault
        where no answer came; a failure that the peer reports is the caller's to judge."""
        if "Status" in status:
            return int(status.Status)
        peer = str(self.peer)
        if self.association.ending == "aborted by the peer":
            raise PeerFault(phrase("{peer} aborted the association during {what}.", peer=peer, what=step))
        if self.association.ending == "the connection was dropped":
            raise PeerFault(phrase("{peer} closed the connection during {what}.", peer=peer, what=step))
        raise PeerFault(phrase("{peer} did not answer during {what}.", peer=peer, what=step))


@contextlib.contextmanager
def call(
    peer: Peer,
    sop_classes: Sequence[str],
    settings: DicomSettings,
    handlers: Sequence[tuple[Any, Callable[..., Any]]] = (),
) -> Iterator[Remote]:
    """An association that proposes these SOP classes uncompressed. It is released at the end, and aborted when the block
    raises. handlers: pynetdicom's (event, function), for what the peer sends by itself (N-EVENT-REPORT)."""
    settings = peer.effective_settings(settings)
    wire = open_wire(connect(peer, settings.connect_timeout))
    association = None
    try:
        association = _association(peer, wire, sop_classes, settings)
        for event, handler in handlers:
            association.bind(event, handler)
        _establish(peer, association, settings)
        try:
            yield Remote(peer, association)
        except BaseException:
            association.abort()
            raise
        association.release()
    finally:
        if association is not None:
            association.dimse.drop()
        wire.close()


def _association(peer: Peer, wire: Wire, sop_classes: Sequence[str], settings: DicomSettings) -> WireAssociation:
    entity = ApplicationEntity()
    patience = settings.network_timeout
    limits = PynetLimits(settings.idle_timeout, patience, patience, peer.max_pdu or _OUR_LIMIT)
    association = WireAssociation(entity, "requestor", wire, limits)
    requestor, acceptor = association.requestor, association.acceptor
    requestor.ae_title = peer.calling
    requestor.address_info = AddressInformation(association.local_address, 0)
    requestor.maximum_length = limits.max_pdu
    requestor.implementation_class_uid = UID(pdu.IMPLEMENTATION_UID)
    requestor.implementation_version_name = pdu.IMPLEMENTATION_VERSION
    requestor.requested_contexts = [_context(n, sop_class) for n, sop_class in enumerate(sop_classes)]
    acceptor.ae_title = peer.called
    acceptor.address_info = AddressInformation(str(wire.sock.getpeername()[0]), peer.port)
    return association


def _context(number: int, sop_class: str) -> PresentationContext:
    context = build_context(sop_class, list(UNCOMPRESSED))
    context.context_id = 2 * number + 1
    return context


def _establish(peer: Peer, association: WireAssociation, settings: DicomSettings) -> None:
    """Raises PeerFault when the association does not come about."""
    association.request()
    if association.is_established:
        association.acse_timeout = settings.artim  # for the release
        association.start()
        return
    name, answer = str(peer), association.acceptor.primitive
    if association.is_rejected and answer is not None:
        source, reason = int(answer.result_source or 0), int(answer.diagnostic or 0)
        why = pdu.REJECT_REASONS.get(
            (source, reason), phrase("for reason {source}.{reason}", source=source, reason=reason)
        )
        hint = reject_hint(peer, source, reason)
        if answer.result == 2:  # transient (PS3.8 Table 9-21)
            raise PeerFault(
                phrase("{peer} rejected the association for now: {words}.", peer=name, words=why), hint=hint
            )
        raise PeerFault(phrase("{peer} rejected the association: {words}.", peer=name, words=why), hint=hint)
    if answer is not None:
        raise PeerFault(phrase("{peer} accepts the association but none of the requested services.", peer=name))
    if association.ending == "aborted by the peer":
        raise PeerFault(phrase("{peer} aborted the association.", peer=name))
    if association.ending == "the connection was dropped":
        what = phrase("the association")
        raise PeerFault(phrase("{peer} closed the connection during {what}.", peer=name, what=what))
    raise PeerFault(
        phrase(
            "{peer} did not answer within {seconds:g} s during {what}.",
            peer=name,
            seconds=settings.network_timeout,
            what=phrase("the association"),
        )
    )

"""The hand-over: an admitted association goes on as one of pynetdicom's, in the same thread and over the same Wire.

pynetdicom receives an A-ASSOCIATE-RQ that is written from the decision: the caller's request has been decoded already,
and refused contexts are replaced by ones that cannot be accepted. So both paths negotiate by the same rules, and
pynetdicom decodes nothing of the negotiation that a stranger wrote."""

from collections.abc import Mapping

from pydicom.uid import UID
from pynetdicom.ae import ApplicationEntity
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import uid_to_service_class
from pynetdicom.transport import AddressInformation

from app.dimse.handover.answering import Answering
from app.dimse.handover.registry import Call, service_of
from app.dimse.negotiation import IMPLICIT_LITTLE
from app.dimse.record import Deeds
from app.dimse.services import Agreed, Handed, ReceiverServices, printable
from app.network import pdu
from app.network.information_models import VERIFICATION
from app.network.pdu import BadPdu, Context, ContextResult
from app.network.pynet.association import WireAssociation
from app.network.pynet.limits import PynetLimits
from app.network.settings import DicomSettings
from app.network.wire import Wire

_NOTHING = "2.25.0"  # replaces a refused one: an unsupported abstract or transfer syntax
_SMALLEST_PDU = 128  # bytes; a peer that takes less would get a PDU for each few bytes
_MOST_PDU = 1 << 20  # bytes in one PDU to a peer that takes any length


def serve(wire: Wire, agreed: Agreed, services: ReceiverServices, settings: DicomSettings, deeds: Deeds) -> str:
    """Serves it until its end in the calling thread; how it ended, in words for the log. Raises BadPdu."""
    if agreed.peer_limit < _SMALLEST_PDU:
        raise BadPdu(f"a maximum PDU length of {agreed.peer_limit}")
    assert agreed.handed is not None
    limits = PynetLimits(
        settings.silence_limit(agreed.admission.node_id is not None),
        settings.network_timeout,
        settings.artim,
        settings.max_pdu,
    )
    association = WireAssociation(
        _entity(settings),
        "acceptor",
        wire,
        limits,
        _request(agreed, agreed.handed),
        services.stopping.is_set,
    )
    _configure(association, agreed, agreed.handed, services, settings)
    for event, handler in Answering(Call(agreed, services), deeds).handlers():
        association.bind(event, handler)
    try:
        association.run_reactor()
    finally:
        association.dimse.drop()
    return association.ending


def usable(results: list[ContextResult], abstracts: Mapping[int, str]) -> list[ContextResult]:
    """The results of a negotiation, with those refused whose class pynetdicom cannot serve: storage classes that it
    does not know."""
    found = []
    for one in results:
        abstract = abstracts[one.id]
        known = abstract == VERIFICATION or service_of(abstract) is not None
        if one.result == pdu.ACCEPTED and not known and uid_to_service_class(abstract) is not StorageServiceClass:
            one = ContextResult(one.id, pdu.ABSTRACT_UNKNOWN, one.transfer)
        found.append(one)
    return found


def _entity(settings: DicomSettings) -> ApplicationEntity:
    """One for each association: pynetdicom locks and counts by entity; associations are counted by AssociationLimits."""
    entity = ApplicationEntity()
    entity.maximum_pdu_size = settings.max_pdu
    entity.implementation_class_uid = pdu.IMPLEMENTATION_UID
    entity.implementation_version_name = pdu.IMPLEMENTATION_VERSION
    return entity


def _configure(
    association: WireAssociation, agreed: Agreed, handed: Handed, services: ReceiverServices, settings: DicomSettings
) -> None:
    acceptor = association.acceptor
    acceptor.ae_title = services.own_title
    acceptor.maximum_length = settings.max_pdu
    acceptor.implementation_class_uid = UID(pdu.IMPLEMENTATION_UID)
    acceptor.implementation_version_name = pdu.IMPLEMENTATION_VERSION
    acceptor.address_info = AddressInformation(association.local_address, 0)
    acceptor.supported_contexts = _supported(agreed, handed)
    if handed.confirmed is not None:
        response = UserIdentityNegotiation()
        response.server_response = handed.confirmed
        acceptor.add_negotiation_item(response)
    association.requestor.address_info = AddressInformation(agreed.address, 0)


def _request(agreed: Agreed, handed: Handed) -> bytes:
    """The A-ASSOCIATE-RQ that pynetdicom reads. An accepted context names the one transfer syntax that was chosen, a
    refused one what cannot be accepted for the same reason."""
    asked = {context.id: context.abstract for context in handed.request.contexts}
    contexts = []
    for one in handed.results:
        abstract = _NOTHING if one.result == pdu.ABSTRACT_UNKNOWN else asked[one.id]
        contexts.append(Context(one.id, abstract, [one.transfer if one.result == pdu.ACCEPTED else _NOTHING]))
    titles = (printable(agreed.called), printable(agreed.calling))
    return pdu.encode_request(*titles, contexts, min(agreed.peer_limit, _MOST_PDU))


def _supported(agreed: Agreed, handed: Handed) -> list[PresentationContext]:
    """The contexts that pynetdicom accepts: one entry for each class, whose transfer syntaxes are those that were
    chosen."""
    asked = {context.id: context.abstract for context in handed.request.contexts}
    chosen = {asked[one.id]: [IMPLICIT_LITTLE] for one in handed.results if one.result == pdu.TRANSFER_UNKNOWN}
    accepted: dict[str, list[str]] = {}
    for abstract, transfer in agreed.contexts.values():
        accepted.setdefault(abstract, []).append(transfer)
    chosen |= accepted
    return [build_context(abstract, list(dict.fromkeys(syntaxes))) for abstract, syntaxes in chosen.items()]

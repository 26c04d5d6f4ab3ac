"""Messages and hints for a peer's DIMSE status (PS3.4 Annexes B.2, C.4). Pure."""

from dataclasses import dataclass

from app.kit.errors import PeerFault
from app.kit.phrases import NOTHING, Phrase, phrase


@dataclass(frozen=True, slots=True)
class StatusWords:
    """what: what happened; hint: what to do. final: asking again the same way cannot help."""

    what: Phrase
    hint: Phrase = NOTHING
    final: bool = False


def describe_status(status: int, comment: str, peer: str, *, own_title: str = "", own_address: str = "") -> StatusWords:
    """A final status other than success of a C-FIND, C-MOVE or C-GET. own_title, own_address: the Move Destination that
    was asked for and where it listens."""
    code, remark = f"{status:04X}", f" “{comment}”" if comment else ""
    high = status & 0xFF00
    if status in (0xA801, 0xA702) or status & 0xF000 == 0xC000:
        return _describe_refusal(status, code, remark, peer, own_title, own_address)
    if status == 0xA701:
        return StatusWords(phrase("{peer} cannot count the matches ({code}{said}).", peer=peer, code=code, said=remark))
    if high == 0xA700:
        return StatusWords(
            phrase("{peer} is out of resources ({code}{said}).", peer=peer, code=code, said=remark),
            phrase("Try again later."),
        )
    if high == 0xA900:
        return StatusWords(
            phrase(
                "{peer} says that the request does not fit its service ({code}{said}).",
                peer=peer,
                code=code,
                said=remark,
            ),
            phrase("It may not know this level or these keys."),
            True,
        )
    if status in (0x0122, 0x0112):
        return StatusWords(
            phrase("{peer} does not offer this ({code}{said}).", peer=peer, code=code, said=remark), final=True
        )
    if status == 0x0124:
        return StatusWords(
            phrase("{peer} does not allow this ({code}{said}).", peer=peer, code=code, said=remark),
            phrase("Ask the PACS administrator for the permission."),
            True,
        )
    if status == 0xFE00:
        return StatusWords(phrase("{peer} cancelled it.", peer=peer))
    if high == 0xB000:
        return StatusWords(phrase("{peer} could not send all of it ({code}{said}).", peer=peer, code=code, said=remark))
    return StatusWords(phrase("{peer} answered with status {code}{said}.", peer=peer, code=code, said=remark))


def _describe_refusal(status: int, code: str, remark: str, peer: str, own_title: str, own_address: str) -> StatusWords:
    """The statuses that may concern the Move Destination: unknown, not reached, or not processed."""
    if status == 0xA801:
        return StatusWords(
            phrase("Move destination unknown ({code}{said}).", code=code, said=remark),
            phrase(
                "Ask the PACS administrator to add title {title} at {address}.", title=own_title, address=own_address
            ),
            True,
        )
    if status == 0xA702:
        return StatusWords(
            phrase("{peer} could not send the objects ({code}{said}).", peer=peer, code=code, said=remark),
            phrase("It reaches {title} at {address}? Ask the PACS administrator.", title=own_title, address=own_address)
            if own_title
            else phrase("Try again later; ask the PACS administrator if it stays so."),
        )
    return StatusWords(
        phrase("{peer} could not process the request ({code}{said}).", peer=peer, code=code, said=remark),
        # Orthanc and others return it for an unknown destination
        phrase("Perhaps it does not know title {title} at {address}.", title=own_title, address=own_address)
        if own_title
        else NOTHING,
    )


def store_words(status: int, comment: str, peer: str, *, own_title: str = "") -> StatusWords:
    """A final status of a C-STORE that is neither success nor warning (PS3.4 Table B.2-1, PS3.7 Annex C)."""
    code, remark = f"{status:04X}", f" “{comment}”" if comment else ""
    high = status & 0xFF00
    if high == 0xA700:
        return StatusWords(
            phrase("{peer} is out of resources ({code}{said}).", peer=peer, code=code, said=remark),
            phrase("Is its storage full? Ask the PACS administrator."),
        )
    if high == 0xA900 or status & 0xF000 == 0xC000:
        return StatusWords(
            phrase("{peer} cannot use the object ({code}{said}).", peer=peer, code=code, said=remark),
            phrase("Ask the PACS administrator which requirements objects must meet."),
            True,
        )
    if status in (0x0122, 0x0112):
        return StatusWords(
            phrase("{peer} does not take objects of this kind ({code}{said}).", peer=peer, code=code, said=remark),
            phrase("Check on the node whether it accepts objects from this station."),
            True,
        )
    if status == 0x0124:
        return StatusWords(
            phrase("{peer} does not allow us to store ({code}{said}).", peer=peer, code=code, said=remark),
            phrase("Ask the PACS administrator to let title {title} store there.", title=own_title),
            True,
        )
    return StatusWords(
        phrase("{peer} did not take it: status {code}{said}.", peer=peer, code=code, said=remark),
        phrase("Check on the node whether it accepts objects from this station. Its log contains the reason."),
    )


class PeerRefused(PeerFault):
    """The peer answered, with a failure. final: asking again the same way cannot help; `status` in extra is DIMSE's."""

    def __init__(self, found: StatusWords, dimse_status: int) -> None:
        super().__init__(found.what, hint=found.hint)
        self.final, self.dimse_status = found.final, dimse_status

"""Which presentation contexts a study needs, and which of the accepted ones an object goes through. Pure.

Objects go out as they are stored where the peer takes that; else uncompressed; Implicit VR Little Endian is always
proposed with it, as PS3.5 10.1 asks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.dicom.registry import name
from app.kit.phrases import phrase
from app.peers import pdu
from app.peers.pdu import Context

IMPLICIT_LITTLE, EXPLICIT_LITTLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
UNCOMPRESSED = [EXPLICIT_LITTLE, IMPLICIT_LITTLE]
LIMIT = 128  # odd ids of one byte (PS3.8 9.3.2.2)


@dataclass(slots=True)
class Proposal:
    """The contexts of one association. as_stored: (SOP class, transfer syntax) -> id; fallback: SOP class -> id."""

    contexts: list[Context] = field(default_factory=list)
    as_stored: dict[tuple[str, str], int] = field(default_factory=dict)
    fallback: dict[str, int] = field(default_factory=dict)

    def covers(self, sop_class: str) -> bool:
        return sop_class in self.fallback

    def _add(self, sop_class: str, transfer: list[str]) -> int:
        number = 2 * len(self.contexts) + 1
        self.contexts.append(Context(number, sop_class, transfer))
        return number


def propose(stored: Iterable[tuple[str, str]], only_uncompressed: bool = False) -> list[Proposal]:
    """Proposals that together carry all (SOP class, transfer syntax) pairs; one unless there are very many."""
    syntaxes: dict[str, set[str]] = {}
    for sop_class, syntax in stored:
        syntaxes.setdefault(sop_class, set()).add(syntax)
    proposals = [Proposal()]
    for sop_class in sorted(syntaxes):
        own = [] if only_uncompressed else sorted(syntaxes[sop_class])
        if len(proposals[-1].contexts) + len(own) + 1 > LIMIT:
            proposals.append(Proposal())
        current = proposals[-1]
        for syntax in own:
            current.as_stored[sop_class, syntax] = current._add(sop_class, [syntax])
        current.fallback[sop_class] = current._add(sop_class, list(UNCOMPRESSED))
    return proposals


@dataclass(frozen=True, slots=True)
class Way:
    """How an object goes out: context and transfer syntax, or the words why it cannot."""

    context_id: int = 0
    transfer_syntax: str = ""
    fault: str = ""


def choose(
    proposal: Proposal, accepted: Mapping[int, str], refused: Mapping[int, int], sop_class: str, syntax: str
) -> Way:
    """The context for one object, given the peer's answers (context id -> transfer syntax, or -> result)."""
    direct = proposal.as_stored.get((sop_class, syntax))
    if direct is not None and direct in accepted:
        return Way(direct, accepted[direct])
    other = proposal.fallback[sop_class]
    if other in accepted:
        return Way(other, accepted[other])
    if refused.get(other) == pdu.ABSTRACT_UNKNOWN:
        return Way(fault=phrase("The node does not take {sop_class}.", sop_class=name(sop_class)))
    return Way(
        fault=phrase(
            "The node takes {sop_class} neither as {syntax} nor uncompressed.",
            sop_class=name(sop_class),
            syntax=name(syntax),
        )
    )

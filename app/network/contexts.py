"""Which presentation contexts a study needs, and through which of the accepted ones an object goes. Pure.

Objects go out as they are stored where the peer takes that; else uncompressed; else in a lossless syntax that the peer
takes. A destination that prefers a lossless syntax gets it where that changes no pixel. Implicit VR Little Endian is
always proposed with Explicit, as PS3.5 10.1 asks."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from app.dicom import syntaxes
from app.dicom.registry import name
from app.kit.phrases import Phrase, phrase
from app.network import pdu
from app.network.pdu import Context

IMPLICIT_LITTLE, EXPLICIT_LITTLE = syntaxes.IMPLICIT_LE, syntaxes.EXPLICIT_LE
UNCOMPRESSED = [EXPLICIT_LITTLE, IMPLICIT_LITTLE]
LIMIT = 128  # odd ids of one byte (PS3.8 9.3.2.2)
# Last resort for who takes no uncompressed object: the syntaxes that can be written without loss, fastest first.
COMPRESSED = [syntaxes.JPEG_LS, syntaxes.HTJ2K_LOSSLESS, syntaxes.J2K_LOSSLESS, syntaxes.RLE]
# Node option `transfer_syntax` -> transfer syntax UID.
PREFERRED: dict[str, str] = {
    "jpeg-ls": syntaxes.JPEG_LS,
    "jpeg2000": syntaxes.J2K_LOSSLESS,
    "htj2k": syntaxes.HTJ2K_LOSSLESS,
    "rle": syntaxes.RLE,
}


@dataclass(slots=True)
class Proposal:
    """The contexts of one association. as_stored: (SOP class, transfer syntax) -> id; fallback, compressed: SOP class
    -> id; preferred: the lossless syntax the destination wishes, "" where it wants objects as they are stored."""

    preferred: str = ""
    contexts: list[Context] = field(default_factory=list)
    as_stored: dict[tuple[str, str], int] = field(default_factory=dict)
    fallback: dict[str, int] = field(default_factory=dict)
    compressed: dict[str, int] = field(default_factory=dict)

    def covers(self, sop_class: str, syntax: str) -> bool:
        """Whether an object of this kind was thought of when it was made."""
        return sop_class in self.fallback and (not self.as_stored or (sop_class, syntax) in self.as_stored)

    def _add(self, sop_class: str, transfer: list[str]) -> int:
        number = 2 * len(self.contexts) + 1
        self.contexts.append(Context(number, sop_class, transfer))
        return number

    def add_object(self, sop_class: str, own: Iterable[str], compressed: bool) -> None:
        for syntax in own:
            self.as_stored[sop_class, syntax] = self._add(sop_class, [syntax])
        if compressed:
            self.compressed[sop_class] = self._add(sop_class, list(COMPRESSED))
        self.fallback[sop_class] = self._add(sop_class, list(UNCOMPRESSED))


def propose(stored: Iterable[tuple[str, str]], preferred: str = "stored") -> list[Proposal]:
    """Proposals that together carry all (SOP class, transfer syntax) pairs; one unless there are very many.
    preferred: the node option: "stored", "uncompressed" or a key of PREFERRED."""
    wish, plain = PREFERRED.get(preferred, ""), preferred == "uncompressed"
    classes: dict[str, set[str]] = {}
    for sop_class, syntax in stored:
        classes.setdefault(sop_class, set()).add(syntax)
    proposals = [Proposal(wish)]
    for sop_class in sorted(classes):
        own = [] if plain else sorted(classes[sop_class] | ({wish} - {""}))
        # An object without separate frames (video) cannot be transcoded; only syntaxes are proposed that can be
        # written.
        compressed = not plain and not classes[sop_class] <= syntaxes.VIDEO
        if len(proposals[-1].contexts) + len(own) + 2 > LIMIT:
            proposals.append(Proposal(wish))
        proposals[-1].add_object(sop_class, own, compressed)
    return proposals


@dataclass(frozen=True, slots=True)
class Way:
    """How an object can go out: context and transfer syntax."""

    context_id: int
    transfer_syntax: str


def context_order(
    proposal: Proposal, accepted: Mapping[int, str], sop_class: str, syntax: str, pixels: bool = True
) -> Iterator[Way]:
    """The ways of one object in the order they are tried, given what the peer accepted (context id -> transfer syntax).
    None: the peer takes it in no form. pixels: whether it has any; what has none is never compressed."""
    wish, seen = proposal.preferred, set()
    candidates: list[int | None] = [
        proposal.as_stored.get((sop_class, wish)) if pixels and wish and syntax in syntaxes.LOSSLESS else None,
        proposal.as_stored.get((sop_class, syntax)),
        proposal.fallback.get(sop_class),
        proposal.compressed.get(sop_class) if pixels else None,
    ]
    for context in candidates:
        if context is not None and context in accepted and accepted[context] not in seen:
            seen.add(accepted[context])
            yield Way(context, accepted[context])


def why_not(proposal: Proposal, refused: Mapping[int, int], sop_class: str, syntax: str) -> Phrase:
    """Words for an object that has no way. refused: context id -> result (PS3.8 Table 9-18)."""
    if refused.get(proposal.fallback.get(sop_class, 0)) == pdu.ABSTRACT_UNKNOWN:
        return phrase("The node does not take {sop_class}.", sop_class=name(sop_class))
    return phrase(
        "The node takes {sop_class} neither as {syntax} nor uncompressed.",
        sop_class=name(sop_class),
        syntax=name(syntax),
    )

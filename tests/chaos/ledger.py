"""What a chaos test sent, and what was acknowledged."""

from dataclasses import dataclass, field


@dataclass
class Ledger:
    """What each sender offered and what was acknowledged: SOP Instance UID -> SHA-256 of the data set; pixels: -> what
    stays of it in another encoding (pacs.of_pixels)."""

    offered: dict[str, str] = field(default_factory=dict)
    pixels: dict[str, str] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    faults: int = 0

"""Values that are no text but content: pixels' companions, spectra, waveforms, colour profiles."""

from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from app.deid import texts
from app.deid.identifiers import Identifiers

PER_FRAME = frozenset((0x52009229, 0x52009230))  # functional groups: an item stands for a frame


def is_foreign(item: Any, tag: int) -> bool:
    """Whether the VR as written is of another kind than the attribute's: a text as a number or bytes, or the other way."""
    vr = str(item.VR or "") if item is not None else ""
    if vr in ("", "UN") or not dictionary_has_tag(tag):
        return False
    own = set(dictionary_VR(tag).split(" or "))
    if not own & texts.TEXTS and "SQ" not in own:
        return vr in texts.TEXTS or vr == "SQ"
    return (vr in texts.TEXTS) != bool(own & texts.TEXTS) or (vr == "SQ") != ("SQ" in own)


def clean(ds: Dataset, tag: BaseTag, vr: str, people: Identifiers) -> str:
    """Takes out of a value what is not its content; a warning about it, "" when it may stay as it is."""
    return ""

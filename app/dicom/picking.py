"""Some attributes of a kept header, without reading the rest of it: a query that asks for one of a hundred attributes in
a thousand objects must not pay for all of them."""

from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

from app.dicom import kept
from app.dicom.damage import DAMAGE
from app.dicom.elements import UNDEFINED, Cursor, DamagedElements

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_CHARACTER_SET = 0x00080005


class _Unsure(Exception):
    """These bytes are better read by pydicom."""


def pick(raw: bytes, tags: Iterable[int]) -> "Dataset":
    """A data set of these attributes and the character set, as far as the header has them undamaged.

    raw: as `kept.pack` made it. Never raises for what a stranger wrote."""
    from pydicom.dataset import Dataset

    from app.dicom.reading import for_display, read_dataset

    wanted = {*tags, _CHARACTER_SET}
    found = Dataset()
    try:
        implicit, little, data = kept.open_data(raw)
        try:
            if not little:
                raise _Unsure
            whole = read_dataset(BytesIO(_pieces(data, implicit, wanted)), implicit, True)
        except (_Unsure, DamagedElements, *DAMAGE):
            whole = kept.unpack(raw)
    except DAMAGE:
        return found
    for_display(whole)
    for tag in sorted(wanted):
        if tag in whole:
            try:
                found[tag] = whole[tag]
            except DAMAGE:
                continue
    return found


def _pieces(data: bytes, implicit: bool, wanted: set[int]) -> bytes:
    """The bytes of the wanted top-level elements, little endian. Raises _Unsure or Damaged for what does not look as it
    should."""
    pieces: list[bytes] = []
    behind = range(max(wanted) + 1, 1 << 32)
    for tag, vr, start, _, length, following in Cursor(data, 0, len(data), implicit, last=behind):
        if not implicit and (not vr or (length == UNDEFINED and vr != b"SQ")):
            raise _Unsure  # it, or what it holds, is written in another way
        if tag in wanted:
            pieces.append(data[start:following])
    return b"".join(pieces)

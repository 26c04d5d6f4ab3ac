"""A structured report's tree is shown as far as it can be read, whatever a stranger wrote into it."""

import struct
from io import BytesIO

from pydicom import Dataset

from app.dicom.reading import read_dataset
from app.viewing import content_tree


def _element(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    if vr == b"SQ":
        return struct.pack("<HH2sxxI", group, element, vr, len(value)) + value
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def _item(content: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def _read(data: bytes) -> Dataset:
    return read_dataset(BytesIO(data), False, True)


def test_an_item_that_ends_in_the_head_of_an_element_leaves_the_rest_to_see() -> None:
    cut = struct.pack("<HH2sxx", 0x0008, 0x0300, b"OB") + b"\1\2"  # half a length of four bytes
    whole = _element(0x0040, 0xA040, b"CS", b"TEXT") + _element(0x0040, 0xA13A, b"TM", b"")
    date = _element(0x0040, 0xA040, b"CS", b"DATE") + _element(0x0040, 0xA121, b"DA", b"20260101")
    damaged = date + _element(0x0040, 0xA730, b"SQ", _item(cut))
    report = _read(_element(0x0040, 0xA730, b"SQ", _item(whole) + _item(damaged) + _item(date)))

    found = content_tree.tree(report)

    assert [item.value for item in found.items] == ["", "", "20260101"]

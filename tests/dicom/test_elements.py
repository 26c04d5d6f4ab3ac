"""The cursor over elements: what pydicom writes is read as pydicom reads it, in every encoding; damaged bytes give the
elements ahead of the damage and nothing but Damaged."""

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from app.dicom.elements import (
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    Cursor,
    Cut,
    DamagedElements,
    Element,
    descend,
    encode,
    items,
    read_head,
)
from app.dicom.walk import NeedMore, depth, has_more_elements, walk

LEAVES = {0x00080060: "CS", 0x00100010: "PN", 0x00280010: "US", 0x00420011: "OB", 0x7FE10010: "LO", 0x00091001: "UT"}
SEQUENCES = (0x00081140, 0x00400275, 0x00082112, 0x52009229)
ENCODINGS = [(True, True), (False, True), (False, False)]  # implicit, little

Tree = list[tuple[int, Any]]
leaf = st.tuples(st.sampled_from(sorted(LEAVES)), st.binary(max_size=24))
trees: st.SearchStrategy[Tree] = st.recursive(
    st.lists(leaf, max_size=4),
    lambda inner: st.lists(
        leaf | st.tuples(st.sampled_from(SEQUENCES), st.tuples(st.booleans(), st.lists(inner, min_size=1, max_size=3))),
        max_size=5,
    ),
    max_leaves=14,
)


def made(tree: Tree, undefined_items: bool) -> Dataset:
    ds = Dataset()
    for tag, value in tree:
        if isinstance(value, bytes):
            whole = value + b"\0" * (len(value) % 2)
            if LEAVES[tag] in ("OB", "UT"):
                ds.add_new(tag, LEAVES[tag], whole if LEAVES[tag] == "OB" else whole.hex())
            elif LEAVES[tag] == "US":
                ds.add_new(tag, "US", len(value))
            else:
                ds.add_new(tag, LEAVES[tag], value.hex().upper()[:16])
            continue
        is_undefined, inside = value
        inner = [made(one, undefined_items) for one in inside]
        for one in inner:
            one.is_undefined_length_sequence_item = undefined_items
        ds.add_new(tag, "SQ", inner)
        ds[tag].is_undefined_length = is_undefined
    return ds


def written(ds: Dataset, implicit: bool, little: bool) -> bytes:
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = implicit, little
    write_dataset(file, ds)
    return file.getvalue()


def ours(data: bytes, at: int, end: int, implicit: bool, little: bool) -> list[Any]:
    found: list[Any] = []
    for tag, vr, _, value, length, following in Cursor(data, at, end, implicit, little):
        if tag in SEQUENCES:
            inner = [ours(data, *place, implicit, little) for place in items(data, value, following, implicit, little)]
            found.append((tag, "SQ", inner))
        else:
            assert length == following - value
            found.append((tag, LEAVES[tag] if implicit else vr.decode(), data[value:following]))
        assert implicit or vr
    return found


def theirs(ds: Dataset) -> list[Any]:
    found: list[Any] = []
    for tag in sorted(ds.keys()):
        raw = ds.get_item(tag)
        if int(tag) in SEQUENCES:
            found.append((int(tag), "SQ", [theirs(one) for one in ds[tag].value]))
        else:
            value = b"" if raw is None or isinstance(raw, DataElement) else raw.value  # empty ones are no raw elements
            found.append((int(tag), LEAVES[int(tag)], value or b""))
    return found


def levels(tree: list[Any]) -> int:
    return max((1 + max((levels(one) for one in value), default=0) for _, vr, value in tree if vr == "SQ"), default=0)


def heads(tree: list[Any]) -> int:
    return sum(1 + sum(1 + heads(one) for one in value) if vr == "SQ" else 1 for _, vr, value in tree)


@pytest.mark.parametrize(("implicit", "little"), ENCODINGS)
@settings(max_examples=150, deadline=None)
@given(tree=trees, undefined_items=st.booleans())
def test_elements_are_read_as_pydicom_reads_them(
    implicit: bool, little: bool, tree: Tree, undefined_items: bool
) -> None:
    data = written(made(tree, undefined_items), implicit, little)
    found = ours(data, 0, len(data), implicit, little)
    assert found == theirs(read_dataset(BytesIO(data), implicit, little))
    assert depth(data, implicit, little, 40) == levels(found)
    count = heads(found)
    seen = [tag for tag, _ in descend(data, 0, len(data), implicit, little) if tag not in (ITEM_END, SEQUENCE_END)]
    assert len(seen) == count
    assert has_more_elements(data, 0, implicit, little, count - 1) == (count > 0)


def until_damage(data: bytes, implicit: bool, little: bool) -> tuple[list[Element], DamagedElements | None]:
    found: list[Element] = []
    try:
        for element in Cursor(data, 0, len(data), implicit, little):
            found.append(element)
    except DamagedElements as fault:
        return found, fault
    return found, None


@pytest.mark.parametrize(("implicit", "little"), ENCODINGS)
@settings(max_examples=100, deadline=None)
@given(tree=trees, undefined_items=st.booleans(), data=st.data())
def test_cut_bytes_give_the_elements_ahead_of_the_cut(
    implicit: bool, little: bool, tree: Tree, undefined_items: bool, data: st.DataObject
) -> None:
    whole = written(made(tree, undefined_items), implicit, little)
    cut = data.draw(st.integers(0, len(whole)))
    every, _ = until_damage(whole, implicit, little)
    found, fault = until_damage(whole[:cut], implicit, little)
    assert found == [one for one in every if one[5] <= cut]
    assert (fault is None) == (cut == (found[-1][5] if found else 0))
    assert fault is None or (isinstance(fault, Cut) and (fault.reaches == 0 or fault.reaches > cut))
    try:
        part = walk(whole, 0, cut, len(whole), implicit, little)
    except NeedMore:
        assert cut < len(whole)
    else:
        assert cut == len(whole) and part.end == cut and part.elements == len(every)


@settings(max_examples=150, deadline=None)
@given(tree=trees, undefined_items=st.booleans(), data=st.data(), encoding=st.sampled_from(ENCODINGS))
def test_strange_bytes_raise_nothing_else_and_end(
    tree: Tree, undefined_items: bool, data: st.DataObject, encoding: tuple[bool, bool]
) -> None:
    implicit, little = encoding
    raw = bytearray(written(made(tree, undefined_items), implicit, little) or b"\0")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        stray = data.draw(
            st.binary(min_size=1, max_size=4)
            | st.sampled_from([encode(tag, b"", b"", implicit, little) for tag in (ITEM, ITEM_END, SEQUENCE_END)])
        )
        raw[at : at + data.draw(st.sampled_from((0, len(stray))))] = stray
    damaged = bytes(raw)
    found, _ = until_damage(damaged, implicit, little)
    at = 0
    for _, _, start, value, length, following in found:
        assert start == at and start < value <= following <= len(damaged)
        assert length == UNDEFINED or value + length == following
        at = following
    for element in found:
        try:
            for start, stop in items(damaged, element[3], element[5], implicit, little):
                assert element[3] < start <= stop <= element[5]
        except DamagedElements:
            pass
    assert sum(1 for _ in descend(damaged, 0, len(damaged), implicit, little)) <= len(damaged) // 8
    walk(damaged, 0, len(damaged), len(damaged), implicit, little)


def test_an_item_whose_length_looks_like_a_vr() -> None:
    """0x4144 is "DA" in little endian: items and delimiters have no VR."""
    inside = encode(0x00091001, b"UT", b"x" * (0x4144 - 12), implicit=False)
    data = (
        b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
        + encode(ITEM, b"", inside, implicit=False)
        + encode(SEQUENCE_END, b"", b"", implicit=False)
    )
    ((_, _, _, value, _, following),) = Cursor(data, 0, len(data), implicit=False)
    ((start, stop),) = items(data, value, following, implicit=False)
    assert data[start:stop] == inside
    assert [tag for tag, _ in descend(data, 0, len(data), implicit=False)] == [
        0x00081140, ITEM, 0x00091001, SEQUENCE_END,
    ]  # fmt: skip


def test_the_last_element_may_be_cut_and_others_follow_damage() -> None:
    data = encode(0x00100020, b"LO", b"12", implicit=False)
    pixels = b"\xe0\x7f\x10\x00OW\0\0\0\xff\0\0"
    cursor = Cursor(data + pixels, 0, len(data + pixels), implicit=False, last=(0x7FE00010,))
    assert [tag for tag, *_ in cursor] == [0x00100020]
    assert cursor.reached == (0x7FE00010, b"OW", len(data), len(data) + 12, 0xFF00, len(data) + 12 + 0xFF00)
    assert until_damage(data + pixels, implicit=False, little=True)[0][0][0] == 0x00100020
    for stray, message in ((ITEM, "an item"), (ITEM_END, "a delimiter"), (SEQUENCE_END, "a delimiter")):
        found, fault = until_damage(data + encode(stray, b"", b"", implicit=False) + data, implicit=False, little=True)
        assert len(found) == 1 and str(fault).startswith(message)


@pytest.mark.parametrize(("implicit", "little"), ENCODINGS)
@given(tag=st.sampled_from(sorted(LEAVES)), value=st.binary(max_size=40))
def test_one_element_is_written_and_its_head_read(implicit: bool, little: bool, tag: int, value: bytes) -> None:
    vr = LEAVES[tag].encode()
    data = encode(tag, vr, value, implicit, little)
    found, seen, length, at = read_head(data, 0, implicit, little)
    assert (found, seen, length) == (tag, b"" if implicit else vr, len(value) + len(value) % 2)
    assert data[at : at + len(value)] == value and len(data) == at + length
    for cut in range(8, at):
        with pytest.raises(Cut):
            read_head(data[:cut], 0, implicit, little)

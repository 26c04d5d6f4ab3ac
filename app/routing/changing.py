"""Attributes changed on what leaves: which changes may be asked for, and how they are done. Pure over pydicom data sets."""

import re
from typing import TYPE_CHECKING

from app.deid.errors import UnknownProfile
from app.deid.profile import resolve
from app.dicom.lookup import Path, PathStep, UnknownAttribute, parse
from app.kit.phrases import NOTHING, Phrase, phrase

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# Identity and structure of an object: changed, it would be another object or none that can be read (PS3.3 C.12.1, C.7.6.3).
_FIXED = frozenset(
    (0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x7FE00008, 0x7FE00009, 0x7FE00010)
)  # fmt: skip
_TEXT = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
)
OPAQUE = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UN"))
_NUMBERS = frozenset(("US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"))


def profile_fault(name: str, options: list[str]) -> Phrase:
    """Error of a de-identification profile; "" when it is known."""
    try:
        resolve(name, options)
    except UnknownProfile as fault:
        return fault.detail
    return NOTHING


def _path_fault(name: str) -> Phrase:
    try:
        path = parse(name)
    except UnknownAttribute:
        return phrase("{name} is not a keyword, a tag or a path of tags.", name=name if name.isprintable() else "?")
    tag = path[-1].tag
    if tag in _FIXED or tag >> 16 in (0x0002, 0xFFFE) or (tag >> 16 == 0x0028 and tag & 0xFFFF < 0x0400):
        return phrase("This says what the object is or how its pixels are read; it is not changed on the way.")
    return NOTHING


def change_fault(op: str, tag: str, value: str, find: str, source: str) -> tuple[str, Phrase]:
    """(field, what is wrong with it), words "" when the change can be done."""
    if words := _path_fault(tag):
        return "tag", words
    vr = parse(tag)[-1].vr
    if op != "remove" and vr not in _TEXT | _NUMBERS | {"UN"}:
        return "tag", phrase("An attribute of kind {vr} can only be removed.", vr=vr)
    if op == "set":
        return "value", _value_fault(vr, value)
    if op == "replace":
        return "find", NOTHING if find else phrase("Enter the text to replace.")
    if op == "copy":
        try:
            parse(source)
        except UnknownAttribute:
            return "source", phrase("Say which attribute the value comes from.")
    return "tag", NOTHING


_SHAPES = {
    "DA": (r"\d{8}|", phrase("Write a date as YYYYMMDD.")),
    "TM": (r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?|", phrase("Write a time as HHMMSS.")),
    "UI": (r"[0-9.]{1,64}|", phrase("Write a UID: numbers and dots, at most 64 characters.")),
    "IS": (r" *[+-]?\d{1,10} *|", phrase("Write a whole number.")),
    "DS": (r" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)? *|", phrase("Write a number of at most 16 characters.")),
    "CS": (r"[A-Z0-9 _]{0,16}", phrase("Write at most 16 capital letters, digits, spaces or underscores.")),
    "AE": (r"[\x20-\x5b\x5d-\x7e]{0,16}", phrase("Write at most 16 characters without a backslash.")),
    "AS": (r"\d{3}[DWMY]|", phrase("Write an age as 045Y.")),
}
_LENGTHS = {"SH": 16, "LO": 64, "DS": 16, "PN": 324}


def _value_fault(vr: str, value: str) -> Phrase:
    """Whether a value is valid for this VR (PS3.5 6.2)."""
    if any(ord(c) < 0x20 and c not in "\r\n\t\f" for c in value):
        return phrase("A value must not contain control characters.")
    for one in value.split("\\"):
        if vr in _NUMBERS:
            shape = r"[+-]?\d+" if vr not in ("FL", "FD") else r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
            if not re.fullmatch(shape, one) or not _has_valid_form(vr, one):
                return phrase("Write a number that fits.")
        if vr in _SHAPES and not re.fullmatch(_SHAPES[vr][0], one):
            return _SHAPES[vr][1]
        if len(one) > _LENGTHS.get(vr, 1024):
            return phrase("Write at most {most} characters.", most=_LENGTHS[vr])
    return NOTHING


def _has_valid_form(vr: str, text: str) -> bool:
    bits = {"US": (0, 16), "SS": (15, 15), "UL": (0, 32), "SL": (31, 31), "UV": (0, 64), "SV": (63, 63)}.get(vr)
    if bits is None:
        return True
    low = -(1 << bits[0]) if bits[0] else 0
    return low <= int(text) < 1 << bits[1]


def apply(ds: "Dataset", op: str, tag: str, value: str, find: str, source: str) -> None:
    """Does one change in place. What is not there stays away, except that `set` and `copy` make it."""
    path = parse(tag)
    copied = _texts(ds, parse(source)) if op == "copy" else []
    for item in _parents(ds, path[:-1], make=op in ("set", "copy")):
        number = _number(item, path[-1])
        if op == "remove":
            if number in item:
                del item[number]
        elif op == "set":
            _set_text(item, number, path[-1], value)
        elif op == "copy" and copied:
            _set_text(item, number, path[-1], "\\".join(copied))
        elif op == "replace" and number in item and (old := _texts(item, path[-1:])):
            _set_text(item, number, path[-1], "\\".join(old).replace(find, value))


def _parents(ds: "Dataset", path: Path, make: bool) -> list["Dataset"]:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    level = [ds]
    for step in path:
        below: list[Dataset] = []
        for item in level:
            number = _number(item, step)
            if number not in item and make and number > 0:
                item.add_new(number, "SQ", Sequence([Dataset()]))
            if number in item and item[number].VR == "SQ":
                below += list(item[number].value)
        level = below
    return level


def _number(ds: "Dataset", step: PathStep) -> int:
    """The number of an attribute in this data set; -1 where its private creator has no block."""
    if not step.creator:
        return step.tag
    group = step.tag >> 16
    try:
        return int(ds.private_block(group, step.creator).get_tag(step.tag & 0xFF))
    except KeyError:
        return -1


def _texts(ds: "Dataset", path: Path) -> list[str]:
    """The values at a path as texts."""
    from pydicom.multival import MultiValue

    found: list[str] = []
    for item in _parents(ds, path[:-1], make=False):
        number = _number(item, path[-1])
        if number > 0 and number in item and item[number].VR not in ("SQ", "OB", "OW", "OF", "OD", "OL", "OV"):
            value = item[number].value
            if isinstance(value, bytes):
                value = value.decode("ascii", "replace").strip("\0 ")
            found += (
                [str(one) for one in (value if isinstance(value, MultiValue | list) else [value])]
                if value not in (None, "")
                else []
            )
    return found


def _set_text(ds: "Dataset", number: int, step: PathStep, text: str) -> None:
    if number < 0:
        return  # of a private creator that is not there: it would be unreadable
    vr = str(ds[number].VR) if number in ds else step.vr
    if vr == "UN" or vr not in _TEXT | _NUMBERS:
        vr = "LO"
    if vr in _NUMBERS:
        kind = float if vr in ("FL", "FD") else int
        numbers = [kind(one) for one in text.split("\\") if one]
        ds.add_new(number, vr, numbers if len(numbers) != 1 else numbers[0])
    else:
        ds.add_new(number, vr, text if vr in ("LT", "ST", "UT", "UR") else text.split("\\") if "\\" in text else text)

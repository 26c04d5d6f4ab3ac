"""DICOM JSON Model (PS3.18 Annex F): Dataset -> JSON, and back.

Made for real files: an element whose value cannot be read is kept as its raw bytes (vr UN) and never spoils the rest."""

import base64
import json
import math
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.uid import UID

from app.dicom import numbers
from app.dicom.charset import TEXT_VRS

Model = dict[str, Any]

BULK_MARK = "bulkdata:"  # placeholder for ".../instances/{uid}/bulkdata" until an answer knows its own address
INLINE_LIMIT = 4096  # bytes of a binary value that still travel inside the JSON
MAX_DEPTH = 48  # sequences inside sequences; deeper ones come out empty instead of exhausting the stack

_BINARY = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW", "OB/OW"))
_INTEGER = frozenset(("SL", "SS", "SV", "UL", "US", "UV", "US or SS"))
_REAL = frozenset(("FD", "FL"))
_UNREADABLE = (
    OSError,
    BytesLengthException,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    struct.error,
)
# The VR written for an ambiguous one that was not resolved while reading.
_RESOLVED = {"OB or OW": "OW", "OB/OW": "OW", "US or SS": "US", "US or OW": "OW", "US or SS or OW": "OW"}


def vr_of(tag: int) -> str:
    """The dictionary's VR of a value that the file gives none for; of binary and other choices the one that implicit VR
    has (PS3.5 A.1), UN of what it does not know."""
    vr = _dictionary_vr(f"{tag:08X}") or "UN"
    return _RESOLVED.get(vr, vr)


def to_json(ds: Dataset, *, inline_limit: int | None = INLINE_LIMIT) -> Model:
    """The data set (without file meta information) as DICOM JSON Model.

    inline_limit: longer binary values become a BulkDataURI `bulkdata:TAG[/item/TAG...]` (items counted from 1) that
    `with_bulk_address` turns into a URI; None keeps all of them inline. Group lengths and file meta never appear. Binary
    values of a big endian data set are turned: the model knows little endian alone (PS3.18 F.2.7)."""
    return _dataset(ds, inline_limit, BULK_MARK, 0, ds.original_encoding[1] is False)


def dumps(model: Model) -> bytes:
    """Compact UTF-8."""
    return json.dumps(model, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


def with_bulk_address(encoded: bytes, instance_url: str) -> bytes:
    """The encoded model with its marks turned into URIs below instance_url (".../instances/UID")."""
    mark = b'"BulkDataURI":"' + BULK_MARK.encode()
    return encoded.replace(mark, f'"BulkDataURI":"{instance_url}/bulkdata/'.encode())


def from_json(model: Model, bulk: Callable[[str, str, str], Any] | None = None) -> Dataset:
    """A Dataset of the model. bulk: called with (tag, vr, uri) for each BulkDataURI; without it they are empty."""
    return Dataset.from_json(model, bulk or (lambda _tag, _vr, _uri: b""))


def find_bulk(ds: Dataset, path: str) -> tuple[str, bytes]:
    """The VR and the bytes (little endian) of the value at `TAG[/item/TAG...]`. Raises KeyError when there is none."""
    parts = path.split("/")
    if len(parts) % 2 == 0 or len(parts) > 2 * MAX_DEPTH:
        raise KeyError(path)
    try:
        for tag, item in zip(parts[0:-1:2], parts[1::2], strict=True):
            sequence = ds[int(tag, 16)].value
            if not 1 <= int(item) <= len(sequence):
                raise KeyError(path)
            ds = sequence[int(item) - 1]
        element = ds[int(parts[-1], 16)]
    except (ValueError, TypeError, AttributeError) as fault:
        raise KeyError(path) from fault
    value = element.value
    if isinstance(value, bytes | bytearray):
        return str(element.VR), bytes(value)
    raise KeyError(path)


_WIDTHS = {
    "OW": 2,
    "OF": 4,
    "OL": 4,
    "OD": 8,
    "OV": 8,
    "US": 2,
    "SS": 2,
    "UL": 4,
    "SL": 4,
    "FL": 4,
    "FD": 8,
    "SV": 8,
    "UV": 8,
}


def turned(vr: str, value: bytes) -> bytes:
    """A value of big endian encoding as little endian bytes (PS3.5 7.3); one whose VR has no byte order as it is."""
    width = _WIDTHS.get(vr, 1)
    whole = len(value) - len(value) % width
    out = bytearray(value)
    for byte in range(width if width > 1 else 0):
        out[byte:whole:width] = value[width - 1 - byte : whole : width]
    return bytes(out)


def _dataset(ds: Dataset, limit: int | None, where: str, depth: int, big: bool) -> Model:
    model: Model = {}
    usual = _usual(ds, depth)
    for tag in sorted(ds.keys()):
        if tag.element == 0 or tag.group <= 2:
            continue
        name = f"{tag:08X}"
        raw_element: Any = ds.get_item(tag)
        if isinstance(raw_element, RawDataElement):
            quick = _quick(raw_element, name, usual)
            if quick is not None:
                model[name] = quick
                continue
        try:
            element = ds[tag]
            model[name] = _element(str(element.VR), element.value, limit, where + name, depth, big)
        except _UNREADABLE:
            raw = getattr(ds.get_item(tag), "value", None)
            model[name] = _binary("UN", raw if isinstance(raw, bytes) else b"", limit, where + name)
    return model


# -- the quick way: most attributes of most objects, straight from their bytes ------------------------------

_PLAIN_TEXT = frozenset(("AE", "AS", "CS", "DA", "DT", "TM", "UI"))
_STRUCTS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
# Character sets in which a backslash is a backslash; not so in JIS X 0201 (ISO_IR 13).
_USUAL = frozenset(("", "ISO_IR 6", "ISO_IR 100", "ISO_IR 192", "ISO 2022 IR 6", "ISO 2022 IR 100"))


def _usual(ds: Dataset, depth: int) -> bool:
    if 0x00080005 not in ds:
        return depth == 0  # inside a sequence the parent's would hold
    found = ds.get("SpecificCharacterSet") or ""
    return all((term or "") in _USUAL for term in ([found] if isinstance(found, str) else found))


def _quick(raw: RawDataElement, name: str, usual: bool) -> Model | None:
    """The element as JSON, or None where it takes more than this to understand it."""
    vr, value = raw.VR, raw.value
    if not isinstance(value, bytes):
        return None
    if vr is None:
        if raw.tag.is_private or (raw.tag.group & 1):
            return None
        vr = _dictionary_vr(name)
    if not value:
        return {"vr": vr} if vr in _PLAIN_TEXT or vr in ("IS", "DS", "LO", "SH", "PN") else None
    try:
        if vr in _PLAIN_TEXT:
            parts = value.decode("ascii").rstrip(" \0").split("\\")
            return {"vr": vr, "Value": parts} if _tidy(parts) else None
        if vr in ("IS", "DS"):
            read = [numbers.number(part) for part in value.decode("ascii").split("\\")]
            return None if None in read else {"vr": vr, "Value": [written(one) for one in read]}
        if vr in TEXT_VRS and _dictionary_vr(name) in numbers.TEXT_NUMBERS:
            return None  # read as the number that it is
        if vr in ("LO", "SH", "PN") and _is_ascii(value, usual):
            parts = value.decode("ascii").rstrip(" \0").split("\\")
            if not _tidy(parts) or (vr == "PN" and any("=" in part for part in parts)):
                return None
            return {"vr": vr, "Value": [{"Alphabetic": part} for part in parts] if vr == "PN" else parts}
        if vr in _STRUCTS:
            code = (
                ("<" if raw.is_little_endian else ">") + str(len(value) // struct.calcsize(_STRUCTS[vr])) + _STRUCTS[vr]
            )
            unpacked = struct.unpack(code, value)
            return {"vr": vr, "Value": [_real(n) for n in unpacked] if vr in _REAL else list(unpacked)}
    except (ValueError, struct.error):
        return None
    return None


def _is_ascii(value: bytes, usual: bool) -> bool:
    """Whether the bytes mean the same in whatever character set: no escape sequence, and no backslash or tilde where
    those may be others."""
    return value.isascii() and b"\x1b" not in value and (usual or (b"\\" not in value and b"~" not in value))


def _tidy(parts: list[str]) -> bool:
    """Nothing pydicom would trim in a way of its own."""
    return all(part == part.strip(" \0") and part for part in parts)


@lru_cache(4096)
def _dictionary_vr(name: str) -> str:
    try:
        return str(dictionary_VR(int(name, 16)))
    except KeyError:
        return ""


def _element(vr: str, value: Any, limit: int | None, where: str, depth: int, big: bool) -> Model:
    if vr == "SQ":
        if not value or depth >= MAX_DEPTH:
            return {"vr": "SQ"}
        return {
            "vr": "SQ",
            "Value": [_dataset(item, limit, f"{where}/{n}/", depth + 1, big) for n, item in enumerate(value, 1)],
        }
    if isinstance(value, bytes | bytearray):
        vr = _RESOLVED.get(vr, vr if vr in _BINARY else "UN")
        return _binary(vr, turned(vr, bytes(value)) if big else bytes(value), limit, where)
    vr = _RESOLVED.get(vr, vr)
    if value is None or value == "":
        return {"vr": vr}
    values = list(value) if isinstance(value, MultiValue | list | tuple) else [value]
    if not values:
        return {"vr": vr}
    return {"vr": vr, "Value": [_value(vr, one) for one in values]}


def _binary(vr: str, value: bytes, limit: int | None, where: str) -> Model:
    if not value:
        return {"vr": vr}
    if limit is not None and len(value) > limit:
        return {"vr": vr, "BulkDataURI": where}
    return {"vr": vr, "InlineBinary": base64.b64encode(value).decode("ascii")}


def _value(vr: str, value: Any) -> Any:
    if value is None or (isinstance(value, str) and value == "" and vr != "PN"):
        return None
    if vr == "PN":
        return _name(value)
    if vr == "AT":
        return f"{int(value):08X}"
    if vr in numbers.TEXT_NUMBERS:
        text = getattr(value, "original_string", None) or str(value)
        read = numbers.number(text)
        return text.strip(" \0") if read is None else written(read)
    if vr in _INTEGER:
        return int(value)
    if vr in _REAL:
        return _real(float(value))
    return str(value)


def written(value: numbers.Number | None) -> numbers.Number | str | None:
    """A number of IS or DS; as a string where readers of JSON would round it (PS3.18 F.2.3.1)."""
    return str(value) if isinstance(value, int) and abs(value) >= numbers.EXACT else value


def _real(value: float) -> float | str:
    """JSON has no number for these three; a string says it without losing it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _name(value: Any) -> Model | None:
    """Component groups of a person name (PS3.18 F.2.2); empty groups are left out."""
    groups = str(value).split("=", 2)  # of more than three the rest stays with the third: nothing is lost
    named = {
        key: text for key, text in zip(("Alphabetic", "Ideographic", "Phonetic"), groups, strict=False) if text != ""
    }
    return named or None


def attribute(vr: str, *values: Any) -> Model:
    """One attribute of an answer made by hand: `attribute("UI", uid)`; empty and None values give a bare vr."""
    kept = [v for v in values if v is not None and v != ""]
    if not kept:
        return {"vr": vr}
    if vr == "PN":
        kept = [name for name in (_name(v) for v in kept) if name]
    return {"vr": vr, "Value": [str(v) if isinstance(v, UID) else v for v in kept]} if kept else {"vr": vr}

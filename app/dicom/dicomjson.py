"""DICOM JSON Model (PS3.18 Annex F): Dataset -> JSON, and back.

Made for real files: an element whose value cannot be read is kept as its raw bytes (vr UN) and never spoils the rest."""

import base64
import json
import math
import struct
from collections.abc import Callable
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.uid import UID

Model = dict[str, Any]

BULK_MARK = "bulkdata:"  # stands for ".../instances/{uid}/bulkdata" until an answer knows its own address
INLINE_LIMIT = 4096  # bytes of a binary value that still travel inside the JSON
MAX_DEPTH = 48  # sequences inside sequences; deeper ones come out empty instead of exhausting the stack

_BINARY = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW", "OB/OW"))
_INTEGER = frozenset(("IS", "SL", "SS", "SV", "UL", "US", "UV", "US or SS"))
_REAL = frozenset(("DS", "FD", "FL"))
_UNREADABLE = (
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
# What an ambiguous VR becomes when nobody resolved it while reading.
_RESOLVED = {"OB or OW": "OW", "OB/OW": "OW", "US or SS": "US", "US or OW": "OW", "US or SS or OW": "OW"}


def to_json(ds: Dataset, *, inline_limit: int | None = INLINE_LIMIT) -> Model:
    """The data set (without file meta information) as DICOM JSON Model.

    inline_limit: longer binary values become a BulkDataURI `bulkdata:TAG[/item/TAG...]` (items counted from 1) that
    `with_bulk_address` turns into a URI; None keeps all of them inline. Group lengths and file meta never appear."""
    return _dataset(ds, inline_limit, BULK_MARK, 0)


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


def _dataset(ds: Dataset, limit: int | None, where: str, depth: int) -> Model:
    model: Model = {}
    for tag in sorted(ds.keys()):
        if tag.element == 0 or tag.group <= 2:
            continue
        name = f"{tag:08X}"
        try:
            element = ds[tag]
            model[name] = _element(str(element.VR), element.value, limit, where + name, depth)
        except _UNREADABLE:
            raw = getattr(ds.get_item(tag), "value", None)
            model[name] = _binary("UN", raw if isinstance(raw, bytes) else b"", limit, where + name)
    return model


def _element(vr: str, value: Any, limit: int | None, where: str, depth: int) -> Model:
    if vr == "SQ":
        if not value or depth >= MAX_DEPTH:
            return {"vr": "SQ"}
        return {
            "vr": "SQ",
            "Value": [_dataset(item, limit, f"{where}/{n}/", depth + 1) for n, item in enumerate(value, 1)],
        }
    if isinstance(value, bytes | bytearray):
        return _binary(_RESOLVED.get(vr, vr if vr in _BINARY else "UN"), bytes(value), limit, where)
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
    if vr in _INTEGER:
        return int(value)
    if vr in _REAL:
        return _real(float(value))
    return str(value)


def _real(value: float) -> float | str:
    """JSON has no number for these three; a string says it without losing it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _name(value: Any) -> Model | None:
    """Component groups of a person name (PS3.18 F.2.2); empty groups are left out."""
    groups = (str(value)).split("=")[:3]
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

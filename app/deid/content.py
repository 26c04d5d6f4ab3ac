"""Binary values that need cleaning: palettes, spectra, waveforms, colour profiles."""

import struct
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from app.deid import icc, texts
from app.deid.identifiers import Identifiers
from app.kit.phrases import NOTHING, Phrase, phrase

PER_FRAME = frozenset((0x52009229, 0x52009230))  # functional groups: an item describes a frame
_WAVEFORM, _ICC = 0x54001010, 0x00282000
# Table of values -> its descriptor (PS3.3 C.7.6.3.1.5, C.11.1).
_TABLES = {0x00283006: 0x00283002, 0x00281201: 0x00281101, 0x00281202: 0x00281102, 0x00281203: 0x00281103,
           0x00281204: 0x00281104}  # fmt: skip
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
_AUDIO = "1.2.840.10008.5.1.4.1.1.9.4."
# The value of silence, by Waveform Sample Interpretation (PS3.3 C.10.9.1.5); signed samples are zero.
_SILENCE = {"UB": b"\x80", "MB": b"\xff", "AB": b"\xd5", "US": b"\x00\x80"}
_SPOKEN = phrase("Recorded speech was replaced by silence.")
_PROFILE = phrase("An ICC profile that cannot be read was removed.")
_EXCESS = phrase("Values that were longer than their description says were cut.")
_NAMED = phrase("Data that identified the patient was removed.")


def is_foreign(item: Any, tag: int) -> bool:
    """Whether the VR as written is of another kind than the attribute's: a text as a number or bytes, or the other way."""
    vr = str(item.VR or "") if item is not None else ""
    if vr in ("", "UN") or not dictionary_has_tag(tag):
        return False
    own = set(dictionary_VR(tag).split(" or "))
    return (vr in texts.TEXTS) != bool(own & texts.TEXTS) or (vr == "SQ") != ("SQ" in own)


def clean(ds: Dataset, tag: BaseTag, vr: str, people: Identifiers, sop_class_uid: str) -> Phrase:
    """Takes out of a value what is not its content; a warning about that, "" when it may stay as it is."""
    item, number = ds.get_item(tag), int(tag)
    value = item.value if item is not None else None
    if not isinstance(value, bytes):
        if not names(_packed(vr, value), people):
            return NOTHING
        del ds[tag]
        return _NAMED
    if number == _ICC:
        return _profile(ds, tag, value)
    if number == _WAVEFORM:
        return _waveform(
            ds, tag, vr if vr in ("OB", "OW") else "OW", value, people, spoken=sop_class_uid.startswith(_AUDIO)
        )
    if number in _TABLES:
        wanted = _table_length(ds, _TABLES[number], len(value))
        if len(value) > wanted and not names(value[:wanted], people):
            ds[tag] = DataElement(tag, "OW", value[:wanted])
            return _EXCESS
    if names(value, people):
        del ds[tag]
        return _NAMED
    return NOTHING


def names(value: bytes, people: Identifiers) -> bool:
    """Whether bytes hold one of the longer names or numbers of the patient, in any case of letters."""
    lower = value.lower()
    return any(form in lower for form in people.raw_forms())


def _packed(vr: str, value: Any) -> bytes:
    """The bytes of numbers that were read before, in either byte order."""
    numbers = list(value) if isinstance(value, list | tuple | MultiValue) else [value]
    layout = f"{len(numbers)}{_NUMBERS.get(vr, '')}"
    if vr not in _NUMBERS or len(numbers) < 2:
        return b""
    try:
        return struct.pack(f"<{layout}", *numbers) + struct.pack(f">{layout}", *numbers)
    except struct.error:
        return b""


def _profile(ds: Dataset, tag: BaseTag, value: bytes) -> Phrase:
    made = icc.clean(value)
    if made:
        ds[tag] = DataElement(tag, "OB", made)
        return NOTHING
    del ds[tag]
    return _PROFILE


def _waveform(ds: Dataset, tag: BaseTag, vr: str, value: bytes, people: Identifiers, *, spoken: bool) -> Phrase:
    """Samples as many as there are channels times samples (PS3.3 C.10.9)."""
    bits = _number(ds, 0x54001004)
    wanted = _number(ds, 0x003A0005) * _number(ds, 0x003A0010) * bits // 8
    wanted += wanted % 2
    silence = _SILENCE.get(texts.plain(ds.get_item(0x54001006)), b"\0\0")
    if spoken or names(value[:wanted], people):
        length = min(wanted, len(value))
        ds[tag] = DataElement(tag, vr, (silence * (length // len(silence) + 1))[:length])
        return _SPOKEN if spoken else _NAMED
    if len(value) > wanted:
        ds[tag] = DataElement(tag, vr, value[:wanted])
        return _EXCESS
    return NOTHING


def _table_length(ds: Dataset, descriptor: int, length: int) -> int:
    """Bytes of a table with 8 or 16 bits an entry, where 8 bits may be stored in 16."""
    found = ds.get(descriptor)
    numbers = found.value if found is not None else None
    if not isinstance(numbers, list | tuple) and not hasattr(numbers, "__len__"):
        return length
    try:
        entries, bits = int(numbers[0]) or 65536, int(numbers[2])
    except (TypeError, ValueError, IndexError):
        return length
    entries = entries % 65536 or 65536  # written as SS by some
    return entries * 2 if bits > 8 or length >= entries * 2 else entries + entries % 2


def _number(ds: Dataset, tag: int) -> int:
    found = ds.get(tag)
    try:
        return int(found.value) if found is not None else 0
    except (TypeError, ValueError):
        return 0

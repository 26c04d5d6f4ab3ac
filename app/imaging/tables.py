"""Look-up tables as they stand in data sets: descriptors and data of every odd kind (PS3.3 C.11.1.1, C.11.2.1.1)."""

from typing import Any

import numpy as np

from app.imaging.header import Header
from app.imaging.native import Samples


def descriptor(ds: Header, keyword: str) -> tuple[int, int, int]:
    """(entries, first stored value mapped, bits per entry); 0 entries means 65536, negative numbers are unsigned ones."""
    value = ds.get(keyword)
    try:
        entries, first, bits = (int(v) for v in value)
    except (TypeError, ValueError):
        return 0, 0, 16
    return (entries & 0xFFFF) or 65536, first, bits if 1 <= bits <= 16 else 16


def words_of(value: Any, big_endian: bool = False, entries: int = 0) -> Samples:
    """LUT data as uint16, whether it came as US values, as OW bytes, or as 8-bit entries packed two to a word."""
    if value is None:
        return np.empty(0, np.uint16)
    if isinstance(value, (bytes, bytearray)):
        if entries and len(value) in (entries, entries + 1) and entries > 1:
            return np.frombuffer(bytes(value), np.uint8)[:entries].astype(np.uint16)
        return np.frombuffer(value, ">u2" if big_endian else "<u2", len(value) // 2).astype(np.uint16)
    if isinstance(value, int):
        value = [value]
    return (np.array(list(value), np.int64) & 0xFFFF).astype(np.uint16)

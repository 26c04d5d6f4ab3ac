"""Look-up tables as stored in data sets: descriptors and data of every odd kind (PS3.3 C.11.1.1, C.11.2.1.1)."""

from typing import Any

import numpy as np

from app.imaging.header import ImageHeader
from app.imaging.native import Samples


def descriptor(ds: ImageHeader, keyword: str) -> tuple[int, int, int]:
    """(entries, first stored value mapped, bits per entry); 0 entries means 65536, negative numbers are unsigned ones."""
    value = ds.get(keyword)
    try:
        entries, first, bits = (int(v) for v in value)
    except (TypeError, ValueError):
        return 0, 0, 16
    return (entries & 0xFFFF) or 65536, first, bits if 1 <= bits <= 16 else 16


def bytes_of(value: Any, big_endian: bool = False) -> Samples:
    """LUT data in order of its bytes: of the words of OW data the less significant byte comes first (PS3.5 8.2)."""
    if isinstance(value, (bytes, bytearray)):
        raw = np.frombuffer(bytes(value), np.uint8)
        return raw[: len(raw) // 2 * 2].reshape(-1, 2)[:, ::-1].reshape(-1) if big_endian else raw
    return words_of(value).astype("<u2").view(np.uint8)


def words_of(value: Any, big_endian: bool = False, entries: int = 0, bits: int = 16) -> Samples:
    """LUT data as uint16, whether it came as US values, as OW bytes, or as 8-bit entries packed two to a word: that is
    where `entries` (0: not known) are as many as bytes, or `bits` says 8 and there are not more bytes than entries."""
    if value is None:
        return np.empty(0, np.uint16)
    if isinstance(value, (bytes, bytearray)):
        words = np.frombuffer(value, ">u2" if big_endian else "<u2", len(value) // 2).astype(np.uint16)
        size = len(value)
    else:
        words = (np.array([value] if isinstance(value, int) else list(value), np.int64) & 0xFFFF).astype(np.uint16)
        size = 2 * len(words)
    packed = size in (entries, entries + 1) or (bits == 8 and size <= entries)
    if entries > 1 and packed:
        return bytes_of(value, big_endian)[:entries].astype(np.uint16)
    return words

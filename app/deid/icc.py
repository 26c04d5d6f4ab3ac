"""ICC profiles without their texts (ICC.1:2022, 7): the tags that colours are computed with stay, description and copyright
are written anew, and makers, dates and everything else go."""

import struct

_KEPT = frozenset(
    b"rXYZ gXYZ bXYZ wtpt bkpt rTRC gTRC bTRC kTRC A2B0 A2B1 A2B2 A2B3 B2A0 B2A1 B2A2 B2A3 gamt chad chrm lumi meas view tech "
    b"pre0 pre1 pre2 D2B0 D2B1 D2B2 D2B3 B2D0 B2D1 B2D2 B2D3 cicp clro".split()
)
_HEADER = 128
_MOST_TAGS = 200
_DAY = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
_DESCRIPTION, _COPYRIGHT = "ICC profile", "None"


def clean(profile: bytes) -> bytes:
    """The profile with the same colours; b"" for what is none."""
    if len(profile) < _HEADER + 4 or profile[36:40] != b"acsp":
        return b""
    (count,) = struct.unpack_from(">I", profile, _HEADER)
    if count > _MOST_TAGS or len(profile) < _HEADER + 4 + 12 * count:
        return b""
    is_new = profile[8] >= 4
    tags: list[tuple[bytes, bytes]] = [
        (b"desc", _localized(_DESCRIPTION) if is_new else _description(_DESCRIPTION)),
        (b"cprt", _localized(_COPYRIGHT) if is_new else b"text\0\0\0\0" + _COPYRIGHT.encode() + b"\0"),
    ]
    for number in range(count):
        name, offset, size = struct.unpack_from(">4sII", profile, _HEADER + 4 + 12 * number)
        if name in _KEPT:
            if offset + size > len(profile):
                return b""
            tags.append((name, profile[offset : offset + size]))
    return _assembled(profile[:_HEADER], tags)


def _assembled(header: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    at = _HEADER + 4 + 12 * len(tags)
    table, body, places = struct.pack(">I", len(tags)), b"", dict[bytes, int]()
    for name, data in tags:
        if data not in places:  # equal curves are often stored once
            places[data] = at + len(body)
            body += data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, places[data], len(data))
    clean_header = bytearray(header)
    clean_header[0:4] = struct.pack(">I", at + len(body))
    clean_header[4:8] = bytes(4)  # preferred CMM
    clean_header[24:36] = _DAY
    clean_header[48:56] = bytes(8)  # maker and model of the device
    clean_header[80:128] = bytes(48)  # creator, profile ID, reserved
    whole = bytes(clean_header) + table + body
    return whole + bytes(len(whole) % 2)


def _localized(text: str) -> bytes:
    """multiLocalizedUnicodeType (10.15)."""
    data = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(data), 28) + data


def _description(text: str) -> bytes:
    """textDescriptionType of version 2 (ICC.1:2001-04, 6.5.17)."""
    data = text.encode("ascii") + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(data)) + data + bytes(4 + 4 + 2 + 1 + 67)

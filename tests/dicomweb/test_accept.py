"""Negotiation as tables (PS3.18 8.7)."""

import pytest

from app.dicomweb import accept
from app.kit.errors import NotAcceptable

LE, IMPLICIT, JPEG, JLS, J2K, RLE, DEFLATED_FRAMES = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.8.1",
)
ALL = frozenset((LE, JLS, "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.201"))
NONE = frozenset[str]()
DICOM, MANY, OCTETS = "application/dicom", "multipart/related", "application/octet-stream"


@pytest.mark.parametrize(
    ("header", "kinds"),
    [
        (None, ["*/*"]),
        ("", ["*/*"]),
        ("image/png;q=0.5, image/jpeg", ["image/jpeg", "image/png"]),
        ("*/*, image/jpeg", ["image/jpeg", "*/*"]),
        ("image/*;q=1, image/gif", ["image/gif", "image/*"]),
        ("text/html;q=0", []),
        ("nonsense, image/png;q=x, image/gif", ["image/gif"]),
        ('multipart/related; type="application/dicom"; transfer-syntax=*, a/b', ["application/dicom", "a/b"]),
    ],
)
def test_ranges_are_ordered(header: str | None, kinds: list[str]) -> None:
    assert [r.kind for r in accept.parse(header)] == kinds


def test_the_query_parameter_goes_before_the_header() -> None:
    assert [r.kind for r in accept.parse("image/png", ["image/gif;q=0.1"])] == ["image/gif", "image/png"]


@pytest.mark.parametrize(
    ("header", "kind", "multi"),
    [
        ("*/*", accept.JSON, False),
        ("application/json", "application/json", False),
        ("application/dicom+json, application/json", accept.JSON, False),
        ('multipart/related; type="application/dicom+xml"', accept.XML, True),
        ("multipart/related;type=application/dicom+xml, application/dicom+json;q=0.9", accept.XML, True),
    ],
)
def test_metadata(header: str, kind: str, multi: bool) -> None:
    choice = accept.metadata(accept.parse(header))
    assert (choice.kind, choice.multipart) == (kind, multi)


@pytest.mark.parametrize(
    "header", ["text/html", "application/dicom+xml", 'multipart/related; type="application/dicom+json"']
)
def test_metadata_that_is_not_there(header: str) -> None:
    with pytest.raises(NotAcceptable, match="accepted media types"):
        accept.metadata(accept.parse(header))


@pytest.mark.parametrize(
    ("header", "stored", "can", "single", "expected"),
    [
        ('multipart/related; type="application/dicom"', LE, NONE, False, (True, LE)),
        ('multipart/related; type="application/dicom"', JLS, ALL, False, (True, LE)),
        ('multipart/related; type="application/dicom"', DEFLATED_FRAMES, NONE, False, (True, DEFLATED_FRAMES)),
        ('multipart/related; type="application/dicom"; transfer-syntax=*', JLS, ALL, False, (True, JLS)),
        (f'multipart/related; type="application/dicom"; transfer-syntax={JLS}', JLS, NONE, False, (True, JLS)),
        (f'multipart/related; type="application/dicom"; transfer-syntax={JLS}', LE, ALL, False, (True, JLS)),
        (f'multipart/related; type="application/dicom"; transfer-syntax={J2K}', LE, ALL, False, None),
        (
            f'multipart/related; type="application/dicom"; transfer-syntax={J2K}, multipart/related; type="application/dicom"; transfer-syntax={LE};q=0.1',
            JLS,
            ALL,
            False,
            (True, LE),
        ),
        ("application/dicom", LE, NONE, True, (False, LE)),
        ("application/dicom", LE, NONE, False, None),
        ("application/dicom; transfer-syntax=*", JLS, ALL, True, (False, JLS)),
        ("*/*", JLS, ALL, True, (True, JLS)),
        ("image/jpeg", JPEG, ALL, True, None),
    ],
)
def test_instances(
    header: str, stored: str, can: frozenset[str], single: bool, expected: tuple[bool, str] | None
) -> None:
    ranges = accept.parse(header)
    if expected is None:
        with pytest.raises(NotAcceptable):
            accept.instances(ranges, stored, can, single)
        return
    choice = accept.instances(ranges, stored, can, single)
    assert (choice.multipart, choice.syntax) == expected


@pytest.mark.parametrize(
    ("header", "stored", "can", "single", "expected"),
    [
        ("*/*", LE, NONE, False, (OCTETS, True, LE)),
        ("*/*", JPEG, ALL, False, ("image/jpeg", True, JPEG)),
        ("multipart/related; type=application/octet-stream", JPEG, ALL, False, (OCTETS, True, LE)),
        ("multipart/related; type=application/octet-stream", JPEG, NONE, False, None),
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", JPEG, ALL, False, (OCTETS, True, JPEG)),
        (
            "multipart/related; type=application/octet-stream; transfer-syntax=*",
            IMPLICIT,
            ALL,
            False,
            (OCTETS, True, LE),
        ),
        (
            f"multipart/related; type=application/octet-stream; transfer-syntax={LE}",
            J2K,
            ALL,
            False,
            (OCTETS, True, LE),
        ),
        ("multipart/related; type=image/jls", JLS, NONE, False, ("image/jls", True, JLS)),
        ("multipart/related; type=image/jls", LE, ALL, False, ("image/jls", True, JLS)),
        ("multipart/related; type=image/jls", LE, NONE, False, None),
        (f"multipart/related; type=image/jls; transfer-syntax={J2K}", JLS, ALL, False, None),
        ("multipart/related; type=image/jp2", J2K, ALL, False, ("image/jp2", True, J2K)),
        ("multipart/related; type=image/dicom-rle", RLE, NONE, False, ("image/dicom-rle", True, RLE)),
        ("multipart/related; type=image/jpeg", LE, ALL, False, ("image/jpeg", True, "1.2.840.10008.1.2.4.70")),
        ("multipart/related; type=image/*", JPEG, ALL, False, ("image/jpeg", True, JPEG)),
        ("application/octet-stream", LE, NONE, True, (OCTETS, False, LE)),
        ("application/octet-stream", LE, NONE, False, None),
        ("image/jpeg", JPEG, NONE, True, ("image/jpeg", False, JPEG)),
        ("text/plain", LE, ALL, True, None),
        ("multipart/related; type=text/plain, */*;q=0.1", JLS, NONE, True, ("image/jls", True, JLS)),
    ],
)
def test_frames(
    header: str, stored: str, can: frozenset[str], single: bool, expected: tuple[str, bool, str] | None
) -> None:
    ranges = accept.parse(header)
    if expected is None:
        with pytest.raises(NotAcceptable):
            accept.frames(ranges, stored, can, single)
        return
    choice = accept.frames(ranges, stored, can, single)
    assert (choice.kind, choice.multipart, choice.syntax) == expected

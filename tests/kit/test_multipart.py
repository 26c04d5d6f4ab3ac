"""The multipart reader against any cut of the bytes, and against Python's own email parser."""

import contextlib
from email.parser import BytesParser
from email.policy import HTTP

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.kit import multipart
from app.kit.errors import BadRequest

_BOUNDARY = "b0undary"
# Bytes that are most of the time nearly a delimiter.
_PIECES = st.lists(
    st.one_of(
        st.binary(max_size=20), st.sampled_from([b"\r\n", b"--", b"\r\n--b0undar", b"\r\n--b0undaryX", b"-", b"\r"])
    ),
    max_size=8,
).map(b"".join)


def _clean(body: bytes) -> bool:
    return f"\r\n--{_BOUNDARY}".encode() not in b"\r\n" + body.replace(b"\r\n--b0undaryX", b"")


def _write(parts: list[bytes]) -> bytes:
    out = b""
    for n, body in enumerate(parts):
        out += multipart.part_head(_BOUNDARY, [("Content-Type", "application/dicom"), ("X-N", str(n))], n == 0) + body
    return out + multipart.closing(_BOUNDARY)


def _read(data: bytes, cuts: list[int]) -> list[tuple[dict[str, str], bytes]]:
    reader, parts, at = multipart.Reader(_BOUNDARY.encode()), [], 0
    whole = 0
    for cut in [*sorted(min(c, len(data)) for c in cuts), len(data)]:
        for event in reader.feed(data[at:cut]):
            if isinstance(event, multipart.Begin):
                parts.append((event.headers, bytearray()))
            elif isinstance(event, multipart.Data):
                parts[-1][1].extend(event.data)
            else:
                whole += 1
        at = cut
    reader.close()
    assert whole == len(parts)
    return [(h, bytes(b)) for h, b in parts]


@settings(max_examples=400, deadline=None)
@given(st.lists(_PIECES.filter(_clean), min_size=1, max_size=4), st.lists(st.integers(0, 600), max_size=40))
def test_any_parts_come_back_however_the_bytes_are_cut(parts: list[bytes], cuts: list[int]) -> None:
    read = _read(_write(parts), cuts)
    assert [body for _, body in read] == parts
    assert [h["x-n"] for h, _ in read] == [str(n) for n in range(len(parts))]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=20))
def test_any_bytes_end_in_an_answer(data: bytes, cuts: list[int]) -> None:
    with contextlib.suppress(BadRequest):
        _read(data, cuts)


def test_it_agrees_with_the_standard_library() -> None:
    data = _write([b"one", b"", b"three\r\n--b0undar\r\n"])
    message = BytesParser(policy=HTTP).parsebytes(
        f"Content-Type: multipart/mixed; boundary={_BOUNDARY}\r\n\r\n".encode() + data
    )
    theirs = [p.get_payload(decode=True) for p in message.iter_parts()]
    assert [b for _, b in _read(data, [])] == theirs


def test_preamble_padding_and_epilogue_mean_nothing() -> None:
    data = b"hello\r\n--b0undary  \r\nA: 1\r\n\r\nx\r\n--b0undary--\r\nbye"
    assert _read(data, [3, 9, 20, 40]) == [({"a": "1"}, b"x")]


def test_a_part_without_headers_or_bytes() -> None:
    assert _read(b"--b0undary\r\n\r\nx\r\n--b0undary\r\nA: 1\r\n\r\n\r\n--b0undary--", []) == [
        ({}, b"x"),
        ({"a": "1"}, b""),
    ]


def test_a_missing_end_is_told() -> None:
    with pytest.raises(BadRequest, match="closing boundary"):
        _read(_write([b"abc"])[:-8], [])


def test_endless_headers_are_refused() -> None:
    with pytest.raises(BadRequest, match="too long"):
        _read(b"--b0undary\r\n" + b"A: 1\r\n" * 10_000, [])


@pytest.mark.parametrize(
    ("value", "kind", "parameters"),
    [
        (
            'multipart/related; type="application/dicom"; boundary="a;b"',
            "multipart/related",
            {"type": "application/dicom", "boundary": "a;b"},
        ),
        ("Multipart/Form-Data; Boundary=x", "multipart/form-data", {"boundary": "x"}),
        (
            "form-data; name=\"files\"; filename*=UTF-8''%e2%82%ac.dcm",
            "form-data",
            {"name": "files", "filename": "€.dcm"},
        ),
        ("", "", {}),
    ],
)
def test_header_parameters(value: str, kind: str, parameters: dict[str, str]) -> None:
    assert multipart.parse_header(value) == (kind, parameters)


@pytest.mark.parametrize(
    "value", ["multipart/related", "multipart/related; boundary=", 'x; boundary="a\x01"', "x; boundary=" + "a" * 300]
)
def test_unusable_boundaries_are_refused(value: str) -> None:
    with pytest.raises(BadRequest):
        multipart.boundary_of(value)

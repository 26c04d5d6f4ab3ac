"""MIME multipart (RFC 2046 5.1): a push reader that never holds more than it was fed, and the pieces of a writer.

Used for multipart/related (DICOMweb) and multipart/form-data (uploads) alike."""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Any

from app.kit.errors import BadRequest

MAX_HEADERS = 16 * 1024
_PADDING = 64  # white space a sender may put behind a boundary


@dataclass(frozen=True, slots=True)
class Begin:
    """A part starts. headers: names in lower case."""

    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Data:
    """Some bytes of the current part."""

    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The current part is whole."""


def parse_header(value: str) -> tuple[str, dict[str, str]]:
    """`multipart/related; type="application/dicom"` -> ("multipart/related", {"type": "application/dicom"}); names
    and the main value in lower case (RFC 2045 5.1, RFC 2231 file names included)."""
    message = Message()
    message["content-type"] = value.replace("\r", " ").replace("\n", " ")
    found: list[tuple[str, Any]] = message.get_params(failobj=[], unquote=True)
    if not found:
        return "", {}
    parameters: dict[str, str] = {}
    for name, text in found[1:]:
        if isinstance(text, tuple):  # RFC 2231: charset, language, text
            text = collapse_rfc2231_value(text)
        parameters.setdefault(name.lower(), text)
    return found[0][0].strip().lower(), parameters


def boundary_of(content_type: str) -> bytes:
    """The boundary a Content-Type names. Raises BadRequest without a usable one."""
    boundary = parse_header(content_type)[1].get("boundary", "")
    if not 0 < len(boundary) <= 200 or not boundary.isascii() or not boundary.isprintable():
        raise BadRequest("The multipart body has no valid boundary.", hint='Send Content-Type "...; boundary=..."')
    return boundary.encode()


@dataclass(slots=True)
class Reader:
    """feed() bytes as they arrive; it yields Begin, Data, End. `finished` after the closing boundary.

    Raises BadRequest when the bytes cannot be multipart, or a part's headers pass MAX_HEADERS."""

    boundary: bytes
    finished: bool = False
    _buffer: bytes = b"\r\n"  # so that a boundary at the very start looks like every other
    _state: str = "preamble"
    _delimiter: bytes = field(init=False)

    def __post_init__(self) -> None:
        self._delimiter = b"\r\n--" + self.boundary

    def feed(self, data: bytes) -> Iterator[Begin | Data | End]:
        if self.finished:
            return  # an epilogue means nothing
        self._buffer += data
        more = True
        while more and not self.finished:
            if self._state == "headers":
                event = self._headers()
                more = event is not None
                if event is not None:
                    yield event
            else:
                inside = self._state == "body"
                chunk, more = self._until_delimiter()
                if inside and chunk:
                    yield Data(chunk)
                if inside and more:
                    yield End()

    def close(self) -> None:
        """Raises BadRequest when the closing boundary is missing: what was begun is not whole."""
        if not self.finished:
            raise BadRequest("The multipart body ended before its closing boundary.", hint="Send it again.")

    def _until_delimiter(self) -> tuple[bytes, bool]:
        """Takes the bytes before the next delimiter line; True when the line was there and is taken too."""
        buffer, start = self._buffer, 0
        while True:
            at = buffer.find(self._delimiter, start)
            if at < 0:
                keep = len(self._delimiter) - 1
                return self._consume(max(0, len(buffer) - keep)), False
            verdict, end = self._line_end(at + len(self._delimiter))
            if verdict == "wait":
                return self._consume(at), False
            if verdict == "no":  # only looks like it: a longer word with the boundary in front
                start = at + 1
                continue
            self._buffer = buffer[end:]
            self.finished = verdict == "close"
            self._state = "headers"
            return buffer[:at], True

    def _consume(self, count: int) -> bytes:
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _line_end(self, at: int) -> tuple[str, int]:
        """The bytes after a boundary: "next" part, "close", "no" boundary at all, or "wait" for more bytes."""
        buffer = self._buffer
        if buffer[at : at + 2] == b"--":
            return "close", at + 2
        end = at
        while end < len(buffer) and end - at <= _PADDING and buffer[end : end + 1] in (b" ", b"\t"):
            end += 1
        if buffer[end : end + 2] == b"\r\n":
            return "next", end + 2
        short = len(buffer) - end < 2 and end - at <= _PADDING
        rest = buffer[end:]
        return ("wait", at) if short and rest in (b"", b"\r", b"-") else ("no", at)

    def _headers(self) -> Begin | None:
        if self._buffer.startswith(b"\r\n"):
            block, rest = b"", self._buffer[2:]
        else:
            at = self._buffer.find(b"\r\n\r\n")
            if at < 0:
                if len(self._buffer) > MAX_HEADERS:
                    raise BadRequest("A part's headers are too long.")
                return None
            block, rest = self._buffer[:at], self._buffer[at + 4 :]
        if len(block) > MAX_HEADERS:
            raise BadRequest("A part's headers are too long.")
        headers: dict[str, str] = {}
        for line in block.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
            name, _, value = line.partition(b":")
            if value or _:
                headers[name.strip().lower().decode("latin-1")] = value.strip().decode("utf-8", "replace")
        # The body's first delimiter may follow at once, and needs the line break before it.
        self._buffer, self._state = rest, "body"
        if self._buffer.startswith(b"--" + self.boundary):
            self._buffer = b"\r\n" + self._buffer
        return Begin(headers)


def new_boundary() -> str:
    """Random, so that nothing stored can contain it."""
    return f"filmroom-{secrets.token_hex(16)}"


def part_head(boundary: str, headers: Iterable[tuple[str, str]], first: bool) -> bytes:
    """The bytes before a part's content; the line break that ends the part before belongs to it."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    before = "" if first else "\r\n"
    return f"{before}--{boundary}\r\n{lines}\r\n".encode()


def closing(boundary: str) -> bytes:
    return f"\r\n--{boundary}--\r\n".encode()

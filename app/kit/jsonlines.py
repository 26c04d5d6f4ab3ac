"""JSON (RFC 8259) read so that an error can be reported with line and key, for files that people write by hand.

Comments (// and /* */) are accepted where the caller allows them: other programs' configuration files are full of
them."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from app.kit.phrases import phrase
from app.kit.texts import is_storable

Path = tuple[str | int, ...]
_DEPTH = 64
_VALUES = 200_000  # in one text; a second or two to read
_BLANK = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*"')
_TOO_EARLY = phrase("unexpected end of text")
_WORDS = {"true": True, "false": False, "null": None}


class JsonFault(Exception):
    """The text is not JSON; line counts from 1."""

    def __init__(self, line: int, words: str) -> None:
        super().__init__(f"line {line}: {words}")
        self.line, self.words = line, words


@dataclass(slots=True)
class JsonDocument:
    """value: what the text says; lines: the line of the value of each path."""

    value: Any
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """The line of a path, or of the nearest thing around it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def key_of(path: Path) -> str:
    """A path as people read it: nodes[2].port."""
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return words.lstrip(".")


def parse(text: str, comments: bool = False) -> JsonDocument:
    """The document. Raises JsonFault: also for a duplicate key, and for more than 64 levels or 200,000 values."""
    reader = _JsonReader(text, comments)
    reader.skip()
    document = JsonDocument(reader.value((), 0), reader.lines)
    reader.skip()
    if reader.at < len(text):
        raise reader.fault(phrase("unexpected text after the end"))
    return document


class _JsonReader:
    def __init__(self, text: str, comments: bool) -> None:
        self.text = text.removeprefix("\ufeff")
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._comments = comments
        self._line, self._counted = 1, 0

    def line(self) -> int:
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def fault(self, words: str) -> JsonFault:
        return JsonFault(self.line(), words)

    def skip(self) -> None:
        while True:
            self.at = _BLANK.match(self.text, self.at).end()  # type: ignore[union-attr]  # it matches nothing too
            comment = _COMMENT.match(self.text, self.at) if self._comments else None
            if comment is None:
                return
            self.at = comment.end()

    def value(self, path: Path, depth: int) -> Any:
        if depth > _DEPTH:
            raise self.fault(phrase("nested too deeply"))
        if len(self.lines) >= _VALUES:
            raise self.fault(phrase("more than {most} values", most=_VALUES))
        self.lines[path] = self.line()
        first = self.text[self.at : self.at + 1]
        if first == '"':
            return self._string()
        if first == "{":
            return self._object(path, depth)
        if first == "[":
            return self._array(path, depth)
        for word, meaning in _WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return meaning
        found = _NUMBER.match(self.text, self.at)
        if found is None or found.end() - found.start() > 100:
            raise self.fault(phrase("missing or invalid value") if first else _TOO_EARLY)
        self.at = found.end()
        return float(found[0]) if found[1] or found[2] else int(found[0])

    def _string(self) -> str:
        found = _STRING.match(self.text, self.at)
        try:
            if found is None:
                raise ValueError
            text = json.loads(found[0])
        except ValueError:
            raise self.fault(phrase("unterminated text, or a character that must be escaped")) from None
        if not is_storable(text):
            raise self.fault(phrase("a character that cannot be stored (U+0000 or an unpaired surrogate)"))
        self.at = found.end()
        return str(text)

    def _object(self, path: Path, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.at += 1
        self.skip()
        while not self.text.startswith("}", self.at):
            if found:
                self._comma("}")
            if not self.text.startswith('"', self.at):
                raise self.fault(phrase("missing key in double quotes"))
            key = self._string()
            if key in found:
                raise self.fault(phrase("duplicate key {key}", key=key))
            self.skip()
            if not self.text.startswith(":", self.at):
                raise self.fault(phrase("missing colon after {key}", key=key))
            self.at += 1
            self.skip()
            found[key] = self.value((*path, key), depth + 1)
            self.skip()
        self.at += 1
        return found

    def _array(self, path: Path, depth: int) -> list[Any]:
        found: list[Any] = []
        self.at += 1
        self.skip()
        while not self.text.startswith("]", self.at):
            if found:
                self._comma("]")
            found.append(self.value((*path, len(found)), depth + 1))
            self.skip()
        self.at += 1
        return found

    def _comma(self, end: str) -> None:
        if not self.text.startswith(",", self.at):
            ended = self.at >= len(self.text)
            raise self.fault(_TOO_EARLY if ended else phrase("missing comma or {end}", end=end))
        self.at += 1
        self.skip()
        if self.text.startswith(end, self.at):
            raise self.fault(phrase("unexpected comma before {end}", end=end))

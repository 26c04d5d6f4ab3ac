"""JPEG (ITU-T T.81) as far as it must be understood to separate its picture from other data: how long its tables are,
and where the coded data of a scan end."""

import re
from dataclasses import dataclass, field
from math import ceil

Frame = bytes | bytearray

_DHT, _DQT, _DRI, _DNL, _DAC, _SOS = 0xC4, 0xDB, 0xDD, 0xDC, 0xCC, 0xDA
_LOSSLESS = 0xC3
_SEQUENTIAL = (0xC0, 0xC1, _LOSSLESS)  # with Huffman codes
_FRAMES = frozenset(range(0xC0, 0xD0)) - {_DHT, 0xC8, _DAC} | {0xF7}  # SOF of JPEG and JPEG-LS
_RESTART = re.compile(rb"\xff+[\xd0-\xd7]")
_PRINTABLE = re.compile(rb"[\x20-\x7e]{12}")
_ALL_PRINTABLE = re.compile(rb"[\x20-\x7e]*")
_TAIL = 4096  # bytes at the end of a scan that are looked at for text
_BLOCK = 8
_Codes = list[tuple[int, int]]  # by the next 16 bits: bits to go on, coefficients that are done


def is_text_like(data: Frame) -> bool:
    """Whether the end of coded data has as many letters in a row as hardly any coded data have."""
    return _PRINTABLE.search(data[-_TAIL:]) is not None


def ends_in_text(data: Frame, *, fewest: int) -> bool:
    """Whether coded data end in that many letters, but for padding."""
    tail = data[-_TAIL:].rstrip(b"\0\n\r ")[-fewest:]
    return len(tail) == fewest and _ALL_PRINTABLE.fullmatch(tail) is not None


def needed(frame: Frame, at: int, marker: int, end: int) -> int:
    """Where the content ends that a segment must have: `end`, or before it where there are more bytes than its tables
    need."""
    start = at + 4
    if marker in _FRAMES and end - start >= 6:
        return min(end, start + 6 + 3 * frame[start + 5])
    if marker == _SOS and end > start:
        return min(end, start + 4 + 2 * frame[start])
    if marker in (_DRI, _DNL):
        return min(end, start + 2) if frame[at + 1] != _DRI or end - start > 4 else end  # JPEG-LS: up to 4 bytes
    if marker in (_DQT, _DHT, _DAC):
        while start < end:
            size = _table_size(frame, start, marker, end)
            if not size or start + size > end:
                return start
            start += size
    return end


def _table_size(frame: Frame, start: int, marker: int, end: int) -> int:
    """Bytes of the table that begins here; 0 where none can."""
    high, low = frame[start] >> 4, frame[start] & 15
    if high > 1 or (low > 3 and marker != _DAC):
        return 0
    if marker == _DQT:
        return 1 + 64 * (high + 1)
    if marker == _DAC:
        return 2
    return 17 + sum(frame[start + 1 : min(start + 17, end)])


@dataclass(slots=True)
class Tables:
    """Which tables a scan asks for: the others are not read, and may be anything."""

    defined: dict[int, tuple[int, int]] = field(
        default_factory=dict
    )  # (marker, number) in one -> the latest, as start, size
    places: list[tuple[int, int, int]] = field(default_factory=list)
    used: set[tuple[int, int]] = field(default_factory=set)
    quantization: set[int] = field(default_factory=set)
    is_lossless: bool = False

    def read(self, frame: Frame, at: int, marker: int, end: int) -> None:
        """Takes in one segment."""
        start = at + 4
        if marker in _FRAMES:
            self.is_lossless = marker in (_LOSSLESS, 0xC7, 0xCB, 0xCF, 0xF7)
            self.quantization = {frame[one] for one in range(start + 8, end, 3)}
        elif marker in (_DQT, _DHT):
            while start < end:
                size = _table_size(frame, start, marker, end)
                number = frame[start] & 15 if marker == _DQT else frame[start]
                self.defined[marker << 8 | number] = start, size
                self.places.append((marker, start, size))
                start += size
        elif marker == _SOS:
            chosen = frame[at + 6 : end - 3 : 2]
            asked = {_DHT << 8 | one >> 4 for one in chosen}
            if not self.is_lossless:  # there are no coefficients to be quantized (T.81 H)
                asked |= {_DHT << 8 | 0x10 | one & 15 for one in chosen}
                asked |= {_DQT << 8 | number for number in self.quantization}
            self.used |= {self.defined[one] for one in asked & self.defined.keys()}

    def idle(self, frame: Frame) -> list[tuple[int, bytes]]:
        """For each table that no scan asks for: its position, and a table of the same kind, number and length without
        information. None where no scan asks for any."""
        if not self.used:
            return []
        return [
            (start, _idle(frame[start : start + size], is_huffman=marker == _DHT))
            for marker, start, size in self.places
            if (start, size) not in self.used
        ]


def _idle(table: Frame, *, is_huffman: bool) -> bytes:
    symbols = len(table) - 17
    if not is_huffman:
        return bytes(table[:1]) + b"\1" * (len(table) - 1)
    longest = min(symbols, 255)  # codes of 16 bits; a number of codes is one byte
    return bytes(table[:1]) + bytes(14) + bytes((symbols - longest, longest)) + bytes(symbols)


@dataclass(slots=True)
class Decoder:
    """The tables met so far; for sequential and lossless Huffman coding, the most of what is in DICOM objects."""

    kind: int = 0
    size: tuple[int, int] = (0, 0)  # rows, columns
    components: dict[int, tuple[int, int]] = field(default_factory=dict)  # sampling factors, horizontal and vertical
    codes: dict[int, dict[int, int]] = field(default_factory=dict)
    interval: int = 0

    def read(self, frame: Frame, at: int, marker: int, end: int) -> None:
        """Takes in one segment."""
        start = at + 4
        if marker in _FRAMES:
            self.kind = marker
            self.size = (int.from_bytes(frame[start + 1 : start + 3]), int.from_bytes(frame[start + 3 : start + 5]))
            for one in range(start + 6, min(end, start + 6 + 3 * frame[start + 5]) - 2, 3):
                self.components[frame[one]] = (frame[one + 1] >> 4, frame[one + 1] & 15)
        elif marker == _DRI:
            self.interval = int.from_bytes(frame[start : start + 2])
        elif marker == _DHT:
            while start < end:
                size = _table_size(frame, start, marker, end)
                self.codes[frame[start]] = _prefixes(frame[start + 1 : start + size])
                start += size

    def scan_end(self, frame: Frame, at: int, start: int, end: int) -> int | None:
        """End of the coded data of the scan whose header is at `at` and whose data are from start to end.
        None where they are cut off or of a kind that is not followed."""
        chosen = {frame[at + 5 + 2 * one]: frame[at + 6 + 2 * one] for one in range(frame[at + 4])}
        if self.kind not in _SEQUENTIAL or not chosen or not chosen.keys() <= self.components.keys() or 0 in self.size:
            return None
        try:
            blocks, units = self._blocks(chosen), self._units(list(chosen))
        except (KeyError, ZeroDivisionError):
            return None
        for piece, until in _pieces(frame, start, end):
            now = min(units, self.interval or units)
            used = _bytes_used(frame[piece:until].replace(b"\xff\0", b"\xff"), blocks, now, self._coefficients())
            if used is None:
                return None
            units -= now
            if not units:
                return _stuffed_end(frame, piece, used)
        return None

    def _coefficients(self) -> int:
        return 1 if self.kind == _LOSSLESS else _BLOCK * _BLOCK

    def _blocks(self, chosen: dict[int, int]) -> list[tuple[_Codes, _Codes]]:
        """The tables of each block (sample, if lossless) of one minimum coded unit: of its first coefficient, of the rest."""
        found = []
        lossless = self.kind == _LOSSLESS
        for component, tables in chosen.items():
            first = _table(self.codes[tables >> 4], rest=False)
            rest = first if lossless else _table(self.codes[0x10 | tables & 15], rest=True)
            across, down = self.components[component]
            found += [(first, rest)] * (across * down if len(chosen) > 1 else 1)
        return found

    def _units(self, chosen: list[int]) -> int:
        """How many minimum coded units a scan has (T.81 A.2)."""
        unit = 1 if self.kind == _LOSSLESS else _BLOCK
        most_across = max(across for across, _ in self.components.values())
        most_down = max(down for _, down in self.components.values())
        rows, columns = self.size
        if len(chosen) > 1:
            return ceil(columns / (unit * most_across)) * ceil(rows / (unit * most_down))
        across, down = self.components[chosen[0]]
        return ceil(ceil(columns * across / most_across) / unit) * ceil(ceil(rows * down / most_down) / unit)


def _prefixes(table: Frame) -> dict[int, int]:
    """Of a Huffman table: each code, as 1 followed by its bits, and its symbol (T.81 C)."""
    found, code, at = {}, 0, 16
    for length in range(1, 17):
        for _ in range(table[length - 1]):
            found[1 << length | code] = table[at]
            code, at = code + 1, at + 1
        code <<= 1
    return found


def _table(codes: dict[int, int], *, rest: bool) -> _Codes:
    """By 16 bits: how many bits a code and its additional bits take, and how many coefficients it encodes (T.81 F.1.2,
    H.1.2)."""
    table: _Codes = [(0, 0)] * 65536
    for code, symbol in codes.items():
        length = code.bit_length() - 1
        if rest:
            run, bits = symbol >> 4, symbol & 15
            value = (length + bits, run + 1 if bits or run == 15 else _BLOCK * _BLOCK)
        else:
            value = (length + (symbol if symbol < 16 else 0), 1)
        first = (code - (1 << length)) << (16 - length)
        table[first : first + (1 << (16 - length))] = [value] * (1 << (16 - length))
    return table[:65536]


def _bytes_used(data: Frame, blocks: list[tuple[_Codes, _Codes]], units: int, coefficients: int) -> int | None:
    """How many bytes that many units take; None where there are fewer or no code is there."""
    at, most = 0, 8 * len(data)
    padded = bytes(data) + b"\xff\xff\xff"
    for _ in range(units):
        for first, rest in blocks:
            done, table = 0, first
            while done < coefficients:
                place = at >> 3
                skip, block = table[int.from_bytes(padded[place : place + 3]) >> (8 - (at & 7)) & 0xFFFF]
                at += skip
                if not skip or at > most:
                    return None
                done, table = done + block, rest
    return (at + 7) >> 3


def _pieces(frame: Frame, start: int, end: int) -> list[tuple[int, int]]:
    """The data between restart markers."""
    found = []
    for match in _RESTART.finditer(frame, start, end):
        found.append((start, match.start()))
        start = match.end()
    return [*found, (start, end)]


def _stuffed_end(frame: Frame, at: int, used: int) -> int:
    """End of `count` bytes when each FF is followed by a zero."""
    for _ in range(used):
        at += 2 if frame[at : at + 2] == b"\xff\0" else 1
    return at

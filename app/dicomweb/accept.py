"""Which representation an answer takes: Accept header and `accept` parameter (PS3.18 8.3.3, 8.7.4-8.7.8).

Pure: it maps the accepted types of a request and the available types to one Choice."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.kit.errors import NotAcceptable
from app.kit.multipart import parse_header
from app.kit.numbers import parse_decimal
from app.kit.phrases import phrase

DICOM, OCTETS, JSON, XML = (
    "application/dicom",
    "application/octet-stream",
    "application/dicom+json",
    "application/dicom+xml",
)
RELATED = "multipart/related"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
NATIVE = frozenset(("1.2.840.10008.1.2", EXPLICIT_LE, "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"))

# PS3.18 tables 8.7.3-3 to 8.7.3-5: a compressed media type and its transfer syntaxes, the default one first.
MEDIA_SYNTAXES: Mapping[str, tuple[str, ...]] = {
    "image/jpeg": tuple(f"1.2.840.10008.1.2.4.{n}" for n in (70, 50, 51, 57)),
    "image/dicom-rle": ("1.2.840.10008.1.2.5",),
    "image/jls": tuple(f"1.2.840.10008.1.2.4.{n}" for n in (80, 81)),
    "image/jp2": tuple(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91)),
    "image/jpx": tuple(f"1.2.840.10008.1.2.4.{n}" for n in (92, 93)),
    "image/jphc": tuple(f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203)),
    "image/jph": tuple(f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203)),
    "image/jxl": tuple(f"1.2.840.10008.1.2.4.{n}" for n in (110, 111, 112)),
    "video/mpeg": tuple(f"1.2.840.10008.1.2.4.{n}" for n in ("100", "100.1", "101", "101.1")),
    "video/mpeg2": tuple(f"1.2.840.10008.1.2.4.{n}" for n in ("100", "100.1", "101", "101.1")),
    "video/mp4": tuple(
        f"1.2.840.10008.1.2.4.{n}"
        for n in ("102", "102.1", "103", "103.1", "104", "104.1", "105", "105.1", "106", "106.1", "107", "108")
    ),
}


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One media range a client accepts: for multipart/related, kind is the type of the parts."""

    kind: str
    multipart: bool
    syntax: str  # transfer syntax UID, "*" or "" (none named: the media type's default)
    quality: float
    parameters: Mapping[str, str] = field(default_factory=dict)

    def matches(self, kind: str) -> bool:
        if self.kind in ("*/*", kind):
            return True
        return self.kind.endswith("/*") and kind.startswith(self.kind[:-1])


@dataclass(frozen=True, slots=True)
class ChosenFormat:
    """Media type and transfer syntax of an answer. syntax: the transfer syntax to send in."""

    kind: str
    multipart: bool
    syntax: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def split(header: str) -> list[str]:
    """The comma-separated members of a header; a comma inside quotes does not separate."""
    members, current, quoted = [], "", False
    for letter in header:
        if letter == '"':
            quoted = not quoted
        if letter == "," and not quoted:
            members.append(current)
            current = ""
        else:
            current += letter
    return [m.strip() for m in (*members, current) if m.strip()]


def parse(header: str | None, parameter: Iterable[str] = ()) -> list[MediaRange]:
    """Media ranges, best first. parameter: values of `accept=` in the query, which go before the header (8.3.3.1).

    Ranges that make no sense are left out; q=0 is kept out of the result."""
    named = [m for value in parameter for m in split(value)]
    ranges: list[tuple[int, MediaRange]] = []
    for place, member in enumerate([*named, *split(header or "*/*")]):
        kind, parameters = parse_header(member)
        multi = kind == RELATED
        if multi:
            kind = parameters.get("type", "*/*").strip().lower()
        if "/" not in kind:
            continue
        quality = min(max(parse_decimal(parameters.get("q", "1")) or 0.0, 0.0), 1.0)
        if quality > 0:
            syntax = parameters.get("transfer-syntax", "").strip()
            ranges.append((place, MediaRange(kind, multi, syntax, quality, parameters)))
    named_count = len(named)
    ranges.sort(
        key=lambda pr: (pr[0] >= named_count, -pr[1].quality, pr[1].kind == "*/*", pr[1].kind.endswith("/*"), pr[0])
    )
    return [r for _, r in ranges]


def pick(ranges: Sequence[MediaRange], offers: Sequence[tuple[str, bool]]) -> ChosenFormat:
    """The first range that one of the offers (kind, multipart) satisfies; offers in the server's order of preference.

    Raises NotAcceptable (406), which lists the available types."""
    for wish in ranges:
        for kind, multi in offers:
            if wish.matches(kind) and (wish.multipart == multi or (wish.kind == "*/*" and not wish.multipart)):
                return ChosenFormat(kind, multi, wish.syntax, wish.parameters)
    raise refusal(_describe(kind, multi) for kind, multi in offers)


def refusal(offers: Iterable[str]) -> NotAcceptable:
    return NotAcceptable(
        "None of the accepted media types is available.",
        hint=phrase("Available: {known}", known=", ".join(dict.fromkeys(offers))),
    )


def _describe(kind: str, multi: bool) -> str:
    return f'{RELATED}; type="{kind}"' if multi else kind


def metadata(ranges: Sequence[MediaRange]) -> ChosenFormat:
    """JSON (application/json is the same to us) or multipart XML (PS3.18 8.7.4 table: metadata and search results)."""
    return pick(ranges, [(JSON, False), ("application/json", False), (XML, True)])


def media_type_of(syntax: str) -> str:
    """The media type a transfer syntax's frames have (8.7.3): octets for what is not compressed, or unknown."""
    return next(
        (kind for kind, syntaxes in MEDIA_SYNTAXES.items() if syntax in syntaxes and kind != "image/jphc"), OCTETS
    )


def instances(ranges: Sequence[MediaRange], stored: str, can_make: frozenset[str], single: bool) -> ChosenFormat:
    """How a DICOM instance of transfer syntax `stored` goes out (8.7.3.5.2).

    can_make: transfer syntaxes it can be turned into. single: one instance was asked for, so one plain
    application/dicom body will do as well. `transfer-syntax=*` or none acceptable otherwise means as stored."""
    wanted = [r for r in ranges if r.matches(DICOM) and (r.multipart or r.kind == "*/*" or single)]
    if not wanted:
        raise refusal([_describe(DICOM, True), *([DICOM] if single else [])])
    for wish in wanted:
        syntax = _syntax(wish, stored, can_make, EXPLICIT_LE)
        if syntax:
            return ChosenFormat(DICOM, wish.multipart or not (single and wish.kind == DICOM), syntax, wish.parameters)
    raise refusal(f'{RELATED}; type="{DICOM}"; transfer-syntax={uid}' for uid in (stored, *sorted(can_make)))


def _syntax(wish: MediaRange, stored: str, can_make: frozenset[str], default: str) -> str:
    if wish.syntax == "*" or (not wish.syntax and wish.kind == "*/*"):
        return stored
    target = wish.syntax or default
    if target == stored or target in can_make:
        return target
    # 8.7.3.5.2: without a named syntax what cannot be decoded goes out as it is
    return stored if not wish.syntax else ""


def frames(ranges: Sequence[MediaRange], stored: str, can_make: frozenset[str], single: bool) -> ChosenFormat:
    """How frames go out (8.7.3.3, 8.7.3.5.1): compressed media types as stored or transcoded, octets as native little
    endian, `application/octet-stream; transfer-syntax=*` as stored. single: one frame, so one plain body will do."""
    own = media_type_of(stored)
    for wish in ranges:
        if not (wish.multipart or single or wish.kind == "*/*"):
            continue
        plain = single and not wish.multipart and wish.kind != "*/*"
        for kind in dict.fromkeys((own, OCTETS, *MEDIA_SYNTAXES)):
            if wish.matches(kind):
                syntax = _frame_syntax(wish, kind, stored, can_make)
                if syntax:
                    return ChosenFormat(kind, not plain, syntax, wish.parameters)
    raise refusal(f'{RELATED}; type="{kind}"' for kind in (own, *({media_type_of(u) for u in can_make} - {own})))


def _frame_syntax(wish: MediaRange, kind: str, stored: str, can_make: frozenset[str]) -> str:
    if kind == OCTETS:
        if wish.syntax == "*":
            return EXPLICIT_LE if stored in NATIVE else stored
        if wish.syntax and wish.syntax not in NATIVE:
            return stored if wish.syntax == stored else ""
        if stored in NATIVE or EXPLICIT_LE in can_make:
            return EXPLICIT_LE
        return stored if media_type_of(stored) == OCTETS and wish.kind == "*/*" else ""
    possible = MEDIA_SYNTAXES[kind]
    if wish.syntax in ("", "*"):
        if stored in possible:
            return stored
        return next((uid for uid in possible if uid in can_make), "")
    if wish.syntax not in possible:
        return ""
    return wish.syntax if wish.syntax == stored or wish.syntax in can_make else ""

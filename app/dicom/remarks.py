"""Warnings about odd values that lists, the viewer and paper rely on, as sentences for imports: such an object is
stored as it is (DESIGN part 2), and the user must not be surprised by its display. Pure."""

from collections.abc import Iterator, Mapping

from pydicom.datadict import dictionary_description

from app.dicom import charset, numbers
from app.dicom.charset import Terms
from app.dicom.dates import parse_age, parse_date
from app.dicom.matching import vr_of
from app.kit.phrases import Phrase, phrase

# Numbers that measurements, windows and places in the patient are made of. Kept by `walk.py` for this.
NUMBERS = (
    0x00180050, 0x00180088, 0x00181114, 0x00181164, 0x00182010, 0x00200011, 0x00200013, 0x00200032, 0x00200037,
    0x00280008, 0x00280030, 0x00281050, 0x00281051, 0x00281052, 0x00281053,
)  # fmt: skip
DATES = (0x00080020, 0x00080021, 0x00100030)
_AGE = 0x00101010


class Remark(Phrase):
    """Describes how an odd value is read; the object keeps to its SOP Class all the same."""


def remarks(values: Mapping[int, bytes], terms: Terms) -> list[Phrase]:
    """values: raw values of the top level by tag."""
    found: list[Phrase] = list(_of_numbers(values))
    for tag in DATES:
        text = _text(values, tag)
        if text.strip("0. ") and parse_date(text) is None:
            found.append(phrase("{name} is not a valid date; it is shown as it is written.", name=_name(tag)))
    age = _text(values, _AGE)
    if age and parse_age(age) is None:
        found.append(phrase("{name} is not a valid age; it is shown as it is written.", name=_name(_AGE)))
    if unknown := charset.character_sets(terms).unknown:
        term = unknown if unknown.isprintable() else "?"
        found.append(phrase("The character set {term} is unknown; texts were read as UTF-8 or Latin-1.", term=term))
    return [Remark(one.template, **one.values) for one in found]


def _of_numbers(values: Mapping[int, bytes]) -> Iterator[Phrase]:
    for tag in NUMBERS:
        text = _text(values, tag)
        if not text:
            continue
        name, read, many = _name(tag), numbers.values(text, tag), numbers.multiplicity(tag)
        if any(isinstance(one, str) for one in read):
            yield phrase("{name} is not a number; it is not used.", name=name)
        elif many and len(read) != many:
            yield phrase(
                "{name} has {count} values instead of {many}; it is not used.", name=name, count=len(read), many=many
            )
        elif vr_of(f"{tag:08X}") == "IS" and any(one != int(one) for one in read if not isinstance(one, str)):
            yield phrase("{name} is not a whole number.", name=name)
        elif "," in text:
            listed = ", ".join(str(one) for one in read)
            yield phrase("{name} is written with commas; it was read as {said}.", name=name, said=listed)


def _text(values: Mapping[int, bytes], tag: int) -> str:
    return values.get(tag, b"").decode("latin-1").strip(" \0")


def _name(tag: int) -> str:
    return f"{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"

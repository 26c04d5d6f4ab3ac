"""Who an object is about, and by what names and numbers: collected from all of it, sequences within sequences included."""

from collections.abc import Iterator
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from app.deid import texts
from app.deid.identifiers import Identifiers
from app.deid.profile import Options
from app.dicom import charset
from app.dicom.damage import DAMAGE

MAX_DEPTH = 64
CHARACTER_SET = 0x00080005
PATIENT_ID = 0x00100020
_BIRTH_DATES = frozenset((0x00100030, 0x00100033))
# Patient's Name, Other Patient Names, Patient's Birth Name, Patient's Mother's Birth Name.
_NAMES = frozenset((0x00100010, 0x00101001, 0x00101005, 0x00101060))
# Patient ID, Other Patient IDs, Accession Number, Admission ID, Medical Record Locator, Telephone Numbers, Service Episode ID.
_NUMBERS = frozenset((PATIENT_ID, 0x00101000, 0x00080050, 0x00380010, 0x00101090, 0x00102154, 0x00380060))
# Referring, consulting, requesting, performing, reading physicians, operators, responsible person, observers, persons of
# a report, content creator.
_PEOPLE = frozenset(
    (0x00080090, 0x0008009C, 0x00321032, 0x00081048, 0x00081050, 0x00081060, 0x00081070, 0x00102297, 0x0040A075, 0x0040A123,
     0x00700084, 0x00401010, 0x00404037, 0x00400006)
)  # fmt: skip
# Order numbers, requested procedure and scheduled step IDs, address.
_OTHERS = frozenset((0x00402016, 0x00402017, 0x00401001, 0x00400009, 0x00101040))
_STATION, _INSTITUTION = 0x00081010, 0x00080080
_WANTED = _BIRTH_DATES | _NAMES | _NUMBERS | _PEOPLE | _OTHERS | {_STATION, _INSTITUTION}


def terms_of(ds: Dataset, outer: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The defined terms of Specific Character Set, those of the enclosing data set where there is none."""
    item = ds.get_item(CHARACTER_SET) if CHARACTER_SET in ds else None
    found = texts.plain(item)
    return charset.terms_of(found.encode("ascii", "replace")) or outer


def identity(ds: Dataset) -> str:
    """What makes a patient the same one: issuer and ID, else the study."""
    patient = texts.plain(ds.get_item(PATIENT_ID), terms_of(ds))
    if not patient:
        return texts.plain(ds.get_item(0x0020000D))
    issuer = texts.plain(ds.get_item(0x00100021), terms_of(ds))
    return f"{issuer}|{patient}"


def identifiers(ds: Dataset, options: Options) -> Identifiers:
    """Names and numbers of this object's people. The place and the station are looked for unless they may stay."""
    found = Identifiers()
    wanted = set(_WANTED)
    if options.retain_institution_identity:
        wanted.discard(_INSTITUTION)
    if options.retain_device_identity:
        wanted.discard(_STATION)
    for inner, terms in _levels(ds, terms_of(ds), 0):
        for key in inner.keys() & wanted:
            tag = int(key)
            for text in texts.readings(inner.get_item(key), "PN" if tag in _NAMES | _PEOPLE else "LO", terms):
                _add(found, tag, text)
    return found


def _add(found: Identifiers, tag: int, text: str) -> None:
    if tag in _NAMES:
        found.add_patient(text)
    elif tag in _PEOPLE:
        found.add_person(text)
    elif tag in _BIRTH_DATES:
        found.add_birth_date(text)
    elif tag != _STATION or any(sign.isdigit() for sign in text):  # "TOSHIBA" is no name of a station alone
        for value in text.split("\\"):
            found.add_number(value, certain=tag in _NUMBERS)


def _levels(ds: Dataset, terms: tuple[str, ...], depth: int) -> Iterator[tuple[Dataset, tuple[str, ...]]]:
    yield ds, terms
    if depth >= MAX_DEPTH:
        return
    for tag in list(ds.keys()):
        if is_sequence(ds.get_item(tag), int(tag)):
            for item in items(ds, tag):
                yield from _levels(item, terms_of(item, terms), depth + 1)


def is_sequence(item: Any, tag: int) -> bool:
    vr = item.VR if item is not None else None
    return vr == "SQ" or (vr in (None, "UN") and dictionary_has_tag(tag) and dictionary_VR(tag) == "SQ")


def items(ds: Dataset, tag: Any) -> list[Dataset]:
    """The items of a sequence; [] for one that cannot be read, which the cleaner removes."""
    try:
        value = ds[tag].value
    except DAMAGE:
        return []
    return list(value) if isinstance(value, Sequence) else []

"""The people of an object with their names and numbers: collected from all of it, sequences within sequences
included."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
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
# Patient's Name, Other Patient Names, Patient's Birth Name, Patient's Mother's Birth Name, Name to Use.
_NAMES = frozenset((0x00100010, 0x00101001, 0x00101005, 0x00101060, 0x00100012))
# Patient ID, Other Patient IDs, Accession Number, Admission ID, Medical Record Locator, Telephone Numbers, Telecom
# Information, Insurance Plan, Service Episode ID, clinical trial subject and subject reading.
_NUMBERS = frozenset(
    (PATIENT_ID, 0x00101000, 0x00080050, 0x00380010, 0x00101090, 0x00102154, 0x00102155, 0x00101050, 0x00380060, 0x00120040,
     0x00120042)
)  # fmt: skip
# Interpretation recorder and the like are PN; of other VRs: names of intended recipients, order enterer's location.
_PEOPLE = frozenset(
    (0x00080090, 0x0008009C, 0x00321032, 0x00081048, 0x00081050, 0x00081060, 0x00081070, 0x00102297, 0x0040A075, 0x0040A123,
     0x00700084, 0x00401010, 0x00404037, 0x00400006)
)  # fmt: skip
# Order numbers, requested procedure, scheduled step and study IDs, telephones of physicians and persons, order callback.
_OTHERS = frozenset(
    (0x00402016, 0x00402017, 0x00401001, 0x00400009, 0x00200010, 0x00080094, 0x00401103, 0x00402010, 0x00402011)
)
_TELEPHONES = frozenset((0x00102154, 0x00102155, 0x00080094, 0x00401103, 0x00402010, 0x00402011))
# Texts of which each uncommon word counts: addresses of patient, physicians and persons, residence, location, responsible
# organization, occupation, ethnic group, religion, rank, branch of service, trial sponsor and site.
_WORDS = frozenset(
    (0x00101040, 0x00080092, 0x00401102, 0x00102150, 0x00102152, 0x00380400, 0x00380300, 0x00102299, 0x00102180, 0x00102160,
     0x001021F0, 0x00101080, 0x00101081, 0x00120010, 0x00120031, 0x00402009)
)  # fmt: skip
_DATES = frozenset((0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x0008002A))  # study, series, acquisition, content
_INSTITUTION = frozenset((0x00080080, 0x00080081, 0x00081040))  # name, address, department
_STATION, _SERIAL = 0x00081010, 0x00181000
_WANTED = _BIRTH_DATES | _NAMES | _NUMBERS | _PEOPLE | _OTHERS | _WORDS | _DATES | _INSTITUTION | {_STATION, _SERIAL}
_MOST_FACTS = 20_000  # of a study
Facts = frozenset[tuple[int, str]]  # tag -> its text, in one of its readings; 0 for the name of anybody
_ANYBODY = 0


def terms_of(ds: Dataset, outer: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The defined terms of Specific Character Set, those of the enclosing data set where there is none."""
    item = ds.get_item(CHARACTER_SET) if CHARACTER_SET in ds else None
    found = texts.plain(item)
    return charset.terms_of(found.encode("ascii", "replace")) or outer


def identity(ds: Dataset) -> str:
    """Key that identifies a patient: issuer and ID, else the study."""
    patient = texts.plain(ds.get_item(PATIENT_ID), terms_of(ds))
    if not patient:
        return texts.plain(ds.get_item(0x0020000D))
    issuer = texts.plain(ds.get_item(0x00100021), terms_of(ds))
    return f"{issuer}|{patient}"


def facts(ds: Dataset) -> Facts:
    """Identifying values of an object, at any depth: the attributes known for it, and every person name."""
    found: set[tuple[int, str]] = set()
    for inner, terms in _levels(ds, terms_of(ds), 0):
        for key in inner.keys():  # noqa: SIM118 - a data set iterates over elements
            tag, item = int(key), inner.get_item(key)
            is_name = tag in _NAMES | _PEOPLE or _is_person(tag, item)
            if tag in _WANTED or is_name:
                place = tag if tag in _WANTED else _ANYBODY
                found.update((place, text) for text in texts.readings(item, "PN" if is_name else "LO", terms) if text)
    return frozenset(found)


def _is_person(tag: int, item: Any) -> bool:
    vr = item.VR if item is not None else None
    return vr == "PN" or (vr in (None, "UN") and dictionary_has_tag(tag) and dictionary_VR(tag) == "PN")


def merge_facts(known: Iterable[Facts]) -> Facts:
    """The facts of several objects of one study, as many as can be looked for in a sensible time."""
    found: set[tuple[int, str]] = set()
    for one in known:
        if len(found) < _MOST_FACTS:
            found |= one
    return frozenset(found)


def patient_facts(names: Iterable[str]) -> Facts:
    """Names by which the same patient is known elsewhere."""
    return frozenset((0x00100010, name) for name in names if name)


@lru_cache(maxsize=2)  # the objects of one study have the same
def identifiers(known: Facts, options: Options) -> Identifiers:
    """Names and numbers to look for. Place, station and dates are looked for unless they may stay."""
    unwanted: set[int] = set()
    if options.retain_institution_identity:
        unwanted |= _INSTITUTION
    if options.retain_device_identity:
        unwanted |= {_STATION, _SERIAL}
    if options.retain_full_dates:
        unwanted |= _DATES
    if options.retain_patient_characteristics:
        unwanted |= {0x00102160}
    found = Identifiers()
    for tag, text in sorted(known, key=lambda fact: (fact[0] not in _NAMES, fact)):
        if tag not in unwanted:
            _add(found, tag, text)
    return found


def _add(found: Identifiers, tag: int, text: str) -> None:
    if tag in _NAMES:
        found.add_patient(text)
    elif tag in _PEOPLE or tag == _ANYBODY:
        found.add_person(text)
    elif tag in _BIRTH_DATES:
        found.add_birth_date(text)
    elif tag in _DATES:
        found.add_date(text)
    elif tag != _STATION or any(sign.isdigit() for sign in text):  # "TOSHIBA" is not the name of one station only
        for value in text.split("\\"):
            found.add_number(value, certain=tag in _NUMBERS)
            if tag in _TELEPHONES:
                found.add_telephone(value)
            if tag in _WORDS | _INSTITUTION:
                found.add_words(value)


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

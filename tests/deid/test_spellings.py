"""Names, numbers and birth dates in texts that were written together, encoded twice, or spoilt on their way."""

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from app.deid.identifiers import Identifiers
from app.deid.profile import Profile
from app.deid.pseudonym import Pseudonyms
from app.deid.vocabulary import Misspelt, is_ordinary
from app.deid.walker import Cleaner

TOGETHER = {
    "Smith^John": ["CTSmith", "SMITHknee", "Smiths", "Smith's", "SMITHJOHN", "JOHNSMITH", "SmithJohn", "johnsmith", "smith12",
                   "SMITHS", "CTSMITH", "smithknee", "KneeSmith2", "MRSmithKnee", "SMITHJohn", "mrssmith", "CTsmith", "DRSMITH", "SMITHJR", "SMITHSknee", "smithKNEE"],
    "Müller^Jörg": ["CTMüller", "MÜLLERknie", "Müllers", "CTMueller", "KNEEMUELLER"],
    "Иванов^Пётр": ["Ivanova", "КТИванов", "ИВАНОВколено", "ИвановПётр"],
    "Kowalski^Jan": ["Kowalska"],
    "Kim^Ann": ["CT Kim", "CTKim", "KIM_1"],
}  # fmt: skip
SPOILT = {
    "Müller^Jörg": ["MÃ¼ller", "MÃ\x83Â¼ller", "mÃœller", "M%FCller", "M%C3%BCller", "M%25C3%25BCller", "M=C3=BCller", "M=FCller",
                    "=?UTF-8?Q?M=C3=BCller?=", "M&#252;ller", "M&amp;uuml;ller", "M?ller", "M_LLER", "M??ller", "Mller", "M%u00FCller", "M\\'fcller",
                    "JÃ¶rg", "J?rg", "J_rg"],
    "Özil^Ärne": ["?zil", "Ã–zil", "_ZIL", "?rne"],
    "Smith^John": ["Sm\u0456th", "\u0405mith", "J\u043ehn", "Smi\u03a4h", "\u0420SMITH SM\u0406TH", "Sm%69th", "S&#109;ith"],
    "Sm\u0456th^John": ["Smith"],
    "MÃ¼ller^JÃ¶rg": ["Müller", "Mueller", "joerg", "M?ller"],
    "M%FCller^Jo": ["Müller"],
    "Иванов^Пётр": ["Ивaнoв", "Ð\x98Ð²Ð°Ð½Ð¾Ð²", "%D0%98%D0%B2%D0%B0%D0%BD%D0%BE%D0%B2"],
}  # fmt: skip
ORDINARY = {
    "Phil^Ann": ["PHILIPS", "Philips", "PHILips", "Annual", "PHILKNEE", "Phils"],
    "Smith^John": ["Smithsonian", "blacksmithing", "SMITHERS", "Johnson", "CT Sm", "goldsmith"],
    "Müller^Jörg": ["Miller", "100% ?", "Müllerei", "mellerud"],
    "Marti^Eva": ["MARTIAN", "Martin", "Evaluation"],
    "Philip^Marc": ["Philips Healthcare", "PHILIPS", "Marcus"],
    "Siemen^Otto": ["SIEMENS"],
    "Hunter^Jo": ["Hunterian", "Joint"],
}
MISSPELT = {
    "Quillfeather^Theodora": ["Quilfeather", "QUILLFAETHER", "quillfeathr", "Quillfeatther", "Theodara", "CT_QUILLFEATHRE"],
    "Müller^Jörg": ["Mueler", "Mullr", "Müllerr"],
    "Иванов^Пётр": ["Иваноф", "Ивнов"],
}  # fmt: skip
RESEMBLING = {
    "Quillfeather^Theodora": ["Quillfethr", "Quill", "feather"],
    "Phillip^Spinel": ["Philips", "PHILIPS", "spine", "Spinal"],
    "Tanner^Kneel": ["SCANNER", "Scanner", "CT Scanner", "KNEE"],
    "Chester^Ann": ["CHEST", "chest 2"],
    "Siemen^Karter": ["SIEMENS", "Siemens Healthineers"],
    "Smith^Johnny": ["Smyth", "Johnsen"],
}


def holds(name: str, text: str) -> bool:
    people = Identifiers()
    people.add_patient(name)
    return people.holds(text)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in TOGETHER.items() for text in texts])
def test_a_name_is_found_in_what_it_is_written_together_with(name: str, text: str) -> None:
    assert holds(name, text)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in SPOILT.items() for text in texts])
def test_a_name_is_found_though_its_letters_are_spoilt(name: str, text: str) -> None:
    assert holds(name, text)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in ORDINARY.items() for text in texts])
def test_an_ordinary_word_with_the_letters_of_a_name_stays(name: str, text: str) -> None:
    assert not holds(name, text)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in MISSPELT.items() for text in texts])
def test_a_name_is_found_with_one_typing_error(name: str, text: str) -> None:
    assert holds(name, text)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in RESEMBLING.items() for text in texts])
def test_two_errors_and_words_of_the_subject_are_no_misspelt_name(name: str, text: str) -> None:
    assert not holds(name, text)


@settings(max_examples=80, deadline=None)
@given(st.from_regex(r"[a-z]{6,12}", fullmatch=True), st.from_regex(r"[a-z]{6,12}", fullmatch=True))
def test_misspelt_is_what_an_edit_distance_of_one_says(one: str, other: str) -> None:
    names = Misspelt()
    names.add(one)
    for word in (other, one[1:], one[:3] + "x" + one[3:], one[:2] + one[3] + one[2] + one[4:], one[:4] + "q" + one[5:]):
        assert names.has(word) == (_distance(one, word) <= 1 and not is_ordinary(word))


def _distance(one: str, other: str) -> int:
    """Optimal string alignment."""
    rows = [[a + b if not a * b else 0 for b in range(len(other) + 1)] for a in range(len(one) + 1)]
    for a, b in itertools.product(range(1, len(one) + 1), range(1, len(other) + 1)):
        differ = one[a - 1] != other[b - 1]
        rows[a][b] = min(rows[a - 1][b] + 1, rows[a][b - 1] + 1, rows[a - 1][b - 1] + differ)
        if a > 1 and b > 1 and one[a - 1] == other[b - 2] and one[a - 2] == other[b - 1]:
            rows[a][b] = min(rows[a][b], rows[a - 2][b - 2] + 1)
    return rows[-1][-1]


@pytest.mark.parametrize(
    "text",
    ["27.4.51", "4/27/51", "27 abril 1951", "27 de abril de 1951", "27th of April 1951", "27-IV-1951", "27. Apr. 51", "51-04-27",
     "27 avril 1951", "27 апреля 1951", "27 kwietnia 1951", "27APR51", "042751", "00019510427", "9270419511", "1951 27 4", "born 27 / 04 / 51 in Ulm", "27aprile1951"],
)  # fmt: skip
def test_a_birth_date_is_found_in_any_order_and_language(text: str) -> None:
    people = Identifiers()
    people.add_birth_date("19510427")
    assert people.holds(text)


@pytest.mark.parametrize("text", ["27 4 52", "1951", "April 1951", "27.4", "4.27.510", "27 mai 1951", "127.4.51"])
def test_another_date_stays(text: str) -> None:
    people = Identifiers()
    people.add_birth_date("19510427")
    assert not people.holds(text)


def test_three_short_numbers_stay_where_an_option_promises_the_text() -> None:
    people = Identifiers()
    people.add_birth_date("19510427")
    assert not people.holds("version 4.27.51", only_certain=True)
    assert people.holds("27 April 51", only_certain=True)


@pytest.mark.parametrize(
    ("patient_id", "text"),
    [
        ("1234567", "IMG_0012345670001"),
        ("1234567", "991234567"),
        ("0001234567", "A1234567B"),
        ("AB123456", "XAB1234569"),
        ("123-45-6789", "00123456789"),
        ("MRN-1234567", "0012345678"),
    ],
)
def test_a_number_is_found_within_a_longer_one(patient_id: str, text: str) -> None:
    people = Identifiers()
    people.add_number(patient_id)
    assert people.holds(text)


@pytest.mark.parametrize(
    ("patient_id", "text"), [("12345", "9123456"), ("1234567", "1234568"), ("LONGNAME", "BELONGNAMES")]
)
def test_a_short_number_within_a_longer_one_is_chance(patient_id: str, text: str) -> None:
    people = Identifiers()
    people.add_number(patient_id)
    assert not people.holds(text)


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192", None])
@pytest.mark.parametrize(
    "stored", ["MÃ¼ller".encode("latin-1"), "MÃ¼ller".encode(), b"M%FCller", b"KNEEMUELLER", b"X27.4.51"]
)
def test_a_copy_has_no_spoilt_name_in_whatever_charset(charset: str | None, stored: bytes) -> None:
    ds = Dataset()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    if charset:
        ds.SpecificCharacterSet = charset
    ds.add(_raw(0x00100010, "PN", "Müller^Jörg".encode("utf-8" if charset == "ISO_IR 192" else "latin-1")))
    ds.PatientBirthDate = "19510427"
    for tag, vr in ((0x00180024, "SH"), (0x00081090, "LO"), (0x00181160, "SH"), (0x00080008, "CS")):
        ds.add(_raw(tag, vr, stored))
    Cleaner(ds, Profile("basic"), Pseudonyms(b"k" * 32)).clean(ds)
    for tag in (0x00180024, 0x00081090, 0x00181160, 0x00080008):
        assert str(ds[tag].value if tag in ds else "") in ("", "REMOVED")


def _raw(tag: int, vr: str, value: bytes) -> RawDataElement:
    return RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x" * 60_000, "x" * 30_000),
        ("Smith^" + "J" * 60_000, "Dr Smith saw her"),
        ("^".join(f"Walther{number}" for number in range(10_000)), "seen with Walther"),
        ("\\".join(f"Own{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}^Jo" for n in range(9_000)), "of ownaan, of ownzzm"),
    ],
    ids=("one-long-word", "long-given-name", "many-components", "many-names"),
)  # fmt: skip
def test_a_name_beyond_all_bounds_is_found_word_by_word_and_soon(name: str, text: str) -> None:
    people = Identifiers()
    started = time.process_time()
    people.add_patient(name)
    assert people.holds(text)
    assert not people.holds("Chest x-ray " * 2_000)
    assert time.process_time() - started < 5
    assert sum(map(len, people.certain | people.suspected)) < 1_000_000, "more than a megabyte of spellings"

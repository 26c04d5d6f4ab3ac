"""No part of a name stays, in whatever script and way it is written; what only looks like one does (H50, H48, H56)."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from app.deid.files import anonymize
from app.deid.identifiers import Identifiers
from app.deid.profile import resolve
from app.deid.pseudonym import Pseudonyms

CASES = Path(__file__).parents[1] / "cases"
KEY = Pseudonyms(b"k" * 32)
KEPT = ("SequenceName", "ManufacturerModelName", "WindowCenterWidthExplanation", "Manufacturer", "ConvolutionKernel")


def cleaned(ds: Dataset, profile: str = "basic", options: list[str] | None = None) -> Dataset:
    source, out = BytesIO(), BytesIO()
    ds.save_as(source)
    anonymize(source, out, resolve(profile, options), KEY)
    return dcmread(BytesIO(out.getvalue()))


def named(name: str, charset: str | list[str] = "ISO_IR 192") -> Dataset:
    ds = dcmread(CASES / "H50" / "1.dcm")
    for keyword in KEPT:
        if keyword in ds:
            del ds[keyword]
    ds.SpecificCharacterSet, ds.PatientName = charset, name
    return ds


@pytest.mark.parametrize("number", range(1, 11))
def test_handed_names_leave_nothing_behind(number: int) -> None:
    clean = cleaned(dcmread(CASES / "H50" / f"{number}.dcm"))
    assert [clean.get(keyword) for keyword in ("SequenceName", "TransducerData", *KEPT[2:3])] == [None] * 3
    assert clean.Modality == "US"


HELD = [
    ("Müller^Jörg", ["MÜLLER", "mu\u0308ller", "Mueller", "Muller", "joerg", "JMueller", "http://pacs/M%C3%BCller", "M&uuml;ller"]),
    ("MUELLER^JOERG", ["Müller", "jörg", "Muller"]),
    ("Weiß^Søren", ["WEISS", "soren", "Sören"]),
    ("Łukasz^Żółć", ["LUKASZ", "zolc"]),
    ("İpek^Işık", ["IPEK", "isik"]),
    ("Иванов^Пётр", ["ИВАНОВ", "петр", "Иванова", "Петром", "Ivanov", "Pyotr"]),
    ("Παπαδόπουλος^Γιώργος", ["ΠΑΠΑΔΟΠΟΥΛΟΣ", "γιωργος", "Papadopoulos"]),
    ("Wang^XiaoDong=王^小东", ["王小东", "小东", "王", "王医生", "患者王", "Xiao Dong", "wangxiaodong"]),
    ("王小东", ["王先生", "小东", "探头王小东用"]),
    ("Yamada^Tarou=山田^太郎=やまだ^たろう", ["山田様", "太郎", "ヤマダ", "ﾔﾏﾀﾞ", "TAROU"]),
    ("Hong^Gildong=洪^吉洞=홍^길동", ["홍길동", "길동의", "홍씨", "洪"]),
    ("قباني^لنزار", ["قباني", "لقباني", "نزار لنزار"]),
    ("כהן^דוד", ["לכהן", "דוד"]),
    ("สมชาย^ใจดี", ["คุณสมชาย", "ใจดี"]),
    ("O'HARA-HUNTER^Jo Ann", ["ohara", "O HARA", "Hunter", "joann", "ann"]),
    ("van der Berg^Anna", ["Berg", "vanderberg", "ANNA_1"]),
    ("Li^Na", ["li", "Na", "LiNa", "probe of Li", "LI01"]),
    ("Ng^Wei", ["NG", "Wei Ng", "ng_wei"]),
    ("O^Jane", ["O", "probe of O", "jane.o"]),
    ("Le^Kim", ["lE", "for Le"]),
    ("کریمی^علی", ["كريمي", "علي"]),
    ("كريمي^علي", ["کریمی", "علی"]),
    ("פרץ^דוד", ["פרצ"]),
    ("髙橋^花", ["高橋"]),
    ("渡邉^花", ["渡辺", "渡邊"]),
    ("王^小东", ["Wang Xiaodong", "XIAODONG", "xiao dong", "Wang", "Hsiao-tung", "王小東"]),
    ("劉^曉東", ["刘晓东", "晓东", "Liu Xiaodong"]),
    ("刘^晓东", ["劉曉東", "劉醫生", "LIUXIAODONG"]),
    ("Liu^Xiaodong", ["刘晓东", "探头劉曉東用"]),
    ("Zhang^Ziyi", ["章子怡"]),
    ("홍^길동", ["Hong Gildong", "GILDONG", "Kil-dong"]),
    ("Kim^Minjun", ["김민준"]),
    ("박^서연", ["Park", "Pak", "Seoyeon"]),
    ("やまだ^たろう", ["Yamada", "TARO", "tarou"]),
    ("Yamada^Tarou", ["やまだ", "ヤマダタロウ"]),
    ("國廣^眞", ["国広", "国广"]),
    ("HUNTERSON^GEORG", ["HUNTERS", "HUNTER SON", "H U N T E R S O N", "georghunterson"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in HELD for text in texts])
def test_a_kept_text_with_a_part_of_the_name_is_emptied(name: str, text: str) -> None:
    ds = named(name)
    ds.SequenceName = text
    assert cleaned(ds).get("SequenceName", "") == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Phil^Ann", "PHILIPS Annex"),
        ("Le^Kim", "Leipzig, kimono"),
        ("Ma^O", "200mA O2"),
        ("Doe^John^Q^Dr^Jr", "Q, Dr, do not use, Johnson Jr"),
        ("van der Berg^Anna", "Hospital de la van der Ber"),
        ("Li^Na", "Siemens Lithium Nano"),
        ("Иванов^Пётр", "Ивановский петрол"),
        ("Yamada^Tarou=山田^太郎", "田中山"),
        ("Hunt^Ann", "Hunting Annual"),
        ("Chang^Li", "磁场处理"),
        ("Shen^An", "联影医疗 肾脏"),
        ("王^芳", "Wangen Fango"),
    ],
)
def test_what_only_looks_like_a_name_stays(name: str, text: str) -> None:
    ds = named(name)
    ds.ManufacturerModelName = text
    assert cleaned(ds).ManufacturerModelName == text


@pytest.mark.parametrize(("name", "charset"), [
    ("Müller^Jörg", "ISO_IR 100"), ("Иванов^Пётр", "ISO_IR 144"), ("Παπαδόπουλος^Γιώργος", "ISO_IR 126"),
    ("王^小东", "GB18030"), ("Yamada^Tarou=山田^太郎", ["", "ISO 2022 IR 87"]), ("Hong^Gildong=洪^吉洞", ["", "ISO 2022 IR 149"]),
    ("קדוש^דוד", "ISO_IR 138"), ("قباني^لنزار", "ISO_IR 127"), ("สมชาย^ใจดี", "ISO_IR 166"), ("Müller^Jörg", "ISO_IR 192"),
])  # fmt: skip
def test_every_character_set_is_compared_as_text(name: str, charset: str | list[str]) -> None:
    """The text in its own character set, the same undeclared in UTF-8, nested, and as a CS, AE and UR."""
    ds = named(name, charset)
    family = name.split("=")[-1].split("^")[0]
    ds.SequenceName = f"for {family}"
    inner = Dataset()
    inner.ManufacturerModelName = family
    ds.add_new(0x52009229, "SQ", [inner])
    clean = cleaned(ds)
    assert "SequenceName" not in clean
    assert family not in str(clean)
    assert b"\x1b" not in _bytes(clean)


def test_utf8_that_nobody_declared_is_compared_too() -> None:
    ds = named("Muller^Jorg", "")
    ds.add_new(0x00181030, "LO", "ok")
    ds.add_new(0x00181271, "OB", b"")
    data = BytesIO()
    ds.ManufacturerModelName = "XXXXXXXXXXXX"
    ds.save_as(data)
    raw = data.getvalue().replace(b"XXXXXXXXXXXX", "für Müller".encode())
    out = BytesIO()
    anonymize(BytesIO(raw), out, resolve("basic"), KEY)
    assert dcmread(BytesIO(out.getvalue())).get("ManufacturerModelName", "") == ""


def _bytes(ds: Dataset) -> bytes:
    out = BytesIO()
    ds.save_as(out)
    return out.getvalue()


@pytest.mark.parametrize("path", [*sorted((CASES / "H48").glob("*.dcm")), CASES / "H56" / "x.dcm"], ids=str)
def test_kept_texts_are_written_in_utf8_without_escape_sequences(path: Path) -> None:
    """Under Retain Institution Identity a text beyond ASCII stays, and is readable by what the copy declares."""
    data = path.read_bytes().replace(b"\x08\x00\x30\x10LO", b"\x08\x00\x40\x10LO")  # as Institutional Department Name
    out = BytesIO()
    anonymize(BytesIO(data), out, resolve("basic", ["retain_institution_identity"]), KEY)
    clean = dcmread(BytesIO(out.getvalue()))
    assert b"\x1b" not in out.getvalue()
    assert clean.get("SpecificCharacterSet", "ISO_IR 192") == "ISO_IR 192"
    if path.parent.name == "H56":
        assert "第一行文字" in clean.InstitutionalDepartmentName


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["Müller^Jörg", "Иванов^Пётр", "王^小东", "O'Hara-Hunter^Jo", "Ng^Wei", "홍^길동", "Nguyễn^Thị"]),
    st.text(st.characters(categories=("P", "Zs", "Nd")), max_size=6),
    st.text(st.characters(categories=("P", "Zs")), max_size=6),
    st.sampled_from([str, str.upper, str.lower, str.swapcase, str.title]),
)
def test_signs_around_a_name_and_the_case_of_its_letters_do_not_hide_it(
    name: str, ahead: str, behind: str, case: Callable[[str], str]
) -> None:
    people = Identifiers()
    people.add_patient(name)
    for part in name.split("^"):
        assert people.holds(f"{ahead} {case(part)} {behind}")


@pytest.mark.parametrize(
    "text",
    [
        "1960-02-03",
        "03.02.1960",
        "3.2.1960",
        "03FEB1960",
        "born Feb 3, 1960",
        "600203",
        "MRN 55812",
        "mrn55812",
        "ACC_H50",
    ],
)
def test_numbers_and_birth_dates_are_found_in_texts(text: str) -> None:
    ds = named("Nobody^X")
    ds.PatientID, ds.PatientBirthDate, ds.AccessionNumber, ds.SequenceName = "MRN-55812", "19600203", "ACCH50", text
    assert cleaned(ds).get("SequenceName", "") == ""


def test_terms_of_the_standard_are_no_names() -> None:
    """Hu is a family name, and HU the unit of a CT (Rescale Type)."""
    ds = named("Hu^No")
    ds.RescaleType, ds.BurnedInAnnotation, ds.ImageType = "HU", "NO", ["ORIGINAL", "PRIMARY", "HU"]
    clean = cleaned(ds)
    assert (clean.RescaleType, clean.BurnedInAnnotation) == ("HU", "NO")
    assert list(clean.ImageType) == ["ORIGINAL", "PRIMARY", "REMOVED"], "Image Type is type 1, and has no term HU"


def test_a_number_of_the_patient_is_taken_out_of_numeric_strings() -> None:
    ds = named("Nobody^X")
    ds.PatientID, ds.InstanceNumber, ds.SeriesNumber = "7654321", "7654321", "5"
    clean = cleaned(ds)
    assert clean.InstanceNumber in (None, 0)
    assert clean.SeriesNumber == 5


def test_values_that_are_no_numbers_do_not_stop_a_copy() -> None:
    """A decimal comma is no DS, and stays as it is though the character set of the copy is another."""
    ds = named("Nobody^X", "ISO_IR 100")
    inner = Dataset()
    inner.add_new(0x00180050, "LO", "1,5")
    ds.add_new(0x00180050, "LO", "2,5 ")
    ds.add_new(0x52009229, "SQ", [inner])
    source, out = BytesIO(), BytesIO()
    ds.save_as(source)
    data = source.getvalue().replace(b"\x18\x00\x50\x00LO", b"\x18\x00\x50\x00DS")
    anonymize(BytesIO(data), out, resolve("basic"), KEY)
    assert out.getvalue().count(b"\x18\x00\x50\x00DS\x04\x00") == 2


@pytest.mark.parametrize(
    ("patient_id", "number"),
    [
        ("123-45-6789", "123456789"), ("1234 5678", "12345678"), ("0012345678", "12345678"), ("12345678", "-12345678"),
        ("12345678", "12345678.00"), ("12345678", "0012345678"),
    ],
)  # fmt: skip
def test_a_number_of_the_patient_is_found_however_it_is_written(patient_id: str, number: str) -> None:
    ds = named("Hunter^Ann")
    ds.PatientID, ds.EchoTime = patient_id, number
    assert not cleaned(ds).get("EchoTime")


@pytest.mark.parametrize(
    "text", ["27 April 1951", "April 27, 1951", "1951 Apr 27", "۱۹۵۱/۰۴/۲۷", "27.4.1951", "１９５１年０４月２７日"]
)
def test_a_birth_date_is_found_however_it_is_written(text: str) -> None:
    people = Identifiers()
    people.add_birth_date("19510427")
    assert people.holds(text)

"""Text by Specific Character Set: the defined terms of PS3.3 C.12.1.1.2, code extensions, and what senders get wrong."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.filewriter import dcmwrite
from pydicom.valuerep import TEXT_VR_DELIMS

from app.dicom import charset, charset_writing, dicomjson
from app.dicom.reading import dcmread

KOREAN = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
JAPANESE = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
KATAKANA = b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J"
CHINESE = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="


@pytest.mark.parametrize(
    ("terms", "raw", "text"),
    [
        (("", "ISO 2022 IR 149"), KOREAN, "Hong^Gildong=洪^吉洞=홍^길동"),  # PS3.5 I.2
        (("", "ISO 2022 IR 87"), JAPANESE, "Yamada^Tarou=山田^太郎=やまだ^たろう"),  # PS3.5 H.3.1
        (("ISO 2022 IR 13", "ISO 2022 IR 87"), KATAKANA, "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),  # PS3.5 H.3.2
        (("", "ISO 2022 IR 58"), CHINESE, "Zhang^XiaoDong=张^小东="),  # PS3.5 K.2
        (("ISO 2022 IR 58",), CHINESE, "Zhang^XiaoDong=张^小东="),
        ((), CHINESE, "Zhang^XiaoDong=张^小东="),  # an escape sequence says what it means without a declaration
        (("ISO_IR 192",), CHINESE, "Zhang^XiaoDong=张^小东="),
        (("", "ISO 2022 IR 159"), b"\x1b$(D\x30\x6d\x1b(B", b"\x8f\xb0\xed".decode("euc_jp")),
        (("ISO 2022 IR 100", "ISO 2022 IR 144"), b"M\xfcller \x1b-L\xbb\xee", "Müller Лю"),
        (("ISO 2022 IR 6", "ISO 2022 IR 126"), b"\x1b-F\xc4\xe9\xef", "Διο"),
        (("", "ISO 2022 IR 203"), b"\x1b-b\xa4", "€"),
    ],
)
def test_code_extensions(terms: tuple[str, ...], raw: bytes, text: str) -> None:
    assert charset.decode(raw, terms, is_name=True) == text


def test_delimiters_bring_back_the_first_set() -> None:
    terms = ("ISO 2022 IR 100", "ISO 2022 IR 144")
    for delimiter in "\t\n\f\r\\":
        raw = b"\x1b-L\xbb" + delimiter.encode() + b"\xfc"
        assert charset.decode(raw, terms) == "Л" + delimiter + "ü"
    for delimiter in "^=":
        raw = b"\x1b-L\xbb" + delimiter.encode() + b"\xfc"
        assert charset.decode(raw, terms, is_name=True) == "Л" + delimiter + "ü"
        assert charset.decode(raw, terms) == "Л" + delimiter + "ќ"  # letters like others in what is no name
    assert charset.values(b"\x1b-L\xbb\\\xfc", terms, "LT") == ["Л\\ќ"]


@pytest.mark.parametrize(
    "term",
    [
        "ISO_IR 192",
        "ISO IR 192",
        "ISO-IR 192",
        "ISO_IR192",
        "iso_ir 192 ",
        "ISO_IR_192",
        "UTF-8",
        "utf8",
        "ISO 2022 IR 192",
    ],
)
def test_misspelt_terms_of_utf8(term: str) -> None:
    assert charset.decode("Zażółć".encode(), (term,)) == "Zażółć"


@pytest.mark.parametrize(
    "term", ["ISO_IR 100", "ISO IR 100", "ISO-IR 100", "ISO_IR100", "ISO8859-1", "ISO_8859-1", "ISO 2022 IR 100"]
)
def test_misspelt_terms_of_latin1(term: str) -> None:
    assert charset.decode(b"M\xdcLLER", (term,)) == "MÜLLER"
    assert not charset.character_sets((term,)).unknown


@pytest.mark.parametrize("terms", [(), ("",), ("ISO_IR 6",), ("ISO 2022 IR 6",), ("NONSENSE",), ("", "")])
def test_without_a_declaration_utf8_is_recognised(terms: tuple[str, ...]) -> None:
    assert charset.decode("MÜLLER^JÖRG".encode(), terms, is_name=True) == "MÜLLER^JÖRG"
    assert charset.decode(b"M\xdcLLER^J\xd6RG", terms, is_name=True) == "MÜLLER^JÖRG"
    assert charset.decode("Łódź Ł".encode()[:-1], terms) == "Łódź \ufffd"  # the last character cut off at 64 bytes


def test_a_wrong_declaration_of_utf8_loses_no_letter() -> None:
    assert charset.decode(b"M\xdcLLER", ("ISO_IR 192",)) == "MÜLLER"
    assert charset.decode("Łódź".encode() + b"\xdc", ("ISO_IR 192",)) == "Łódź\ufffd"


@pytest.mark.parametrize(("terms", "codec"), [(("GB18030",), "gb18030"), (("GBK",), "gbk")])
def test_a_backslash_byte_inside_a_character_separates_nothing(terms: tuple[str, ...], codec: str) -> None:
    raw = "誠\\18".encode(codec)
    assert raw.count(b"\\") == 2
    assert charset.values(raw, terms, "LO") == ["誠", "18"]


def test_no_escape_sequence_is_left() -> None:
    for raw in (b"A\x1bB", b"A\x1b%GB", b"A\x1b$)", b"A\x1b", b"\x1b-Z\xc4", b"\x1b$(Q!!"):
        for terms in ((), ("ISO_IR 100",), ("ISO_IR 192",), ("", "ISO 2022 IR 87")):
            assert "\x1b" not in charset.decode(raw, terms)


def test_items_inherit_what_is_declared_around_them() -> None:
    inner, own, outer = Dataset(), Dataset(), Dataset()
    inner.add_new(0x0040A160, "UT", "")
    outer.SpecificCharacterSet = "ISO-IR_144"
    outer.SOPClassUID, outer.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    inner.CodeMeaning = "A"
    own.SpecificCharacterSet, own.CodeMeaning = "ISO_IR 192", "B"
    inner.ConceptNameCodeSequence = [own]
    outer.ProcedureCodeSequence = [inner]
    file = BytesIO()
    dcmwrite(file, outer, implicit_vr=False, little_endian=True, force_encoding=True)
    raw = file.getvalue()
    raw = raw.replace(b"\x08\x00\x04\x01LO\x02\x00A ", b"\x08\x00\x04\x01LO\x02\x00\xbb\xee")
    raw = raw.replace(b"\x08\x00\x04\x01LO\x02\x00B ", b"\x08\x00\x04\x01LO\x02\x00" + "Ł".encode())
    model = dicomjson.to_json(dcmread(BytesIO(raw), force=True))
    item = model["00081032"]["Value"][0]
    assert item["00080104"]["Value"] == ["Лю"]
    assert item["0040A043"]["Value"][0]["00080104"]["Value"] == ["Ł"]


SETS = [
    (("ISO_IR 100",), "Müller^Ñandú"), (("ISO_IR 101",), "Łódź^Śląsk"), (("ISO_IR 109",), "Ħal^Ġdid"),
    (("ISO_IR 110",), "Ķēniņš"), (("ISO_IR 144",), "Люкceмбypг^Ж"), (("ISO_IR 127",), "قباني^لنزار"),
    (("ISO_IR 126",), "Διονυσιος"), (("ISO_IR 138",), "שרון^דבורה"), (("ISO_IR 148",), "Çavuşoğlu"),
    (("ISO_IR 166",), "นามสกุล^ชื่อ"), (("ISO_IR 203",), "Šœ€"), (("ISO_IR 13",), "ﾔﾏﾀﾞ^ﾀﾛｳ"), (("ISO_IR 192",), "Łódź^山田^홍"),
    (("GB18030",), "张^小东誠"), (("GBK",), "张^小东誠"), (("", "ISO 2022 IR 58"), "Zhang^Xiao=张^小东"),
    (("", "ISO 2022 IR 149"), "Hong^Gildong=洪^吉洞=홍^길동"), (("", "ISO 2022 IR 87"), "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    (("ISO 2022 IR 13", "ISO 2022 IR 87"), "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"), (("", "ISO 2022 IR 159"), "A=丂侄^丂"),
    (("ISO 2022 IR 100", "ISO 2022 IR 144", "ISO 2022 IR 126"), "Müller^Люк=Διο^é"),
    (("ISO 2022 IR 6", "ISO 2022 IR 166", "ISO 2022 IR 87", "ISO 2022 IR 58"), "A^นาม=山^张"),
]  # fmt: skip


@pytest.mark.parametrize(("terms", "name"), SETS)
def test_every_defined_term_there_and_back(terms: tuple[str, ...], name: str) -> None:
    raw = charset_writing.encode(name, terms, is_name=True)
    assert charset.decode(raw, terms, is_name=True) == name
    assert len(raw) > len(name) or "ISO 2022" not in " ".join(terms)
    text = f"1. {name.replace('^', ' ')}\r\n2. {name.replace('^', ' ')}\tZ"
    assert charset.values(charset_writing.encode(text, terms), terms, "LT") == [text]


@pytest.mark.parametrize(("terms", "name"), [one for one in SETS if "ISO_IR 13" not in one[0]])
def test_pydicom_reads_what_is_written(terms: tuple[str, ...], name: str) -> None:
    if "ISO 2022 IR 58" in terms or "ISO_IR 203" in terms:
        return  # pydicom leaves the escape sequences there, and does not know Latin-9
    raw = charset_writing.encode(name, terms, is_name=True)
    assert decode_bytes(raw, convert_encodings(list(terms)), TEXT_VR_DELIMS | {0x5E, 0x3D}) == name


def test_what_a_set_does_not_have_is_not_written_silently() -> None:
    for terms in (("ISO_IR 100",), ("", "ISO 2022 IR 87"), ("NONSENSE",), ()):
        with pytest.raises(charset_writing.CannotWrite):
            charset_writing.encode("Ł홍", terms)
    assert charset_writing.encode_lossy("MÜŁ", ("ISO_IR 100",)) == b"M\xdc?"


@given(st.text(max_size=40), st.sampled_from([terms for terms, _ in SETS]))
def test_any_text_is_written_whole_or_refused(text: str, terms: tuple[str, ...]) -> None:
    try:
        raw = charset_writing.encode(text, terms)
    except charset_writing.CannotWrite:
        return
    assert charset.decode(raw, terms) == text.strip("\0 \t\r\n")


@given(
    st.binary(max_size=60), st.sampled_from([(), *(terms for terms, _ in SETS)]), st.sampled_from(["PN", "LO", "LT"])
)
def test_any_bytes_are_read(raw: bytes, terms: tuple[str, ...], vr: str) -> None:
    assert "\x1b" not in "".join(charset.values(raw, terms, vr))

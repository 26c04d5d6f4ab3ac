"""An object with one patient's name in every text attribute of the standard, at the top and nested, and everywhere around the
data set."""

import re
import struct
import unicodedata
from collections.abc import Iterator
from io import BytesIO

from pydicom import Dataset, dcmread
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import UID

CT = "1.2.840.10008.5.1.4.1.1.2"
_PLANTED = ("AE", "CS", "LO", "SH", "ST", "LT", "UT", "UC", "UR", "DS", "IS", "AS", "PN", "DA", "TM", "DT")
_NOT_ENCODED = ("DS", "IS", "AS", "DA", "TM", "DT", "CS", "AE", "UR")  # by Specific Character Set
_STRUCTURE = {0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00100010, 0x00080060}
NAMES = [
    ("Quillfeather^Theodora", "ISO_IR 100"),
    ("Müller^Jörg", "ISO_IR 192"),
    ("Иванов^Пётр", "ISO_IR 144"),
    ("Παπαδόπουλος^Γιώργος", "ISO_IR 126"),
    ("Wang^XiaoDong=王^小东", "GB18030"),
    ("Yamada^Tarou=山田^太郎=やまだ^たろう", "ISO 2022 IR 87"),
    ("Hong^Gildong=洪^吉洞=홍^길동", "ISO 2022 IR 149"),
    ("قباني^لنزار", "ISO_IR 127"),
    ("כהן^דוד", "ISO_IR 138"),
    ("สมชาย^ใจดี", "ISO_IR 166"),
    ("O'Hara-Hunter^Jo Ann", "ISO_IR 100"),
    ("van der Berg^Li", "ISO_IR 192"),
    ("Ng^O", "ISO_IR 192"),
]


def parts(name: str) -> list[str]:
    """Every part of the name that must not stay, as an outsider would list them."""
    return [part for part in re.split(r"[\^=\-' ]", name) if part not in ("", "van", "der", "O")]


def planted(name: str, charset: str) -> bytes:
    """The file. Each attribute holds one part after the other, in changing case."""
    ds = Dataset()
    ds.SpecificCharacterSet = ["", charset] if "2022" in charset else charset
    ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = (
        UID(CT),
        "1.2.3.1",
        "1.2.3.2",
        "1.2.3.3",
    )
    ds.PatientName, ds.Modality = name, "CT"
    found, inner, number = parts(name), Dataset(), 0
    for tag, (vr, _, _, _, _) in DicomDictionary.items():
        if vr in _PLANTED and tag not in _STRUCTURE and tag >> 16 not in (0, 2, 4) and tag >> 16 < 0x7FE0:
            part = found[number % len(found)]
            text = (part, part.upper(), f"for {part}", f"{part.lower()}_1")[number // len(found) % 4]
            for one in (ds, inner) if number % 4 == 0 else (ds,):
                one.add(_raw(tag, vr, text) if vr in _NOT_ENCODED else DataElement(tag, vr, text))
            number += 1
    for group in (0x5000, 0x6000, 0x0019):
        low = 0x1001 if group & 1 else 0x1500 if group == 0x6000 else 0x2500
        ds.add(DataElement(group << 16 | 0x0010, "LO" if group & 1 else "US", found[0] if group & 1 else 8))
        ds.add(DataElement(group << 16 | low, "LO", found[0]))
    shell = Dataset()
    shell.add(DataElement(0x00081140, "SQ", [inner]))
    ds.add(DataElement(0x52009229, "SQ", [shell]))
    wave = Dataset()
    wave.WaveformBitsAllocated, wave.NumberOfWaveformChannels, wave.NumberOfWaveformSamples = 8, 1, 4
    wave.add(DataElement(0x54001010, "OB", b"\1\2\3\4" + name.encode("utf-8")))
    ds.WaveformSequence = [wave]
    ds.Rows = ds.Columns = ds.BitsAllocated = ds.BitsStored = 8
    ds.SamplesPerPixel, ds.PixelRepresentation, ds.HighBit = 1, 0, 7
    ds.add(DataElement(0x7FE00010, "OB", bytes(range(64)) + name.encode("utf-8").ljust(100)))
    ds.add(DataElement(0xFFFCFFFC, "OB", name.encode("utf-8").ljust(100)))
    return _file(ds, name)


def _raw(tag: int, vr: str, text: str) -> RawDataElement:
    """What pydicom would not write for the VR, in UTF-8."""
    value = text.encode("utf-8")
    value += b" " * (len(value) % 2)
    return RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, True)


def _file(ds: Dataset, name: str) -> bytes:
    raw = name.encode("utf-8")
    meta, out = FileMetaDataset(), BytesIO()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID, meta.ImplementationClassUID = UID("1.2.840.10008.1.2.1"), UID("1.2.3.4")
    meta.add(
        DataElement(0x00020016, "AE", raw.decode("latin-1"))
    )  # pydicom writes the file meta information in Latin-1
    meta.add(DataElement(0x00020102, "OB", raw + raw[: len(raw) % 2]))
    out.write(raw.ljust(128, b"\0")[:128] + b"DICM")
    target = DicomIO(out)
    target.is_implicit_VR, target.is_little_endian = False, True
    for one in (ds, ds[0x52009229][0], ds[0x52009229][0][0x00081140][0]):
        one.set_original_encoding(False, True, one._character_set)  # raw elements are written as they are
    write_file_meta_info(target, meta, enforce_standard=False)
    write_dataset(target, ds)
    out.write(struct.pack("<HH2sH", 0xFFFD, 0x1001, b"LO", len(raw)) + raw + raw[:5])
    return out.getvalue()


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _texts(ds: Dataset) -> Iterator[tuple[str, str]]:
    for tag in ds.keys():  # noqa: SIM118 - a data set iterates over elements
        item = ds.get_item(tag)
        if item.VR == "SQ":
            for inner in ds[tag].value:
                yield from _texts(inner)
        elif isinstance(item.value, bytes):
            yield str(tag), item.value.decode("utf-8", "replace")


def leaks(data: bytes, name: str) -> list[str]:
    """Parts of the name in a cleaned file: words of its texts, and longer ones anywhere in its bytes."""
    found: list[str] = []
    texts = list(_texts(dcmread(BytesIO(data))))
    for part in parts(name):
        raw = part.encode("utf-8")
        if len(raw) >= 6 and raw.lower() in data.lower():
            found.append(f"{part} in the bytes")
        for tag, text in texts:
            words = re.findall(r"[^\W\d_]+", _folded(text))
            if _folded(part) in words or (not part.isascii() and _folded(part) in _folded(text)):
                found.append(f"{part} in {tag}")
    return found

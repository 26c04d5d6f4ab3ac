"""An object with an identifier of its own planted in every place somebody might forget."""

import random
from io import BytesIO
from typing import Any

from pydicom.datadict import DicomDictionary, dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from app.deid import table

EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
CT = "1.2.840.10008.5.1.4.1.1.2"
_TEXTS = {"LO", "SH", "ST", "LT", "UT", "UC", "PN", "AE", "CS", "UR"}


class Planter:
    """Makes values that can be found again, whatever their VR."""

    def __init__(self) -> None:
        self.planted: dict[bytes, str] = {}
        self.rng = random.Random(760)

    def value(self, vr: str, where: str) -> Any:
        number = len(self.planted)
        token = f"ZQX{number:05d}"
        if vr in ("LO", "ST", "LT", "UT", "UC", "SH"):
            pass
        elif vr == "PN":
            token = f"Zq{number:05d}^Planted"
        elif vr == "UR":
            token = f"http://zqx{number:05d}.example"
        elif vr == "UI":
            token = f"1.2.826.0.1.3680043.9999.{70000 + number}"
        elif vr == "DA":
            token = f"19{self.rng.randrange(10, 100)}0{1 + number % 9}{10 + number % 18}"
        elif vr == "TM":
            token = f"0{number % 10}{10 + number % 40}{10 + number * 7 % 40}.{100000 + number}"
        elif vr == "DT":
            token = f"1937010{1 + number % 9}0{number % 10}{10 + number % 40}11.{200000 + number}"
        elif vr == "AS":
            token = f"{number % 89 + 10:03d}M"
        elif vr in ("IS", "DS"):
            token = f"{7000000 + number}"
        elif vr in ("US", "SS", "UL", "SL", "FL", "FD", "AT", "UV", "SV"):
            return None
        elif vr in ("OB", "OW", "OF", "OD", "OL", "OV", "UN"):
            raw = f"ZQXB{number:08d}".encode().ljust(16, b"Z")
            self.planted[raw[:12]] = where
            return raw
        self.planted[token.encode()] = where
        return token

    def element(self, ds: Dataset, tag: int, vr: str, where: str) -> None:
        if vr == "SQ":
            item = Dataset()
            for inner in (0x00100010, 0x00081030, 0x0040A160, 0x00091010):
                self.element(item, inner, "LO" if inner == 0x00091010 else dictionary_VR(inner), f"{where}>{inner:08X}")
            item.add(DataElement(0x00081140, "SQ", [self.code(f"{where}>code")]))
            ds.add(DataElement(tag, "SQ", [item]))
            return
        value = self.value(vr, where)
        if value is not None:
            ds.add(DataElement(tag, vr, value))

    def code(self, where: str) -> Dataset:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator = self.value("SH", where), "99LOCAL"
        item.CodeMeaning = self.value("LO", where)
        return item


def vr_of(tag: int) -> str:
    """As in PS3.6; rows newer than pydicom's copy count as text."""
    return dictionary_VR(tag).split(" or ")[0] if dictionary_has_tag(tag) else "LO"


def planted_object(syntax: str = EXPLICIT, seed_pixels: bytes = b"\x01\x02" * 128) -> tuple[bytes, dict[bytes, str]]:
    """(file, token -> where it was planted). Every row of table E.1-1, at the top and nested, and what is in no table."""
    planter, ds = Planter(), Dataset()
    for tag in table.tags():
        if tag >> 16 in (0x0000, 0x0002, 0x0004):
            continue  # not in a data set
        planter.element(ds, tag, vr_of(tag), f"{tag:08X}")
    _unlisted(planter, ds)
    _groups(planter, ds)
    nested = Dataset()
    for tag in random.Random(1).sample(sorted(table.tags()), 60):
        if tag >> 16 not in (0, 2, 4):
            planter.element(nested, tag, vr_of(tag), f"nested {tag:08X}")
    shell = Dataset()
    shell.add(DataElement(0x00081140, "SQ", [nested]))
    shell.add(DataElement(0x00321064, "SQ", [planter.code("procedure code"), nested]))
    ds.add(DataElement(0x52009229, "SQ", [shell]))  # functional groups are kept, what is in them is not
    ds.add(DataElement(0x00082218, "SQ", [planter.code("anatomic region")]))
    ds.SOPClassUID, ds.Modality = UID(CT), "CT"
    ds.Rows = ds.Columns = 16
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.SamplesPerPixel, ds.PixelRepresentation = 8, 8, 7, 1, 0
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.add(DataElement(0x7FE00010, "OB", seed_pixels))
    return _file(planter, ds, syntax), planter.planted


def _unlisted(planter: Planter, ds: Dataset) -> None:
    """Names, moments and free texts that table E.1-1 leaves out."""
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        vr = vr.split(" or ")[0]
        if table.lookup(tag) is not None or tag >> 16 in (0, 2, 4) or tag in ds or tag >> 16 >= 0x7FE0:
            continue
        if vr in ("PN", "DA", "DT", "TM", "ST", "LT", "UT", "UR") and keyword not in ("ImageDisplayFormat",):
            planter.element(ds, tag, vr, f"unlisted {keyword}")
    for keyword in ("PatientBirthDateInAlternativeCalendar", "DeviceID", "HangingProtocolCreator"):
        setattr(ds, keyword, planter.value("LO", keyword))


def _groups(planter: Planter, ds: Dataset) -> None:
    for group in (0x5000, 0x5002, 0x501E):
        ds.add(DataElement(group << 16 | 0x2500, "LO", planter.value("LO", "curve label")))
        ds.add(DataElement(group << 16 | 0x3000, "OB", planter.value("OB", "curve data")))
    for group in (0x6000, 0x601E):
        ds.add(DataElement(group << 16 | 0x0010, "US", 16))
        ds.add(DataElement(group << 16 | 0x1500, "LO", planter.value("LO", "overlay label")))
        ds.add(DataElement(group << 16 | 0x3000, "OB", planter.value("OB", "overlay data")))
        ds.add(DataElement(group << 16 | 0x4000, "LT", planter.value("LT", "overlay comments")))
    for group in (0x0009, 0x0019, 0x0043, 0x7FE1):
        ds.add(DataElement(group << 16 | 0x0010, "LO", planter.value("LO", "private creator")))
        for element, vr in enumerate(("LO", "PN", "UN", "OB", "UI", "ST"), 0x1001):
            ds.add(DataElement(group << 16 | element, vr, planter.value(vr, "private")))
    ds.add(DataElement(0x00080FFE, "LO", planter.value("LO", "unknown public tag")))
    ds.add(DataElement(0x00180FFE, "UN", planter.value("UN", "unknown public UN")))


def _file(planter: Planter, ds: Dataset, syntax: str) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = planter.value("UI", "implementation class")
    meta.SourceApplicationEntityTitle = planter.value("LO", "meta AE")
    meta.SendingApplicationEntityTitle = planter.value("LO", "meta AE")
    meta.PrivateInformationCreatorUID = planter.value("UI", "meta private")
    meta.PrivateInformation = planter.value("OB", "meta private")
    ds.file_meta = meta
    ds.preamble = planter.value("OB", "preamble").ljust(128, b"\0")
    out = BytesIO()
    ds.save_as(out, enforce_file_format=False, implicit_vr=syntax == IMPLICIT, little_endian=syntax != BIG)
    return out.getvalue()

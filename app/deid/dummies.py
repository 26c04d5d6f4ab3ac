"""Values that stand where something was: valid for their VR (PS3.5 6.2), the same in every file, saying nothing."""

import re
from typing import Any

from pydicom.dataset import Dataset

REMOVED = "REMOVED"
_TEXTS = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"}
_FIXED: dict[str, Any] = {
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "AS": "000Y",
    "IS": "0",
    "DS": "0",
    "UI": "2.25.0",
    "UR": "about:blank",
}
_NUMBERS = {"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"}
_MOMENTS = {
    "DA": re.compile(r"\d{8}"),
    "TM": re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?"),
    "DT": re.compile(r"\d{4}(\d{2}(\d{2}(\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?)?)?)?([+-]\d{4})?"),
}
_CONTENT, _DOCUMENT = 0x0040A730, 0x00420011


def _blank_pdf() -> bytes:
    """The smallest document a PDF reader opens: one empty A4 page."""
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<<>>>>",
    )
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%sendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 4\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % table
    return bytes(out)


def is_moment(text: str, vr: str) -> bool:
    """Whether a DA, TM or DT holds nothing but that."""
    return _MOMENTS[vr].fullmatch(text) is not None


def empty(vr: str) -> Any:
    """A value of length zero."""
    if vr == "SQ":
        return []
    return "" if vr in _TEXTS or vr in _FIXED else None


def dummy(tag: int, vr: str, ds: Dataset) -> Any:
    """A value of some length for this attribute of this data set."""
    if tag == _CONTENT:
        return [_content_item()]
    if tag == _DOCUMENT:
        pdf = str(ds.get("MIMETypeOfEncapsulatedDocument") or "") == "application/pdf"
        return _blank_pdf() if pdf else b"\0\0"
    if vr == "SQ":
        return [Dataset()]
    if vr in _TEXTS:
        return REMOVED
    if vr in _FIXED:
        return _FIXED[vr]
    return 0 if vr in _NUMBERS else b"\0\0\0\0\0\0\0\0"


def _content_item() -> Dataset:
    """A content tree of one sentence, so that a report stays a report (PS3.3 C.17.3)."""
    name = Dataset()
    name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = "121071", "DCM", "Finding"
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    item.ConceptNameCodeSequence = [name]
    item.TextValue = REMOVED
    return item

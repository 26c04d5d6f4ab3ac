"""Replacement values: valid for their VR (PS3.5 6.2), the same in every file, saying nothing."""

from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_keyword, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from app.deid import iods

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
_CONTENT, DOCUMENT, DOCUMENT_LENGTH = 0x0040A730, 0x00420011, 0x00420015
# Of attributes that have a list of terms, or a form of their own.
_BY_TAG: dict[int, Any] = {0x00100040: "O", 0x00080201: "+0000", 0x00280301: "NO", 0x0040A493: "UNVERIFIED"}
_MOST_DEPTH = 4  # of items made up


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


def empty(vr: str) -> Any:
    """A value of length zero."""
    if vr == "SQ":
        return []
    return "" if vr in _TEXTS or vr in _FIXED else None


def dummy(path: tuple[int, ...], vr: str, ds: Dataset, sop_class_uid: str = "") -> Any:
    """A value of some length for the attribute at this path of tags, in this data set of an object."""
    tag = path[-1]
    if tag == _CONTENT:
        return [_content_item()]
    if tag == DOCUMENT:
        return _document(str(ds.get("MIMETypeOfEncapsulatedDocument") or "").strip().lower())
    if vr == "SQ":
        return [_item(path, sop_class_uid)]
    if tag in _BY_TAG:
        return _BY_TAG[tag]
    if vr in _TEXTS:
        return REMOVED
    if vr in _FIXED:
        return _FIXED[vr]
    if vr == "AT":
        return tag
    return 0 if vr in _NUMBERS else b"\0\0\0\0\0\0\0\0"


def _item(path: tuple[int, ...], sop_class_uid: str) -> Dataset:
    """An item with what the IOD asks of every one at this place; a coded entry where it does not say (PS3.3 8.8)."""
    item = Dataset()
    wanted = iods.required(sop_class_uid, path)
    for tag, kind in wanted.items() if len(path) < _MOST_DEPTH else ():
        vr = dictionary_VR(tag).split(" or ")[0]
        item.add(DataElement(tag, vr, dummy((*path, tag), vr, item, sop_class_uid) if kind == 1 else empty(vr)))
    keyword = dictionary_keyword(path[-1]) if dictionary_has_tag(path[-1]) else ""
    if not wanted or "CodeSequence" in keyword or 0x00080104 in item:
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = REMOVED, "99REMOVED", REMOVED
    return item


def _document(mime: str) -> bytes:
    """An empty document of a kind (PS3.3 C.24.2), even in length."""
    if mime == "application/pdf":
        data = _blank_pdf()
    elif mime.endswith("xml"):
        data = b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"/>'
    elif mime in ("model/stl", "application/sla"):
        data = bytes(84)  # a header and no triangles
    else:
        data = b"\n"
    return data + (b"\n" if mime.endswith("xml") else b"\0") * (len(data) % 2)


def _content_item() -> Dataset:
    """A content tree of one sentence, so that a report stays a report (PS3.3 C.17.3)."""
    name = Dataset()
    name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = "121071", "DCM", "Finding"
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    item.ConceptNameCodeSequence = [name]
    item.TextValue = REMOVED
    return item

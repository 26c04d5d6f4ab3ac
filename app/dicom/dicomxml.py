"""Native DICOM Model XML (PS3.19 A.1) from the DICOM JSON Model and back: the two say the same in two spellings."""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree  # only for answers of this server and bounded metadata; DTDs are refused below
from xml.sax.saxutils import escape, quoteattr

from pydicom.datadict import keyword_for_tag

from app.dicom import dicomjson, numbers
from app.dicom.dicomjson import MAX_DEPTH, Model

_NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_HEAD = f'<?xml version="1.0" encoding="UTF-8"?>\n<NativeDicomModel xmlns="{_NAMESPACE}" xml:space="preserve">'
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_NUMBERS = {"SL": int, "SS": int, "SV": int, "UL": int, "US": int, "UV": int}
_REALS = frozenset(("FD", "FL"))
# XML 1.0 has no place for the other control characters, not even escaped.
_FORBIDDEN = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 65534, 65535))


def from_model(model: Model) -> bytes:
    """One <NativeDicomModel> document, UTF-8."""
    return "".join((_HEAD, *_attributes(model), "</NativeDicomModel>")).encode("utf-8", "replace")


def _text(value: Any) -> str:
    return escape(str(value).translate(_FORBIDDEN)).replace("\r", "&#13;")


def _attributes(model: Model) -> Iterator[str]:
    for tag, element in model.items():
        private, creator = _private(model, tag)
        keyword = "" if private else keyword_for_tag(int(tag, 16))
        yield f'<DicomAttribute tag="{private or tag}" vr="{element["vr"]}"'
        if keyword:
            yield f' keyword="{keyword}"'
        if private:
            yield f" privateCreator={quoteattr(creator.translate(_FORBIDDEN))}"
        yield ">"
        yield from _content(element)
        yield "</DicomAttribute>"


def _private(model: Model, tag: str) -> tuple[str, str]:
    """A private element's tag with its block number taken out, and its creator; empty when it is not private."""
    if int(tag[3], 16) % 2 == 0 or int(tag[4:], 16) < 0x1000:
        return "", ""
    creator = model.get(f"{tag[:4]}00{tag[4:6]}", {}).get("Value") or [""]
    return (f"{tag[:4]}00{tag[6:]}", str(creator[0])) if creator[0] else ("", "")


def _content(element: Model) -> Iterator[str]:
    if "BulkDataURI" in element:
        yield f"<BulkData uri={quoteattr(element['BulkDataURI'])}/>"
    elif "InlineBinary" in element:
        yield f"<InlineBinary>{element['InlineBinary']}</InlineBinary>"
    for number, value in enumerate(element.get("Value", ()), 1):
        if element["vr"] == "SQ":
            yield f'<Item number="{number}">'
            yield from _attributes(value)
            yield "</Item>"
        elif value is None:
            continue  # the numbers of the others show that it is present and empty
        elif element["vr"] == "PN":
            yield f'<PersonName number="{number}">{"".join(_name(value))}</PersonName>'
        else:
            yield f'<Value number="{number}">{_text(value)}</Value>'


def _name(value: Model) -> Iterator[str]:
    for group in _GROUPS:
        if group in value:
            yield f"<{group}>"
            for component, text in zip(_COMPONENTS, value[group].split("^", 4), strict=False):
                if text:
                    yield f"<{component}>{_text(text)}</{component}>"
            yield f"</{group}>"


def to_model(document: bytes) -> Model:
    """The JSON Model of one <NativeDicomModel>. Raises ValueError on anything else; entities are refused."""
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise ValueError("document type declarations are not accepted")
    try:
        root = ElementTree.fromstring(document)  # noqa: S314 entities were refused above
    except ElementTree.ParseError as fault:
        raise ValueError(f"this is no XML: {fault}") from fault
    if root.tag != f"{{{_NAMESPACE}}}NativeDicomModel":
        raise ValueError("this is no Native DICOM Model")
    return _read(root, 0)


def _read(parent: ElementTree.Element, depth: int) -> Model:
    if depth > MAX_DEPTH:
        raise ValueError("sequences are nested too deeply")
    model: Model = {}
    blocks: dict[tuple[str, str], int] = {}
    for node in parent:
        tag, creator = node.get("tag", ""), node.get("privateCreator")
        if creator is not None:
            block = blocks.setdefault((tag[:4], creator), 0x10 + sum(1 for group, _ in blocks if group == tag[:4]))
            model.setdefault(f"{tag[:4]}00{block:02X}", {"vr": "LO", "Value": [creator]})
            tag = f"{tag[:4]}{block:02X}{tag[6:]}"
        model[tag] = _read_element(node, node.get("vr", "UN"), depth)
    return model


def _read_element(node: ElementTree.Element, vr: str, depth: int) -> Model:
    values: list[Any] = []
    for child in node:
        kind = child.tag.rpartition("}")[2]
        if kind == "BulkData":
            return {"vr": vr, "BulkDataURI": child.get("uri", "")}
        if kind == "InlineBinary":
            return {"vr": vr, "InlineBinary": (child.text or "").strip()}
        number = int(child.get("number", "1"))
        if number > len(values) + 10_000:
            raise ValueError("a value number is out of reach")
        values.extend([None] * (number - 1 - len(values)))
        if kind == "Item":
            values.append(_read(child, depth + 1))
        elif kind == "PersonName":
            values.append(_read_name(child))
        else:
            values.append(_typed(vr, child.text or ""))
    return {"vr": vr, "Value": values} if values else {"vr": vr}


def _typed(vr: str, text: str) -> Any:
    if vr in numbers.TEXT_NUMBERS:
        return dicomjson.written(numbers.number(text)) if numbers.number(text) is not None else text
    if vr in _NUMBERS:
        return _NUMBERS[vr](text)
    if vr in _REALS:
        return text if text in ("NaN", "inf", "-inf") else float(text)
    return text


def _read_name(node: ElementTree.Element) -> Model:
    name: Model = {}
    for group in node:
        parts = {child.tag.rpartition("}")[2]: child.text or "" for child in group}
        name[group.tag.rpartition("}")[2]] = "^".join(parts.get(c, "") for c in _COMPONENTS).rstrip("^")
    return name

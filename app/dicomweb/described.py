"""The query parameters of DICOMweb for the OpenAPI document. The routes read them from the request themselves, because
attributes to match have any of some thousand names (PS3.18 8.3.4, 8.3.5, 9.1)."""

from typing import Any

_TEXT = {"type": "string"}
_FLAG = {"type": "string", "enum": ["true", "false"]}


def _parameter(
    name: str, words: str, schema: dict[str, Any] | None = None, *, required: bool = False
) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "description": words, "schema": schema or _TEXT}


_ACCEPT = _parameter("accept", "A media type in place of the Accept header")
_STATE = (
    _parameter("presentationUID", "SOP Instance UID of a presentation state of the study, which is applied"),
    _parameter("presentationSeriesUID", "Series of that presentation state"),
)
_VIEWPORT = _parameter(
    "viewport", "vw,vh or vw,vh,sx,sy,sw,sh: the size to fit into, and the part of the image, in pixels"
)

SEARCH: dict[str, Any] = {
    "parameters": [
        {
            "name": "attributes",
            "in": "query",
            "required": False,
            "description": "Attributes to match, by keyword or 8 hexadecimal digits, those of sequences with points between: "
            "PatientName=Doe*, 00080060=CT, RequestAttributesSequence.RequestedProcedureID=7",
            "style": "form",
            "explode": True,
            "schema": {"type": "object", "additionalProperties": _TEXT},
        },
        _parameter("includefield", "Further attributes of the answers, with commas between, or all"),
        _parameter("limit", "Answers at most, up to 1000", {"type": "integer", "minimum": 0}),
        _parameter("offset", "Answers to leave out at the start", {"type": "integer", "minimum": 0}),
        _parameter("fuzzymatching", "Names are matched word by word, without case and accents", _FLAG),
        _parameter("emptyvaluematching", 'An empty value is asked for by ""', _FLAG),
        _parameter("multiplevaluematching", "Commas separate values, of which one must match", _FLAG),
        _ACCEPT,
    ]
}
RENDERED: dict[str, Any] = {
    "parameters": [
        _parameter("window", "center,width[,function] with linear, linear-exact or sigmoid as function"),
        _VIEWPORT,
        _parameter("quality", "Of a JPEG, 1 to 100", {"type": "integer", "minimum": 1, "maximum": 100}),
        *_STATE,
        _ACCEPT,
    ]
}
THUMBNAIL: dict[str, Any] = {"parameters": [_VIEWPORT, _ACCEPT]}
RETRIEVE: dict[str, Any] = {"parameters": [_ACCEPT]}
WADO: dict[str, Any] = {
    "parameters": [
        _parameter("requestType", "WADO", {"type": "string", "enum": ["WADO"]}, required=True),
        _parameter("studyUID", "Study Instance UID", required=True),
        _parameter("seriesUID", "Series Instance UID", required=True),
        _parameter("objectUID", "SOP Instance UID", required=True),
        _parameter(
            "contentType", "Media types with commas between: image/jpeg, image/png, text/html or application/dicom"
        ),
        _parameter("transferSyntax", "Of application/dicom: a UID, or * as stored"),
        _parameter("frameNumber", "From 1", {"type": "integer", "minimum": 1}),
        _parameter("rows", "Height to fit into", {"type": "integer", "minimum": 1, "maximum": 16384}),
        _parameter("columns", "Width to fit into", {"type": "integer", "minimum": 1, "maximum": 16384}),
        _parameter("region", "xmin,ymin,xmax,ymax as parts of the image, from 0 to 1"),
        _parameter("windowCenter", "With windowWidth", {"type": "number"}),
        _parameter("windowWidth", "With windowCenter", {"type": "number"}),
        _parameter("imageQuality", "Of a JPEG, 1 to 100", {"type": "integer", "minimum": 1, "maximum": 100}),
        *_STATE,
    ]
}

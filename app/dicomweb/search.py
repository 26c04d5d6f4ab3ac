"""QIDO-RS (PS3.18 10.6): studies, series and instances by attributes."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from app import audit
from app.archive import content
from app.archive.search import levels, pages
from app.archive.search.pages import SearchMatch, SearchPage
from app.dicom import dicomjson
from app.dicom.dicomjson import Model, attribute
from app.dicom.matching import Key
from app.dicomweb import accept, described, params, respond
from app.dicomweb.params import Level, QidoSearch
from app.http import allow, services
from app.kit.errors import BadRequest
from app.security import Actor, Verb

router = APIRouter(prefix=respond.PREFIX)
Searcher = Annotated[Actor, Depends(allow(Verb.STUDY_SEARCH))]

# Attributes that an answer always contains (PS3.18 tables 10.6.3-3 to 10.6.3-5), a description and what viewers lean on
# beside it.
_STUDY = [
    "00080020",
    "00080030",
    "00080050",
    "00080061",
    "00080062",
    "00080090",
    "00080201",
    "00081030",
    "00100010",
    "00100020",
    "00100021",
    "00100030",
    "00100040",
    "0020000D",
    "00200010",
    "00201206",
    "00201208",
]
_SERIES = [
    "00080021",
    "00080031",
    "00080060",
    "00080201",
    "0008103E",
    "00180015",
    "0020000E",
    "00200011",
    "00201209",
    "00400244",
    "00400245",
    "00400275",
]
_INSTANCE = [
    "00080016",
    "00080018",
    "00080201",
    "00083002",
    "0020000D",
    "0020000E",
    "00200013",
    "00280008",
    "00280010",
    "00280011",
    "00280100",
]
_OPTIONAL = frozenset(("00080201", "00280008", "00280010", "00280011", "00280100", "00100021"))  # left out where empty


@router.get("/studies", openapi_extra=described.SEARCH)
async def studies(request: Request, actor: Searcher) -> Response:
    return await _answer(request, actor, "study")


@router.get("/series", openapi_extra=described.SEARCH)
async def series(request: Request, actor: Searcher) -> Response:
    return await _answer(request, actor, "series")


@router.get("/instances", openapi_extra=described.SEARCH)
async def instances(request: Request, actor: Searcher) -> Response:
    return await _answer(request, actor, "instance")


@router.get("/studies/{study}/series", openapi_extra=described.SEARCH)
async def series_of_study(request: Request, actor: Searcher, study: str) -> Response:
    return await _answer(request, actor, "series", study)


@router.get("/studies/{study}/instances", openapi_extra=described.SEARCH)
async def instances_of_study(request: Request, actor: Searcher, study: str) -> Response:
    return await _answer(request, actor, "instance", study)


@router.get("/studies/{study}/series/{series}/instances", openapi_extra=described.SEARCH)
async def instances_of_series(request: Request, actor: Searcher, study: str, series: str) -> Response:
    return await _answer(request, actor, "instance", study, series)


async def _answer(request: Request, actor: Actor, level: Level, study: str = "", series: str = "") -> Response:
    choice = accept.metadata(respond.accepted_types(request))
    search = params.parse(request.query_params.multi_items())
    keys = _within(search.keys, study, series)
    base = respond.base_url(request)
    whole = (level == "series" and not study, level == "instance" and not study, level == "instance" and not series)

    def run_search() -> tuple[SearchPage, list[bytes]]:
        with services(request).database.read() as session:
            found = pages.search(
                session, actor, level, keys, fuzzy=search.fuzzy, limit=search.limit, offset=search.offset
            )
            if study and found.rows:
                audit.record_study(study, found.rows[0].study.facility_id)
            return found, [dicomjson.dumps(_model(session, row, search, base, whole)) for row in found.rows]

    found, encoded = await run_in_threadpool(run_search)
    return await respond.models(choice, iter(encoded), _headers(search, found, request))


def _within(keys: tuple[Key, ...], study: str, series: str) -> tuple[Key, ...]:
    """The UIDs of the path are keys like any other; a query that names another one contradicts itself."""
    fixed = [Key((tag,), "UI", uid) for tag, uid in (("0020000D", study), ("0020000E", series)) if uid]
    for key in fixed:
        if any(char in key.value for char in ",\\*?"):
            raise BadRequest("A UID in the address must identify one object.")
    paths = {key.path for key in fixed}
    for key in keys:
        if key.path in paths and key.value and key.value not in {one.value for one in fixed}:
            raise BadRequest("The UID in the query differs from the UID in the address.")
    return (*fixed, *(key for key in keys if key.path not in paths))


def _headers(search: QidoSearch, found: SearchPage, request: Request) -> dict[str, str]:
    warnings = []
    if found.more and (search.limit >= params.MAX_LIMIT or "limit" not in request.query_params):
        warnings.append(
            "The number of results exceeded the maximum supported by the server. Additional results can be requested."
        )
    if found.given_up:
        warnings.append("The search was stopped before it was complete; narrow the search.")
    if found.unsupported:
        names = ", ".join(dict.fromkeys(key.keyword or key.path[-1] for key in found.unsupported))
        warnings.append(f"These attributes cannot be matched at this level and were ignored: {names}.")
    if search.ignored:
        warnings.append("Unknown includefield values were ignored.")
    headers = {"Cache-Control": "no-store"}
    return headers | (respond.warning(" ".join(warnings)) if warnings else {})


def _model(session: Any, row: SearchMatch, search: QidoSearch, base: str, whole: tuple[bool, bool, bool]) -> Model:
    """One result. whole: whether study attributes (for a series; for an instance) and series attributes are added,
    because the address does not name them (PS3.18 10.6.3.3)."""
    known = pages.columns_model(row)
    study = row.study.study_instance_uid
    wanted = [*_STUDY] if row.series is None else ["0020000D"]
    url = f"{base}/studies/{study}"
    if row.series is not None:
        url += f"/series/{row.series.series_instance_uid}"
        wanted = [
            *(_STUDY if whole[0] or whole[1] else ["0020000D"]),
            *(_SERIES if row.instance is None or whole[2] else []),
        ]
    if row.instance is not None:
        url += f"/instances/{row.instance.sop_instance_uid}"
        wanted += _INSTANCE
    wanted += [key.path[0] for key in search.keys]
    model = {tag: known[tag] for tag in wanted if tag in known and (tag not in _OPTIONAL or "Value" in known[tag])}
    missing = [path for path in search.include if path[0] not in model]
    missing += [key.path for key in search.keys if key.path[0] not in known]
    if search.include_all or missing:
        header = _header(session, row)
        model |= (
            _all_attributes(row, header, known) if search.include_all else _selected_attributes(missing, header, known)
        )
    model["00080005"] = attribute("CS", "ISO_IR 192")
    model["00080056"] = attribute("CS", "ONLINE")
    model["00081190"] = attribute("UR", url)
    return dict(sorted(_with_bulk_addresses(model, row, base).items()))


def _header(session: Any, row: SearchMatch) -> Model:
    """The header of the object that represents this row; {} where there is none."""
    instance = pages.representative(session, row)
    return content.dicom_json(session, instance) if instance is not None else {}


def _selected_attributes(paths: list[tuple[str, ...]], header: Model, known: Model) -> Model:
    tags = {path[0] for path in paths}
    return {tag: known.get(tag) or header[tag] for tag in tags if tag in known or tag in header}


def _all_attributes(row: SearchMatch, header: Model, known: Model) -> Model:
    level = "instance" if row.instance is not None else "series" if row.series is not None else "study"
    return {**{t: e for t, e in header.items() if levels.speaks_for(t, level)}, **known}


def _with_bulk_addresses(model: Model, row: SearchMatch, base: str) -> Model:
    """Marks of large values become addresses of the instance they came from."""
    if row.instance is None or row.series is None:
        return {tag: element for tag, element in model.items() if "BulkDataURI" not in element}
    url = respond.instance_url(
        base, row.study.study_instance_uid, row.series.series_instance_uid, row.instance.sop_instance_uid
    )

    addressed: Model = json.loads(dicomjson.with_bulk_address(dicomjson.dumps(model), url))
    return addressed

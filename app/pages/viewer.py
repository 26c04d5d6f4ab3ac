"""The viewer's page, and the parts it fetches: a report as a tree, the attributes of an object."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from app.archive import content
from app.archive import queries as archive
from app.http import ReadSession, WriteSession, allow, render
from app.pages.shell import fields
from app.security import Actor, Verb
from app.viewing.content_tree import ContentItem, tree
from app.viewing.opening import OpenedStudy, StripSeries, StudyDocument, open_study
from app.viewing.tags import Tag, groups

router = APIRouter(include_in_schema=False)
Viewer = Annotated[Actor, Depends(allow(Verb.STUDY_VIEW))]
MOST = 100  # studies stepped through; their UIDs are in the address


@dataclass(frozen=True, slots=True)
class ViewerPosition:
    """Position of this study among the chosen ones. before, after: addresses, empty at the ends."""

    number: int
    of: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ViewerPage:
    """preview_url: picture of the first frame, empty for a series without images. frame: counted from 1."""

    title: str
    study_uid: str
    study_date: str
    series_uid: str
    instance_uid: str
    frame: int
    preview_url: str
    back_url: str
    strip: list[StripSeries]
    documents: list[StudyDocument]
    place: ViewerPosition | None


@dataclass(frozen=True, slots=True)
class ReportPart:
    root: ContentItem


@dataclass(frozen=True, slots=True)
class TagsPart:
    """warnings: what was found wrong with the object when it arrived."""

    warnings: list[str]
    groups: dict[str, list[Tag]]


@router.get("/viewer")
def viewer(
    request: Request,
    actor: Viewer,
    session: WriteSession,
    study: str,
    series: str = "",
    among: Annotated[str, Query(max_length=6600)] = "",
) -> Response:
    """A study on the screen; the scripts take over from the picture in the page. among: the Study Instance UIDs that
    were chosen together, with commas, to step through."""
    opened = open_study(session, actor, study, series)
    return render(request, "viewing/viewer.html", fields(_page(opened, _position(study, among))))


def _position(study: str, among: str) -> ViewerPosition | None:
    chosen = list(dict.fromkeys(one for one in among.split(",") if one))[:MOST]
    if len(chosen) < 2 or study not in chosen:
        return None
    at = chosen.index(study)
    kept = quote(",".join(chosen))
    before, after = (
        f"/viewer?study={quote(chosen[to])}&among={kept}" if 0 <= to < len(chosen) else "" for to in (at - 1, at + 1)
    )
    return ViewerPosition(at + 1, len(chosen), before, after)


def _page(opened: OpenedStudy, place: ViewerPosition | None) -> ViewerPage:
    study, first = opened.study, opened.first
    picture = first is not None and first.number_of_frames > 0
    uid = first.sop_instance_uid if first is not None else ""
    return ViewerPage(
        title=study.description or study.patient_name,
        study_uid=study.study_instance_uid,
        study_date=study.study_date,
        series_uid=opened.series_uid,
        instance_uid=uid,
        frame=1,
        preview_url=f"/api/v1/instances/{uid}/frames/1/preview" if picture else "",
        back_url=f"/storage?study={quote(study.study_instance_uid)}",
        strip=opened.strip,
        documents=opened.documents,
        place=place,
    )


@router.get("/viewer/report")
def report(request: Request, actor: Viewer, session: ReadSession, instance: str) -> Response:
    """The content tree of a structured report."""
    found = archive.instance(session, actor, instance)
    return render(request, "viewing/_report.html", fields(ReportPart(tree(content.header(session, found)))))


@router.get("/viewer/metadata")
def metadata(request: Request, actor: Viewer, session: ReadSession, instance: str) -> Response:
    """The attributes of one object, grouped."""
    found = archive.instance(session, actor, instance)
    return render(
        request, "viewing/_tags.html", fields(TagsPart(list(found.warnings), groups(content.header(session, found))))
    )

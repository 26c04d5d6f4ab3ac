"""Local storage: the study list with its filter row, series of a row, the side panel."""

import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from app import audit
from app.archive import arrivals, queries
from app.http import ReadSession, WriteSession, allow, render
from app.http.i18n import format_days
from app.http.i18n import gettext as _
from app.http.templates import is_htmx
from app.nodes.queries import names_by_title
from app.pages import columns, forms, listing, rows
from app.pages.columns import Column
from app.pages.deeds import history_words
from app.pages.listing import Listing
from app.pages.rows import SeriesCard, StudyRow
from app.pages.shell import fields
from app.security import Actor, Verb, can, facilities

router = APIRouter(include_in_schema=False)
Viewer = Annotated[Actor, Depends(allow(Verb.STUDY_VIEW))]
Searcher = Annotated[Actor, Depends(allow(Verb.STUDY_SEARCH))]
PAGE = 60
LIVE = 240
STRIP = 5


@dataclass(frozen=True, slots=True)
class StorageRows:
    """Rows of the list. more: the address of the next page, or None."""

    rows: list[StudyRow]
    more: str | None
    rows_url: str
    columns: list[Column]


@dataclass(frozen=True, slots=True)
class LiveStudyRows:
    """Parts that a live page reloads: its first rows, and how many match now."""

    rows: list[StudyRow]
    columns: list[Column]
    total: int
    capped: bool


@dataclass(frozen=True, slots=True)
class StoragePage(StorageRows):
    """listing: the filter as typed; total: how many match (`capped`: at least); everything: how many there are;
    conflicts: open ones, for those who decide them; facilities: (id, name) where there is more than one to choose."""

    listing: Listing
    total: int
    capped: bool
    everything: int | None
    seconds: float
    dates_word: str
    modalities: tuple[str, ...]
    more_modalities: tuple[str, ...]
    ranges: list[tuple[str, str]]
    facilities: list[tuple[str, str]]
    conflicts: int
    choices: list[columns.ColumnChoice]


@dataclass(frozen=True, slots=True)
class StudySeriesPart:
    """The unfolded row."""

    study: str
    series: list[SeriesCard]


@dataclass(frozen=True, slots=True)
class HistoryLine:
    when: Any
    what: str


@dataclass(frozen=True, slots=True)
class PanelPart:
    """The side panel. strip: a picture of each of the first series; rest: images that have none there; chosen: False
    for the first row of a list that the user has not selected: then no picture and no history."""

    row: StudyRow
    referrer: str
    received: Any
    strip: list[SeriesCard]
    rest: int
    documents: list[SeriesCard]
    history: list[HistoryLine]
    chosen: bool


def facility_names(session: ReadSession, actor: Actor) -> dict[str, str]:
    return {one.id: one.name for one in facilities.list_facilities(session, actor)}


def _rows(
    session: ReadSession, actor: Actor, wanted: Listing, names: dict[str, str], cursor: str | None, limit: int = 0
) -> tuple[list[StudyRow], queries.StudyPage]:
    page = queries.search_studies(
        session, actor, wanted.filter(), sort=wanted.order(), limit=limit or PAGE, cursor=cursor
    )
    conflicts = arrivals.open_conflicts_of(session, actor, [study.study_instance_uid for study in page.items])
    return [rows.study_row(study, names, conflicts) for study in page.items], page


def _more(wanted: Listing, page: queries.StudyPage) -> str | None:
    if page.next is None:
        return None
    address = wanted.url()
    return f"{address}{'&' if '?' in address else '?'}cursor={page.next}"


def _dates_word(wanted: Listing) -> str:
    days = wanted.dates()
    if not days or wanted.date:
        return ""
    return format_days(*days)


@router.get("/storage")
def storage(request: Request, actor: Searcher, session: ReadSession, cursor: str | None = None) -> Response:
    """The list; for htmx without the shell around it, with `cursor` only its next rows."""
    wanted = listing.of(request)
    names = facility_names(session, actor)
    begin = time.perf_counter()
    found, page = _rows(session, actor, wanted, names, cursor)
    seconds = time.perf_counter() - begin
    more, here = _more(wanted, page), wanted.url("/storage/rows")
    if cursor and is_htmx(request):
        return render(request, "archive/_more.html", fields(StorageRows(found, more, here, _columns(actor, names))))
    everything = queries.totals(session).get("studies", 0) if wanted.active and actor.sees_all else None
    context = StoragePage(
        rows=found,
        more=more,
        rows_url=here,
        columns=_columns(actor, names),
        listing=wanted,
        total=page.total,
        capped=page.total_capped,
        everything=everything,
        seconds=seconds,
        dates_word=_dates_word(wanted),
        modalities=listing.MODALITIES,
        more_modalities=listing.MORE_MODALITIES,
        ranges=_ranges(),
        facilities=sorted(names.items(), key=lambda one: one[1]) if _has_several_facilities(actor, names) else [],
        conflicts=queries.count_conflicts(session, actor) if can(actor, Verb.CONFLICT_DECIDE) else 0,
        choices=columns.choices(actor, several_facilities=_has_several_facilities(actor, names)),
    )
    return render(request, "archive/_list.html" if is_htmx(request) else "archive/storage.html", fields(context))


def _columns(actor: Actor, names: dict[str, str]) -> list[Column]:
    return columns.chosen(actor, several_facilities=_has_several_facilities(actor, names))


def _has_several_facilities(actor: Actor, names: dict[str, str]) -> bool:
    return actor.sees_all and len(names) > 1


@router.post("/storage/columns")
def choose_columns(
    actor: Annotated[Actor, Depends(allow(Verb.SELF))],
    session: WriteSession,
    column: Annotated[list[str] | None, Form()] = None,
    do: Annotated[str, Form(max_length=32)] = "",
    back: Annotated[str, Form(max_length=2000)] = "/storage",
) -> Response:
    """Keeps which columns are shown, in the order of the fields; `up:KEY` and `down:KEY` move one, `usual` forgets it."""
    verb, _sep, key = do.partition(":")
    keys = [] if verb == "usual" else columns.move_key(column or [], key, -1 if verb == "up" else 1)
    columns.save_choice(
        session, actor, keys, several_facilities=_has_several_facilities(actor, facility_names(session, actor))
    )
    return forms.redirect(forms.own_path(back))


def _ranges() -> list[tuple[str, str]]:
    words = (_("Today"), _("Yesterday"), _("7 days"), _("30 days"), _("All"))
    return list(zip(listing.RANGES, words, strict=True))


@router.get("/storage/rows")
def storage_rows(request: Request, actor: Searcher, session: ReadSession, last: str | None = None) -> Response:
    """The first rows again, for a live page. last: the row its first part ends with, so that nothing is pushed out."""
    wanted = listing.of(request)
    names = facility_names(session, actor)
    found, page = _rows(session, actor, wanted, names, None, PAGE if last is None else LIVE)
    keys = [row.key for row in found]
    shown = found[: keys.index(last) + 1] if last in keys else found[:PAGE]
    return render(
        request,
        "archive/_live.html",
        fields(LiveStudyRows(shown, _columns(actor, names), page.total, page.total_capped)),
    )


@router.get("/storage/studies/{study_uid}/series")
def series_of_study(request: Request, study_uid: str, actor: Viewer, session: ReadSession) -> Response:
    """The part below a row."""
    study = queries.study(session, actor, study_uid)
    cards = [rows.series_card(series) for series in queries.series_of(session, study)]
    return render(request, "archive/_series.html", fields(StudySeriesPart(study_uid, cards)))


@router.get("/storage/studies/{study_uid}/panel")
def panel(request: Request, study_uid: str, actor: Viewer, session: ReadSession, first: bool = False) -> Response:
    """The side panel of one study. first: it is shown because its row is the first of the list. It shows no more than
    the row, whose reading is audited, so no view is recorded for a study that the user did not open."""
    study = queries.study(session, actor, study_uid)
    if first:
        audit.mark_recorded(study_uid)
    cards = [rows.series_card(series) for series in queries.series_of(session, study)]
    pictures = [card for card in cards if not card.document]
    context = PanelPart(
        row=rows.study_row(study, facility_names(session, actor), senders=names_by_title(session, actor)),
        referrer=rows.names_of(study.referring_physician)[0] if study.referring_physician else "",
        received=study.received_at,
        strip=[] if first else pictures[:STRIP],
        rest=sum(card.images for card in pictures) - len(pictures[:STRIP]),
        documents=[card for card in cards if card.document],
        history=[] if first else _history(session, actor, study_uid),
        chosen=not first,
    )
    return render(request, "archive/_panel.html", fields(context))


def _history(session: ReadSession, actor: Actor, study_uid: str) -> list[HistoryLine]:
    """History of the study; only those who may read the trail see others' deeds (SEC-9)."""
    only_actor = None if can(actor, Verb.AUDIT_READ) else actor.name
    found, _total = audit.list_events(session, thing_id=study_uid, actor_name=only_actor, limit=8)
    return [HistoryLine(event.at, f"{history_words(event.verb)}, {event.actor_name}") for event in found]

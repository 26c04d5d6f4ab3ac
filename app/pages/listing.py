"""The address of the study list: what its fields mean, and the addresses of the same list a little changed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import cast
from urllib.parse import urlencode

from fastapi import Request

from app.archive.queries import StudyFilter
from app.archive.search.study_list import Sort
from app.kit.clock import local, now

RANGES = ("today", "yesterday", "7", "30", "")
MODALITIES = ("CT", "MR", "US", "CR", "DX", "MG", "PT")
MORE_MODALITIES = (
    "NM",
    "XA",
    "RF",
    "OT",
    "SC",
    "ES",
    "IO",
    "OP",
    "OPT",
    "RTIMAGE",
    "RTDOSE",
    "SEG",
    "SR",
    "ECG",
    "DOC",
)
SORTS = ("-date", "date", "name", "patient_id", "-received")
_DAY = re.compile(r"(\d{4})(?:[-./ ]?(\d{1,2}))?(?:[-./ ]?(\d{1,2}))?")
_BETWEEN = re.compile(r"\.\.|–|—|to|hasta|\s-\s")


@dataclass(frozen=True, slots=True)
class Listing:
    """The fields of the filter as they were typed. period: one of RANGES; date: a day, month, year or two of them."""

    q: str = ""
    name: str = ""
    id: str = ""
    born: str = ""
    date: str = ""
    period: str = ""
    mod: tuple[str, ...] = field(default=())
    desc: str = ""
    acc: str = ""
    state: str = ""
    facility: str = ""
    sort: str = "-date"

    def url(self, path: str = "/storage", **changes: object) -> str:
        """The same list with some fields changed; what is empty stays out."""
        wanted = replace(self, **changes)  # type: ignore[arg-type]
        pairs = [(name, getattr(wanted, name)) for name in self.__dataclass_fields__ if name != "mod"]
        query = [(name, value) for name, value in pairs if value and (name, value) != ("sort", "-date")]
        query += [("mod", one) for one in wanted.mod]
        return f"{path}?{urlencode(query)}" if query else path

    def toggled(self, modality: str) -> str:
        """The address with one modality chip switched."""
        rest = tuple(one for one in self.mod if one != modality)
        return self.url(mod=rest if modality in self.mod else (*self.mod, modality))

    @property
    def active(self) -> bool:
        return self != Listing(sort=self.sort)

    def filter(self) -> StudyFilter:
        return StudyFilter(
            everything=self.q,
            text=self.name if _name_pattern(self.name) else "",
            patient_name="" if _name_pattern(self.name) else _prefix_pattern(self.name),
            patient_id=_prefix_pattern(self.id),
            birth_date=_birth(self.born),
            accession_number=_prefix_pattern(self.acc),
            study_date=self.dates(),
            modalities=self.mod,
            description=f"*{'*'.join(self.desc.split())}*" if self.desc.strip() else "",
            facility_id=self.facility,
            state=self.state,
        )

    def dates(self) -> tuple[str, str] | None:
        """The days asked for, YYYYMMDD, both inclusive; a typed date beats the chip."""
        typed = between(self.date)
        if typed:
            return typed
        today = local(now()).date()
        back = {"today": 0, "yesterday": 1, "7": 6, "30": 29}.get(self.period)
        if back is None:
            return None
        first = today - timedelta(days=back)
        return _ymd(first), _ymd(first if self.period == "yesterday" else today)

    def order(self) -> Sort:
        return cast(Sort, self.sort if self.sort in SORTS else "-date")


def of(request: Request) -> Listing:
    """The list a request asks for; unknown fields are ignored."""
    asked = request.query_params
    fields = {name: asked.get(name, "").strip()[:128] for name in Listing.__dataclass_fields__ if name != "mod"}
    if fields["period"] not in RANGES:
        fields["period"] = ""
    if fields["state"] not in ("receiving", "settled"):
        fields["state"] = ""
    if fields["sort"] not in SORTS:
        fields["sort"] = "-date"
    mods = tuple(dict.fromkeys(one.strip().upper()[:16] for one in asked.getlist("mod") if one.strip()))
    return Listing(**fields, mod=mods)


def _name_pattern(name: str) -> bool:
    """Several words, or a comma: looked for word by word, in any order."""
    return bool(re.search(r"[\s,]", name.strip())) and "*" not in name


def _prefix_pattern(value: str) -> str:
    """The typed text is a prefix unless it has wildcards."""
    return value if not value or "*" in value or "?" in value else f"{value}*"


def _birth(value: str) -> str:
    found = between(value)
    if not found:
        return ""
    first, last = found
    if first == last:
        return first
    return f"{first[:4]}*" if first[4:] == "0101" else f"{first[:6]}*"


def _ymd(day: date) -> str:
    return day.strftime("%Y%m%d")


def _span(text: str) -> tuple[date, date] | None:
    found = _DAY.fullmatch(text.strip())
    if not found:
        return None
    year, month, day = (int(part) if part else 0 for part in found.groups())
    try:
        if day:
            return date(year, month, day), date(year, month, day)
        if month:
            after = date(year + month // 12, month % 12 + 1, 1)
            return date(year, month, 1), after - timedelta(days=1)
        return date(year, 1, 1), date(year, 12, 31)
    except ValueError:
        return None


def between(text: str) -> tuple[str, str] | None:
    """`2026`, `2026-11`, `2026-11-20`, or two of them with .. or – between -> (first, last) as YYYYMMDD."""
    parts: Iterable[str] = _BETWEEN.split(text.strip(), maxsplit=1) if text.strip() else []
    spans = [_span(part) for part in map(str.strip, parts) if part]
    known = [span for span in spans if span]
    if not known or len(known) != len(spans):
        return None
    return _ymd(known[0][0]), _ymd(known[-1][1])

"""Languages: gettext catalogues, and dates, names, numbers, ages and sizes as people of a language write them."""

import contextvars
import re
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from babel import Locale, dates, numbers
from starlette.requests import HTTPConnection

from app.dicom import names
from app.dicom.dates import parse_date
from app.kit import compat
from app.kit.catalogs import catalog
from app.kit.clock import local
from app.kit.numbers import real
from app.kit.phrases import Phrase

LANGUAGES = {"en": "English", "es": "Español"}
COOKIE = "filmroom_language"
_current: contextvars.ContextVar[str] = contextvars.ContextVar("language", default="en")


def use(language: str) -> None:
    """Sets the language of this request."""
    _current.set(language if language in LANGUAGES else "en")


def current() -> str:
    return _current.get()


def _accepted(header: str) -> str | None:
    """The best of our languages by Accept-Language (RFC 9110 12.5.4)."""
    ranked = []
    for position, part in enumerate(header[:512].split(",")):
        name, _, quality = part.strip().partition(";q=")
        weight = real(quality or "1")
        if weight is not None:
            ranked.append((-weight, position, name.split("-")[0].lower()))
    return next((name for _, _, name in sorted(ranked) if name in LANGUAGES), None)


def language_of(connection: HTTPConnection) -> str:
    """The user's choice, else the cookie's, else the browser's, else English."""
    identity = getattr(connection.state, "identity", None)
    chosen = getattr(identity, "language", "") or connection.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return str(chosen)
    return _accepted(connection.headers.get("accept-language", "")) or "en"


def gettext(text: str) -> str:
    return catalog(current()).gettext(text) if text else ""


def pgettext(context: str, text: str) -> str:
    """A word that is another one elsewhere: the key End, and the End of a session."""
    return catalog(current()).pgettext(context, text)


def ngettext(one: str, many: str, count: int) -> str:
    return catalog(current()).ngettext(one, many, count)


# Values that are words of ours themselves; all others (names of nodes, file names, UIDs, a peer's words) stay as they are.
_WORDS = frozenset(("words", "reasons", "message", "what", "why", "length", "detail"))
_TELLING = re.compile(r"[^\W\d_]{2}")
_PLACE = re.compile(r"\{(\w+)(?:![rs])?(?::[^{}]*)?\}")


def say(text: str | None) -> str:
    """A sentence that faults, jobs and reports say (kit/phrases.py), in the language of this request. Those that were
    kept in a row as English are recognised by the template they were made from; what is not ours stays as it is."""
    if not text or current() == "en":
        return str(text or "")
    known = gettext(str(text))
    if known != text:
        return known
    if isinstance(text, Phrase) and (template := gettext(text.template)) != text.template:
        return template.format(**{k: say(v) if k in _WORDS else v for k, v in text.values.items()})
    return _recognised(str(text), current())


def told(connection: HTTPConnection, answer: dict[str, Any]) -> dict[str, Any]:
    """An answer of REST with its sentences in the language of who asks (English unless they say so)."""
    use(language_of(connection))
    said = dict(answer)
    for key in ("error", "reason", "message"):
        if isinstance(said.get(key), str):
            said[key] = say(said[key])
    for key in ("warnings", "notices"):
        if isinstance(said.get(key), list | tuple):
            said[key] = [say(one) for one in said[key]]
    return said


@lru_cache
def _templates(language: str) -> list[tuple[list[str], str, str]]:
    """(what stands around the places of such a sentence, template, translation), the most telling first."""
    found = []
    for template, translation in strings(language).items():
        if _PLACE.search(template) and _TELLING.search(_PLACE.sub("", template)):  # "{why}" fits everything
            around = _PLACE.split(template)[::2]  # what stands between the places; their names are every second part
            found.append((around, template, translation))
    return sorted(found, key=lambda one: -len(_PLACE.sub("", one[1])))


def _recognised(text: str, language: str) -> str:
    """One sentence or several, each as long as it can be: a detail and its hint are kept as one text."""
    parts = re.split(r"(?<=[.?!:;]) ", text[:4000])
    said, begin = [], 0
    while begin < len(parts):
        for end in range(min(len(parts), begin + 4), begin, -1):
            sentence = " ".join(parts[begin:end])
            translation = _one(sentence, language)
            if translation is not None or end == begin + 1:
                said.append(sentence if translation is None else translation)
                begin = end
                break
    return " ".join(said)


def _one(sentence: str, language: str) -> str | None:
    known = gettext(sentence)
    if known != sentence:
        return known
    for around, template, translation in _templates(language):
        places = _places(around, sentence)
        if places is not None:
            values: dict[str, str] = {}
            for name, value in zip(_PLACE.findall(template), places, strict=True):
                values.setdefault(name, say(value) if name in _WORDS else value)
            return _put(translation, values)
    return None


def _places(around: list[str], sentence: str) -> list[str] | None:
    """What stands in the places of a template, each at least one character and as short as can be; None where the sentence
    was not made from it. From left to right, never back: sentences quote what others sent."""
    first, *between, last = around
    end = len(sentence) - len(last)
    if not sentence.startswith(first) or not sentence.endswith(last):
        return None
    places, begin = [], len(first)
    for words in between:
        found = sentence.find(words, begin + 1, end)
        if found < 0:
            return None
        places.append(sentence[begin:found])
        begin = found + len(words)
    return [*places, sentence[begin:end]] if begin < end else None


def _put(translation: str, values: dict[str, str]) -> str:
    return _PLACE.sub(lambda place: values[place[1]], translation)


def strings(language: str) -> dict[str, str]:
    """The whole catalogue for TypeScript's t(): English text -> translation."""
    table = compat.catalogue_table(catalog(language))
    return {key: value for key, value in table.items() if isinstance(key, str) and key and value}


def _locale() -> Locale:
    return _locale_of(current())


@lru_cache
def _locale_of(language: str) -> Locale:
    # Day before month for English too: 20 Nov 2026 can be misread by nobody.
    return Locale.parse({"en": "en_GB"}.get(language, language))


def format_date(value: date | datetime | str | None) -> str:
    """A DICOM DA string (PS3.5 6.2), a date or a moment, as a day: 20 Nov 2026. What is no date stays as it is."""
    if not value:
        return ""
    if isinstance(value, str):
        return _day(str(value), current())
    return dates.format_date(value, "medium", locale=_locale())


@lru_cache(maxsize=8192)
def _day(value: str, language: str) -> str:
    day = parse_date(value)
    if day is None:
        return value if value.strip("0. ") else ""  # 00000000: what some devices write for no date
    return dates.format_date(day, "medium", locale=_locale_of(language))


def format_days(first: str, last: str) -> str:
    """Two DA strings as one span, both inclusive: 14–20 Nov 2026. Without a beginning: until the last day."""
    if not first or first == last:
        return format_date(last)
    try:
        begin, end = (datetime.strptime(day, "%Y%m%d").date() for day in (first, last))  # noqa: DTZ007
    except ValueError:
        return f"{format_date(first)} – {format_date(last)}"
    return dates.format_interval(begin, end, "yMMMd", locale=_locale())


def format_time(value: datetime | str | None, seconds: bool = False) -> str:
    """A DICOM TM string or a moment as a time of day: 18:42."""
    if not value:
        return ""
    if isinstance(value, str):
        digits = value.replace(":", "").partition(".")[0]
        if not (digits.isascii() and digits.isdigit()) or len(digits) < 4:
            return value
        return f"{digits[:2]}:{digits[2:4]}" + (f":{digits[4:6]}" if seconds and len(digits) >= 6 else "")
    return local(value).strftime("%H:%M:%S" if seconds else "%H:%M")


def format_moment(value: datetime | None) -> str:
    """A moment as day and time in the time zone of the site: 20 Nov 2026 18:42."""
    return f"{format_date(local(value))} {format_time(value)}" if value else ""


def format_person(name: str | None) -> str:
    """A PN as people read it: Yamada, Tarou (山田, 太郎). One function for lists, viewer and paper."""
    return names.shown(name or "")


def format_number(value: float | None, digits: int = 0) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and 0 <= value < 1000:
        return str(value)  # the same in every language of ours; a list shows hundreds of them
    return numbers.format_decimal(round(value, digits), locale=_locale())


def format_size(count: int | None) -> str:
    """Bytes as kB, MB or GB with three figures."""
    if count is None:
        return ""
    size, unit = float(count), "B"
    for bigger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, bigger
    digits = 0 if unit == "B" or size >= 100 else 1
    return f"{format_number(size, digits)} {unit}"


FILTERS = {
    "date": format_date,
    "time": format_time,
    "moment": format_moment,
    "person": format_person,
    "number": format_number,
    "size": format_size,
    "say": say,
}

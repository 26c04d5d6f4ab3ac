"""Languages: gettext catalogues, and dates, names, numbers, ages and sizes as people of a language write them."""

import contextvars
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
from app.kit.numbers import parse_decimal
from app.kit.phrases import Phrase

LANGUAGES = {"en": "English", "es": "Español"}
COOKIE = "filmroom_language"
_current: contextvars.ContextVar[str] = contextvars.ContextVar("language", default="en")


def set_language(language: str) -> None:
    """Sets the language of this request."""
    _current.set(language if language in LANGUAGES else "en")


def current() -> str:
    return _current.get()


def _accepted(header: str) -> str | None:
    """The best available language by Accept-Language (RFC 9110 12.5.4)."""
    ranked = []
    for position, part in enumerate(header[:512].split(",")):
        name, _, quality = part.strip().partition(";q=")
        weight = parse_decimal(quality or "1")
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


class _Whole(int):
    """A whole number that a template with the format "n" writes as the language does."""

    def __format__(self, spec: str) -> str:
        return format_number(int(self)) if spec == "n" else int.__format__(self, spec)


class _Real(float):
    """A number that a template with the format ".1f" writes as the language does."""

    def __format__(self, spec: str) -> str:
        if len(spec) == 3 and spec[0] == "." and spec[1].isdigit() and spec[2] == "f":
            digits = int(spec[1])
            pattern = "#,##0." + "0" * digits if digits else "#,##0"
            return numbers.format_decimal(float(self), format=pattern, locale=_locale())
        return float.__format__(self, spec)


def _value(value: Any) -> Any:
    if isinstance(value, Phrase):
        return translate(value)
    if isinstance(value, date):
        return format_date(value)
    if isinstance(value, float):
        return _Real(value)
    return _Whole(value) if isinstance(value, int) and not isinstance(value, bool) else value


def translate(text: str | None) -> str:
    """A message (kit/phrases.py) in the language of this request: its template translated, its values as the language
    writes them. Other text is translated where the catalogue has it word for word, and else stays as it is."""
    if not text:
        return ""
    if not isinstance(text, Phrase):
        return gettext(text)
    if current() == "en" and not _depends_on_language(text):
        return str(text)
    if not text.values:
        return gettext(text.template)
    template = ngettext(text.template, text.plural, text.values["count"]) if text.plural else gettext(text.template)
    return template.format(**{name: _value(value) for name, value in text.values.items()})


def _depends_on_language(text: Phrase) -> bool:
    """Whether the English text has more in it than words and plain values: a number with a format, or a date."""
    if ":n}" in text.template or "f}" in text.template or text.plural:
        return True
    for value in text.values.values():
        if isinstance(value, date) or (isinstance(value, Phrase) and _depends_on_language(value)):
            return True
    return False


_PLAIN = frozenset((str, int, float, bool, type(None)))


def translate_all(value: Any) -> Any:
    """JSON with every message in it, at any depth, in the language of this request."""
    if isinstance(value, Phrase):
        return translate(value)
    if isinstance(value, dict):
        return {key: one if type(one) in _PLAIN else translate_all(one) for key, one in value.items()}
    return [translate_all(one) for one in value] if isinstance(value, list | tuple) else value


def translate_answer(connection: HTTPConnection, answer: dict[str, Any]) -> dict[str, Any]:
    """An answer of REST with its sentences in the language of the request (English by default)."""
    set_language(language_of(connection))
    translated: dict[str, Any] = translate_all(answer)
    return translated


def strings(language: str) -> dict[str, str]:
    """The whole catalogue for TypeScript's t(): English text -> translation."""
    table = compat.catalogue_table(catalog(language))
    return {key: value for key, value in table.items() if isinstance(key, str) and key and value}


def _locale() -> Locale:
    return _locale_of(current())


@lru_cache
def _locale_of(language: str) -> Locale:
    # Day before month for English too: 20 Nov 2026 cannot be misread.
    return Locale.parse({"en": "en_GB"}.get(language, language))


def format_date(value: date | datetime | str | None) -> str:
    """A DICOM DA string (PS3.5 6.2), a date or a moment, as a day: 20 Nov 2026. A value that is not a date is returned
    unchanged."""
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
    return names.display_name(name or "")


def format_number(value: float | None, digits: int = 0) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and 0 <= value < 1000:
        return str(value)  # the same in every available language; a list shows hundreds of them
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
    "say": translate,
}

"""How names, days and page lines are written on paper in the language of who orders."""

from dataclasses import replace

from babel import dates
from babel.units import format_unit

from app.archive.models import Instance
from app.dicom import names
from app.dicom.dates import computed_age, parse_date
from app.kit.catalogs import catalog
from app.kit.clock import local, now
from app.kit.phrases import Phrase
from app.printing.facts import FactWords
from app.printing.sheet import PageLines, SheetOptions


def _locale(language: str) -> str:
    return {"en": "en_GB"}.get(language, language)  # day before month, as on the pages


def words(language: str) -> FactWords:
    language = _locale(language)
    return FactWords(
        person=names.display_name,
        day=lambda value: _day(value, language),
        age=lambda age: _age(age, language),
    )


def moment(language: str, by: str) -> dict[str, str]:
    """The variables of the page: when and by whom it is printed."""
    at = local(now())
    return {"Date": f"{dates.format_date(at, 'medium', locale=_locale(language))} {at:%H:%M}", "By": by}


def position(instance: Instance, frame: int, in_series: int | None) -> str:
    """138 of 306; in a multi-frame image the frame; the instance number alone where those of the series have gaps
    (in_series None)."""
    if instance.number_of_frames > 1:
        return f"{frame} / {instance.number_of_frames}"
    number = instance.instance_number
    if number is None:
        return ""
    return str(number) if in_series is None else f"{number} / {in_series}"


def translated(options: SheetOptions, language: str) -> SheetOptions:
    """The same options with the page's lines in this language."""
    texts = catalog(language)
    return replace(
        options,
        lines=PageLines(
            several_patients=texts.gettext("Several patients: see each image"),
            printed=texts.gettext("Printed [Date] by [By]"),
            warning=texts.gettext("Not for primary diagnosis on paper"),
            page=texts.gettext("Page [Page] of [Pages]"),
            check=texts.gettext("100 mm: check with a ruler"),
            undrawable=texts.gettext("This image cannot be displayed."),
            detector=texts.gettext("at the detector"),
            film=texts.gettext("on the film"),
            unknown=texts.gettext("in an unknown plane"),
        ),
    )


def sentence(text: str, language: str) -> str:
    """A fault's sentence (kit/phrases.py) in this language; text that is not in the catalogue stays as it is."""
    texts = catalog(language)
    if not isinstance(text, Phrase):
        return texts.gettext(text) if text else ""
    values = {name: sentence(v, language) if isinstance(v, Phrase) else v for name, v in text.values.items()}
    return texts.gettext(text.template).format(**values)


def _day(value: str, language: str) -> str:
    """A DA (PS3.5 6.2) as people write a day; a text that is not a date stays as it is."""
    day = parse_date(value)
    return dates.format_date(day, "medium", locale=language) if day else value


_UNITS = {"Y": "year", "M": "month", "W": "week", "D": "day"}


def _age(age: str, language: str) -> str:
    """An age of `dates.age_at` in words; what is none stays as it is."""
    computed = computed_age(age)
    if computed is None:
        return age
    return str(format_unit(computed[0], f"duration-{_UNITS[computed[1]]}", length="short", locale=language))

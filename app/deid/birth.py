"""The ways people write a date of birth: with the month as a number or a word, the year in two digits or four."""

import re
from dataclasses import dataclass, field
from functools import cache

from app.deid import words

# English, German, French, Spanish, Portuguese, Italian, Dutch, Polish, Russian (genitive), Roman numerals.
_MONTHS = (
    "january januar janvier enero janeiro gennaio januari styczen stycznia января i",
    "february februar fevrier febrero fevereiro febbraio februari luty lutego февраля ii",
    "march marz mars marzo marco maart marzec marca марта iii",
    "april avril abril aprile kwiecien kwietnia апреля iv",
    "may mai mayo maio maggio mei maj maja мая v",
    "june juni juin junio junho giugno czerwiec czerwca июня vi",
    "july juli juillet julio julho luglio lipiec lipca июля vii",
    "august aout agosto augustus sierpien sierpnia августа viii",
    "september septembre septiembre setembro settembre wrzesien wrzesnia сентября ix",
    "october oktober octobre octubre outubro ottobre pazdziernik pazdziernika октября x",
    "november novembre noviembre novembro listopad listopada ноября xi",
    "december dezember decembre diciembre dezembro dicembre grudzien grudnia декабря xii",
)
_BETWEEN = frozenset(("de", "del", "do", "of", "the", "st", "nd", "rd", "th", "er", "den", "am"))
Written = tuple[str, str, str]


@cache
def _month_names(month: int) -> frozenset[str]:
    full = {word for name in _MONTHS[month - 1].split() for word in words.split(name)}
    return frozenset(full | {name[:length] for name in full for length in (3, 4)})


@dataclass(slots=True)
class Dates:
    """Dates as three words of a text. certain: nothing else can be meant, unlike three short numbers in a row."""

    certain: set[Written] = field(default_factory=set)
    suspected: set[Written] = field(default_factory=set)

    def add(self, date: str) -> None:
        """A DA (also with signs between year, month and day)."""
        found = re.fullmatch(r"(\d{4})\D?(\d\d)\D?(\d\d)", date)
        if not found or not 1 <= int(found[2]) <= 12:
            return
        year, month, day = found.groups()
        names, numbers = _month_names(int(month)), {month, str(int(month))}
        for one in {day, str(int(day))}:
            for written_year in (year, year[2:]):
                for of_month in names:
                    self.certain |= _orders(one, of_month, written_year)
                for of_month in numbers:
                    (self.certain if written_year == year else self.suspected).update(
                        _orders(one, of_month, written_year)
                    )

    def occur_in(self, found: tuple[str, ...], *, only_certain: bool) -> bool:
        """Whether these words of a text have one of the dates in a row."""
        words = [word for word in found if word not in _BETWEEN]
        return any(
            three in self.certain or (not only_certain and three in self.suspected)
            for three in zip(words, words[1:], words[2:], strict=False)
        )


def _orders(day: str, month: str, year: str) -> set[Written]:
    return {(day, month, year), (month, day, year), (year, month, day), (year, day, month)}

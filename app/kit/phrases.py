"""Sentences made with values, so that they can be said in another language."""

from typing import Any


class Phrase(str):
    """A sentence in English, which programs, logs and rows take as the text it is, and what it was made from, so that
    a page can translate the template and put the same values in (http/i18n.py)."""

    __slots__ = ("template", "values")

    template: str
    values: dict[str, Any]

    def __new__(cls, template: str, /, **values: Any) -> "Phrase":
        made = super().__new__(cls, template.format(**values) if values else template)
        made.template = template
        made.values = values
        return made


def phrase(template: str, /, **values: Any) -> Phrase:
    """phrase("The zip file holds more than {count} files.", count=9). The template is a plain literal, because
    `make messages` collects it here for the translators; the values are put in as str.format does. A value may be a
    phrase of its own."""
    return Phrase(template, **values)

"""Translations. A catalogue is app/locale/<language>/LC_MESSAGES/filmroom.mo, compiled by `make setup`; where only the .po is
there (a checkout that was just edited) it is compiled in memory."""

import gettext as _gettext
import io
from functools import lru_cache

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from app.kit import paths


@lru_cache
def catalog(language: str) -> _gettext.NullTranslations:
    """The translations of a language; English is the language of the code."""
    folder = paths.locale() / language / "LC_MESSAGES"
    compiled, source = folder / "filmroom.mo", folder / "filmroom.po"
    if source.is_file() and (not compiled.is_file() or compiled.stat().st_mtime < source.stat().st_mtime):
        buffer = io.BytesIO()
        with source.open("rb") as file:
            write_mo(buffer, read_po(file, locale=language))
        buffer.seek(0)
        return _gettext.GNUTranslations(buffer)
    if compiled.is_file():
        with compiled.open("rb") as file:
            return _gettext.GNUTranslations(file)
    return _gettext.NullTranslations()

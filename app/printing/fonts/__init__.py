"""Which characters the fonts of a page can draw. PDF/A forbids a glyph that is missing (ISO 19005-3 6.2.11.8), and
names come in every script, so each character is asked for before it is typeset."""

import ctypes
import ctypes.util
import logging
import unicodedata
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
CONFIG = FOLDER / "fonts.conf"
FAMILIES = (
    "Noto Sans",
    "Noto Sans CJK JP",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Thai",
    "Noto Sans Devanagari",
    "sans-serif",
)
SUBSTITUTE = "\N{REPLACEMENT CHARACTER}"
_KEPT_FORMATS = "\u200c\u200d\u200e\u200f"  # joiners and marks that shaping needs; they have no glyph of their own
log = logging.getLogger(__name__)


class _FontSet(ctypes.Structure):
    _fields_ = (("count", ctypes.c_int), ("room", ctypes.c_int), ("fonts", ctypes.POINTER(ctypes.c_void_p)))


class Coverage:
    """The characters that any font known to fontconfig can draw.

    Fontconfig reads FONTCONFIG_FILE when it is first used, so this belongs in the typesetter's own process."""

    def __init__(self) -> None:
        self._library: Any = None
        self._all = ctypes.c_void_p()
        name = ctypes.util.find_library("fontconfig")
        if name is None:
            log.warning("fontconfig was not found: pages show Latin, Greek and Cyrillic only")
            return
        library = ctypes.CDLL(name)
        library.FcCharSetCreate.restype = ctypes.c_void_p
        library.FcConfigGetFonts.restype = ctypes.POINTER(_FontSet)
        library.FcConfigGetFonts.argtypes = (ctypes.c_void_p, ctypes.c_int)
        library.FcPatternGetCharSet.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p)
        library.FcCharSetMerge.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        library.FcCharSetHasChar.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        library.FcInit()
        self._all = ctypes.c_void_p(library.FcCharSetCreate())
        fonts = library.FcConfigGetFonts(None, 0)
        for index in range(fonts.contents.count if fonts else 0):
            one = ctypes.c_void_p()
            if library.FcPatternGetCharSet(fonts.contents.fonts[index], b"charset", 0, ctypes.byref(one)) == 0:
                library.FcCharSetMerge(self._all, one, None)
        self._library = library

    def has(self, character: str) -> bool:
        if self._library is None:
            return ord(character) < 0x530 and character.isprintable()
        return bool(self._library.FcCharSetHasChar(self._all, ord(character)))

    def drawable(self, text: str) -> str:
        """The text with every character that cannot be drawn replaced, so that it is seen that something stood there."""
        kept = []
        for character in unicodedata.normalize("NFC", text):
            category = unicodedata.category(character)
            if " " <= character <= "~" or character in _KEPT_FORMATS:
                kept.append(character)
            elif category in ("Cc", "Cf", "Zl", "Zp") or 0xFE00 <= ord(character) <= 0xFE0F:
                kept.append(" " if category in ("Cc", "Zl", "Zp") else "")
            elif category in ("Cs", "Co", "Cn") or not self.has(character):
                kept.append(SUBSTITUTE if self.has(SUBSTITUTE) else "?")
            else:
                kept.append(character)
        return "".join(kept)

"""Where the files beside the code lie, in a checkout and when installed from a wheel. Only this module knows."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_BUNDLED = _PACKAGE / "_bundled"


def _beside(installed: str, checkout: str) -> Path:
    bundled = _BUNDLED / installed
    return bundled if bundled.exists() else _PACKAGE.parent / checkout


def templates() -> Path:
    return _beside("templates", "templates")


def migrations() -> Path:
    return _beside("migrations", "migrations")


def web_dist() -> Path:
    return _beside("web", "web/dist")


def locale() -> Path:
    return _PACKAGE / "locale"


def font() -> Path:
    """The typeface of texts over images (Latin, Greek, Cyrillic)."""
    return _PACKAGE / "printing" / "fonts" / "NotoSans-Regular.ttf"

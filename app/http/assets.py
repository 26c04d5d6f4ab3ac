"""The built bundle: pages name an entry, the manifest of Vite knows the files."""

import json
import logging
import time
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape

from app.http import i18n
from app.kit import paths

log = logging.getLogger(__name__)
STATIC = "/static/"


@lru_cache(maxsize=1)
def _read(_modified: float) -> dict[str, Any]:
    return json.loads((paths.web_dist() / "manifest.json").read_text("utf-8"))  # type: ignore[no-any-return]


_looked: tuple[float, dict[str, Any]] = (-1.0, {})


def manifest() -> dict[str, Any]:
    """Vite's manifest, read again within a second after a new bundle was built; empty when there is none."""
    global _looked
    at, found = _looked
    moment = time.monotonic()
    if at < 0 or moment - at > 1.0:  # a page names some hundred icons: not one look at the disk for each
        try:
            found = _read((paths.web_dist() / "manifest.json").stat().st_mtime)
        except FileNotFoundError:
            found = {}
        _looked = (moment, found)
    return found


def _files(name: str) -> tuple[str, list[str], list[str]]:
    """(script, styles, scripts it imports) of an entry."""
    entries = manifest()
    entry = entries.get(f"src/{name}/main.ts")
    if entry is None:
        log.warning("the bundle has no entry %s: build it with `make setup`", name)
        return "", [], []
    styles, imported, todo = list(entry.get("css", [])), [], list(entry.get("imports", []))
    while todo:
        chunk = entries[todo.pop()]
        if chunk["file"] not in imported:
            imported.append(chunk["file"])
            styles += chunk.get("css", [])
            todo += chunk.get("imports", [])
    return entry["file"], list(dict.fromkeys(styles)), imported


def asset(name: str) -> str:
    """The address of an entry's script."""
    return STATIC + _files(name)[0]


def asset_tags(name: str) -> Markup:
    """The tags that load an entry: its styles, the scripts it needs ahead of time, itself."""
    script, styles, imported = _files(name)
    if not script:
        return Markup("")
    tags = [Markup('<link rel="stylesheet" href="{}">').format(STATIC + style) for style in styles]
    tags += [Markup('<link rel="modulepreload" href="{}">').format(STATIC + file) for file in imported]
    tags.append(Markup('<script type="module" src="{}"></script>').format(STATIC + script))
    return Markup("\n").join(tags)


def icon(name: str, label: str = "", size: int = 16) -> Markup:
    """One of the Tabler icons of the sprite. label: for an icon without text (icons always have an accessible name)."""
    return _icon(str(name), str(label), size, sprite())


@lru_cache(maxsize=2048)
def _icon(name: str, label: str, size: int, drawn_in: str) -> Markup:
    attributes = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    return Markup('<svg class="icon" width="{0}" height="{0}" {1}><use href="{2}#{3}"></use></svg>').format(
        size, attributes, drawn_in, escape(name)
    )


def sprite() -> str:
    """The address of the icons; web/sprite.ts builds it from the names that templates and scripts use."""
    return STATIC + str(manifest().get("icons.svg", {}).get("file", "icons.svg"))


@lru_cache(maxsize=4)
def _script_strings(_modified: float, language: str) -> dict[str, str]:
    try:
        texts = json.loads((paths.web_dist() / "strings.json").read_text("utf-8"))
    except FileNotFoundError:
        texts = []
    translated = i18n.strings(language)
    return {text: translated[text] for text in texts if text in translated}


def script_strings(language: str) -> dict[str, str]:
    """Texts of the scripts in a language: the texts of every t("...") (web/strings.ts lists them) that has a
    translation."""
    if language == "en":
        return {}
    return _script_strings((paths.web_dist() / "manifest.json").stat().st_mtime, language)

"""Pages: Jinja with autoescape, undefined names as faults, translations and the filters of i18n."""

from datetime import timedelta
from functools import lru_cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse

import app
from app.http import assets, i18n
from app.http.deps import known_identity
from app.http.services import services
from app.kit import clock, paths
from app.kit.logging import correlation_id
from app.security import Verb

THEMES = ("light", "dark", "contrast")
THEME_COOKIE = "filmroom_theme"


@lru_cache(maxsize=1)
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(paths.templates()),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n", "jinja2.ext.loopcontrols"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.install_gettext_callables(i18n.gettext, i18n.ngettext, newstyle=True, pgettext=i18n.pgettext)  # type: ignore[attr-defined]
    made.filters.update(i18n.FILTERS)
    made.globals.update(
        asset=assets.asset,
        asset_tags=assets.asset_tags,
        icon=assets.icon,
        sprite=assets.sprite,
        script_strings=assets.script_strings,
        Verb=Verb,
        languages=i18n.LANGUAGES,
        version=app.__version__,
    )
    return made


def theme_of(connection: HTTPConnection) -> str:
    """light, dark, contrast, or empty: as the system says."""
    identity = known_identity(connection)
    chosen = (identity.theme if identity else "") or connection.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else ""


def render_text(connection: HTTPConnection, template: str, context: dict[str, Any] | None = None) -> str:
    """A template as text, with what every template may use: identity, actor, csrf_token, language, theme, aet, path."""
    identity = known_identity(connection)
    language = i18n.language_of(connection)
    i18n.set_language(language)
    shared = {
        "identity": identity,
        "actor": identity.actor if identity else None,
        "csrf_token": identity.csrf if identity else "",
        "language": language,
        "theme": theme_of(connection),
        "aet": services(connection).config.aet,
        "dicom_port": services(connection).config.dicom_port,
        "path": connection.url.path,
        "utc_offset": round((clock.local(clock.now()).utcoffset() or timedelta()).total_seconds() / 60),
        "correlation_id": correlation_id.get(),
        "htmx": is_htmx(connection),
    }
    return environment().get_template(template).render(shared | (context or {}))


def is_htmx(connection: HTTPConnection) -> bool:
    """True for a request of htmx that wants a part; a boosted or history request wants the whole page."""
    headers = connection.headers
    whole = headers.get("hx-boosted") or headers.get("hx-history-restore-request") == "true"
    return headers.get("hx-request") == "true" and not whole


def render(
    connection: HTTPConnection,
    template: str,
    context: dict[str, Any] | None = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> HTMLResponse:
    """The answer of a page or of a part of one."""
    answer = HTMLResponse(render_text(connection, template, context), status, headers)
    answer.headers.setdefault("Vary", "HX-Request, Cookie, Accept-Language")
    return answer

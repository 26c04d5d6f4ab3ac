"""The pages of the shell itself: components, about; theme and language without script."""

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from app.http import WriteSession, allow, render
from app.http.cookies import set_choice
from app.http.i18n import COOKIE as LANGUAGE_COOKIE
from app.http.templates import THEME_COOKIE
from app.kit.phrases import phrase
from app.security import Actor, Verb, users

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class AboutPage:
    """python: the notices of the libraries: (name, licence, what for)."""

    notices: list[tuple[str, str, str]]


def fields(page: Any) -> dict[str, Any]:
    """A page's dataclass as the context of its template; tests/pages/test_templates.py proves that both agree."""
    return {name: getattr(page, name) for name in page.__dataclass_fields__}


@router.get("/components")
def components(request: Request, actor: Annotated[Actor, Depends(allow(Verb.SETTINGS_READ))]) -> Response:
    """Every component in its states, for those who build pages."""
    return render(request, "shell/components.html", {})


@router.get("/about")
def about(request: Request, actor: Annotated[Actor, Depends(allow(Verb.SELF))]) -> Response:
    """Version, licences, and who this is for (OPS-9)."""
    return render(request, "shell/about.html", fields(AboutPage(NOTICES)))


def _back(request: Request) -> RedirectResponse:
    """Redirects to the previous page of this server, or the start page."""
    came = urlsplit(request.headers.get("referer", ""))
    own = (
        came.netloc == request.headers.get("host", "") and came.path.startswith("/") and not came.path.startswith("//")
    )
    return RedirectResponse(came.path + (f"?{came.query}" if came.query else "") if own else "/", 303)


@router.post("/preferences/theme")
def choose_theme(
    request: Request,
    actor: Annotated[Actor, Depends(allow(Verb.SELF))],
    session: WriteSession,
    theme: Annotated[str, Form()] = "",
) -> Response:
    """light, dark, contrast, or empty: as the system."""
    users.set_preferences(session, actor, {"theme": theme})
    answer = _back(request)
    set_choice(request, answer, THEME_COOKIE, theme)
    return answer


@router.post("/preferences/language")
def choose_language(
    request: Request,
    actor: Annotated[Actor, Depends(allow(Verb.SELF))],
    session: WriteSession,
    language: Annotated[str, Form()] = "",
) -> Response:
    """The language of this person's pages."""
    users.set_preferences(session, actor, {"language": language})
    answer = _back(request)
    set_choice(request, answer, LANGUAGE_COOKIE, language)
    return answer


NOTICES = [
    ("Cornerstone3D", "MIT", phrase("viewer")),
    ("htmx", "0BSD", phrase("pages")),
    ("Inter", "OFL 1.1", phrase("typeface")),
    ("JetBrains Mono", "OFL 1.1", phrase("typeface")),
    ("Tabler Icons", "MIT", phrase("icons")),
    ("pydicom", "MIT", "DICOM"),
    ("pynetdicom", "MIT", phrase("DICOM network")),
    ("imagecodecs", "BSD-3-Clause", phrase("decoding")),
    ("pylibjpeg-rle, pylibjpeg-openjpeg", "MIT", phrase("decoding")),
    ("FastAPI, Starlette, Pydantic", "MIT, BSD-3-Clause", phrase("server")),
    ("uvicorn", "BSD-3-Clause", phrase("server")),
    ("SQLAlchemy, Alembic", "MIT", phrase("database")),
    ("SQLCipher", "BSD-3-Clause", phrase("encrypted database")),
    ("psycopg", "LGPL-3.0", "PostgreSQL"),
    ("WeasyPrint", "BSD-3-Clause", "PDF"),
    ("pikepdf", "MPL-2.0", "PDF"),
    ("Jinja, MarkupSafe, Babel", "BSD-3-Clause", phrase("pages, languages")),
    ("NumPy", "BSD-3-Clause", phrase("arrays")),
    ("Pillow", "MIT-CMU", phrase("pictures")),
    ("cryptography, argon2-cffi", "Apache-2.0/BSD-3-Clause, MIT", phrase("keys, passwords")),
]

"""The session's cookie."""

from starlette.requests import HTTPConnection
from starlette.responses import Response

from app.http.deps import COOKIE
from app.http.services import services


def is_secure(connection: HTTPConnection) -> bool:
    return services(connection).config.secure_cookies or connection.url.scheme in ("https", "wss")


def set_session(connection: HTTPConnection, response: Response, secret: str) -> None:
    """For this browser session only; scripts cannot read it, other sites cannot send it with a post."""
    response.set_cookie(COOKIE, secret, httponly=True, samesite="lax", secure=is_secure(connection), path="/")


def drop_session(connection: HTTPConnection, response: Response) -> None:
    """Signs the browser out: it also forgets the pictures and drafts that it kept (the next user of it is another)."""
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=is_secure(connection), path="/")


def set_choice(connection: HTTPConnection, response: Response, name: str, value: str) -> None:
    """Language or theme of a browser, kept for a year."""
    response.set_cookie(name, value, max_age=31_536_000, samesite="lax", secure=is_secure(connection), path="/")

"""Cross-site request forgery: only cookie sessions are at risk, and only by requests that change something.

A request must come from a page of this server (Origin, Sec-Fetch-Site) and carry the session's token, as header
X-CSRF-Token or, for plain forms, as the field `csrf_token`. Multipart uploads send the header: their bodies are not
read twice."""

import hmac
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, Request

from app.kit.errors import Forbidden
from app.security.identity import Identity

HEADER, FIELD = "x-csrf-token", "csrf_token"
_SAFE = ("GET", "HEAD", "OPTIONS")


class CrossSite(Forbidden):
    code = "csrf"


def own_origin(connection: HTTPConnection) -> bool:
    """False when the browser reports that another site caused this request. Programs send neither header."""
    if connection.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        return False
    origin = connection.headers.get("origin")
    if origin is None:
        return True
    return urlsplit(origin).netloc.lower() == connection.headers.get("host", "").lower()


def check_origin(connection: HTTPConnection) -> None:
    """For login forms and WebSockets, which have no token yet (cross-site WebSocket hijacking)."""
    if not own_origin(connection):
        raise CrossSite("The request was sent from another site.", hint="Open Filmroom and try again.")


async def check(connection: HTTPConnection, identity: Identity) -> None:
    """Raises CrossSite when a cookie session's request cannot have come from a page of this server."""
    if connection.scope["type"] == "websocket":
        check_origin(connection)
        return
    if connection.scope["method"] in _SAFE:
        return
    check_origin(connection)
    token = connection.headers.get(HEADER, "")
    kind = connection.headers.get("content-type", "")
    if not token and isinstance(connection, Request) and kind.startswith("application/x-www-form-urlencoded"):
        token = str((await connection.form()).get(FIELD, ""))
    if not hmac.compare_digest(token.encode(), identity.csrf.encode()):
        raise CrossSite("The page has expired.", hint="Reload the page and try again.")

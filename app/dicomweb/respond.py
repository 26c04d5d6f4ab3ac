"""Answers of the DICOMweb interface: JSON arrays and XML parts from models, multipart from files, and addresses of this
server."""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.dicom import dicomxml
from app.dicomweb import accept
from app.dicomweb.accept import ChosenFormat
from app.http.bodies import streamed
from app.kit import multipart

PREFIX = "/dicom-web"


def accepted_types(request: Request) -> list[accept.MediaRange]:
    """The media types that the client accepts, from the `accept` parameter and the header."""
    header = ", ".join(request.headers.getlist("accept"))
    return list(_parsed(header, tuple(request.query_params.getlist("accept"))))


@lru_cache(maxsize=256)
def _parsed(header: str, named: tuple[str, ...]) -> tuple[accept.MediaRange, ...]:
    """Clients repeat the same headers."""
    return tuple(accept.parse(header, named))


def base_url(request: Request) -> str:
    """The service's own address as the client sees it.

    Some clients (dicomweb-client) leave the port out of Host; without a proxy, the header of this server is
    restored."""
    url = request.base_url
    server = request.scope.get("server")
    proxied = any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-forwarded-host", "via"))
    if url.port is None and not proxied and server and server[1] not in (None, 80, 443):
        url = url.replace(port=server[1])
    return f"{str(url).rstrip('/')}{PREFIX}"


def instance_url(base: str, study: str, series: str, instance: str) -> str:
    return f"{base}/studies/{study}/series/{series}/instances/{instance}"


async def models(choice: ChosenFormat, encoded: Iterator[bytes], headers: dict[str, str] | None = None) -> Response:
    """DICOM JSON models, each already encoded, as one JSON array or as multipart XML, streamed."""
    if choice.kind == accept.XML:
        parts = (((("Content-Type", accept.XML),), iter([dicomxml.from_model(json.loads(one))])) for one in encoded)
        return await related(accept.XML, parts, headers)
    return await streamed(_array(encoded), choice.kind, headers)


def _array(encoded: Iterator[bytes]) -> Iterator[bytes]:
    before = b"["
    for one in encoded:
        yield before + one
        before = b",\n"
    yield b"[]" if before == b"[" else b"]"


Part = tuple[Iterable[tuple[str, str]], Iterator[bytes]]


async def related(kind: str, parts: Iterable[Part], headers: dict[str, str] | None = None) -> Response:
    """multipart/related: every part's head, bytes and the end go out as they are, never joined."""
    boundary = multipart.new_boundary()
    media_type = f'{accept.RELATED}; type="{kind}"; boundary={boundary}'
    return await streamed(_related(boundary, parts), media_type, headers)


def _related(boundary: str, parts: Iterable[Part]) -> Iterator[bytes]:
    first = True
    for head, body in parts:
        yield multipart.part_head(boundary, head, first)
        yield from body
        first = False
    yield multipart.closing(boundary)


def cached(etag: str) -> dict[str, str]:
    """Stored objects do not change under their UID; browsers may keep them, others may not (SEC-7)."""
    return {
        "ETag": f'"{etag}"',
        "Cache-Control": "private, max-age=0, must-revalidate",
        "Vary": "Accept, Authorization, Cookie",
    }


def not_modified(request: Request, etag: str) -> bool:
    return f'"{etag}"' in {
        tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")
    }


def warning(text: str) -> dict[str, str]:
    """The Warning header of PS3.18 8.3.4: 299 with this service as agent."""
    return {"Warning": f'299 dicom-web "{text}"'}


def encode(model: dict[str, Any]) -> bytes:
    return json.dumps(model, ensure_ascii=False, separators=(",", ":")).encode()

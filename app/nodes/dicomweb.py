"""DICOMweb client: QIDO-RS and WADO-RS of nodes with the protocol "dicomweb" (PS3.18 10.4, 10.6).

`client(node, settings, config)` is the only maker of an HTTP client for a node. Every fault is a PeerFault in words."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
from pydicom.datadict import keyword_for_tag

from app.archive import Archive, IngestOutcome, Source
from app.archive.store import Incoming
from app.config import Config
from app.dicom.uids import is_safe
from app.kit import multipart
from app.kit.allowance import LEAST_RATE
from app.kit.errors import AppError, BadRequest, PeerFault
from app.kit.phrases import Phrase, phrase
from app.network.find_scu import RETURNED, readable_answer
from app.network.settings import DicomSettings
from app.nodes import options
from app.nodes.models import Node
from app.trust.http_transport import timed_out, tls_fault, transport, wants_certificate

PATIENCE = 3  # response timeouts: all that a call may wait for the other side while less than 1 KiB/s moves
_SECONDS = 120.0  # one search, whatever its answers are
_JSON_LIMIT = 64 << 20  # bytes of one answer's JSON
_PAGE = 200  # answers asked for at a time
_PATHS = {"STUDY": "studies", "SERIES": "series", "IMAGE": "instances"}
_AS_IT_IS = "*?,:@/-._~"
_PLAIN = 'multipart/related; type="application/dicom"'
_DICOM = f"{_PLAIN}; transfer-syntax=*"  # as it is stored


def client(node: Node, settings: DicomSettings, config: Config) -> httpx.Client:
    """An HTTP client whose addresses are relative to the node's service: its user or token, its timeouts. Redirects are
    not followed and the environment's proxies are not used. Close it."""
    set_to = options.node_options(node)
    connect = set_to.connect_timeout or settings.connect_timeout
    seconds = set_to.network_timeout or settings.network_timeout
    headers, auth = {"User-Agent": "Filmroom"}, None
    if set_to.token:
        headers["Authorization"] = f"Bearer {options.decrypt_secret(config, set_to.token)}"
    elif set_to.username:
        auth = httpx.BasicAuth(set_to.username, options.decrypt_secret(config, set_to.password))
    return httpx.Client(
        base_url=set_to.url.rstrip("/") + "/",
        auth=auth,
        headers=headers,
        timeout=httpx.Timeout(seconds, connect=connect),
        transport=transport(
            urlsplit(set_to.url).hostname or "", set_to.use_proxy, set_to.client_certificate, PATIENCE * seconds
        ),
        trust_env=False,
        follow_redirects=False,
    )


@contextmanager
def in_words(name: str) -> Iterator[None]:
    """Turns what httpx raises into PeerFault. name: the node's, for people."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        raise _in_words(name, fault) from None


def _in_words(name: str, fault: httpx.HTTPError | httpx.InvalidURL) -> PeerFault:
    words = str(fault) or type(fault).__name__
    if (secured := tls_fault(fault)) is not None:
        return PeerFault(phrase("No TLS with {peer}: {words}.", peer=name, words=secured.words), hint=secured.hint)
    if isinstance(fault, httpx.ConnectTimeout):
        return PeerFault(
            phrase("{peer} does not answer.", peer=name),
            hint="Is it switched on, and does a firewall let us through?",
        )
    if timed_out(fault):
        return PeerFault(
            phrase(
                "{peer} was too slow: less than {rate:g} bytes a second for a long time.", peer=name, rate=LEAST_RATE
            ),
            hint=phrase("Look at the other side and at the network to it."),
        )
    if isinstance(fault, httpx.TimeoutException):
        return PeerFault(phrase("{peer} did not answer in time.", peer=name))
    if isinstance(fault, httpx.ConnectError):
        return PeerFault(
            phrase("{peer} cannot be reached: {words}.", peer=name, words=str(fault) or phrase("no connection")),
            hint="Check the address, and whether the service runs there.",
        )
    return PeerFault(phrase("{peer} broke off: {words}.", peer=name, words=words))


def judge(answer: httpx.Response, name: str) -> None:
    """Raises PeerFault for a status other than success."""
    if answer.is_success:
        return
    status = answer.status_code
    if status in (401, 403):
        raise PeerFault(
            phrase("{peer} refused us ({status}).", peer=name, status=status),
            hint="Check user and password or token, and their permissions on the node.",
        )
    if wants_certificate(answer):
        raise PeerFault(
            phrase("{peer} rejects the certificate of this station, or none was sent (400).", peer=name),
            hint="Select an own certificate for the node, and import its authority on the node.",
        )
    if status == 404:
        raise PeerFault(
            phrase("{peer} has nothing there (404).", peer=name), hint="Check the path of the node's address."
        )
    if status == 406:
        raise PeerFault(phrase("{peer} cannot provide a supported format (406).", peer=name))
    if answer.is_redirect:
        raise PeerFault(
            phrase("{peer} sends us elsewhere ({status}).", peer=name, status=status),
            hint="Enter the address it sends to in the node's form, if that is right.",
        )
    raise PeerFault(phrase("{peer} answered with HTTP status {status}.", peer=name, status=status))


@dataclass(slots=True)
class RemoteSearch:
    """A search under way. broken: answers that could not be read; limited: there were more than wanted."""

    broken: int = 0
    limited: bool = False


def find(
    http: httpx.Client,
    name: str,
    level: str,
    keys: Mapping[str, str],
    *,
    limit: int = 500,
    search: RemoteSearch | None = None,
    stop: Callable[[], bool] = lambda: False,
    seconds: float = _SECONDS,
) -> Iterator[dict[str, str]]:
    """QIDO-RS as `finding.Finder.find`: the same levels, keys and answers. Asks page by page until the limit. seconds:
    for all of it; PeerFault when they are used up."""
    state, until = search or RemoteSearch(), time.monotonic() + seconds
    path, query = _address(level, keys)
    offset = given = 0
    while True:
        count = min(_PAGE, limit + 1 - given)
        with in_words(name):
            page = _answers(http, name, path, [*query, ("limit", str(count)), ("offset", str(offset))], until)
        for model in page:
            found = readable_answer(flatten_model(model), level)
            if found is None:
                state.broken += 1
                continue
            if given >= limit:
                state.limited = True
                return
            given += 1
            yield found
        if len(page) < count or stop():
            return
        if len(page) > count:  # it does not know limits: this was all
            return
        offset += len(page)
        if offset > limit + _PAGE:
            state.limited = True
            return


def _address(level: str, keys: Mapping[str, str]) -> tuple[str, list[tuple[str, str]]]:
    if level not in _PATHS:
        raise PeerFault("A DICOMweb node is asked for studies, series and images.")
    study, series = keys.get("StudyInstanceUID", ""), keys.get("SeriesInstanceUID", "")
    path, used = _PATHS[level], set()
    if level != "STUDY" and is_safe(study):
        used.add("StudyInstanceUID")
        path = f"studies/{study}/{path}"
        if level == "IMAGE" and is_safe(series):
            used.add("SeriesInstanceUID")
            path = f"studies/{study}/series/{series}/instances"
    query = [(key, value.replace("\\", ",")) for key, value in keys.items() if value and key not in used]
    return path, query + [("includefield", key) for key in RETURNED[level] if key not in keys]


def _answers(http: httpx.Client, name: str, path: str, query: Sequence[tuple[str, str]], until: float) -> list[Any]:
    headers = {"Accept": "application/dicom+json"}
    # Characters that a query may contain are not encoded (RFC 3986 3.4): Orthanc's server does not decode keys, and
    # finds Doe* only so.
    address = f"{path}?{urlencode(list(query), quote_via=quote, safe=_AS_IT_IS)}"
    with http.stream("GET", address, headers=headers) as answer:
        judge(answer, name)
        if answer.status_code == 204:
            return []
        body = bytearray()
        for part in answer.iter_bytes():
            body += part
            if len(body) > _JSON_LIMIT:
                raise PeerFault(phrase("{peer} answers without end.", peer=name))
            if time.monotonic() > until:
                raise PeerFault(phrase("{peer} did not end its answers in time.", peer=name))
    try:
        found = json.loads(bytes(body))
    except (ValueError, RecursionError):
        raise PeerFault(
            phrase("{peer} returned a response that is not DICOM JSON.", peer=name),
            hint="Is this the address of the DICOMweb service, and not of its pages?",
        ) from None
    return found if isinstance(found, list) else []


_TAG = re.compile(r"[0-9A-Fa-f]{8}")


def flatten_model(model: Any) -> dict[str, str]:
    """DICOM JSON (PS3.18 Annex F) as keyword -> text, as C-FIND's answers are; other values are left out."""
    found: dict[str, str] = {}
    for tag, element in model.items() if isinstance(model, dict) else ():
        keyword = keyword_for_tag(int(tag, 16)) if _TAG.fullmatch(tag) else ""
        values = element.get("Value") if isinstance(element, dict) else None
        if not keyword or not isinstance(values, list) or element.get("vr") == "SQ":
            continue
        found[keyword] = "\\".join(_text(value) for value in values)
    return found


def _text(value: Any) -> str:
    if isinstance(value, dict):
        groups = [str(value.get(key) or "") for key in ("Alphabetic", "Ideographic", "Phonetic")]
        return "=".join(groups).rstrip("=")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return "" if value is None else str(value)


@dataclass(slots=True)
class Fetched:
    """Result of a retrieval. faults: why an object was not taken, at most twenty."""

    stored: int = 0
    failed: int = 0
    bytes: int = 0
    faults: list[Phrase] = field(default_factory=list)

    def refuse(self, why: Phrase) -> None:
        self.failed += 1
        if len(self.faults) < 20:
            self.faults.append(why)


def retrieve(
    http: httpx.Client,
    name: str,
    archive: Archive,
    source: Source,
    path: str,
    *,
    limit: int,
    tell: Callable[[Fetched], None] = lambda fetched: None,
    stop: Callable[[], bool] = lambda: False,
) -> Fetched:
    """WADO-RS of a study, series or instance straight into the archive, part by part as it comes; memory stays small. A
    part that is not an object does not affect the others; a response that breaks off keeps what was whole.

    path: studies/UID[/series/UID[/instances/UID]]; limit: bytes of one object; stop: asked at each part."""
    fetched = Fetched()
    with in_words(name), _as_stored(http, path) as answer:
        judge(answer, name)
        if answer.status_code == 204:
            return fetched
        kind = answer.headers.get("content-type", "")
        taker = _Taker(archive, source, limit, fetched, tell)
        try:
            if multipart.parse_header(kind)[0] == "application/dicom":
                _receive_single(answer, taker, stop)
            else:
                _parts(answer, kind, taker, stop)
        except BadRequest as fault:
            raise PeerFault(
                phrase("{peer} answers no usable multipart: {words}", peer=name, words=fault.detail)
            ) from None
        finally:
            taker.close()
    return fetched


@contextmanager
def _as_stored(http: httpx.Client, path: str) -> Iterator[httpx.Response]:
    """The answer of a server asked for what is stored; in its default form from a server that does not support this."""
    with http.stream("GET", path, headers={"Accept": _DICOM}) as answer:
        if answer.status_code != 406:
            yield answer
            return
    with http.stream("GET", path, headers={"Accept": _PLAIN}) as answer:
        yield answer


def _receive_single(answer: httpx.Response, taker: "_Taker", stop: Callable[[], bool]) -> None:
    taker.begin()
    for chunk in answer.iter_bytes():
        taker.write(chunk)
        if stop():
            return
    taker.end()


def _parts(answer: httpx.Response, kind: str, taker: "_Taker", stop: Callable[[], bool]) -> None:
    reader = multipart.Reader(multipart.boundary_of(kind))
    for chunk in answer.iter_bytes():
        for event in reader.feed(chunk):
            if isinstance(event, multipart.Begin):
                taker.begin()
            elif isinstance(event, multipart.Data):
                taker.write(event.data)
            else:
                taker.end()
        if stop():
            return
    reader.close()


class _Taker:
    """Gives one object after the other to the archive."""

    def __init__(
        self, archive: Archive, source: Source, limit: int, fetched: Fetched, tell: Callable[[Fetched], None]
    ) -> None:
        self._archive, self._source, self._limit = archive, source, limit
        self._fetched, self._tell = fetched, tell
        self._incoming: Incoming | None = None

    def begin(self) -> None:
        self.close()
        self._incoming = self._archive.receive(self._source)

    def write(self, data: bytes) -> None:
        if self._incoming is None:
            return  # too large: the rest of it is read away
        if self._incoming.size + len(data) > self._limit:
            self.close()
            self._fetched.refuse(phrase("The object is larger than {most} GiB", most=self._limit >> 30))
            return
        self._incoming.write(data)

    def end(self) -> None:
        incoming, self._incoming = self._incoming, None
        if incoming is None:
            return
        size = incoming.size
        try:
            outcome: IngestOutcome = self._archive.ingest(incoming)
        except AppError as fault:
            if fault.status == 503:  # the store is away: not this object's fault
                raise
            self._fetched.refuse(fault.detail)
        else:
            if outcome.status == "refused":
                self._fetched.refuse(outcome.reason or phrase("Refused"))
            else:
                self._fetched.stored += 1
                self._fetched.bytes += size
        self._tell(self._fetched)

    def close(self) -> None:
        """Nothing of an object that is not whole stays."""
        if self._incoming is not None:
            self._archive.discard(self._incoming)
            self._incoming = None

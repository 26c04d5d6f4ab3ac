"""The Test button of nodes that are not DICOM peers: a DICOMweb server is asked for one study, a folder is written
to."""

import contextlib
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from app.config import Config
from app.kit import folders
from app.kit.errors import PeerFault
from app.kit.phrases import Phrase, joined, phrase
from app.network.probe import Probe, ProbeStep
from app.network.settings import DicomSettings
from app.nodes import options
from app.nodes.options import NodeOptions
from app.trust import names, runtime
from app.trust.http_transport import tls_fault, transport, wants_certificate
from app.trust.proxy import open_through

_LIMIT = 1 << 20  # bytes of an answer that are read; one study has some hundred


class _PlainSteps:
    """Notes each step with its time; ends at the first that fails."""

    def __init__(self) -> None:
        self.found: list[ProbeStep] = []

    @contextmanager
    def step(self, name: str) -> Iterator[list[Phrase]]:
        """The block puts the step's words into the list; a PeerFault becomes a failed step and goes on up."""
        words: list[Phrase] = []
        started = time.monotonic()
        try:
            yield words
        except PeerFault as fault:
            self.found.append(ProbeStep(name, False, fault.detail, round(time.monotonic() - started, 4), fault.hint))
            raise
        self.found.append(ProbeStep(name, True, joined(words), round(time.monotonic() - started, 4)))


def probe_folder(path: str) -> Probe:
    """Writes a small file of a random name, syncs, renames, reads it back and removes it; reports the free space."""
    steps = _PlainSteps()
    with contextlib.suppress(PeerFault):
        with steps.step("folder") as words:
            folders.require_usable(Path(path))
            words.append(phrase("{path} is a folder", path=path))
        with steps.step("write") as words:
            _write_and_remove(Path(path))
            words.append(phrase("A file was written, synced, renamed, read back and removed."))
        with steps.step("space") as words:
            free = _free(path)
            words.append(phrase("{gb:.1f} GB free", gb=free / 1e9))
    return Probe(steps.found, ["store"] if all(s.ok for s in steps.found) else [])


def _write_and_remove(folder: Path) -> None:
    data = secrets.token_bytes(4096)
    draft = folder / f".filmroom-test-{secrets.token_hex(8)}.part"
    final = draft.with_suffix(".tmp")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
        draft.rename(final)
        if final.read_bytes() != data:
            raise PeerFault(phrase("Data read back from {path} differ from the data written.", path=str(folder)))
    except OSError as fault:
        raise PeerFault(
            phrase("{path} cannot be written to: {words}.", path=str(folder), words=fault.strerror or fault),
            hint="Give the user that Filmroom runs as the right to write there.",
        ) from None
    finally:
        for left in (draft, final):
            with contextlib.suppress(OSError):
                left.unlink()


def _free(path: str) -> int:
    try:
        return shutil.disk_usage(path).free
    except OSError as fault:
        raise PeerFault(phrase("The free space is not known: {words}.", words=fault.strerror or fault)) from None


def probe_web(node: NodeOptions, settings: DicomSettings, config: Config) -> Probe:
    """Reaches the server and searches for one study (QIDO-RS, PS3.18 10.6)."""
    steps = _PlainSteps()
    seconds = node.network_timeout or settings.network_timeout
    with contextlib.suppress(PeerFault):
        with steps.step("reach") as words:
            words.append(_connect(node, node.connect_timeout or settings.connect_timeout))
        with steps.step("search") as words:
            words.append(_search(node, seconds, config))
    return Probe(steps.found, ["find"] if all(s.ok for s in steps.found) else [])


def _connect(node: NodeOptions, seconds: float) -> Phrase:
    parts = urlsplit(node.url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    proxy = runtime.current().proxy_for(host) if node.use_proxy else None
    if proxy is not None:
        open_through(proxy, host, port, seconds).close()
        return phrase("{host} port {port} open, through {proxy}", host=host, port=port, proxy=str(proxy))
    due, fault = time.monotonic() + seconds, None
    try:
        found = names.resolve_addresses(host, port, seconds)[:4]
    except OSError:
        raise PeerFault(
            phrase("The host name {host} is not known.", host=host), hint="Check its spelling and the DNS."
        ) from None
    for number, each in enumerate(found):
        parsed = names.address(str(each[4][0]))
        if parsed is None or names.forbidden_address(parsed):
            raise PeerFault(phrase("{host} leads to an address that cannot be a DICOM node.", host=host))
        try:
            left = max(0.1, (due - time.monotonic()) / (len(found) - number))
            socket.create_connection((str(each[4][0]), port), left).close()
            return phrase("{host} port {port} open", host=host, port=port)
        except OSError as raised:
            fault = raised
    raise PeerFault(
        phrase(
            "{host} port {port} cannot be reached: {words}.",
            host=host,
            port=port,
            words=(fault.strerror if fault else "") or str(fault),
        ),
        hint="Is it switched on, and does a firewall let us through?",
    )


def _search(node: NodeOptions, seconds: float, config: Config) -> Phrase:
    headers = {"Accept": "application/dicom+json"}
    if node.token:
        headers["Authorization"] = f"Bearer {options.decrypt_secret(config, node.token)}"
    auth = httpx.BasicAuth(node.username, options.decrypt_secret(config, node.password)) if node.username else None
    try:
        with (
            httpx.Client(
                timeout=seconds,
                trust_env=False,
                auth=None if node.token else auth,
                transport=transport(
                    urlsplit(node.url).hostname or "", node.use_proxy, node.client_certificate, seconds
                ),
            ) as client,
            client.stream("GET", f"{node.url.rstrip('/')}/studies", params={"limit": 1}, headers=headers) as answer,
        ):
            _require_qido(answer)
    except httpx.HTTPError as fault:
        if (secured := tls_fault(fault)) is not None:
            raise PeerFault(
                phrase("No TLS with the server: {words}.", words=secured.words), hint=secured.hint
            ) from None
        if isinstance(fault, httpx.TimeoutException):
            raise PeerFault(phrase("The server did not answer within {seconds:g} s.", seconds=seconds)) from None
        raise PeerFault(
            phrase("The server did not answer as it should: {words}.", words=str(fault) or type(fault).__name__)
        ) from None
    return phrase("A search was answered with {status}.", status=answer.status_code)


def _require_qido(answer: httpx.Response) -> None:
    """Raises PeerFault unless it is an answer of QIDO-RS: 200 with DICOM JSON, or 204."""
    if answer.status_code in (401, 403):
        raise PeerFault(
            phrase("The server refused us ({status}).", status=answer.status_code),
            hint="Check user and password or token, and their permissions on the node.",
        )
    if wants_certificate(answer):
        raise PeerFault(
            "The server rejects the certificate of this station, or none was sent (400).",
            hint="Select an own certificate for the node, and import its authority on the node.",
        )
    if answer.status_code == 404:
        raise PeerFault("There is no DICOMweb service at this address (404).", hint="Check the path of the address.")
    if answer.status_code not in (200, 204):
        raise PeerFault(phrase("The search was answered with {status}.", status=answer.status_code))
    kind = answer.headers.get("content-type", "")
    if answer.status_code == 200 and "json" not in kind:
        raise PeerFault(
            phrase("The response is {kind}, not DICOM JSON.", kind=kind[:80] or phrase("nothing")),
            hint="Is this the address of the DICOMweb service, and not of its pages?",
        )
    size = 0
    for part in answer.iter_bytes():
        size += len(part)
        if size > _LIMIT:
            raise PeerFault("The server returned much more than the requested study.")

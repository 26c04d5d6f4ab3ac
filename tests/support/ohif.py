"""A stock OHIF viewer on a port of its own, pointed at a DICOMweb server of ours: files as npm publishes them
(`npm pack @ohif/app@3.13.2`), only app-config.js is written by us."""

import base64
import functools
import hashlib
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VERSION = "3.13.2"
# The registry's `dist.integrity` of that version.
INTEGRITY = "sha512-WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="


def tarball() -> Path | None:
    """The package, where FILMROOM_OHIF names it or in /tmp or build/; None when it is nowhere."""
    name = f"ohif-app-{VERSION}.tgz"
    named = os.environ.get("FILMROOM_OHIF")
    places = [Path(named)] if named else [Path("/tmp") / name, Path(__file__).resolve().parents[2] / "build" / name]
    return next((place for place in places if place.is_file()), None)


def unpack(package: Path, folder: Path) -> Path:
    """The `dist` folder, after the package's bytes were checked."""
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != INTEGRITY:
        raise RuntimeError(f"{package} is not @ohif/app {VERSION}: its sha512 is another one")
    with tarfile.open(package) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package" / "dist"


def configuration(dicomweb: str, authorization: str) -> str:
    """app-config.js: our server as the only data source, a token in every request."""
    source = {
        "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
        "sourceName": "filmroom",
        "configuration": {
            "friendlyName": "Filmroom",
            "name": "filmroom",
            "wadoUriRoot": dicomweb.replace("/dicom-web", "/wado"),
            "qidoRoot": dicomweb,
            "wadoRoot": dicomweb,
            "qidoSupportsIncludeField": True,
            "imageRendering": "wadors",
            "thumbnailRendering": "wadors",
            "enableStudyLazyLoad": True,
            "supportsFuzzyMatching": True,
            "supportsWildcard": True,
            "bulkDataURI": {"enabled": True},
        },
    }
    config: dict[str, Any] = {
        "routerBasename": "/",
        "extensions": ["@@SIGN_IN@@"],
        "modes": [],
        "showStudyList": True,
        "maxNumberOfWebWorkers": 1,
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": False,
        "showLoadingIndicator": True,
        "strictZSpacingForVolumeViewport": True,
        "investigationalUseDialog": {"option": "never"},
        "defaultDataSourceName": "filmroom",
        "dataSources": [source],
    }
    return f"window.config = {json.dumps(config)};".replace('"@@SIGN_IN@@"', _SIGN_IN % json.dumps(authorization))


# OHIF takes its headers from a service; without an OpenID provider an extension of the configuration fills it.
_SIGN_IN = """{
  id: 'filmroom-sign-in',
  preRegistration({ servicesManager }) {
    servicesManager.services.userAuthenticationService.setServiceImplementation({
      getAuthorizationHeader: () => ({ Authorization: %s }),
    });
  },
}"""


class _Handler(SimpleHTTPRequestHandler):
    """Files of dist; any other path is the single page itself."""

    config = b""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/app-config.js":
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript")
            self.send_header("Content-Length", str(len(self.config)))
            self.end_headers()
            self.wfile.write(self.config)
            return
        if not Path(self.translate_path(path)).is_file():
            self.path = "/index.html"
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running(dist: Path, dicomweb: str, authorization: str) -> Iterator[str]:
    """The address of a served OHIF."""
    handler = type("Handler", (_Handler,), {"config": configuration(dicomweb, authorization).encode()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(dist)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)

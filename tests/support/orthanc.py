"""Orthanc, from Debian's package, as a peer: a second implementation beside DCMTK's programs."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.dcmtk import QUICK, program
from tests.support.postgres import free_port
from tests.support.waiting import eventually

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def web(**servers: dict[str, str]) -> dict[str, object]:
    """Its DICOMweb server under /dicom-web, and the servers it is to know (Debian's orthanc-dicomweb): for `more`."""
    if not PLUGIN.exists():
        message = "Orthanc's DICOMweb is missing: install Debian's package orthanc-dicomweb (`make setup` does)."
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return {"Plugins": [str(PLUGIN)], "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Servers": servers}}


@contextlib.contextmanager
def orthanc(
    folder: Path, our_port: int, title: str = "ORTHANC", more: dict[str, object] | None = None
) -> Iterator[tuple[int, httpx.Client]]:
    """Its DICOM port and a client of its REST interface; it knows us as the modality `filmroom`."""
    port, http_port = free_port(), free_port()
    folder.mkdir(parents=True)
    settings = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "DicomPort": port,
        "DicomAet": title,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomModalities": {"filmroom": ["FILMROOM", "127.0.0.1", our_port]},
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings | (more or {})))
    process = subprocess.Popen(
        [program("Orthanc"), str(folder / "orthanc.json")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | QUICK,
    )
    client = httpx.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=30, trust_env=False)
    try:
        eventually(
            lambda: client.get("/system").status_code == 200,
            "Orthanc starts",
            process=process,
            ignoring=(httpx.HTTPError,),
        )
        yield port, client
    finally:
        client.close()
        process.terminate()
        process.wait(60)

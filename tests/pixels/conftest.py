"""One installation for all tests of stored pixels: what goes in is seen through every way a picture leaves it."""

import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pikepdf
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.uid import generate_uid

from app import config as boot
from app.archive import IngestOutcome, Source
from app.db import open_database
from tests.archive.make import part10
from tests.printing.conftest import Printer
from tests.support.client import Web, open_web

CASES = Path(__file__).resolve().parents[1] / "cases"
Picture = npt.NDArray[np.uint8]


class Seen:
    """The installation as its users meet it."""

    def __init__(self, web: Web) -> None:
        self.web = web
        self.printer = Printer(web)

    def put(self, what: Path | bytes | Dataset) -> IngestOutcome:
        """Takes an object in; a data set under UIDs of its own."""
        if isinstance(what, Dataset):
            what.SOPInstanceUID, what.StudyInstanceUID, what.SeriesInstanceUID = (generate_uid() for _ in range(3))
            what = part10(what)
        incoming = self.web.services.archive.receive(Source(kind="upload", actor_name="test"))
        incoming.write(what.read_bytes() if isinstance(what, Path) else what)
        outcome = self.web.services.archive.ingest(incoming)
        assert outcome.status in ("stored", "duplicate"), outcome
        return outcome

    def get(self, address: str, accept: str = "*/*", **query: Any) -> Any:
        answer = self.web.admin.get(address, params=query, headers={"Accept": accept})
        assert answer.status_code == 200, (address, answer.text)
        return answer

    def picture(self, address: str, accept: str = "image/png", **query: Any) -> Picture:
        return np.asarray(Image.open(io.BytesIO(self.get(address, accept, **query).content)))

    def rendered(self, one: IngestOutcome, frame: int = 1) -> Picture:
        """WADO-RS, as PNG: exact."""
        return self.picture(f"/dicom-web{address(one)}/frames/{frame}/rendered")

    def everywhere(self, one: IngestOutcome, frame: int = 1) -> dict[str, Picture]:
        """The frame in full size by every way. WADO-URI and rendered are exact, the others JPEG."""
        uid, query = one.sop_instance_uid, {"frameNumber": frame} if frame > 1 else {}
        return {
            "rendered": self.rendered(one, frame),
            "thumbnail": self.picture(
                f"/dicom-web{address(one)}/frames/{frame}/thumbnail", "image/jpeg", viewport="1024,1024"
            ),
            "wado-uri": self.picture(
                "/wado", requestType="WADO", studyUID=one.study_instance_uid,
                seriesUID=one.series_instance_uid, objectUID=uid, contentType="image/png", **query,
            ),
            "api": self.picture(f"/api/v1/instances/{uid}/frames/{frame}/rendered"),
            "preview": self.picture(f"/api/v1/instances/{uid}/frames/{frame}/preview", "image/jpeg", size=1024),
            "print": self.printed(one, frame),
        }  # fmt: skip

    def printed(self, one: IngestOutcome, frame: int = 1) -> Picture:
        """The picture inside the PDF, as many pixels as it has there."""
        items = [{"sop_instance_uid": one.sop_instance_uid, "frame": frame}]
        made = self.printer.make({"items": items, "layout": "1x1"}, "admin")
        assert made["state"] == "done", made
        with pikepdf.open(io.BytesIO(self.printer.file(made, "admin"))) as pdf:
            (stream,) = pdf.pages[0].Resources.XObject.values()
            image = pikepdf.PdfImage(stream).as_pil_image()
        return np.asarray(image)

    def text(self, made: dict[str, Any]) -> str:
        """What a finished print says, line breaks as spaces."""
        data = self.printer.file(made, "admin")
        said = subprocess.run(["pdftotext", "-layout", "-", "-"], input=data, capture_output=True, check=True).stdout
        return " ".join(said.decode().split())

    def planes(self, one: IngestOutcome, frame: int = 1) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(
            f"/api/v1/instances/{one.sop_instance_uid}/frames/{frame}/overlays"
        ).json()["planes"]
        return found


def address(one: IngestOutcome) -> str:
    return f"/studies/{one.study_instance_uid}/series/{one.series_instance_uid}/instances/{one.sop_instance_uid}"


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("pixels") / "data"
    shutil.copytree(_sqlite_template, folder)
    config = boot.load({"data": folder}, environ={})
    database = open_database(config)
    with open_web(config, database) as web:
        made = Seen(web)
        yield made
        made.printer.worker.database.dispose()
    database.dispose()

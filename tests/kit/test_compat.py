"""The private interfaces of libraries that are used, each held to what it is used for: an upgrade that changes one fails
here, with its name."""

import gettext
import io
import socket
from pathlib import Path
from typing import Annotated

import httpcore
import httpx
import numpy as np
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from fastapi import APIRouter, Depends, FastAPI, Form, Query, Request
from PIL import Image
from pydantic import BaseModel
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.uid import ExplicitVRLittleEndian
from starlette.testclient import TestClient

from app.http import parameters
from app.kit import compat


def _read(dataset: Dataset) -> Dataset:
    buffer = DicomBytesIO()
    dataset.save_as(buffer, implicit_vr=False, little_endian=True)
    buffer.seek(0)
    return dcmread(buffer, force=True)


def test_pydicom_holds_unread_elements_raw() -> None:
    made = Dataset()
    made.PatientName, made.PatientID = "Doe^Jane", "1"
    found = _read(made)
    assert all(isinstance(one, RawDataElement) for one in compat.stored_elements(found))
    assert found.PatientID == "1"
    kinds = {one.tag: type(one) for one in compat.stored_elements(found)}
    assert kinds == {0x00100010: RawDataElement, 0x00100020: DataElement}
    assert isinstance(compat.stored_element(found, 0x00100010), RawDataElement)
    assert compat.stored_element(found, 0x00100030) is None


def test_pydicom_tells_the_codecs_of_a_data_set_and_its_items() -> None:
    item, made = Dataset(), Dataset()
    item.PatientName = "Doe"
    made.SpecificCharacterSet = "ISO_IR 192"
    made.OtherPatientIDsSequence = [item]
    found = _read(made)
    inner = found.OtherPatientIDsSequence[0]
    assert compat.read_codecs(found) == compat.inherited_codecs(inner) == ["UTF8"]


def test_pydicoms_dictionaries() -> None:
    assert compat.data_dictionary()[0x00100010] == ("PN", "1", "Patient's Name", "", "PatientName")
    assert compat.uid_dictionary()[ExplicitVRLittleEndian][0] == "Explicit VR Little Endian"


def test_pillow_decodes_a_reduced_picture_into_the_size_that_is_set() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(99 * 67, dtype=np.uint8).reshape(67, 99)).save(buffer, "JPEG2000", num_resolutions=3)
    with Image.open(buffer, formats=("JPEG2000",)) as picture:
        compat.set_decoded_size(picture, -(-99 // 2) * 2, -(-67 // 2) * 2)
        picture.reduce = 1  # type: ignore[assignment,method-assign]
        picture.load()
        assert np.asarray(picture).shape == (34, 50)


def test_gettext_gives_its_whole_table(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    write_mo(buffer, read_po(io.BytesIO(b'msgid "Study"\nmsgstr "Estudio"\n')))
    buffer.seek(0)
    assert compat.catalogue_table(gettext.GNUTranslations(buffer))["Study"] == "Estudio"


def test_httpx_opens_its_connections_by_the_backend_that_is_set() -> None:
    ours, theirs = socket.socketpair()

    class Paired(httpcore.SyncBackend):
        def connect_tcp(self, *_: object, **__: object) -> httpcore.NetworkStream:
            return compat.stream_of(ours)

    transport = httpx.HTTPTransport(trust_env=False)
    compat.use_backend(transport, Paired())
    theirs.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    with theirs, httpx.Client(transport=transport, trust_env=False) as client:
        assert client.get("http://nowhere.example/").status_code == 204
        assert theirs.recv(100).startswith(b"GET / HTTP/1.1")


def test_fastapi_tells_the_paths_of_included_routers() -> None:
    inner, outer, app = APIRouter(prefix="/inner"), APIRouter(prefix="/outer"), FastAPI(openapi_url=None)
    inner.get("/{uid}")(lambda uid: uid)
    outer.get("/here")(lambda: "")
    outer.include_router(inner)
    app.include_router(outer)
    (found,) = compat.included_routers(app.router.routes)
    assert sorted(compat.included_paths(found)) == ["/outer/here", "/outer/inner/{uid}"]
    assert len(compat.routers_within(found)) == 1


def test_fastapi_tells_the_query_parameters_of_a_route() -> None:
    class Asked(BaseModel):
        state: str = ""

    app = FastAPI(openapi_url=None)

    @app.get("/{uid}")
    def route(uid: str, asked: Annotated[Asked, Query()]) -> str:
        return uid + asked.state

    assert parameters.declared(app.router.routes[-1]) == {"state"}


def test_fastapi_keeps_the_body_that_it_has_read() -> None:
    app, seen = FastAPI(openapi_url=None), []

    def look(request: Request) -> None:
        seen.append(compat.parsed_body(request))

    @app.post("/json", dependencies=[Depends(look)])
    def take(body: dict[str, str]) -> None: ...

    @app.post("/form", dependencies=[Depends(look)])
    def fill(a: Annotated[str, Form()]) -> None: ...

    client = TestClient(app)
    assert client.post("/json", json={"a": "1"}).status_code == client.post("/form", data={"a": "1"}).status_code == 200
    (document, _), (nothing, form) = seen
    assert document == {"a": "1"} and nothing is None and dict(form) == {"a": "1"}

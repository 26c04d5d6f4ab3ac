"""The store-and-forward box as its eleven values (FWD-4): the same as the file of `filmroom serve --config`."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from app.http import ReadSession, WriteSession, allow, services
from app.kit.classic import Classic
from app.routing import forwarder
from app.security import Actor, Verb

router = APIRouter(tags=["forwarder"])
Reader = Annotated[Actor, Depends(allow(Verb.SETTINGS_READ))]
Editor = Annotated[Actor, Depends(allow(Verb.SETTINGS_EDIT))]
_USUAL = Classic()


class ForwarderBody(BaseModel):
    """Missing keys have the classic default."""

    model_config = ConfigDict(extra="forbid", strict=True)

    local_ae_title: str = Field(_USUAL.local_ae_title, description="Our AE title; counts from the next start")
    local_port: int = Field(_USUAL.local_port, description="Our DICOM port; counts from the next start")
    local_host: str = Field(_USUAL.local_host, description="Address we listen on; counts from the next start")
    pacs_host: str = Field(description="Name or IP address of the PACS")
    pacs_port: int = Field(description="Its DICOM port")
    pacs_ae_title: str = Field(description="Its AE title")
    store_locally: bool = Field(True, description="Keep what was forwarded; else it is dropped once it has arrived")
    storage_dir: str = Field("", description="Folder of the objects, from the next start; empty: in the data folder")
    log_dir: str = Field("", description="Folder of the logs, from the next start; empty: in the data folder")
    forward_immediately: bool = Field(
        True, description="Each object as it arrives; else it waits for Send or a schedule"
    )
    retry_attempts: int = Field(3, description="How often a failed delivery is tried again, 0 to 100")


@router.get("/forwarder")
def get_forwarder(request: Request, actor: Reader, session: ReadSession) -> dict[str, Any]:
    """Returns the configuration of store and forward. `pacs_host` is empty when it is not configured."""
    return forwarder.current_setup(session, services(request).config).values()


@router.put("/forwarder")
def save_forwarder(body: ForwarderBody, request: Request, actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Creates or changes the node and the route of store and forward. restart: title, port or folders are new and count from the next start."""
    config = services(request).config
    restart = forwarder.save_setup(session, actor, forwarder.validate_setup(body.model_dump()), config)
    return forwarder.current_setup(session, config).values() | {"restart": restart}


@router.post("/forwarder/test")
def test_forwarder(body: ForwarderBody, request: Request, actor: Editor) -> dict[str, Any]:
    """Tests the PACS of the body with a C-ECHO; nothing is saved. Always 200 for a PACS that does not answer."""
    found = forwarder.test_connection(services(request).database, actor, forwarder.validate_setup(body.model_dump()))
    steps = [{"step": s.name, "ok": s.ok, "message": s.words, "seconds": s.seconds} for s in found.steps]
    return {"ok": found.ok, "message": found.message, "seconds": found.seconds, "steps": steps, "offers": found.offers}


@router.post("/forwarder/send")
def send_waiting(actor: Editor, session: WriteSession) -> dict[str, Any]:
    """Sends the studies that wait when objects are not forwarded on arrival."""
    return {"studies": forwarder.send_now(session, actor)}

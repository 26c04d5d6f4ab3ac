"""Identifying values of a node: the columns of its row, described as its options are (app/nodes/option_model.py)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict

from app.kit.phrases import phrase
from app.nodes import option_checks as checks
from app.nodes.option_kit import Option
from app.trust import names


class NodeIdentity(BaseModel):
    """Values with their own columns."""

    model_config = ConfigDict(frozen=True)

    name: Annotated[
        str,
        Option(
            phrase("Name"),
            "Name shown to users; 1 to 64 characters, unique",
            row="name",
            length=64,
            mono=False,
            check=checks.name_fault,
        ),
    ] = ""
    ae_title: Annotated[
        str,
        Option(
            phrase("AE title"),
            "AE title of the node, 1 to 16 characters",
            row="address",
            length=16,
            check=names.title_fault,
            protocols=("dicom",),
        ),
    ] = ""
    host: Annotated[
        str,
        Option(
            phrase("Host"),
            "Host name or IP address",
            row="address",
            length=253,
            check=names.host_fault,
            protocols=("dicom",),
        ),
    ] = ""
    port: Annotated[
        int,
        Option(phrase("Port"), "TCP port", row="address", beside=True, bounds=(1, 65535), protocols=("dicom",)),
    ] = 0
    enabled: Annotated[
        bool, Option(phrase("Enabled"), "Whether the node is used at all, in both directions", row="access")
    ] = True
    facility_id: Annotated[
        str,
        Option(
            phrase("Facility"),
            "Facility that received objects belong to; empty: none",
            row="access",
            choices_from="facilities",
            key="facility",
        ),
    ] = ""

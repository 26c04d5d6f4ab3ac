"""Settings of the DICOM network: who may call us, what we take, how long we wait."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from app.dicom.uids import is_valid as is_uid
from app.peers.names import title_fault
from app.settings import Group

Callers = Literal["private", "all", "known"]


class DicomSettings(Group):
    """Group `dicom`."""

    group: ClassVar[str] = "dicom"
    title: ClassVar[str] = "DICOM network"

    unknown_callers: Callers = Field(
        title="Unknown callers",
        default="private",
        description="Whose objects and echoes are taken when the caller is no known node: those of loopback and private"
        " networks, of all addresses, or nobody's",
    )
    query_callers: Callers = Field(
        title="Unknown callers that may query",
        default="known",
        description="Whose queries and retrievals (C-FIND, C-MOVE, C-GET) are answered when the caller is no known node:"
        " those of loopback and private networks, of all addresses, or nobody's. They find the studies of the called"
        " title's facility, or of the house's own",
    )
    check_called_title: bool = Field(
        title="Check the called title",
        default=True,
        description="Refuse callers that call another AE title than ours or a facility's",
    )
    also_called: list[str] = Field(title="Also called", default=[], description="More AE titles that we answer to")
    unknown_sop_classes: bool = Field(
        title="Unknown SOP classes",
        default=False,
        description="Also take objects of SOP classes that the standard does not know (private ones)",
    )
    private_sop_classes: list[str] = Field(
        title="Private SOP classes", default=[], description="Private SOP classes to take when not all unknown ones are"
    )
    private_transfer_syntaxes: list[str] = Field(
        title="Private transfer syntaxes", default=[], description="Private transfer syntaxes to take"
    )
    max_associations: int = Field(
        title="Most associations",
        default=100,
        ge=1,
        le=1000,
        description="Associations at a time in each receiver process",
    )
    idle_timeout: int = Field(
        title="Seconds of silence",
        default=300,
        ge=5,
        le=86400,
        description="Seconds an association may be silent between two messages",
    )
    network_timeout: int = Field(
        title="Seconds to answer",
        default=60,
        ge=2,
        le=3600,
        description="Seconds a PDU that has begun may take, and an answer of a peer",
    )
    artim: int = Field(
        title="Seconds to ask",
        default=15,
        ge=1,
        le=300,
        description="Seconds a new connection may take to ask (ARTIM, PS3.8)",
    )
    connect_timeout: int = Field(
        title="Seconds to connect", default=10, ge=1, le=300, description="Seconds to reach a node"
    )
    max_pdu: int = Field(
        title="Largest PDU", default=131072, ge=4096, le=1048576, description="Largest PDU we take, in bytes"
    )
    max_object_gib: int = Field(
        title="Largest object", default=16, ge=1, le=1024, description="Largest object we take, in GiB"
    )
    send_retries: int = Field(
        title="Tries of a transfer", default=3, ge=0, le=20, description="How often a failed transfer is tried again"
    )
    log_days: int = Field(
        title="Days of the transfer log",
        default=90,
        ge=1,
        le=3650,
        description="How long entries of the transfer log are kept; the daily text files stay 30 days",
    )
    commitment_minutes: int = Field(
        title="Minutes to commit",
        default=60,
        ge=1,
        le=10080,
        description="Minutes a node has to answer a request for storage commitment before it is asked again",
    )

    @field_validator("also_called")
    @classmethod
    def _titles(cls, value: list[str]) -> list[str]:
        for title in value:
            if fault := title_fault(title):
                raise ValueError(f"{title!r}: {fault}")
        return value

    @field_validator("private_sop_classes", "private_transfer_syntaxes")
    @classmethod
    def _uids(cls, value: list[str]) -> list[str]:
        for uid in value:
            if not is_uid(uid):
                raise ValueError(f"{uid!r} is no UID")
        return value

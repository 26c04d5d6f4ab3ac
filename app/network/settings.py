"""Settings of the DICOM network: who may call, what is accepted, timeouts and limits."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from app.db import Database
from app.dicom.uids import is_valid as is_uid
from app.settings import Group, load
from app.trust.names import title_fault

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
    places_for_nodes: int = Field(
        title="Associations kept for known nodes",
        default=10,
        ge=0,
        le=500,
        description="Associations of each receiver process that unknown callers cannot use; at most a quarter of all",
    )
    associations_per_address: int = Field(
        title="Associations per address",
        default=25,
        ge=1,
        le=1000,
        description="Associations at a time from one address of an unknown caller",
    )
    stranger_timeout: int = Field(
        title="Seconds of silence of unknown callers",
        default=30,
        ge=5,
        le=86400,
        description="Seconds an association of an unknown caller may be silent between two messages",
    )
    query_limit: int = Field(
        title="Most answers to a query",
        default=0,
        ge=0,
        le=10_000_000,
        description="Matches of a C-FIND that are sent before it is refused as too broad; 0: all",
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
    echo_minutes: int = Field(
        title="Echo every so many minutes",
        default=10,
        ge=0,
        le=1440,
        description="How often nodes that were not heard of are asked whether they are there, for their lamps; 0: never",
    )
    accepted_syntaxes: list[str] = Field(
        title="Accepted transfer syntaxes",
        default=[],
        description="Transfer syntaxes in which we take objects, by UID; none means all of the standard. Implicit VR"
        " Little Endian is always taken (PS3.5 10.1)",
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
    transfer_days: int = Field(
        title="Days of finished transfers",
        default=30,
        ge=1,
        le=3650,
        description="How long transfers that have arrived, and runs of routes that are over, are kept in the lists; what failed stays until somebody decides",
    )
    commitment_minutes: int = Field(
        title="Minutes to commit",
        default=60,
        ge=1,
        le=10080,
        description="Minutes a node has to answer a request for storage commitment before it is asked again",
    )

    @property
    def places_for_strangers(self) -> int:
        """Associations that unknown callers may have at a time, in each receiver process."""
        return self.max_associations - min(self.places_for_nodes, self.max_associations // 4)

    def silence(self, known: bool) -> int:
        """Seconds an association may be silent. known: of a node."""
        return self.idle_timeout if known else min(self.idle_timeout, self.stranger_timeout)

    @field_validator("also_called")
    @classmethod
    def _titles(cls, value: list[str]) -> list[str]:
        for title in value:
            if fault := title_fault(title):
                raise ValueError(f"{title!r}: {fault}")
        return value

    @field_validator("private_sop_classes", "private_transfer_syntaxes", "accepted_syntaxes")
    @classmethod
    def _uids(cls, value: list[str]) -> list[str]:
        for uid in value:
            if not is_uid(uid):
                raise ValueError(f"{uid!r} is no UID")
        return value


def connect_timeout(database: Database) -> float:
    """Seconds that an outgoing connection may take to open, in a read transaction of its own."""
    with database.read() as session:
        return load(session, DicomSettings).connect_timeout

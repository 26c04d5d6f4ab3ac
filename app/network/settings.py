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
        description="Callers without a node that may send C-STORE and C-ECHO: those of loopback and private networks, all, or none (known nodes only).",
    )
    query_callers: Callers = Field(
        title="Unknown callers for query/retrieve",
        default="known",
        description="Callers without a node that may use C-FIND, C-MOVE and C-GET: those of loopback and private networks, all, or none (known nodes only). They find the studies of the called facility, or of this site.",
    )
    check_called_title: bool = Field(
        title="Check called AE title",
        default=True,
        description="Refuse callers that use a called AE title other than the title of this installation or of a facility.",
    )
    also_called: list[str] = Field(
        title="Additional AE titles", default=[], description="Further AE titles that this installation answers to."
    )
    unknown_sop_classes: bool = Field(
        title="Accept unknown SOP classes",
        default=False,
        description="Also accept objects of SOP classes that the standard does not define (private ones).",
    )
    private_sop_classes: list[str] = Field(
        title="Private SOP classes",
        default=[],
        description="Private SOP classes to accept when unknown ones are not accepted in general.",
    )
    private_transfer_syntaxes: list[str] = Field(
        title="Private transfer syntaxes", default=[], description="Private transfer syntaxes to accept."
    )
    max_associations: int = Field(
        title="Maximum associations",
        default=100,
        ge=1,
        le=1000,
        description="Maximum number of simultaneous associations of each receiver process.",
    )
    places_for_nodes: int = Field(
        title="Associations reserved for nodes",
        default=10,
        ge=0,
        le=500,
        description="Associations of each receiver process that unknown callers cannot use; at most a quarter of all.",
    )
    associations_per_address: int = Field(
        title="Associations per address",
        default=25,
        ge=1,
        le=1000,
        description="Maximum number of simultaneous associations from one address of an unknown caller.",
    )
    stranger_timeout: int = Field(
        title="Idle timeout of unknown callers (s)",
        default=30,
        ge=5,
        le=86400,
        description="Time that an association of an unknown caller may be idle between two messages.",
    )
    query_limit: int = Field(
        title="Query result limit",
        default=0,
        ge=0,
        le=10_000_000,
        description="Matches of a C-FIND that are sent before it is refused as too broad; 0: no limit.",
    )
    idle_timeout: int = Field(
        title="Idle timeout (s)",
        default=300,
        ge=5,
        le=86400,
        description="Time that an association may be idle between two messages.",
    )
    network_timeout: int = Field(
        title="Response timeout (s)",
        default=60,
        ge=2,
        le=3600,
        description="Maximum time for the rest of a PDU that has begun, and for a response of a peer.",
    )
    artim: int = Field(
        title="Association request timeout (s)",
        default=15,
        ge=1,
        le=300,
        description="Time in which a new connection must request an association (ARTIM, PS3.8).",
    )
    connect_timeout: int = Field(
        title="Connection timeout (s)", default=10, ge=1, le=300, description="Maximum time to connect to a node."
    )
    max_pdu: int = Field(
        title="Maximum PDU size (bytes)",
        default=131072,
        ge=4096,
        le=1048576,
        description="Largest PDU that is accepted.",
    )
    max_object_gib: int = Field(
        title="Maximum object size (GiB)", default=16, ge=1, le=1024, description="Largest object that is accepted."
    )
    echo_minutes: int = Field(
        title="Echo interval (minutes)",
        default=10,
        ge=0,
        le=1440,
        description="Interval after which nodes without recent contact are tested with a C-ECHO; 0: never.",
    )
    accepted_syntaxes: list[str] = Field(
        title="Accepted transfer syntaxes",
        default=[],
        description="UIDs of the transfer syntaxes that are accepted for storage; empty: all of the standard. Implicit VR Little Endian is always accepted (PS3.5 10.1).",
    )
    send_retries: int = Field(
        title="Transfer retries", default=3, ge=0, le=20, description="Number of retries of a failed transfer."
    )
    log_days: int = Field(
        title="Transfer log retention (days)",
        default=90,
        ge=1,
        le=3650,
        description="Entries of the transfer log are deleted after this time. The daily text files are kept for 30 days.",
    )
    transfer_days: int = Field(
        title="Transfer list retention (days)",
        default=30,
        ge=1,
        le=3650,
        description="Delivered transfers and ended runs of routes are removed from the lists after this time. Failed ones are kept until somebody decides.",
    )
    commitment_minutes: int = Field(
        title="Storage commitment timeout (minutes)",
        default=60,
        ge=1,
        le=10080,
        description="Time for a node to answer a request for storage commitment before it is requested again.",
    )

    @property
    def places_for_strangers(self) -> int:
        """Associations that unknown callers may have at a time, in each receiver process."""
        return self.max_associations - min(self.places_for_nodes, self.max_associations // 4)

    def silence_limit(self, known: bool) -> int:
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

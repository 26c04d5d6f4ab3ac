"""The description of a node: one field with its metadata for each option. The form, its checks, the REST schema, the
schema of the node file and the table of the documentation are made from it. docs/dev/node-options.md: how to add one.

`NodeIdentity` (option_identity.py) has the columns of the row. Here is one model for each protocol; what several protocols
have in common is in their bases. `NodeOptions` is all of them: a row keeps the options of every protocol, so that a change
of the protocol loses nothing."""

from functools import cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict

from app.kit import queue_priority
from app.kit.phrases import phrase
from app.nodes import option_checks as checks
from app.nodes.option_identity import NodeIdentity
from app.nodes.option_kit import Described, Option, describe
from app.nodes.option_rows import (
    CHARACTER_SETS,
    SERVICES,
    SYNTAX_WORDS,
    TLS_CALLERS,
    TLS_CHECKS,
    TLS_PROFILES,
)
from app.trust import names


class SharedOptions(BaseModel):
    """Options of every node."""

    model_config = ConfigDict(frozen=True)

    protocol: Annotated[
        str,
        Option(
            phrase("Protocol"),
            "Protocol; dicomweb needs url, folder needs path",
            row="name",
            beside=True,
            widget="segments",
            choices=(("dicom", "DICOM"), ("dicomweb", "DICOMweb"), ("folder", phrase("Folder"))),
        ),
    ] = "dicom"
    capabilities: Annotated[
        tuple[str, ...],
        Option(phrase("Supported services"), "Services that the node is used for", row="services", choices=SERVICES),
    ] = ("store",)
    transfer_syntax: Annotated[
        str,
        Option(
            phrase("Transfer syntax"),
            "Preferred transfer syntax for sending; stored: as stored, otherwise uncompressed",
            row="syntax",
            choices=SYNTAX_WORDS,
        ),
    ] = "stored"
    parallel: Annotated[
        int,
        Option(phrase("Parallel associations"), "Parallel associations for sending", row="load", bounds=(1, 16)),
    ] = 1
    bandwidth_kib: Annotated[
        int,
        Option(
            phrase("Bandwidth limit"),
            "Bandwidth limit for sending in KiB per second; 0: no limit",
            row="load",
            beside=True,
            unit="KiB/s",
            bounds=(0, 10_000_000),
        ),
    ] = 0
    priority: Annotated[
        int,
        Option(
            phrase("Queue priority"),
            queue_priority.MEANING,
            row="load",
            beside=True,
            widget="select",
            choices=queue_priority.WORDS,
            suggested=True,
            bounds=(queue_priority.LOWEST, queue_priority.HIGHEST),
        ),
    ] = queue_priority.NORMAL
    window: Annotated[
        str,
        Option(
            phrase("Sending hours"),
            "Sending hours in server time, such as 22:00-06:00; empty: always",
            row="hours",
            length=11,
            check=checks.window_fault,
        ),
    ] = ""
    paused: Annotated[bool, Option(phrase("Paused"), "Pause sending; transfers stay queued", row="hours")] = False
    retries: Annotated[
        int | None,
        Option(
            phrase("Retries"),
            "Retries of a failed delivery; null: the value of the settings",
            row="retries",
            bounds=(0, 100),
        ),
    ] = None
    retry_forever: Annotated[
        bool,
        Option(
            phrase("Retry until delivered"),
            "Continue at a longer interval after these retries until it succeeds",
            row="retries",
        ),
    ] = False
    lacks_only: Annotated[
        bool,
        Option(
            phrase("Send missing objects only"),
            "Send only objects that a query does not find on the node",
            row="delivery",
        ),
    ] = False
    comment: Annotated[
        str, Option(phrase("Comment"), "Comment", row="comment", mono=False, check=checks.text_fault)
    ] = ""


class NetworkOptions(SharedOptions):
    """Options of nodes that are called over the network."""

    client_certificate: Annotated[
        str,
        Option(
            phrase("Own certificate"),
            "Name of the own certificate shown to this node",
            row="own",
            choices_from="certificates",
            check=checks.text_fault,
        ),
    ] = ""
    connect_timeout: Annotated[
        int | None,
        Option(
            phrase("Connection timeout"),
            "Connection timeout in seconds; null: the value of the settings",
            row="timeouts",
            unit="s",
            bounds=(1, 300),
        ),
    ] = None
    network_timeout: Annotated[
        int | None,
        Option(
            phrase("Response timeout"),
            "Response timeout in seconds; null: the value of the settings",
            row="timeouts",
            beside=True,
            unit="s",
            bounds=(2, 3600),
        ),
    ] = None
    use_proxy: Annotated[
        bool, Option(phrase("Use proxy"), "Use the proxy of the settings for this node", row="timeouts")
    ] = True


class DicomOptions(NetworkOptions):
    """Options of DICOM nodes."""

    accept: Annotated[bool, Option(phrase("Accept objects"), "Accept objects from this node", row="access")] = True
    may_query: Annotated[
        bool, Option(phrase("Allow query/retrieve"), "Allow query/retrieve by this node", row="access")
    ] = True
    commitment: Annotated[
        bool,
        Option(
            phrase("Request storage commitment"),
            "Require storage commitment before an object counts as delivered",
            row="delivery",
        ),
    ] = False
    tls: Annotated[bool, Option("DICOM TLS", "Use DICOM TLS when calling this node", row="tls")] = False
    tls_profile: Annotated[
        str,
        Option(
            phrase("TLS profile"),
            "TLS profile; empty: the profile of the settings",
            row="tls",
            choices=TLS_PROFILES,
        ),
    ] = ""
    tls_check: Annotated[
        str,
        Option(
            phrase("Server certificate check"),
            "Check of its certificate: name (chain and host name), ca (chain), fingerprint",
            row="certificate",
            choices=TLS_CHECKS,
        ),
    ] = "name"
    tls_caller: Annotated[
        str,
        Option(
            phrase("Required caller certificate"),
            "Certificate required when it calls: empty (none), trusted, fingerprint, authority",
            row="certificate",
            beside=True,
            choices=TLS_CALLERS,
        ),
    ] = ""
    tls_fingerprint: Annotated[
        str,
        Option(
            phrase("Certificate fingerprint"),
            "SHA-256 fingerprint of its certificate",
            row="certificate",
            hint="SHA-256",
            length=128,
            check=checks.fingerprint_fault,
        ),
    ] = ""
    tls_authority: Annotated[
        str,
        Option(
            phrase("Certificate authority"),
            "SHA-256 fingerprint of the trusted authority that signs its certificate",
            row="certificate",
            choices_from="authorities",
            hide_without_choices=True,
            check=checks.fingerprint_fault,
        ),
    ] = ""
    local_title: Annotated[
        str,
        Option(
            phrase("Calling AE title"),
            "AE title used when calling this node; empty: the default AE title",
            row="retrieve",
            length=16,
            check=names.title_fault,
        ),
    ] = ""
    retrieve_by: Annotated[
        str,
        Option(
            phrase("Retrieve with"),
            "Service used to retrieve from this node",
            row="retrieve",
            beside=True,
            choices=(("move", "C-MOVE"), ("get", "C-GET")),
        ),
    ] = "move"
    max_pdu: Annotated[
        int | None,
        Option(
            phrase("Maximum PDU size"),
            "Maximum PDU size in bytes; null: the value of the settings",
            row="limits",
            unit=phrase("bytes"),
            bounds=(4096, 1 << 20),
        ),
    ] = None
    character_set: Annotated[
        str,
        Option(
            phrase("Character set of queries"),
            "Specific Character Set of queries to this node; empty: UTF-8 where needed",
            row="limits",
            beside=True,
            choices=(("", phrase("UTF-8, where needed")), *((one, one) for one in CHARACTER_SETS)),
        ),
    ] = ""


class DicomwebOptions(NetworkOptions):
    """Options of DICOMweb servers."""

    url: Annotated[
        str,
        Option(
            phrase("Address"),
            "DICOMweb: base address of the service",
            row="service",
            hint="https://server/path",
            check=checks.url_fault,
        ),
    ] = ""
    username: Annotated[
        str,
        Option(phrase("User"), "DICOMweb: user for HTTP Basic", row="service", check=checks.username_fault),
    ] = ""
    password: Annotated[
        str,
        Option(
            phrase("Password"),
            "DICOMweb: password; in an export left out, or encrypted for the same installation",
            row="service",
            beside=True,
            widget="secret",
            check=checks.text_fault,
        ),
    ] = ""
    token: Annotated[
        str,
        Option(
            phrase("Token"),
            "DICOMweb: bearer token, used instead of user and password",
            row="service",
            widget="secret",
            check=checks.text_fault,
        ),
    ] = ""


class FolderOptions(SharedOptions):
    """Options of folders."""

    path: Annotated[
        str,
        Option(
            phrase("Folder"),
            "Folder: an absolute path on the server",
            row="folder",
            hint=phrase("An absolute path, such as /srv/dicom/out"),
            check=checks.path_fault,
        ),
    ] = ""


class NodeOptions(DicomOptions, DicomwebOptions, FolderOptions):
    """The options of one node, of every protocol. None: the value of the network settings."""


BY_PROTOCOL: dict[str, type[SharedOptions]] = {
    "dicom": DicomOptions,
    "dicomweb": DicomwebOptions,
    "folder": FolderOptions,
}
PROTOCOLS = tuple(BY_PROTOCOL)


@cache
def options_of(model: type[NodeOptions] = NodeOptions) -> dict[str, Described]:
    """Name -> description of every option. model: a subclass may have more fields than NodeOptions."""
    found = {}
    for name in model.model_fields:
        kinds = tuple(protocol for protocol, one in BY_PROTOCOL.items() if name in one.model_fields)
        found[name] = describe(name, model, kinds or PROTOCOLS)
    return found


@cache
def fields_of(model: type[NodeOptions] = NodeOptions) -> dict[str, Described]:
    """Name -> description of every field of a node: its identity, then its options."""
    return {name: describe(name, NodeIdentity, PROTOCOLS) for name in NodeIdentity.model_fields} | options_of(model)

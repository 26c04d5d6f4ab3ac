"""The file of nodes: what may stand in it, as a JSON schema and for the reader. Pure."""

from dataclasses import fields
from typing import Any

from app.nodes import options
from app.nodes.options import BOUNDS, NULLABLE, NodeValues

FORMAT, VERSION = "filmroom-nodes", 1
_ENUMS = {
    "transfer_syntax": options.SYNTAXES,
    "protocol": options.PROTOCOLS,
    "tls_profile": options.TLS_PROFILES,
    "tls_check": options.TLS_CHECKS,
    "tls_caller": options.TLS_CALLERS,
    "character_set": options.CHARACTER_SETS,
    "retrieve_by": options.RETRIEVALS,
}
WORDS = {
    "name": "Name shown to users; 1 to 64 characters, unique",
    "protocol": "Protocol; dicomweb needs url, folder needs path",
    "ae_title": "AE title of the node, 1 to 16 characters",
    "host": "Host name or IP address",
    "port": "TCP port",
    "url": "DICOMweb: base address of the service",
    "username": "DICOMweb: user for HTTP Basic",
    "password": "DICOMweb: password; in an export left out, or encrypted for the same installation",
    "token": "DICOMweb: bearer token, used instead of user and password",
    "path": "Folder: an absolute path on the server",
    "enabled": "Whether the node is used at all, in both directions",
    "facility": "Name of the facility that received objects belong to; empty: none",
    "capabilities": "Services that the node is used for",
    "accept": "Accept objects from this node",
    "may_query": "Allow query/retrieve by this node",
    "transfer_syntax": "Preferred transfer syntax for sending; stored: as stored, otherwise uncompressed",
    "retrieve_by": "Service used to retrieve from this node",
    "local_title": "AE title used when calling this node; empty: the default AE title",
    "tls": "Use DICOM TLS when calling this node",
    "tls_profile": "TLS profile; empty: the profile of the settings",
    "client_certificate": "Name of the own certificate shown to this node",
    "tls_check": "Check of its certificate: name (chain and host name), ca (chain), fingerprint",
    "tls_fingerprint": "SHA-256 fingerprint of its certificate",
    "tls_caller": "Certificate required when it calls: empty (none), trusted, fingerprint, authority",
    "tls_authority": "SHA-256 fingerprint of the trusted authority that signs its certificate",
    "use_proxy": "Use the proxy of the settings for this node",
    "max_pdu": "Maximum PDU size in bytes; null: the value of the settings",
    "connect_timeout": "Connection timeout in seconds; null: the value of the settings",
    "network_timeout": "Response timeout in seconds; null: the value of the settings",
    "character_set": "Specific Character Set of queries to this node; empty: UTF-8 where needed",
    "parallel": "Parallel associations for sending",
    "bandwidth_kib": "Bandwidth limit for sending in KiB per second; 0: no limit",
    "priority": "Priority in the forward queue; 9 is sent first",
    "window": "Sending hours in server time, such as 22:00-06:00; empty: always",
    "paused": "Pause sending; transfers stay queued",
    "lacks_only": "Send only objects that a query does not find on the node",
    "commitment": "Require storage commitment before an object counts as delivered",
    "retries": "Retries of a failed delivery; null: the value of the settings",
    "retry_forever": "Continue at a longer interval after these retries until it succeeds",
    "comment": "Comment",
}


def kinds() -> dict[str, type]:
    """Key of the file -> str, int, bool or list."""
    found: dict[str, type] = {}
    for one in fields(NodeValues):
        written = str(one.type)
        kind = next(k for k in (list, bool, int, str) if written.startswith(k.__name__))
        found["facility" if one.name == "facility_id" else one.name] = kind
    return found


def schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of the file."""
    properties: dict[str, Any] = {}
    for name, kind in kinds().items():
        word = {str: "string", int: "integer", bool: "boolean", list: "array"}[kind]
        one: dict[str, Any] = {"type": [word, "null"] if name in NULLABLE else word, "description": WORDS[name]}
        if name in _ENUMS:
            one["enum"] = list(_ENUMS[name])
        if name in BOUNDS:
            one["minimum"], one["maximum"] = BOUNDS[name]
        if kind is list:
            one["items"] = {"type": "string", "enum": list(options.CAPABILITIES)}
        if name in options.SECRETS:
            sealed = {"type": "object", "properties": {"sealed": {"type": "string"}}, "required": ["sealed"]}
            one = {"description": WORDS[name], "anyOf": [{"type": "string"}, sealed | {"additionalProperties": False}]}
        properties[name] = one
    properties["port"] |= {"minimum": 1, "maximum": 65535}
    properties["ae_title"] |= {"maxLength": 16}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Nodes of Filmroom",
        "type": "object",
        "required": ["format", "version", "nodes"],
        "additionalProperties": False,
        "properties": {
            "format": {"const": FORMAT},
            "version": {"const": VERSION},
            "nodes": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "additionalProperties": False,
                    "properties": properties,
                },
            },
        },
    }

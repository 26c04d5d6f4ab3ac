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
    "name": "What people see; 1 to 64 characters, unique",
    "protocol": "dicom unless said; dicomweb needs url, folder needs path",
    "ae_title": "What the other side calls itself, 1 to 16 characters",
    "host": "Name or IP address",
    "port": "TCP port",
    "url": "DICOMweb: address of the service",
    "username": "DICOMweb: user for HTTP Basic",
    "password": "DICOMweb: its password; in an export left out, or sealed for the same installation",
    "token": "DICOMweb: bearer token, instead of user and password",
    "path": "Folder: a whole path on the server",
    "enabled": "Whether anything is sent to it or taken from it",
    "facility": "Name of the facility that what it sends belongs to; empty: none",
    "capabilities": "What it is set to do",
    "accept": "Whether it may send to us",
    "may_query": "Whether it may search here and fetch",
    "transfer_syntax": "How objects go out, preferred; stored: as stored, else uncompressed",
    "retrieve_by": "How we fetch from it",
    "local_title": "What we call ourselves towards it; empty: our own title",
    "tls": "DICOM TLS",
    "tls_profile": "Empty: as the settings say",
    "client_certificate": "Name of the certificate of ours that we show to it",
    "tls_check": "What of its certificate must be right: name (chain and host name), ca (chain), fingerprint",
    "tls_fingerprint": "SHA-256 fingerprint of its certificate",
    "tls_caller": "What it must show when it calls: empty (nothing), trusted, fingerprint, authority",
    "tls_authority": "SHA-256 fingerprint of the trusted certificate that signs its certificate",
    "use_proxy": "Whether the network proxy of the settings is used for it",
    "max_pdu": "Largest PDU both ways, in bytes; null: as the settings say",
    "connect_timeout": "Seconds to reach it; null: as the settings say",
    "network_timeout": "Seconds it may take to answer; null: as the settings say",
    "character_set": "Specific Character Set that queries to it are written in; empty: UTF-8 where needed",
    "parallel": "Associations at a time when sending",
    "bandwidth_kib": "KiB a second when sending; 0: no limit",
    "priority": "What goes to 9 goes first",
    "window": "Hours of the server's time in which is sent, 22:00-06:00; empty: always",
    "paused": "Nothing is sent; it waits",
    "lacks_only": "Send only what it lacks, found out by a query",
    "commitment": "Delivered only when it has committed to storage",
    "retries": "How often a failed delivery is tried again; null: as the settings say",
    "retry_forever": "After these tries go on, slowly, for ever",
    "comment": "What people want to remember",
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

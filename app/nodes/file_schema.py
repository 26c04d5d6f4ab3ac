"""The JSON schema of a node, of REST's body and of the node file, from the description of its fields. Pure."""

from typing import Any

from app.nodes.option_kit import Described
from app.nodes.option_model import NodeOptions, fields_of

FORMAT, VERSION = "filmroom-nodes", 1


def _key(one: Described) -> str:
    return one.option.key or one.name


def value_types() -> dict[str, type]:
    """Key of the file -> str, int, bool or list."""
    return {_key(one): one.type for one in fields_of().values()}


def schema_rules(one: Described) -> dict[str, Any]:
    """Allowed values of a field, as keywords of JSON schema beside its type and description."""
    found: dict[str, Any] = {}
    if one.type is list:
        found["items"] = {"type": "string", "enum": list(one.values)}
    elif one.values:
        found["enum"] = list(one.values)
    if one.option.bounds:
        found["minimum"], found["maximum"] = one.option.bounds
    if one.type is str and one.widget == "text":
        found["maxLength"] = one.option.length
    return found


def _property(one: Described) -> dict[str, Any]:
    word = {str: "string", int: "integer", bool: "boolean", list: "array"}[one.type]
    described = {"title": str(one.option.label), "description": one.option.help}
    if one.secret:
        sealed = {"type": "object", "properties": {"sealed": {"type": "string"}}, "required": ["sealed"]}
        return described | {"anyOf": [{"type": "string"}, sealed | {"additionalProperties": False}]}
    return {"type": [word, "null"] if one.nullable else word} | described | schema_rules(one)


def schema(model: type[NodeOptions] = NodeOptions) -> dict[str, Any]:
    """The JSON schema (2020-12) of the file."""
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
                    "properties": {_key(one): _property(one) for one in fields_of(model).values()},
                },
            },
        },
    }

"""Reads and examines CRD schemas, for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

MAP: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
ATOMIC: Schema = {"type": "array", "x-kubernetes-list-type": "atomic"}

KEYWORDS = {
    "type", "description", "format", "default", "enum", "pattern", "minLength", "maxLength",
    "minimum", "maximum", "required", "properties", "additionalProperties", "items", "anyOf",
    "x-kubernetes-int-or-string", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type", "x-kubernetes-validations",
}  # fmt: skip
FORMATS = {"string": {None, "date-time"}, "integer": {None, "int32", "int64"}}
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "boolean": (bool,), "object": (dict,), "array": (list,),
}  # fmt: skip
EITHER = [{"type": "integer"}, {"type": "string"}]


def fields(*names: str, required: str = "") -> Schema:
    """What `facts` makes of a structure."""
    need = {"required": sorted(required.split())} if required else {}
    return {"type": "object", "properties": sorted(names), **need}


def at(schema: Schema, path: str) -> Schema:
    """The schema at "spec.env[].name"."""
    for step in path.split("."):
        schema = schema["properties"][step.removesuffix("[]")]
        if step.endswith("[]"):
            schema = schema["items"]
    return schema


def facts(schema: Schema) -> Schema:
    """All that a schema says about its own value: inner fields by name only, no description."""
    own = {k: v for k, v in schema.items() if k not in ("description", "items")}
    if "properties" in own:
        own["properties"] = sorted(own["properties"])
    return own


def nodes(schema: Schema, place: str = "") -> Iterator[tuple[str, Schema]]:
    """Each schema in a schema, with its path."""
    yield place, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{place}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{place}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{place}{{}}")


def structural_problems(schema: Schema) -> list[str]:
    """Why an API server would refuse this schema as not structural; empty if it would not."""
    return [
        f"{place or '(root)'}: {problem}"
        for place, node in nodes(schema)
        for problem in (*_form(node), *_list(node), *_object(node), *_default(node))
    ]


def misfits(schema: Schema, value: Any, place: str = "") -> Iterator[str]:
    """Why a value does not fit a schema; unknown fields count."""
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, int | str):
            yield f"{place}: neither number nor text"
        return
    is_flag = isinstance(value, bool)
    is_typed = isinstance(value, TYPES[schema["type"]]) and is_flag == (schema["type"] == "boolean")
    if not is_typed:
        yield f"{place}: {value!r} is no {schema['type']}"
    elif schema["type"] == "object":
        yield from _misfits_of_object(schema, value, place)
    elif schema["type"] == "array":
        for item in value:
            yield from misfits(schema["items"], item, f"{place}[]")
    elif value not in schema.get("enum", [value]):
        yield f"{place}: {value!r} is not one of {schema['enum']}"
    elif schema["type"] == "integer" and not (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
    ):
        yield f"{place}: {value} is out of bounds"


def _misfits_of_object(schema: Schema, value: dict[str, Any], place: str) -> Iterator[str]:
    for name in schema.get("required", []):
        if name not in value:
            yield f"{place}: {name} is missing"
    inner = schema.get("properties", {})
    for name, field in value.items():
        if name in inner:
            yield from misfits(inner[name], field, f"{place}.{name}")
        elif "additionalProperties" in schema:
            yield from misfits(schema["additionalProperties"], field, f"{place}.{name}")
        else:
            yield f"{place}: unknown field {name}"


def _form(node: Schema) -> Iterator[str]:
    yield from (f"unknown keyword {keyword}" for keyword in sorted(node.keys() - KEYWORDS))
    if node.get("x-kubernetes-int-or-string"):
        if "type" in node or node.get("anyOf") != EITHER:
            yield "int-or-string has no type, and exactly these two under anyOf"
        return
    if "anyOf" in node:
        yield "anyOf without int-or-string"
    if node.get("type") not in TYPES:
        yield "no type"
    elif node.get("format") not in FORMATS.get(node["type"], {None}):
        yield f"format {node['format']} of {node['type']}"


def _list(node: Schema) -> Iterator[str]:
    kind = node.get("x-kubernetes-list-type")
    if (node.get("type") == "array") != ("items" in node):
        yield "items go with arrays, and only with them"
    if kind is not None and (node.get("type") != "array" or kind not in ("atomic", "set", "map")):
        yield f"list type {kind}"
    keys = node.get("x-kubernetes-list-map-keys", [])
    if (kind == "map") != bool(keys):
        yield "map keys go with lists of type map, and only with them"
    items = node.get("items", {})
    for key in keys:
        field = items.get("properties", {}).get(key, {})
        if field.get("type") not in ("string", "integer", "boolean"):
            yield f"map key {key} is no scalar"
        if key not in items.get("required", []) and "default" not in field:
            yield f"map key {key} is neither required nor defaulted"


def _object(node: Schema) -> Iterator[str]:
    inner = {"properties", "additionalProperties"} & node.keys()
    if inner and node.get("type") != "object":
        yield "fields of what is no object"
    if len(inner) > 1:
        yield "additionalProperties beside properties"
    if missing := set(node.get("required", [])) - set(node.get("properties", {})):
        yield f"required but not there: {sorted(missing)}"
    if node.get("x-kubernetes-map-type", "atomic") != "atomic":
        yield "map type"
    for rule in node.get("x-kubernetes-validations", []):
        if not rule.get("rule") or not rule.get("message"):
            yield "a rule needs a message"


def _default(node: Schema) -> Iterator[str]:
    if "default" in node:
        yield from misfits(node, node["default"], "default")
